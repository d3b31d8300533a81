"""Sums over ended sessions in memory, by the hour and by the day in which they ended."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping

from .._models import SessionRecord
from .._tally import DAY_HOURS, HOUR_NS, Kind, Tally, day_of, hour_of
from ..typing import DayTally, HourTally

KEPT_HOURS = 30 * DAY_HOURS
"""How many hours are kept, that is, for 30 days."""
_MOST_PENDING = 1_000
"""How many sessions wait: some milliseconds' work, where nobody asks and no background settles them in time."""


class Hours:
    """The sums of 30 days. Adding a session costs nothing worth speaking of: that is done when somebody asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: deque[SessionRecord] = deque()
        self._hours: dict[tuple[int, Kind], Tally] = {}
        self._days: dict[tuple[int, Kind], Tally] = {}
        self._users: dict[int, Counter[str]] = {}

    def add(self, record: SessionRecord) -> None:
        """Count in a session that has ended; parts of sessions are none."""
        if record.beginning.part is None:
            self._pending.append(record)
            # Who has to wait for somebody that adds up, or reads, leaves it to the next one.
            if len(self._pending) >= _MOST_PENDING and self._lock.acquire(blocking=False):
                try:
                    self._settle()
                finally:
                    self._lock.release()

    def settle(self, now_ns: int | None = None) -> None:
        """Add up what has been counted in, and forget what is over for 30 days."""
        with self._lock:
            self._settle()
            if now_ns is not None:
                self._forget(hour_of(now_ns - KEPT_HOURS * HOUR_NS))

    def forget(self, before_ns: int) -> None:
        """Forget the hours, and the days, that were over by that time."""
        with self._lock:
            self._settle()
            self._forget(hour_of(before_ns))

    def tallies(self, since_hour: int, until_hour: int) -> list[HourTally]:
        """What ended in these hours; the tallies are the caller's."""
        with self._lock:
            self._settle()
            return [HourTally(*place, tally) for place, tally in _within(self._hours, since_hour, until_hour)]

    def daily_tallies(self, since_day: int, until_day: int) -> list[DayTally]:
        """What ended in these days; the tallies are the caller's."""
        with self._lock:
            self._settle()
            return [DayTally(*place, tally) for place, tally in _within(self._days, since_day, until_day)]

    def by_user(self, since_day: int, until_day: int) -> Counter[str]:
        """How many sessions of whom ended in these days."""
        with self._lock:
            self._settle()
            days = [users.copy() for day, users in self._users.items() if since_day <= day < until_day]
        found: Counter[str] = Counter()
        for users in days:
            found.update(users)
        return found

    def _settle(self) -> None:
        added: dict[tuple[int, Kind], Tally] = {}
        # One at a time: others go on adding at the other end.
        while self._pending:
            record = self._pending.popleft()
            hour = hour_of(record.ended_ns or 0)
            added.setdefault((hour, Kind.of(record)), Tally()).count(record)
            if record.user is not None:
                self._users.setdefault(day_of(hour), Counter())[record.user] += 1
        for (hour, kind), tally in added.items():
            self._hours.setdefault((hour, kind), Tally()).add(tally)
            self._days.setdefault((day_of(hour), kind), Tally()).add(tally)

    def _forget(self, first: int) -> None:
        _forget(self._hours, first)
        _forget(self._days, day_of(first))
        for day in [day for day in self._users if day < day_of(first)]:
            del self._users[day]


def _within(held: Mapping[tuple[int, Kind], Tally], since: int, until: int) -> list[tuple[tuple[int, Kind], Tally]]:
    return [(place, Tally.total([tally])) for place, tally in held.items() if since <= place[0] < until]


def _forget(held: dict[tuple[int, Kind], Tally], first: int) -> None:
    for place in [place for place in held if place[0] < first]:
        del held[place]
