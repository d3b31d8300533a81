"""`breakdown`: which sessions are slow, which fail, which cost."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import ConfigurationError, InvalidValueError
from otel_sessions.reports import Dimension, breakdown, statistics
from otel_sessions.testing import RecordedSessions, record_sessions

from ..contract import STORES
from ..failing_store import FailingStore

START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
"""When the clock of the tests starts."""


@pytest.fixture(name="recorded", params=STORES)
def _recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedSessions]:
    """A process with a store of each kind."""
    options: dict[str, Any] = {"idle_timeout": 1e7, "max_duration": 1e8}
    with record_sessions(store=STORES[request.param](tmp_path), detect_user=False, **options) as recorded:
        yield recorded


def run(recorded: RecordedSessions, kind: str, seconds: float, status: str = "success", **options: Any) -> None:
    """A durable session that lasts so long."""
    started = otel_sessions.start(kind, **options)
    recorded.advance(seconds)
    started.end(status)  # type: ignore[arg-type]  # one of them


class TestBreakdown:
    def test_by_type(self, recorded: RecordedSessions) -> None:
        """Each type has figures of its own; the one with most sessions comes first, of equals the first by name."""
        for seconds in (1, 1, 1, 100):
            run(recorded, "chat", seconds)
        run(recorded, "import", 10, "error")
        run(recorded, "audit", 10)
        found = breakdown()
        assert [(group.name, group.sessions) for group in found.groups] == [("chat", 4), ("audit", 1), ("import", 1)]
        chat, audit, failed = found.groups
        assert (chat.mean_duration, chat.total_duration) == (103 / 4, 103)
        assert chat.p50_duration == pytest.approx(1, rel=0.011)
        assert chat.p95_duration == chat.p99_duration == pytest.approx(100, rel=0.011)
        assert [group.success_rate for group in (chat, audit, failed)] == [1, 1, 0]
        assert (found.by, found.until, found.until - found.since) == (
            "type",
            START + dt.timedelta(seconds=123),
            dt.timedelta(days=30, seconds=123),
        )

    def test_what_they_use(self, recorded: RecordedSessions) -> None:
        """Errors, turns, tokens and cost are those of the group."""
        for kind, cost in (("chat", 0.25), ("chat", 0.5), ("agent", 2)):
            started = otel_sessions.start(kind)
            with started.turn() as turn:
                recorded.advance(3)
                turn.tokens(input=10, output=5)
                turn.cost(cost)
            started.end()
        chat, agent = breakdown().groups
        assert (chat.turns, chat.total_tokens, chat.cost) == (2, 30, {"USD": 0.75})
        assert (agent.turns, agent.total_tokens, agent.cost, agent.mean_response_time) == (1, 15, {"USD": 2}, 3)

    @pytest.mark.parametrize(
        ("by", "names"),
        [
            ("tier", ["none"]),
            ("status", ["success", "cancelled", "error"]),
            ("end_reason", ["completed", "cancelled", "exception"]),
        ],
    )
    def test_by_other_things(self, recorded: RecordedSessions, by: Dimension, names: list[str]) -> None:
        """The tier, how they ended, and why."""
        for status in ("success", "success", "error", "cancelled"):
            run(recorded, "chat", 1, status)
        found = breakdown(by)
        assert [group.name for group in found.groups] == names
        assert sum(group.sessions for group in found.groups) == 4

    def test_it_agrees_with_the_statistics(self, recorded: RecordedSessions) -> None:
        """Groups add up to what the statistics say of those that ended; who is active is in none."""
        for number in range(12):
            run(recorded, f"type{number % 3}", 600 * number, ("success", "error")[number % 2])
        otel_sessions.start("type0")
        all_ended = statistics(since=START)
        groups = breakdown(since=START).groups
        assert sum(group.sessions for group in groups) == all_ended.ended == 12
        assert sum(group.total_duration for group in groups) / 12 == all_ended.mean_duration
        assert sum(group.success_rate * group.sessions for group in groups) / 12 == all_ended.success_rate

    def test_nothing(self, recorded: RecordedSessions) -> None:
        """An empty store has no groups."""
        assert breakdown().groups == ()
        assert json.loads(json.dumps(breakdown(days=None).to_dict()))["groups"] == []

    def test_json(self, recorded: RecordedSessions) -> None:
        """All of it is JSON."""
        run(recorded, "chat", 1)
        [group] = json.loads(json.dumps(breakdown().to_dict()))["groups"]
        assert (group["name"], group["sessions"], group["mean_response_time"]) == ("chat", 1, None)

    def test_bad_arguments(self, recorded: RecordedSessions) -> None:
        """They are refused with what would be right."""
        with pytest.raises(InvalidValueError, match=r"by: .* type, tier, status, end_reason, not by 'user'"):
            breakdown("user")  # type: ignore[arg-type]  # as said
        with pytest.raises(InvalidValueError, match="days"):
            breakdown(days=-1)


def test_switched_off() -> None:
    """Nothing is asked then."""
    with record_sessions(store=FailingStore(), enabled=False):
        assert breakdown().groups == ()


def test_a_store_without_history() -> None:
    """It is said what is missing."""
    with record_sessions(store=FailingStore()), pytest.raises(ConfigurationError, match="keeps no history"):
        breakdown()
