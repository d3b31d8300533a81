"""Processes that share nothing but a Redis."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from otel_sessions.testing import OTLPReceiver
from tests.redis_server import RedisServer

from .hosts import HERE, Host, host, need_hosts
from .processes import APPLICATIONS, INSTRUMENT, Dialogue

COMMAND = [INSTRUMENT, sys.executable, str(APPLICATIONS / "conversation.py")]


class Site(NamedTuple):
    """Three hosts, and what they can reach."""

    hosts: list[Host]
    redis: RedisServer
    receiver: OTLPReceiver

    @property
    def environment(self) -> dict[str, str]:
        redis = f"redis://{self.hosts[0].gateway}:{self.redis.port}/0?timeout=20"
        return {**self.receiver.environment, "OTEL_SESSIONS_STORE": redis, "OTEL_BSP_SCHEDULE_DELAY": "100"}


@pytest.fixture(name="site", params=["processes", "hosts"])
def _site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with ExitStack() as stack:
        if request.param == "hosts":
            need_hosts()
            hosts = [stack.enter_context(host()) for _ in range(3)]
        else:
            hosts = [HERE] * 3
        gateway = hosts[0].gateway
        redis = RedisServer("--bind", gateway, "--protected-mode", "no")
        stack.callback(redis.stop)
        yield Site(hosts, redis, stack.enter_context(OTLPReceiver(host=gateway)))


class TestOneSession:
    def test_of_three_hosts(self, site: Site) -> None:
        """Started here, used there, ended elsewhere, all of them alive: one span, that all were told from the start."""
        with ExitStack() as stack:
            one, two, three = (
                stack.enter_context(Dialogue(there.command(COMMAND, site.environment), site.environment))
                for there in site.hosts
            )
            assert "conv-42" == one.say("start")
            assert "active {'user': 1}" == two.say("say")
            assert "active {'user': 2}" == one.say("say")
            assert "active {'user': 3}" == three.say("say")
            assert "active {'user': 4}" == two.say("say")
            assert "True" == three.say("end")
            assert ["False", "False"] == [one.say("end"), two.say("end")]
            assert ["success {'user': 4}"] * 3 == [each.say("look") for each in (one, two, three)]
            for each in (one, two, three):
                assert 0 == each.close(), each.output
        self.check(site.receiver)

    @staticmethod
    def check(receiver: OTLPReceiver) -> None:
        (session,) = (span for span in receiver.spans if span.name == "session chat")
        answers = [span for span in receiver.spans if span.name == "answer"]
        # The first was made long before the session's span, in a process that did not end it.
        assert [(session.trace_id, session.span_id, "conv-42")] * 4 == [
            (span.trace_id, span.parent_id, span.attributes["session.id"]) for span in answers
        ]
        assert session.start_ns <= min(span.start_ns for span in answers)
        assert ("conv-42", 4, "success") == (
            session.attributes["session.id"],
            session.attributes["app_session.message.count"],
            session.attributes["app_session.status"],
        )
        names = [log.event_name for log in receiver.logs if log.event_name.startswith("session.")]
        assert ["session.end", "session.start"] == sorted(names)
        assert [] == receiver.refused
