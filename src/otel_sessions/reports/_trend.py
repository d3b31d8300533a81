"""How many sessions began and ended when."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, get_args

from .. import _runtime
from .._ledger import Ledger
from .._models import SessionRecord
from .._statistics import moment
from .._tally import DAY_HOURS, HOUR_NS, Kind, Tally, hour_of, hours_of_start, in_days
from ..exceptions import InvalidValueError
from ._period import Hours, period

Step = Literal["hour", "day", "week"]

_HOURS: Final[Mapping[Step, int]] = {"hour": 1, "day": 24, "week": 168}
_MONDAY: Final = 72
"""How many hours before the epoch a week began."""
_MOST_HOURS: Final = 72
_MOST_DAYS: Final = 366
_MOST_POINTS: Final = 10_000


class TrendPoint(NamedTuple):
    """What began and ended from a time on, until the next point."""

    time: dt.datetime
    started: int
    ended: int
    by_status: Mapping[str, int]
    """Those that ended."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return self._asdict() | {"time": self.time.isoformat()}


class Trend(NamedTuple):
    """How many sessions began and ended, hour by hour, day by day, or week by week from Monday on; UTC.

    Of sessions that have ended only the hour of the week is kept in which they began: those that lasted for more than
    six days may count as started in a later week than they were.
    """

    since: dt.datetime
    until: dt.datetime
    step: Step
    points: tuple[TrendPoint, ...]
    """Without a gap, the earliest first."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "step": self.step,
            "points": [point.to_dict() for point in self.points],
        }


def trend(
    *,
    days: float | None = 30,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    step: Step | None = None,
) -> Trend:
    """How many sessions began and ended in a period, by full hours.

    Args:
        days: how many days back, if `since` is not given; None: as long as anything is remembered.
        since: from the full hour of then on; a time without a zone is that of this machine.
        until: until the end of the hour of then; now, if it is not given.
        step: how long each point stands for. If not given: an hour in up to three days, a day in up to a year, else a
            week.

    Raises:
        InvalidValueError: an argument is wrong, or there would be more than 10,000 points.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    if step is not None and step not in get_args(Step):
        raise InvalidValueError(f"step={step!r}: use one of {', '.join(get_args(Step))}")
    runtime = _runtime.get()
    now_ns = runtime.lifecycle.clock.time_ns()
    hours = period(now_ns, None if since is not None else days, since, until).in_hours()
    active = runtime.lifecycle.ledger.active_or_fail() if runtime.enabled else []
    if runtime.enabled and since is None and days is None:
        hours = hours._replace(since=_first_hour(runtime.lifecycle.ledger, hours, active))
    step = step or _fitting(hours)
    found: list[_Ended] = []
    if runtime.enabled:
        # Beyond the end, because what began before it may have ended after it.
        for part in (hours, Hours(hours.until, hour_of(now_ns) + 1)):
            found += _ended(runtime.lifecycle.ledger, part, daily=step != "hour")
    return _counted(hours, now_ns, step, found, active)


def _first_hour(ledger: Ledger, hours: Hours, active: Iterable[SessionRecord]) -> int:
    """When it began, as far as is remembered: what ended first, or what is active."""
    known = [hours.until - 1, *(hour_of(record.beginning.started_ns) for record in active)]
    if of_days := [each.day for each in ledger.past.daily_tallies(0, -(-hours.until // DAY_HOURS))]:
        first = min(of_days) * DAY_HOURS
        # Of a day some stores remember the sum for longer than the hours.
        known += [each.hour for each in ledger.past.tallies(first, first + DAY_HOURS)] or [first]
    return min(known)


class _Ended(NamedTuple):
    """What ended in some hours."""

    first_hour: int
    last_hour: int
    kind: Kind
    tally: Tally


def _ended(ledger: Ledger, hours: Hours, *, daily: bool) -> Iterator[_Ended]:
    """What ended in some hours: that of whole days in one, if it need not be known more exactly."""
    days, rest = in_days(*hours) if daily else (range(0), [hours] if hours.since < hours.until else [])
    if days:
        for day in ledger.past.daily_tallies(days.start, days.stop):
            first = day.day * DAY_HOURS
            yield _Ended(first, first + DAY_HOURS - 1, day.kind, day.tally)
    for since, until in rest:
        yield from (_Ended(one.hour, one.hour, one.kind, one.tally) for one in ledger.past.tallies(since, until))


def _fitting(hours: Hours) -> Step:
    length = hours.until - hours.since
    if length <= _MOST_HOURS:
        return "hour"
    return "day" if length <= _MOST_DAYS * _HOURS["day"] else "week"


def _counted(hours: Hours, now_ns: int, step: Step, found: Iterable[_Ended], active: Iterable[SessionRecord]) -> Trend:
    length = _HOURS[step]
    first, last = ((hour + _MONDAY) // length for hour in (hours.since, hours.until - 1))
    if last - first >= _MOST_POINTS:
        raise InvalidValueError(
            f"step={step!r} makes {last - first + 1:,} points: use a longer step, or a shorter time"
        )
    started: Counter[int] = Counter()
    ended: Counter[tuple[int, str]] = Counter()

    def note_start(hour: int, sessions: int) -> None:
        if hours.since <= hour < hours.until:
            started[(hour + _MONDAY) // length] += sessions

    for each in found:
        if each.last_hour < hours.until:
            ended[(each.first_hour + _MONDAY) // length, each.kind.status] += each.tally.sessions
        for hour, sessions in hours_of_start(each.tally, each.last_hour):
            note_start(hour, sessions)
    for record in active:
        note_start(hour_of(record.beginning.started_ns), 1)
    points = (_point(number, length, started, ended) for number in range(first, last + 1))
    until = min(moment(hours.until * HOUR_NS), moment(now_ns))
    return Trend(moment(hours.since * HOUR_NS), until, step, tuple(points))


def _point(number: int, length: int, started: Mapping[int, int], ended: Mapping[tuple[int, str], int]) -> TrendPoint:
    by_status = {status: ended[number, status] for status in _STATUSES if ended[number, status]}
    time = moment(max(0, number * length - _MONDAY) * HOUR_NS)
    return TrendPoint(time, started[number], sum(by_status.values()), by_status)


_STATUSES: Final = ("success", "error", "cancelled", "expired", "abandoned")
