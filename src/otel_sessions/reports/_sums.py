"""What sessions add up to in some hours: asked for once, whatever reports are made of it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar

from .. import _runtime
from .._ledger import Ledger
from .._models import SessionRecord
from .._statistics import moment
from .._tally import DAY_HOURS, HOUR_NS, Kind, Tally, hour_of, in_days
from ..typing import UserCounts
from ._one_moment import of_one_moment
from ._period import Hours, period

T = TypeVar("T")


class Ended(NamedTuple):
    """What the sessions of one kind add up to that ended from one hour to another, which is included."""

    first_hour: int
    last_hour: int
    kind: Kind
    tally: Tally


class Sums:
    """What there is to know of some hours without a record of each session; asked for when it is needed, and once.

    Each part of it may raise `StoreError`, or `ConfigurationError` if the store keeps no history.

    Args:
        ledger: who is asked; None if the package is switched off.
    """

    def __init__(self, hours: Hours, now_ns: int, ledger: Ledger | None) -> None:
        self.hours = hours
        self.now_ns = now_ns
        self._ledger = ledger
        self._asked: dict[bool, Sequence[Ended]] = {}

    @classmethod
    def of(cls, *, days: float | None, since: dt.datetime | None, until: dt.datetime | None) -> Sums:
        """Those of the full hours that a period touches, up to the one that runs.

        Raises:
            InvalidValueError: an argument is wrong.
        """
        runtime = _runtime.get()
        now_ns = runtime.lifecycle.clock.time_ns()
        hours = period(now_ns, None if since is not None else days, since, until).in_hours(now_ns)
        if not runtime.enabled:
            return cls(hours, now_ns, None)
        runtime.lifecycle.limiter.measured.settle_all()
        return cls(hours, now_ns, runtime.lifecycle.ledger)

    def at_once(self, make: Callable[[Sums], T], *, even_if_over: bool = False) -> T:
        """What `make` makes of them, in which each session is once: as an active one, or as one that ended.

        Where sessions end all the time it may be that one which ended in the last instant is in both, and none is in
        neither.

        Args:
            make: asks them for whatever it needs.
            even_if_over: the active ones are needed also if the hours do not reach now.
        """
        if self._ledger is None or not (even_if_over or self._reach_now):
            return make(self)
        seen = of_one_moment(self._ledger, lambda active: make(self._with(active)))
        return make(self._with(seen.active)) if seen.uncertain else seen.ended

    def _with(self, active: Sequence[SessionRecord]) -> Sums:
        """The same, when nothing has been asked for but the active ones."""
        found = Sums(self.hours, self.now_ns, self._ledger)
        found.active = active
        return found

    @property
    def since(self) -> dt.datetime:
        """When the hours begin."""
        return moment(self.hours.since * HOUR_NS)

    @property
    def until(self) -> dt.datetime:
        """When they end, or now."""
        return moment(min(self.hours.until * HOUR_NS, self.now_ns))

    @cached_property
    def active(self) -> Sequence[SessionRecord]:
        """The sessions that are active now, whatever the hours are; the oldest first."""
        return [] if self._ledger is None else self._ledger.active_or_fail()

    @cached_property
    def active_by_kind(self) -> dict[Kind, Tally]:
        """What they add up to if the hours reach now; of hours that are over there are none."""
        found: dict[Kind, Tally] = {}
        for record in self.active if self._reach_now else ():
            found.setdefault(Kind.of(record), Tally()).count(record)
        return found

    @cached_property
    def ended_by_kind(self) -> dict[Kind, Tally]:
        """What ended in these hours."""
        found: dict[Kind, Tally] = {}
        for each in self.ended(hourly=self.hours.are_few):
            found.setdefault(each.kind, Tally()).add(each.tally)
        return found

    def ended(self, *, hourly: bool) -> Sequence[Ended]:
        """What ended in these hours: hour by hour, or that of whole days in one."""
        if hourly not in self._asked:
            self._asked[hourly] = list(self._ended(hourly=hourly))
        return self._asked[hourly]

    def _ended(self, *, hourly: bool) -> Iterator[Ended]:
        if self._ledger is None or self.hours.since >= self.hours.until:
            return
        past = self._ledger.past
        days, rest = (range(0), [self.hours]) if hourly else in_days(*self.hours)
        if days:
            for day in past.daily_tallies(days.start, days.stop):
                first = day.day * DAY_HOURS
                yield Ended(first, first + DAY_HOURS - 1, day.kind, day.tally)
        for since, until in rest:
            yield from (Ended(one.hour, one.hour, one.kind, one.tally) for one in past.tallies(since, until))

    def users(self, limit: int) -> UserCounts:
        """Whose sessions ended in these hours, or are active if these reach now; `limit` of them are named."""
        if self._ledger is None:
            return UserCounts([], 0)
        active = self.active if self._reach_now else ()
        besides = Counter(record.user for record in active if record.user is not None)
        return self._ledger.past.users(*self.hours, limit, besides)

    def after(self) -> Sums:
        """Those of the hours that come after these, up to now."""
        return Sums(Hours(self.hours.until, hour_of(self.now_ns) + 1), self.now_ns, self._ledger)

    def from_first(self) -> Sums:
        """Those of the hours from the first one on of which anything is known, in which something ended or began."""
        known = [self.hours.until - 1, *(hour_of(record.beginning.started_ns) for record in self.active)]
        if ended := self.ended(hourly=False):
            first = min(each.first_hour for each in ended)
            # Of a day some stores remember the sum for longer than the hours.
            of_day = Sums(Hours(first, first + DAY_HOURS), self.now_ns, self._ledger).ended(hourly=True)
            known.append(min((one.first_hour for one in of_day), default=first))
        found = Sums(Hours(min(known), self.hours.until), self.now_ns, self._ledger)
        # Nothing is known of the hours before.
        found.active, found._asked[False] = self.active, self._asked[False]
        return found

    @property
    def _reach_now(self) -> bool:
        return self.hours.until > hour_of(self.now_ns)
