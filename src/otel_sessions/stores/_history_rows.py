"""What the SQLite store is asked about ended sessions; each function sees the tables at one moment."""

from __future__ import annotations

import heapq
import itertools
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from .._models import SessionRecord
from .._tally import DAY_HOURS, HOUR_NS, Kind, Tally, day_of, hour_of
from ..typing import DayTally, HourTally, Place, UserCounts, Wanted
from . import _rows as rows
from . import _tally_rows as sums
from ._codec import encode
from ._frequency import user_counts
from ._sql_values import sql_text, whole

_PAGE: Final = 500

_EXPORTED: Final = f"{rows.SELECT} INDEXED BY session_ended WHERE ended_ns IS NOT NULL AND owner IS NULL"
_OWED: Final = f"{rows.SELECT} INDEXED BY session_owed WHERE ended_ns IS NOT NULL AND owner IS NOT NULL"


def select(cursor: sqlite3.Cursor, wanted: Wanted, limit: int, before: Place | None) -> list[SessionRecord]:
    """The ended sessions that are wanted and stand behind `before`: at most `limit`, the latest end first."""
    both = heapq.merge(
        # Whose they are stands in the column only when they are owed no longer.
        _pages(cursor, _OWED, wanted._replace(user=None), before),
        _pages(cursor, _EXPORTED, wanted, before),
        key=Place.of,
        reverse=True,
    )
    return list(itertools.islice(filter(_session(wanted), both), limit))


def _session(wanted: Wanted) -> Callable[[SessionRecord], bool]:
    return lambda record: record.beginning.part is None and wanted.fits(record)


def _pages(cursor: sqlite3.Cursor, rows_of: str, wanted: Wanted, before: Place | None) -> Iterator[SessionRecord]:
    """Those of them, as far as columns tell whether they are wanted; the latest first."""
    conditions = list(_conditions(wanted))
    place: tuple[int, str | bytes | None] | None = None if before is None else (before.ended_ns, sql_text(before[1]))
    while True:
        behind = [] if place is None else [("(ended_ns, id) < (?, ?)", place)]
        texts = "".join(f" AND {condition}" for condition, _ in (*behind, *conditions))
        values = [value for _, some in (*behind, *conditions) for value in some]
        page = cursor.execute(f"{rows_of}{texts} ORDER BY ended_ns DESC, id DESC LIMIT {_PAGE}", values).fetchall()
        yield from map(rows.record_of, page)
        if len(page) < _PAGE:
            return
        place = page[-1][6], page[-1][0]


def _conditions(wanted: Wanted) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What columns tell: conditions, and the values in them."""
    if wanted.since_ns is not None:
        yield "ended_ns >= ?", (whole(wanted.since_ns),)
    if wanted.until_ns is not None:
        yield "ended_ns < ?", (whole(wanted.until_ns),)
    for column, value in (("status", wanted.status), ("reason", wanted.reason), ("user", sql_text(wanted.user))):
        if value is not None:
            yield f"{column} = ?", (value,)
    # The kind is the type and the tier, as JSON.
    if wanted.type is not None:
        began = encode((wanted.type,))[:-1]
        yield "kind >= ? AND kind < ?", (began + ",", began + "-")
    if wanted.tier is not None:
        ending = re.sub("([%_^])", r"^\1", encode(wanted.tier))
        yield "kind LIKE ? ESCAPE '^'", (f"%,{ending}]",)
    for name, held in (wanted.attributes or {}).items():
        if isinstance(held, str):
            # What is not in the text is not in the record, which is looked at only if it is.
            text = encode({name: held})[1:-1]
            yield "(instr(beginning, ?) OR instr(totals, ?))", (text, text)


def tallies(cursor: sqlite3.Cursor, since_hour: int, until_hour: int) -> list[HourTally]:
    """What ended in these hours, with those sessions whose export is owed."""
    held = [HourTally(*each) for each in sums.select(cursor, sums.HOURLY, since_hour, until_hour)]
    return held + [
        HourTally(hour, Kind.of(record), Tally.of(record)) for record, hour in _owed(cursor, since_hour, until_hour)
    ]


def daily_tallies(cursor: sqlite3.Cursor, since_day: int, until_day: int) -> list[DayTally]:
    """What ended in these days, with those sessions whose export is owed."""
    held = [DayTally(*each) for each in sums.select(cursor, sums.DAILY, since_day, until_day)]
    return held + [
        DayTally(day_of(hour), Kind.of(record), Tally.of(record))
        for record, hour in _owed(cursor, since_day * DAY_HOURS, until_day * DAY_HOURS)
    ]


def users(
    cursor: sqlite3.Cursor, since_hour: int, until_hour: int, limit: int, besides: Mapping[str, int]
) -> UserCounts:
    """Those most of whose sessions ended in these hours, with those whose export is owed, and `besides`."""
    more = Counter(besides)
    more.update(record.user for record, _ in _owed(cursor, since_hour, until_hour) if record.user is not None)
    held = ((user, sessions + more.pop(user, 0)) for user, sessions in sums.users(cursor, since_hour, until_hour))
    # In this order: those of the rest are in no hour.
    return user_counts(itertools.chain(held, more.items()), limit)


def _owed(cursor: sqlite3.Cursor, since_hour: int, until_hour: int) -> Iterator[tuple[SessionRecord, int]]:
    """The sessions whose export is owed, of those that ended in these hours; with the hour of each."""
    wanted = Wanted(since_ns=since_hour * HOUR_NS, until_ns=until_hour * HOUR_NS)
    for record in _pages(cursor, _OWED, wanted, None):
        if record.beginning.part is None:
            yield record, hour_of(record.ended_ns or 0)


def owed(cursor: sqlite3.Cursor) -> tuple[int, int | None]:
    """How many ended sessions and parts are owed, and when the one ended that ended first; the index alone says it."""
    number, oldest_ns = cursor.execute(
        "SELECT count(*), min(ended_ns) FROM session INDEXED BY session_owed "
        "WHERE ended_ns IS NOT NULL AND owner IS NOT NULL"
    ).fetchone()
    return int(number), oldest_ns
