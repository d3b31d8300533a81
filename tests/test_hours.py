"""Sums in memory: how much is held, and what a session costs that cannot be added up."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final

import pytest

from otel_sessions._tally import HOUR_NS, day_of, hour_of
from otel_sessions.stores._hours import Hours
from otel_sessions.typing import Beginning, DayTally, HourTally, SessionRecord, Totals

START: Final = 1_767_225_600 * 1_000_000_000
"""2026-01-01, a full hour and a full day."""
HOUR: Final = hour_of(START)


def ended(hour: int = 0, *, of: str = "chat", user: str | None = None, **totals: Any) -> SessionRecord:
    """A session that ended in that hour."""
    held = Totals(START)
    for name, value in totals.items():
        setattr(held, name, value)
    ended_ns = START + hour * HOUR_NS
    began = Beginning("s", of, "durable", ended_ns - 1, user=user)
    return SessionRecord(began, held, "success", "completed", ended_ns)


def sessions(hours: Hours) -> int:
    return sum(each.tally.sessions for each in hours.tallies(HOUR, HOUR + 100))


class Interrupting(dict[str, float]):
    """Tokens at whose sight somebody presses Ctrl-C."""

    def items(self) -> Any:
        raise KeyboardInterrupt


class TestUsers:
    def test_the_oldest_are_given_up(self) -> None:
        """When there are more users than are counted, those of the oldest hours go; the sums stay."""
        hours = Hours(most_users=9)
        for hour in (0, 1, 2):
            for number in range(3):
                hours.add(ended(hour, user=f"u{number}"))
        assert hours.users(HOUR, HOUR + 3, 1, {}) == ([("u0", 3)], 3)
        for number in range(3):
            hours.add(ended(3, user=f"v{number}"))
        hours.add(ended(0, user="w"))
        assert hours.users(HOUR, HOUR + 1, 1, {}) == ([], 0)
        assert hours.users(HOUR, HOUR + 4, 1, {}) == ([("u0", 2)], 6)
        assert sessions(hours) == 13

    def test_more_in_an_hour_than_are_counted(self) -> None:
        """Those are counted that came first, until a session ends in the next hour."""
        hours = Hours(most_users=9)
        for number in (*range(12), 0):
            hours.add(ended(1, user=f"u{number}"))
        hours.add(ended(0, user="v"))
        assert hours.users(HOUR, HOUR + 9, 1, {}) == ([("u0", 2)], 9)
        hours.add(ended(2, user="w"))
        assert hours.users(HOUR, HOUR + 9, 1, {}) == ([("w", 1)], 1)

    def test_they_are_forgotten_with_the_hours(self) -> None:
        """And then there is room for others."""
        hours = Hours(most_users=9)
        for number in range(9):
            hours.add(ended(1, user=f"u{number}"))
        hours.forget(START + 2 * HOUR_NS)
        assert hours.users(HOUR, HOUR + 9, 1, {}) == ([], 0)
        hours.add(ended(2, user="w"))
        assert hours.users(HOUR, HOUR + 9, 1, {}) == ([("w", 1)], 1)


def by_type(tallies: Iterable[HourTally | DayTally]) -> dict[str, int]:
    return {each.kind.type: each.tally.sessions for each in tallies}


class TestKinds:
    def test_more_than_there_is_room_for(self) -> None:
        """What is new in its hour is added up together; what is known stays apart, and no session is missing."""
        hours, day = Hours(most_sums=4), day_of(HOUR)
        for number in range(9):
            hours.add(ended(of=f"t{number}", requests=1))
            hours.settle(START)
        for each in ("t1", "t9"):
            hours.add(ended(1, of=each))
        hours.add(ended(of="t1"))
        known = {"t0": 1, "t1": 2, "t2": 1, "t3": 1}
        assert by_type(hours.tallies(HOUR, HOUR + 1)) == {**known, "_OTHER": 5}
        assert by_type(hours.tallies(HOUR + 1, HOUR + 2)) == {"_OTHER": 2}
        assert by_type(hours.daily_tallies(day, day + 1)) == {**known, "_OTHER": 7}
        assert [each.tally.requests for each in hours.tallies(HOUR, HOUR + 1) if each.kind.type == "_OTHER"] == [5]
        hours.forget(START + HOUR_NS)
        assert by_type(hours.daily_tallies(day, day + 1)) == {"_OTHER": 2}
        hours.add(ended(2, of="t5"))
        assert by_type(hours.tallies(HOUR + 2, HOUR + 3)) == {"t5": 1}


class TestBad:
    def test_it_costs_only_itself(self, caplog: pytest.LogCaptureFixture) -> None:
        """What cannot be added up of a session is left out, with a word in the log; those before and after it count."""
        hours = Hours()
        with caplog.at_level(logging.ERROR, "otel_sessions"):
            for number in range(2_500):
                hours.add(ended(tokens=5 if number % 1_000 == 7 else {"input": 1}))
            assert sessions(hours) == 2_500
        assert [each.tally.tokens for each in hours.tallies(HOUR, HOUR + 1)] == [{"input": 2_497}]
        assert "could not add up a session that has ended" in caplog.text

    def test_an_interruption(self) -> None:
        """Whoever interrupts it while it adds up, with Ctrl-C for example, takes along the session that it is at."""
        hours = Hours()
        for number in range(10):
            hours.add(ended(tokens=Interrupting(input=1) if number == 5 else {"input": 1}))
        with pytest.raises(KeyboardInterrupt):
            sessions(hours)
        assert [each.tally.tokens for each in hours.tallies(HOUR, HOUR + 1)] == [{"input": 9}]
