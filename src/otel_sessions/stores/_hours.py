"""Sums over ended sessions in memory, by the hour in which they ended."""

from __future__ import annotations

import threading
from collections import Counter, deque

from .._models import SessionRecord
from .._tally import HOUR_NS, Kind, Tally, hour_of
from ..typing import HourTally

_DAY_HOURS = 24
KEPT_HOURS = 30 * _DAY_HOURS
"""How many hours are kept, that is, for 30 days."""
_MOST_PENDING = 256
"""How many sessions wait: a millisecond's work, where nobody asks and no background settles them."""


def day_of(hour: int) -> int:
    """The day since the epoch, UTC, that an hour falls into."""
    return hour // _DAY_HOURS


class Hours:
    """The sums of 30 days. Adding a session costs nothing worth speaking of: that is done when somebody asks."""

    def __init__(self) -> None:
        self._pending: deque[SessionRecord] = deque()
        self._lock = threading.RLock()
        self._tallies: dict[tuple[int, Kind], Tally] = {}
        self._users: dict[int, Counter[str]] = {}

    def add(self, record: SessionRecord) -> None:
        """Count in a session that has ended; parts of sessions are none."""
        if record.beginning.part is None:
            # Without the lock: it is one step.
            self._pending.append(record)
            if len(self._pending) >= _MOST_PENDING:
                self.settle()

    def settle(self, now_ns: int | None = None) -> None:
        """Add up what has been counted in, and forget what is over for 30 days."""
        with self._lock:
            for _ in range(len(self._pending)):
                self._count(self._pending.popleft())
            if now_ns is not None:
                self.forget(now_ns - KEPT_HOURS * HOUR_NS)

    def _count(self, record: SessionRecord) -> None:
        hour = hour_of(record.ended_ns or 0)
        held = self._tallies.setdefault((hour, Kind.of(record)), Tally())
        held.add(Tally.of(record))
        if record.user is not None:
            self._users.setdefault(day_of(hour), Counter())[record.user] += 1

    def forget(self, before_ns: int) -> None:
        """Forget the hours, and the days, that were over by that time."""
        first = hour_of(before_ns)
        with self._lock:
            for key in [key for key in self._tallies if key[0] < first]:
                del self._tallies[key]
            for day in [day for day in self._users if day < day_of(first)]:
                del self._users[day]

    def tallies(self, since_hour: int, until_hour: int) -> list[HourTally]:
        """What ended in these hours; the tallies are the caller's."""
        with self._lock:
            self.settle()
            return [
                HourTally(hour, kind, Tally.total([tally]))
                for (hour, kind), tally in self._tallies.items()
                if since_hour <= hour < until_hour
            ]

    def by_user(self, since_day: int, until_day: int) -> Counter[str]:
        """How many sessions of whom ended in these days."""
        with self._lock:
            self.settle()
            return sum((users for day, users in self._users.items() if since_day <= day < until_day), Counter())
