"""Sums over ended sessions: what they hold, that any order does, and how exact quantiles are."""

from __future__ import annotations

import json
import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_sessions._semconv import OTHER
from otel_sessions._tally import NS, Tally, bucket_of, middle_of
from otel_sessions.typing import Beginning, SessionRecord, Totals

MONDAY = 1_767_571_200 * NS
"""2026-01-05, a Monday, 00:00 UTC."""


def ended(duration_ns: int = NS, started_ns: int = MONDAY, session_id: str = "s", **sums: Any) -> SessionRecord:
    """A session that has ended."""
    totals = Totals(started_ns)
    for name, value in sums.items():
        setattr(totals, name, value)
    began = Beginning(session_id, "chat", "durable", started_ns)
    return SessionRecord(began, totals, "success", "completed", started_ns + duration_ns)


class TestOf:
    def test_everything_that_is_counted(self) -> None:
        """The sums of a session, how long it lasted, and when in the week it began."""
        record = ended(
            5 * NS,
            MONDAY + 30 * 3600 * NS,
            requests=2,
            errors=1,
            turns=3,
            turn_ns=7,
            active_ns=9 * NS,
            tokens={"input": 4},
        )
        tally = Tally.of(record)
        assert (tally.sessions, tally.duration_ns, tally.requests, tally.errors) == (1, 5 * NS, 2, 1)
        assert (tally.turns, tally.turn_ns, tally.tokens) == (3, 7, {"input": 4})
        # Not longer active than it lasted.
        assert tally.active_ns == 5 * NS
        assert tally.started == {30: 1}
        assert tally.longest == (5 * NS, "s")

    def test_a_clock_that_was_set_back(self) -> None:
        """A session that ended before it began has lasted no time."""
        tally = Tally.of(ended(-5 * NS))
        assert (tally.duration_ns, tally.durations, tally.duration_quantile(0.5)) == (0, {0: 1}, 0.0)

    def test_the_session_is_left_alone(self) -> None:
        """What is added to a tally is not added to the session it came from."""
        record = ended(tokens={"input": 4})
        tally = Tally.of(record)
        tally.add(Tally.of(record))
        assert record.totals.tokens == {"input": 4}


SESSIONS = st.lists(
    st.builds(
        ended,
        duration_ns=st.integers(0, 10**15),
        started_ns=st.integers(0, 2**60),
        session_id=st.text(max_size=3),
        requests=st.integers(0, 5),
        tokens=st.none() | st.dictionaries(st.sampled_from("abc"), st.integers(1, 9), min_size=1),
    ),
    max_size=8,
)


class TestAdd:
    @given(sessions=SESSIONS, cut=st.integers(0, 8))
    def test_any_order_and_any_shares(self, sessions: list[SessionRecord], cut: int) -> None:
        """Shares of several processes, in any order, add up to the same."""
        tallies = [Tally.of(each) for each in sessions]
        shares = [Tally.total(reversed(tallies[cut:])), Tally.total(tallies[:cut])]
        assert Tally.total(shares) == Tally.total(tallies)

    @given(sessions=SESSIONS)
    def test_through_json(self, sessions: list[SessionRecord]) -> None:
        """It is the same after it has been stored."""
        tally = Tally.total(map(Tally.of, sessions))
        assert Tally.from_dict(json.loads(json.dumps(tally.to_dict()))) == tally

    def test_names_are_bounded(self) -> None:
        """Beyond a hundred names the rest is counted as one."""
        tally = Tally.total(Tally.of(ended(usage={f"n{number}": 1.0})) for number in range(150))
        assert tally.usage is not None
        assert (len(tally.usage), tally.usage[OTHER]) == (101, 50)


class TestQuantiles:
    @given(st.integers(2, 10**18))
    def test_what_stands_for_a_bucket_is_near(self, duration_ns: int) -> None:
        """No duration differs from what stands for its bucket by more than 1.1 %."""
        assert abs(middle_of(bucket_of(duration_ns)) / (duration_ns / NS) - 1) < 0.011

    @pytest.mark.parametrize("q", [0.0, 0.5, 0.95, 0.99, 1.0])
    def test_quantiles_are_near_those_of_all_durations(self, q: float) -> None:
        """As the standard library has them, to within what a bucket is wide."""
        durations = [round(1.01**number * NS / 100) for number in range(1_000)]
        tally = Tally.total(Tally.of(ended(each)) for each in durations)
        exact = durations[max(0, math.ceil(q * len(durations)) - 1)] / NS
        found = tally.duration_quantile(q)
        assert found is not None
        assert abs(found / exact - 1) < 0.011
        assert tally.duration_ns / tally.sessions == pytest.approx(statistics.mean(durations))

    def test_nothing_has_none(self) -> None:
        """Without sessions there is no quantile."""
        assert Tally().duration_quantile(0.5) is None

    def test_no_longer_than_the_longest(self) -> None:
        """A bucket's middle may be beyond the longest of its durations: that is not said."""
        assert Tally.of(ended(1_000_001)).duration_quantile(1) <= 1_000_001 / NS  # type: ignore[operator]
