"""A Redis that stops answering, or dies, while servers are under load."""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from otel_sessions.stores.redis import RedisStore
from otel_sessions.testing import OTLPReceiver, ReceivedPoint
from tests.redis_server import RedisServer, until

from .extent import FULL, extent, say
from .load import Answer, Load, ask, cookie, under_load
from .processes import running, uvicorn

OUTAGE_SECONDS = extent(4.0, full=30.0)
TIMEOUT_SECONDS = 1.0
# What a machine that has other things to do may take for a request beside that.
SLACK_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
WORKERS = 2

COMMANDS = {
    "gunicorn": [
        *("gunicorn", "--config", "gunicorn_settings.py", "--bind", "127.0.0.1:0", "--workers", str(WORKERS)),
        *("--worker-class", "gthread", "--threads", "16", "--no-control-socket", "flask_workers:app"),
    ],
    "uvicorn": uvicorn("fastapi_workers:app", "--port", "0", "--workers", str(WORKERS), "--no-access-log"),
}


class Case(NamedTuple):
    """Which server is run, and what happens to Redis."""

    server: str
    outage: str


def cases() -> list[Case]:
    if FULL:
        return [Case(server, outage) for server in COMMANDS for outage in ("stopped", "killed")]
    return [Case("gunicorn", "stopped"), Case("uvicorn", "killed")]


@pytest.fixture(name="case", params=cases(), ids=" ".join)
def _case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(name="redis")
def _redis() -> Iterator[RedisServer]:
    # It has written what it has acknowledged.
    server = RedisServer("--appendonly", "yes", "--appendfsync", "always")
    yield server
    server.stop()


@pytest.fixture(name="store")
def _store(redis: RedisServer) -> Iterator[RedisStore]:
    store = RedisStore(redis.url, timeout=10)
    yield store
    store.shutdown()


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[OTLPReceiver]:
    with OTLPReceiver() as receiver:
        yield receiver


def points(receiver: OTLPReceiver, name: str) -> list[ReceivedPoint]:
    return [point for point in receiver.points if point.name == name]


class Outage(NamedTuple):
    """What clients saw before, during and after it."""

    answers: list[Answer]
    began: float
    ended: float

    def seconds(self, began: float, ended: float) -> list[float]:
        """How long the requests took that were under way between two times."""
        return [one.seconds for one in self.answers if one.began + one.seconds >= began and one.began <= ended]

    def slowest(self) -> float:
        """Of the requests that were under way meanwhile, or began afterwards."""
        return max(self.seconds(self.began, math.inf))

    def say_figures(self) -> None:
        """How long requests took before, during and after it."""
        for when, began, ended in (
            ("before", 0.0, self.began),
            ("during", self.began, self.ended),
            ("after", self.ended, math.inf),
        ):
            seconds = self.seconds(began, ended)
            median, slowest = statistics.median(seconds) * 1_000, max(seconds) * 1_000
            say(f"{when}: {len(seconds)} requests, median {median:.1f} ms, slowest {slowest:.0f} ms")


def introduce(url: str, clients: list[dict[str, str]]) -> list[Answer]:
    """Have each worker serve each client: with what it has never seen it cannot go on while Redis is away.

    On a busy machine a worker may come when the others have served everybody.
    """
    answers: list[Answer] = []
    for client in clients:
        seen: set[str] = set()
        until(functools.partial(_serve, url, client, seen, answers), seconds=PATIENCE_SECONDS)
    return answers


def _serve(url: str, client: dict[str, str], seen: set[str], answers: list[Answer]) -> bool:
    found = Load(url, [client], count=20).start().join()
    answers += found
    seen |= {answer.text for answer in found}
    return len(seen) == WORKERS


def go_through(redis: RedisServer, how: str, url: str, known: list[dict[str, str]], ended: dict[str, str]) -> Outage:
    """Send requests of known and of new clients, and end one's session, while Redis is away."""
    away, back = {"stopped": (redis.pause, redis.resume), "killed": (redis.kill, redis.start)}[how]
    regulars = Load(url, known, threads=6, pause=0.02)
    newcomers = Load(url, [cookie() for _ in range(20_000)], threads=4, pause=0.05)
    with under_load(regulars), under_load(newcomers):
        more(regulars, newcomers)
        began = time.monotonic()
        away()
        time.sleep(OUTAGE_SECONDS / 2)
        logout = ask(url, "/end", ended)
        time.sleep(OUTAGE_SECONDS / 2)
        back()
        end = time.monotonic()
        more(regulars, newcomers)
    return Outage([*regulars.answers, *newcomers.answers, logout], began, end)


def more(*loads: Load) -> None:
    """Wait until each of the loads has had some more answers."""
    for load in loads:
        until(functools.partial(_has, load, len(load.answers) + 40), seconds=PATIENCE_SECONDS)


def _has(load: Load, count: int) -> bool:
    return len(load.answers) >= count


class TestRedis:
    @pytest.mark.timeout(300)
    def test_away_for_a_while(self, case: Case, redis: RedisServer, store: RedisStore, receiver: OTLPReceiver) -> None:
        """No request fails, or waits for longer than one call to the store may take; in the end every one counts."""
        known, ended = [cookie() for _ in range(20)], cookie()
        environment = {
            "OTEL_SESSIONS_STORE": f"{redis.url}?timeout={TIMEOUT_SECONDS}",
            "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process",
        }
        with running(COMMANDS[case.server], receiver, **environment) as process:
            before = introduce(process.url(), [*known, ended])
            outage = go_through(redis, case.outage, process.url(), known, ended)
            answers = [*before, *outage.answers]
            assert {200} == {answer.status for answer in answers}
            outage.say_figures()
            assert outage.slowest() < TIMEOUT_SECONDS + SLACK_SECONDS
            receiver.wait_for(lambda: self.spans(receiver), PATIENCE_SECONDS)
            counted = self.spans(receiver)[0]
            until(lambda: sum(r.totals.requests for r in store.active()) + counted >= len(answers))
            receiver.wait_for(lambda: self.pending(receiver) == 0)
            process.stop()
        assert [counted] == self.spans(receiver)
        assert len(answers) == counted + sum(record.totals.requests for record in store.active())
        self.check_reports(receiver, process.output)

    @staticmethod
    def spans(receiver: OTLPReceiver) -> list[int]:
        """How many requests each session had that has ended."""
        return [s.attributes["app_session.request.count"] for s in receiver.spans if s.name == "session web"]

    @staticmethod
    def pending(receiver: OTLPReceiver) -> float:
        """How many sessions' counts wait for the store, by what all the workers said last."""
        last = {p.resource["process.pid"]: p.value for p in points(receiver, "app_session.store.pending")}
        return sum(last.values())

    @staticmethod
    def check_reports(receiver: OTLPReceiver, output: str) -> None:
        """The metrics and the log say what was wrong, the log not again and again."""
        assert max(point.value for point in points(receiver, "app_session.store.pending")) > 0
        failed = [p for p in points(receiver, "app_session.store.operation.duration") if "error.type" in p.attributes]
        assert failed
        assert [] == points(receiver, "app_session.dropped")
        # Once a minute, for each of the workers.
        assert WORKERS <= output.count("in the redis store") <= 2 * WORKERS
        assert "Traceback" not in output
