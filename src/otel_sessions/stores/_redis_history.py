"""What Redis is asked about ended sessions, one by one and in sums; and how they get there and are forgotten."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from .._models import SessionRecord
from .._tally import DAY_HOURS, HOUR_NS, Kind, Tally, day_of, hour_of
from ..typing import DayTally, HourTally, Place, UserCounts, Wanted
from . import _redis_format as form
from ._frequency import user_counts
from ._redis_deployment import AT_ONCE, Deployment, chunks
from ._redis_pages import MS_NS, of_user, owed, past, remembered
from ._unreadable import UnreadableError, leave_out, tally_of

HOUR_MS: Final = HOUR_NS // MS_NS
_SUMS_AT_ONCE: Final = 200
_HOURS_AT_ONCE: Final = 48
USERS_AT_ONCE: Final = 5_000
"""How many users' counts are told, or taken, in one step, or twice as many: it takes the server some milliseconds."""


class RedisHistory:
    """The sessions of a deployment that have ended.

    Args:
        retention_ms: for how many milliseconds one is remembered that is owed by nobody.
    """

    def __init__(self, deployment: Deployment, retention_ms: int) -> None:
        self._deployment = deployment
        self._retention_ms = retention_ms

    # -- one by one ---------------------------------------------------------------------------------------------------

    def select(self, wanted: Wanted, limit: int, before: Place | None) -> list[SessionRecord]:
        """The ended sessions that are wanted and stand behind `before`: at most `limit`, the latest end first."""
        found: dict[Place, SessionRecord] = {}
        times = _milliseconds(wanted, before)
        if wanted.user is None:
            others = remembered(self._deployment, *times)
        else:
            others = of_user(self._deployment, wanted.user, wanted.since_ns, wanted.until_ns, before)
        # First those that are owed, so that nothing is missed whose export is noted meanwhile.
        for pages in (owed(self._deployment, *times), others):
            for page in pages:
                found |= {
                    Place.of(record): record
                    for record in self._ended(page.ids)
                    if (before is None or Place.of(record) < before) and wanted.fits(record)
                }
                enough = heapq.nlargest(limit, found)
                if len(enough) == limit and enough[-1].ended_ns >= page.rest_ns:
                    break
        return [found[place] for place in heapq.nlargest(limit, found)]

    def _ended(self, ids: Sequence[bytes]) -> list[SessionRecord]:
        """Those that have ended; parts of sessions are none."""
        names = [form.decode(raw) for raw in ids]
        records = [record for some in chunks(names) for record in self._deployment.read(some).values()]
        return [
            record
            for record in records
            if record is not None and not record.is_active and record.beginning.part is None
        ]

    # -- sums ---------------------------------------------------------------------------------------------------------

    def tallies(self, since_hour: int, until_hour: int) -> list[HourTally]:
        """What ended in these hours."""
        found, owed = self._sums(self._hours(since_hour, until_hour), self._deployment.hourly, (since_hour, until_hour))
        return [HourTally(*each) for each in found] + [
            HourTally(hour, Kind.of(record), tally) for hour, record, tally in owed
        ]

    def daily_tallies(self, since_day: int, until_day: int) -> list[DayTally]:
        """What ended in these days."""
        since, until = since_day * DAY_HOURS, until_day * DAY_HOURS
        days = sorted({day_of(hour) for hour in self._hours(since, until)})
        found, owed = self._sums(days, self._deployment.daily, (since, until))
        return [DayTally(*each) for each in found] + [
            DayTally(day_of(hour), Kind.of(record), tally) for hour, record, tally in owed
        ]

    def _sums(
        self, numbers: Sequence[int], key: Callable[[int], bytes], hours: tuple[int, int]
    ) -> tuple[list[tuple[int, Kind, Tally]], Iterator[tuple[int, SessionRecord, Tally]]]:
        """The sums of hours or of days; and what is in none yet, with its hour."""
        found: list[tuple[int, Kind, Tally]] = []
        owed: Sequence[bytes] = ()
        for some in [numbers[at : at + _SUMS_AT_ONCE] for at in range(0, len(numbers), _SUMS_AT_ONCE)] or [[]]:
            sums, owed = self._deployment.run("sums", *within(*hours), keys=map(key, some))
            found += ((number, *each) for number, raw in zip(some, sums, strict=True) for each in form.tallies(raw))
        return found, ((hour_of(record.ended_ns or 0), record, tally) for record, tally in self._countable(owed))

    def _countable(self, ids: Sequence[bytes]) -> Iterator[tuple[SessionRecord, Tally]]:
        """Those that have ended, with what each adds to sums; those that cannot be added up are left out."""
        return ((record, tally) for record in self._ended(ids) if (tally := _if_countable(record)) is not None)

    def users(self, since_hour: int, until_hour: int, limit: int, besides: Mapping[str, int]) -> UserCounts:
        """Those most of whose sessions ended in these hours, and how many there are."""
        # Added up here: the server, which others wait for, would take five times as long as it does to tell.
        found = Counter(besides)
        hours = self._hours(since_hour, until_hour)
        while True:
            some, rest = hours[:_HOURS_AT_ONCE], hours[_HOURS_AT_ONCE:]
            times = () if rest else within(since_hour, until_hour)
            keys = map(self._deployment.user_counts, some)
            told, counts, owed = self._deployment.run("user_counts", USERS_AT_ONCE, *times, keys=keys)
            for raw in counts:
                found.update(form.user_counts(raw))
            hours = hours[told:]
            if not hours:
                break
            if not told:
                found.update(users_of(self._deployment, hours.pop(0)))
        found.update(record.user for record, _ in self._countable(owed) if record.user is not None)
        return user_counts(found.items(), limit)

    def _hours(self, since: int, until: int) -> list[int]:
        """The hours that have sums, but for the last; the earliest first."""
        return [int(hour) for hour in self._deployment.run("hours", since, f"({until}")]

    def owed(self) -> tuple[int, int | None]:
        """How many ended sessions and parts are owed, and when the one ended that ended first, in nanoseconds."""
        number, oldest = self._deployment.run("owed")
        return number, int(float(oldest[1])) * MS_NS if oldest else None

    # -- how they come and go -----------------------------------------------------------------------------------------

    def exported(self, session_ids: Collection[str]) -> None:
        """Nobody owes the ends of these sessions any more, but for those that cannot be read: they are in the sums."""
        for some in chunks(list(session_ids)):
            keys: list[bytes] = []
            arguments: list[bytes | str | int] = []
            for session_id, record in self._deployment.read(some).items():
                try:
                    added = form.sums(record)
                except UnreadableError:
                    leave_out("redis", session_id)
                    continue
                keys += [self._deployment.session(session_id), *self.keys(added)]
                arguments += [form.encode(session_id), *added.arguments]
            self._deployment.run("exported", self._retention_ms, *arguments, keys=keys)

    def keys(self, added: form.Sums) -> list[bytes]:
        """Those of the sums of the hour, of its day, and of the hour's users."""
        hour = added.hour
        return [
            self._deployment.hourly(hour),
            self._deployment.daily(day_of(hour)),
            self._deployment.user_counts(hour),
        ]

    def purge(self, before_ns: int) -> int:
        """Forget the sessions that ended before that time and are owed by nobody; how many they were."""
        # First what has expired: nobody could tell any more what there is of it in the indexes.
        trim(self._deployment)
        total = 0
        for ids in past(self._deployment, before_ns // MS_NS):
            total += self._deployment.run("forget", form.stamp(before_ns), *map(form.encode, ids), sessions=ids)
        self._forget_hours(hour_of(before_ns))
        return total

    def purgeable(self, before_ns: int) -> int:
        """How many `purge` would forget now. No record is read for it, only when it ended."""
        return sum(
            self._deployment.run("purgeable", form.stamp(before_ns), sessions=ids)
            for ids in past(self._deployment, before_ns // MS_NS)
        )

    def _forget_hours(self, before: int) -> None:
        """Forget the sums of the hours before; those of a day that is not over become those of the hours left of it."""
        hours, day = self._hours(0, before), day_of(before)
        anew: list[bytes] = []
        if day in map(day_of, hours):
            # All that are left: one that has no sums yet may have some when the script runs.
            left = range(before, (day + 1) * DAY_HOURS)
            anew = [self._deployment.daily(day), *map(self._deployment.hourly, left)]
        days = {day_of(hour) for hour in hours} - {day}
        over = [
            *map(self._deployment.hourly, hours),
            *map(self._deployment.user_counts, hours),
            *map(self._deployment.daily, days),
        ]
        self._deployment.run("forget_hours", len(anew), *hours, keys=[*anew, *over])


def trim(deployment: Deployment) -> None:
    """Let go of what is known of sessions that have expired."""
    while deployment.run("trim", AT_ONCE):
        pass


def users_of(deployment: Deployment, hour: int) -> dict[str, int]:
    """What the users of an hour had, however many they are; those who had one more meanwhile may have either."""
    found: dict[str, int] = {}
    cursor, keys = b"0", [deployment.user_counts(hour)]
    while True:
        cursor, raw = deployment.run("scan_users", cursor, USERS_AT_ONCE, keys=keys)
        found |= form.user_counts(raw)
        if cursor == b"0":
            return found


def _if_countable(record: SessionRecord) -> Tally | None:
    try:
        return tally_of(record)
    except UnreadableError:
        leave_out("redis", record.id)
        return None


def within(since_hour: int, until_hour: int) -> tuple[int, str]:
    """From when to when these hours are, but for the last, in milliseconds."""
    return since_hour * HOUR_MS, f"({until_hour * HOUR_MS}"


def _milliseconds(wanted: Wanted, before: Place | None) -> tuple[str | int, str | int]:
    """From when to when, in milliseconds, the sessions ended that are wanted and stand behind `before`, or more."""
    ends = [ns for ns in (wanted.until_ns, None if before is None else before.ended_ns) if ns is not None]
    return (
        "-inf" if wanted.since_ns is None else wanted.since_ns // MS_NS,
        min(ends) // MS_NS if ends else "+inf",
    )
