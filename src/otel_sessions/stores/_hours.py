"""Sums over ended sessions in memory, by the hour and by the day in which they ended."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

from .._guard import guarded
from .._models import SessionRecord
from .._semconv import OTHER
from .._tally import DAY_HOURS, HOUR_NS, Kind, Tally, day_of, hour_of
from ..typing import DayTally, HourTally, UserCounts
from ._frequency import user_counts

KEPT_HOURS: Final = 30 * DAY_HOURS
"""How many hours are kept, that is, for 30 days."""
_MOST_USERS: Final = 100_000
_MOST_SUMS: Final = 50_000
"""Of as many kinds and hours, which take a kilobyte each: 69 kinds in every hour of 30 days."""
_MOST_PENDING: Final = 1_000
"""How many sessions wait: some milliseconds' work, where nobody asks and no background settles them in time."""


class Hours:
    """The sums of 30 days. Adding a session costs nothing worth speaking of: that is done when somebody asks.

    Args:
        most_users: how many users are counted of all hours together, who had sessions in two of them twice.
        most_sums: of how many kinds and hours there are sums; beyond them a type new in its hour is one of the others.
    """

    def __init__(self, most_users: int = _MOST_USERS, most_sums: int = _MOST_SUMS) -> None:
        self._lock = threading.Lock()
        self._pending: deque[SessionRecord] = deque()
        self._hours: dict[tuple[int, Kind], Tally] = {}
        self._days: dict[tuple[int, Kind], Tally] = {}
        self._users = _UserHours(most_users)
        self._most_sums = most_sums

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

    def settle(self, now_ns: int) -> None:
        """Add up what has been counted in, and forget what is over for 30 days."""
        with self._lock:
            self._settle()
            self._forget(hour_of(now_ns - KEPT_HOURS * HOUR_NS))

    def forget(self, before_ns: int) -> None:
        """Forget the hours that were over by that time; what is left of a day is its sum from then on."""
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

    def users(self, since_hour: int, until_hour: int, limit: int, besides: Mapping[str, int]) -> UserCounts:
        """Whose sessions ended in these hours, with those that some have `besides`."""
        found = self.by_user(since_hour, until_hour)
        found.update(besides)
        return user_counts(found.items(), limit)

    def by_user(self, since_hour: int, until_hour: int) -> Counter[str]:
        """How many sessions of whom ended in these hours."""
        with self._lock:
            self._settle()
            return self._users.within(since_hour, until_hour)

    def _settle(self) -> None:
        added: dict[tuple[int, Kind], Tally] = {}
        try:
            # One at a time: others go on adding at the other end.
            while self._pending:
                record = self._pending.popleft()
                with guarded("add up a session that has ended"):
                    self._count(record, added)
        finally:
            # Even if somebody interrupts it: these do not wait any more.
            for (hour, each), tally in added.items():
                kind = self._kept(hour, each)
                self._hours.setdefault((hour, kind), Tally()).add(tally)
                self._days.setdefault((day_of(hour), kind), Tally()).add(tally)

    def _kept(self, hour: int, kind: Kind) -> Kind:
        """As which kind one is kept: memory has an end, also for those who make a type of every id."""
        is_new = len(self._hours) >= self._most_sums and (hour, kind) not in self._hours
        return kind._replace(type=OTHER, tier=kind.tier and OTHER) if is_new else kind

    def _count(self, record: SessionRecord, added: dict[tuple[int, Kind], Tally]) -> None:
        hour = hour_of(record.ended_ns or 0)
        added.setdefault((hour, Kind.of(record)), Tally()).count(record)
        if record.user is not None:
            self._users.count(hour, record.user)

    def _forget(self, first: int) -> None:
        self._users.forget(first)
        day = day_of(first)
        over = [place for place in self._hours if place[0] < first]
        for place in over:
            del self._hours[place]
        for place in [place for place in self._days if place[0] < day]:
            del self._days[place]
        for kind in {kind for hour, kind in over if day_of(hour) == day}:
            left = [tally for (hour, each), tally in self._hours.items() if day_of(hour) == day and each == kind]
            del self._days[day, kind]
            if left:
                self._days[day, kind] = Tally.total(left)


class _UserHours:
    """How many sessions users have, hour by hour; of so many that the oldest hours are given up first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._hours: dict[int, Counter[str]] = {}
        self._held = 0
        self._first = 0
        """The hour from which on they are counted: of those before it some may be missing."""

    def count(self, hour: int, user: str) -> None:
        if hour < self._first:
            return
        users = self._hours.setdefault(hour, Counter())
        if user not in users:
            while self._held >= self._most and len(self._hours) > 1:
                self.forget(min(self._hours) + 1)
            # This may have been the oldest hour, or have so many users alone that there is no room for more.
            if hour < self._first or self._held >= self._most:
                return
            self._held += 1
        users[user] += 1

    def within(self, since: int, until: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for hour, users in self._hours.items():
            if since <= hour < until:
                found.update(users)
        return found

    def forget(self, first: int) -> None:
        self._first = max(self._first, first)
        for hour in [hour for hour in self._hours if hour < first]:
            self._held -= len(self._hours.pop(hour))


def _within(held: Mapping[tuple[int, Kind], Tally], since: int, until: int) -> list[tuple[tuple[int, Kind], Tally]]:
    return [(place, Tally.total([tally])) for place, tally in held.items() if since <= place[0] < until]
