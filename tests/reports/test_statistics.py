"""`statistics`: what sessions add up to."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_sessions
from otel_sessions import ConfigurationError, InvalidValueError, StoreError, session
from otel_sessions.reports import distribution, statistics
from otel_sessions.testing import RecordedSessions, record_sessions

from ..contract import STORES
from ..failing_store import FailingStore

START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
"""When the clock of the tests starts: a Thursday."""
LAST_HOUR = dt.datetime(9999, 12, 31, 23, 30, tzinfo=dt.timezone.utc)
"""After it there is none that Python knows."""


@pytest.fixture(name="recorded", params=STORES)
def _recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedSessions]:
    """A process with a store of each kind."""
    store = STORES[request.param](tmp_path)
    unbounded: dict[str, Any] = {"idle_timeout": None, "max_duration": None}
    with record_sessions(store=store, pseudonym_key="k" * 32, detect_user=False, **unbounded) as recorded:
        yield recorded


def run(recorded: RecordedSessions, seconds: float = 60, session_type: str = "audit", **fields: Any) -> None:
    """A scoped session of that length."""
    with session(session_type, **fields):
        recorded.advance(seconds)


def fail(recorded: RecordedSessions, **fields: Any) -> None:
    """One that ends in an error."""
    with pytest.raises(ValueError, match="no"), session("audit", **fields):
        raise ValueError("no")


class TestNothing:
    def test_of_nothing(self, recorded: RecordedSessions) -> None:
        """Zeros, and nothing where there is nothing to divide by."""
        found = statistics()
        assert (found.total, found.active, found.ended, found.users) == (0, 0, 0, 0)
        assert (found.success_rate, found.crash_free_rate, found.mean_duration, found.longest) == (None,) * 4
        assert (found.by_type, found.by_status, found.by_user, found.tokens, found.cost) == ({}, {}, {}, {}, {})
        assert sum(found.by_hour.values()) == sum(found.by_weekday.values()) == 0
        json.dumps(found.to_dict())
        assert "success rate" in str(found)


class TestSums:
    def test_counts(self, recorded: RecordedSessions) -> None:
        """How many of which kind, the active ones among them."""
        run(recorded, user="ada")
        run(recorded, session_type="import", user="ada", tier="pro")
        fail(recorded, user="bob")
        otel_sessions.start("chat", user="carol")
        found = statistics()
        assert (found.total, found.active, found.ended) == (4, 1, 3)
        assert found.success_rate == pytest.approx(2 / 3)
        assert found.by_type == {"audit": 2, "chat": 1, "import": 1}
        assert found.by_status == {"success": 2, "active": 1, "error": 1}
        assert found.by_end_reason == {"completed": 2, "exception": 1}
        assert found.by_tier == {"none": 3, "pro": 1}
        assert (found.users, sorted(found.by_user.values())) == (3, [1, 1, 2])

    def test_the_active_ones(self, recorded: RecordedSessions) -> None:
        """They count in everything but what needs an end, and a user who is known of both once."""
        for ends in (True, False):
            chat = otel_sessions.start("chat", id=f"c{ends}", user="ada")
            with chat, chat.turn(model="m") as turn:
                turn.tokens(input=10, output=5)
                turn.cost(0.5, "USD")
                recorded.advance(2)
            chat.error("TimeoutError", "no answer")
            if ends:
                chat.end()
            recorded.advance(86_400)
        found = statistics()
        assert (found.total, found.active, found.ended, found.users) == (2, 1, 1, 1)
        assert (found.errors, found.turns, found.total_tokens) == (2, 2, 30)
        assert (found.mean_response_time, found.cost, list(found.by_user.values())) == (2.0, {"USD": 1.0}, [2])
        assert (found.success_rate, found.crash_free_rate, found.mean_duration) == (1.0, 1.0, 2.0)
        assert found.by_end_reason == {"completed": 1}
        assert found.longest is not None
        assert found.longest.session_id == "cTrue"
        assert {day: count for day, count in found.by_weekday.items() if count} == {"Thursday": 1, "Friday": 1}

    def test_a_user_counts_once(self, recorded: RecordedSessions) -> None:
        """However the sessions are known: scoped or durable, ended or active, in the store or in this process only."""
        for user in ("ada", "ada", "bob"):
            run(recorded, user=user)
        for number, user in enumerate(("ada", "bob", "carol", "dan")):
            otel_sessions.start("chat", id=f"c{number}", user=user)
            if user != "bob":
                otel_sessions.end(f"c{number}")
        with session("audit", user="ada"):
            found = statistics()
        assert (found.total, found.users, list(found.by_user.values())) == (8, 4, [4, 2, 1, 1])

    def test_a_period_that_is_over(self, recorded: RecordedSessions) -> None:
        """None are active in it, whatever goes on now; in the hour that runs they are."""
        run(recorded, user="ada")
        otel_sessions.start("chat", user="bob")
        recorded.advance(86_400)
        over = statistics(since=START, until=START + dt.timedelta(hours=24))
        assert (over.total, over.active, over.ended, over.users) == (1, 0, 1, 1)
        assert (over.by_type, over.by_status) == ({"audit": 1}, {"success": 1})
        for until in (START + dt.timedelta(hours=24, seconds=1), START + dt.timedelta(days=9), LAST_HOUR, None):
            found = statistics(since=START, until=until)
            assert (found.total, found.active, found.users) == (2, 1, 2), until

    def test_whole_days(self, recorded: RecordedSessions) -> None:
        """Days of which all hours are asked for are taken as a whole, and those at both ends by the hour."""
        recorded.advance(12 * 3600)
        for _ in range(10):
            run(recorded, 12 * 3600)
        now = START + dt.timedelta(hours=132)
        for since_hour, until_hour, expected in ((0, 132, 10), (24, 132, 10), (25, 132, 9), (36, 96, 5), (37, 40, 0)):
            since, until = (START + dt.timedelta(hours=hour) for hour in (since_hour, until_hour))
            found = statistics(since=since, until=None if until == now else until)
            assert (found.ended, sum(found.by_hour.values())) == (expected, expected), (since_hour, until_hour)

    def test_durations(self, recorded: RecordedSessions) -> None:
        """The mean is exact, quantiles are near, and the longest is named."""
        for seconds in (10, 20, 30, 40, 400):
            run(recorded, seconds, "import" if seconds == 400 else "audit")
        found = statistics()
        assert found.mean_duration == 100
        assert found.p50_duration == pytest.approx(30, rel=0.011)
        assert found.p95_duration == found.p99_duration == pytest.approx(400, rel=0.011)
        assert found.longest is not None
        assert found.longest[1:] == ("import", 400)
        assert otel_sessions.get(found.longest.session_id) is not None

    def test_when_they_began(self, recorded: RecordedSessions) -> None:
        """By weekday and by hour, UTC, whenever they ended."""
        recorded.advance(23 * 3600 + 3000)
        run(recorded, 1200)
        found = statistics()
        assert {day: count for day, count in found.by_weekday.items() if count} == {"Thursday": 1}
        assert {hour: count for hour, count in found.by_hour.items() if count} == {23: 1}

    def test_conversations(self, recorded: RecordedSessions) -> None:
        """Turns, tokens and cost."""
        chat = otel_sessions.start("chat", id="c")
        with chat, chat.turn(model="m") as turn:
            turn.tokens(input=10, output=5)
            turn.cost(0.5, "USD")
            recorded.advance(2)
        otel_sessions.end("c")
        found = statistics()
        assert (found.turns, found.mean_response_time, found.total_tokens) == (1, 2.0, 15)
        assert (found.tokens, found.cost) == ({"input": 10, "output": 5}, {"USD": 0.5})

    def test_only_what_ended_in_the_period(self, recorded: RecordedSessions) -> None:
        """By full hours."""
        for _ in range(4):
            run(recorded, 3600)
        assert statistics(since=START + dt.timedelta(hours=2, minutes=30)).ended == 3
        assert statistics(since=START, until=START + dt.timedelta(hours=3)).ended == 2
        assert statistics(since=START + dt.timedelta(hours=2, minutes=30)).since == START + dt.timedelta(hours=2)
        recorded.advance(40 * 86_400)
        assert statistics().ended == 0


SPANS: st.SearchStrategy[list[tuple[str, str | None, str | None, int, int | None]]] = st.lists(
    st.tuples(
        st.sampled_from(["chat", "import"]),
        st.sampled_from([None, "pro"]),
        st.sampled_from([None, "ada", "bob", "carol"]),
        st.integers(0, 80),
        st.one_of(st.none(), st.integers(1, 60)),
    ),
    max_size=8,
)
"""Sessions: type, tier, user, how many hours after the one before they begin, and how many they last, if they end."""


@settings(max_examples=40, deadline=None)
@given(spans=SPANS, scoped=st.booleans(), days=st.sampled_from([None, 0.5, 3, 7.3]), ago=st.integers(0, 90))
def test_one_basis(
    spans: list[tuple[str, str | None, str | None, int, int | None]], scoped: bool, days: float | None, ago: int
) -> None:
    """Whatever has happened, and whenever it is asked for: all ways to tell sessions apart come to the same number."""
    with record_sessions(detect_user=False, idle_timeout=None, max_duration=None) as recorded:
        for session_type, tier, user, before, hours in spans:
            recorded.clock.advance(before * 3_600)
            if scoped and hours is not None:
                run(recorded, hours * 3_600, session_type, tier=tier, user=user)
                continue
            live = otel_sessions.start(session_type, tier=tier, user=user)
            if hours is not None:
                recorded.clock.advance(hours * 3_600)
                live.end("error" if hours % 2 else "success")
        until = START + dt.timedelta(seconds=recorded.clock.monotonic_ns() / 1e9 - ago * 3_600) if ago else None
        try:
            found = statistics(days=days, until=until)
        except InvalidValueError:
            return
        spread = distribution(days=days, until=until)
    sums = (found.by_type, found.by_status, found.by_tier, found.by_weekday, found.by_hour)
    assert [sum(each.values()) for each in sums] == [found.total] * len(sums)
    assert found.total == found.active + found.ended
    assert sum(found.by_end_reason.values()) == found.ended == sum(band.sessions for band in spread.durations)
    assert {day: sum(hours) for day, hours in spread.by_hour_of_week.items()} == found.by_weekday
    assert len(found.by_user) == found.users
    assert sum(found.by_user.values()) <= found.total


class TestRefused:
    @pytest.mark.parametrize(
        "arguments",
        [
            {"days": -1},
            {"days": "7"},
            {"since": "x"},
            {"until": 7},
            {"since": START, "until": START - dt.timedelta(1)},
            {"days": 9, "until": dt.datetime(1960, 1, 1, tzinfo=dt.timezone.utc)},
            {"until": LAST_HOUR},
        ],
    )
    def test_bad_arguments(self, arguments: dict[str, Any]) -> None:
        """They are refused at the door, with the value."""
        with record_sessions(), pytest.raises(InvalidValueError):
            statistics(**arguments)

    def test_a_store_that_cannot_be_asked(self) -> None:
        """It is said, and not taken for nothing."""
        with record_sessions(store=FailingStore()), pytest.raises((StoreError, ConfigurationError)):
            statistics()
