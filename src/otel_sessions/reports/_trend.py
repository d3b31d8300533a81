"""How many sessions began and ended when."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, get_args

from .._statistics import moment
from .._tally import HOUR_NS, hour_of, hours_of_start
from ..exceptions import InvalidValueError
from ._period import Hours
from ._sums import Sums

Step = Literal["hour", "day", "week"]

_HOURS: Final[Mapping[Step, int]] = {"hour": 1, "day": 24, "week": 168}
_MONDAY: Final = 72
"""How many hours before the epoch a week began."""
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
        until: until the end of the hour of then; now, if it is not given or yet to come.
        step: how long each point stands for. If not given: an hour in up to three days, a day in up to a year, else a
            week.

    Raises:
        InvalidValueError: an argument is wrong, or there would be more than 10,000 points.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    if step is not None and step not in get_args(Step):
        raise InvalidValueError(f"step={step!r}: use one of {', '.join(get_args(Step))}")
    is_all = since is None and days is None

    def made(sums: Sums) -> Trend:
        return trend_of(sums.from_first() if is_all else sums, step)

    return Sums.of(days=days, since=since, until=until).at_once(made, even_if_over=True)


def trend_of(sums: Sums, step: Step | None = None) -> Trend:
    """How many sessions began and ended in these hours.

    Raises:
        InvalidValueError: there would be more than 10,000 points.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    step = step or _fitting(sums.hours)
    length = _HOURS[step]
    first, last = ((hour + _MONDAY) // length for hour in (sums.hours.since, sums.hours.until - 1))
    if last - first >= _MOST_POINTS:
        raise InvalidValueError(
            f"step={step!r} makes {last - first + 1:,} points: use a longer step, or a shorter time"
        )
    ended = Counter[tuple[int, str]]()
    for each in sums.ended(hourly=step == "hour"):
        ended[(each.first_hour + _MONDAY) // length, each.kind.status] += each.tally.sessions
    started = Counter[int]()
    for hour, sessions in _starts(sums, hourly=step == "hour"):
        if sums.hours.since <= hour < sums.hours.until:
            started[(hour + _MONDAY) // length] += sessions
    points = (_point(number, length, started, ended) for number in range(first, last + 1))
    return Trend(sums.since, sums.until, step, tuple(points))


def _fitting(hours: Hours) -> Step:
    if hours.are_few:
        return "hour"
    return "day" if hours.until - hours.since <= _MOST_DAYS * _HOURS["day"] else "week"


def _starts(sums: Sums, *, hourly: bool) -> Iterator[tuple[int, int]]:
    """In which hours sessions began, and how many: those that ended, then or later, and those that are active."""
    for each in (*sums.ended(hourly=hourly), *sums.after().ended(hourly=hourly)):
        yield from hours_of_start(each.tally, each.last_hour)
    for record in sums.active:
        yield hour_of(record.beginning.started_ns), 1


def _point(number: int, length: int, started: Mapping[int, int], ended: Mapping[tuple[int, str], int]) -> TrendPoint:
    by_status = {status: ended[number, status] for status in _STATUSES if ended[number, status]}
    time = moment(max(0, number * length - _MONDAY) * HOUR_NS)
    return TrendPoint(time, started[number], sum(by_status.values()), by_status)


_STATUSES: Final = ("success", "error", "cancelled", "expired", "abandoned")
