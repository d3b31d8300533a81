"""How sessions spread: over durations, and over the hours of the week."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from .._tally import DAY_HOURS, NS, Kind, Longest, Tally, bounds_of
from ._statistics import WEEKDAYS, LongestSession
from ._sums import Sums

_MERGED: Final = 16
"""How many buckets of a tally make a band: half a doubling."""


class DurationBand(NamedTuple):
    """How many sessions lasted between two durations; seconds."""

    over: float
    up_to: float
    sessions: int


class Distribution(NamedTuple):
    """How the sessions of a period spread: durations are of those that ended in it."""

    since: dt.datetime
    until: dt.datetime
    durations: tuple[DurationBand, ...]
    """Each band reaches to 1.41 times the one before; the shortest first, without a gap."""
    by_hour_of_week: Mapping[str, tuple[int, ...]]
    """On which weekday, and at which hour of it, they began, UTC; the active ones too, if the period reaches now."""
    longest: tuple[LongestSession, ...]
    """The longest session of each type, the longest first."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "durations": [band._asdict() for band in self.durations],
            "by_hour_of_week": {day: list(hours) for day, hours in self.by_hour_of_week.items()},
            "longest": [each._asdict() for each in self.longest],
        }


def distribution(
    *, days: float | None = 30, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> Distribution:
    """How the sessions of a period spread, by full hours.

    Args:
        days: how many days back, if `since` is not given; None: as long as anything is remembered.
        since: from the full hour of then on; a time without a zone is that of this machine.
        until: until the end of the hour of then; now, if it is not given or yet to come.

    Raises:
        InvalidValueError: an argument is wrong.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    return Sums.of(days=days, since=since, until=until).at_once(distribution_of)


def distribution_of(sums: Sums) -> Distribution:
    """How the sessions spread that the sums are of.

    Raises:
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    ended, active = sums.ended_by_kind, sums.active_by_kind
    started = Tally.total([*ended.values(), *active.values()]).started or {}
    return Distribution(
        since=sums.since,
        until=sums.until,
        durations=_bands(Tally.total(ended.values())),
        by_hour_of_week={
            day: tuple(started.get(number * DAY_HOURS + hour, 0) for hour in range(DAY_HOURS))
            for number, day in enumerate(WEEKDAYS)
        },
        longest=_longest(ended),
    )


def _bands(total: Tally) -> tuple[DurationBand, ...]:
    counts: Counter[int] = Counter()
    for bucket, sessions in (total.durations or {}).items():
        # A bucket reaches up to its own number, so that 1 to 16 are one band.
        counts[-(-bucket // _MERGED)] += sessions
    if not counts:
        return ()
    return tuple(
        DurationBand(*bounds_of((number - 1) * _MERGED + 1, number * _MERGED), counts[number])
        for number in range(min(counts), max(counts) + 1)
    )


def _longest(found: Mapping[Kind, Tally]) -> tuple[LongestSession, ...]:
    by_type: dict[str, Longest] = {}
    for of_type, longest in ((kind.type, tally.longest) for kind, tally in found.items() if tally.longest is not None):
        by_type[of_type] = max(longest, by_type.get(of_type, longest))
    each = (LongestSession(one.session_id, of_type, one.duration_ns / NS) for of_type, one in by_type.items())
    return tuple(sorted(each, key=lambda one: (-one.duration, one.type)))
