"""What the SQLite store is asked about ended sessions; each function sees the tables at one moment."""

from __future__ import annotations

import heapq
import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, Final

from .._models import SessionRecord
from .._tally import DAY_HOURS, HOUR_NS, Kind, Tally, day_of, hour_of
from ..typing import DayTally, HourTally, Place, UserCounts, Wanted
from . import _rows as rows
from . import _tally_rows as sums
from ._conditions import Condition, indexed, unindexed
from ._frequency import user_counts
from ._sql_values import from_sql, sql_text

_PAGE: Final = 500

_NEAR: Final = 20_000
"""How many are gone through in the order of the index before it is seen how many of them are wanted."""
_FASTER: Final = 5
"""How many rows are read as they lie while one is read in the order of the index."""
_FAR: Final = 20_000
"""How many places are remembered at once of those that are gone through as they lie."""
_ANY: Final = 2**62
"""More rows than there are in any file."""

_EXPORTED: Final = f"{rows.SELECT} INDEXED BY session_ended WHERE ended_ns IS NOT NULL AND owner IS NULL"
_ENDS: Final = "SELECT ended_ns FROM session INDEXED BY session_ended WHERE ended_ns IS NOT NULL AND owner IS NULL"
_COUNT: Final = """
    SELECT count(*) FROM (
        SELECT 1 FROM session INDEXED BY session_ended WHERE ended_ns IS NOT NULL AND owner IS NULL LIMIT ?
    )
"""
_LYING: Final = "SELECT number, ended_ns, id FROM session NOT INDEXED WHERE ended_ns IS NOT NULL AND owner IS NULL"
_OWED: Final = f"{rows.SELECT} INDEXED BY session_owed WHERE ended_ns IS NOT NULL AND owner IS NOT NULL"


def select(cursor: sqlite3.Cursor, wanted: Wanted, limit: int, before: Place | None) -> list[SessionRecord]:
    """The ended sessions that are wanted and stand behind `before`: at most `limit`, the latest end first."""
    both = heapq.merge(
        # Whose they are stands in the column only when they are owed no longer.
        _ordered(cursor, _OWED, wanted._replace(user=None), before),
        _attributed(cursor, wanted, before, limit)
        if wanted.attributes
        else _ordered(cursor, _EXPORTED, wanted, before),
        key=Place.of,
        reverse=True,
    )
    return list(itertools.islice(filter(_session(wanted), both), limit))


def _session(wanted: Wanted) -> Callable[[SessionRecord], bool]:
    return lambda record: record.beginning.part is None and wanted.fits(record)


def _ordered(cursor: sqlite3.Cursor, rows_of: str, wanted: Wanted, before: Place | None) -> Iterator[SessionRecord]:
    """Those of them that may be wanted, in the order of the index: the latest first."""
    return rows.readable(itertools.chain.from_iterable(_pages(cursor, rows_of, wanted, before)))


def _pages(
    cursor: sqlite3.Cursor, rows_of: str, wanted: Wanted, before: Place | None
) -> Iterator[list[tuple[Any, ...]]]:
    while True:
        texts, values = _all_of(_behind(before), indexed(wanted), unindexed(wanted))
        page = cursor.execute(f"{rows_of}{texts} ORDER BY ended_ns DESC, id DESC LIMIT {_PAGE}", values).fetchall()
        yield page
        if len(page) < _PAGE:
            return
        before = Place(page[-1][6], from_sql(page[-1][0]))


def _attributed(cursor: sqlite3.Cursor, wanted: Wanted, before: Place | None, limit: int) -> Iterator[SessionRecord]:
    """Those that are exported and may be wanted, where the rows have to be read to know it; the latest first.

    In the order of the index rows are read from all over the file. That takes five times as long as reading them as
    they lie, and far longer if they have to come from the disk. So it is done for the latest; and for more of them, as
    long as `limit` is nearer than the end of the file would be.
    """
    reach, passed, found = _NEAR, 0, 0
    while True:
        texts, values = _all_of(_behind(before), indexed(wanted))
        edge = cursor.execute(f"{_ENDS}{texts} ORDER BY ended_ns DESC LIMIT 1 OFFSET {reach}", values).fetchone()
        for record in _ordered(cursor, _EXPORTED, wanted._replace(since_ns=edge[0]) if edge else wanted, before):
            found += 1
            yield record
        if edge is None:
            return
        before, passed = Place(edge[0], ""), passed + reach
        # As many again as have been passed, if what was found there was not wanted.
        ahead = passed * max(1, limit - found) // max(1, found)
        if _is_nearer_lying(cursor, wanted, before, ahead):
            before = yield from _lying(cursor, wanted, before)
            if before is None:
                return
        reach *= 2


def _is_nearer_lying(cursor: sqlite3.Cursor, wanted: Wanted, before: Place, ahead: int) -> bool:
    """Whether all rows as they lie are read sooner than so many in the order of the index."""
    enough = min(ahead * _FASTER, _ANY)
    (lying,) = cursor.execute(_COUNT, (enough,)).fetchone()
    if lying == enough:
        return False
    texts, values = _all_of(_behind(before), indexed(wanted))
    return cursor.execute(f"{_ENDS}{texts} LIMIT 1 OFFSET {lying // _FASTER}", values).fetchone() is not None


def _lying(cursor: sqlite3.Cursor, wanted: Wanted, before: Place) -> Generator[SessionRecord, None, Place | None]:
    """As many of those as are remembered at once; returns where they end, None if there are no more."""
    texts, values = _all_of(_behind(before), indexed(wanted), unindexed(wanted))
    found = cursor.execute(f"{_LYING}{texts} ORDER BY ended_ns DESC, id DESC LIMIT {_FAR}", values).fetchall()
    for start in range(0, len(found), _PAGE):
        numbers = [number for number, *_ in found[start : start + _PAGE]]
        marks = ",".join("?" * len(numbers))
        page = cursor.execute(f"{rows.SELECT} WHERE number IN ({marks}) ORDER BY ended_ns DESC, id DESC", numbers)
        yield from rows.readable(page.fetchall())
    return None if len(found) < _FAR else Place(found[-1][1], from_sql(found[-1][2]))


def _behind(before: Place | None) -> Iterator[Condition]:
    if before is not None:
        yield "(ended_ns, id) < (?, ?)", (before.ended_ns, sql_text(before.session_id))


def _all_of(*conditions: Iterable[Condition]) -> tuple[str, list[Any]]:
    """What follows other conditions in a statement, and its values."""
    all_of = list(itertools.chain(*conditions))
    return "".join(f" AND {text}" for text, _ in all_of), [value for _, values in all_of for value in values]


def tallies(cursor: sqlite3.Cursor, since_hour: int, until_hour: int) -> list[HourTally]:
    """What ended in these hours, with those sessions whose export is owed."""
    held = [HourTally(*each) for each in sums.select(cursor, sums.HOURLY, since_hour, until_hour)]
    return held + [
        HourTally(hour, Kind.of(record), tally) for hour, record, tally in _owed(cursor, since_hour, until_hour)
    ]


def daily_tallies(cursor: sqlite3.Cursor, since_day: int, until_day: int) -> list[DayTally]:
    """What ended in these days, with those sessions whose export is owed."""
    held = [DayTally(*each) for each in sums.select(cursor, sums.DAILY, since_day, until_day)]
    return held + [
        DayTally(day_of(hour), Kind.of(record), tally)
        for hour, record, tally in _owed(cursor, since_day * DAY_HOURS, until_day * DAY_HOURS)
    ]


def users(
    cursor: sqlite3.Cursor, since_hour: int, until_hour: int, limit: int, besides: Mapping[str, int]
) -> UserCounts:
    """Those most of whose sessions ended in these hours, with those whose export is owed, and `besides`."""
    more = Counter(besides)
    more.update(record.user for _, record, _ in _owed(cursor, since_hour, until_hour) if record.user is not None)
    held = ((user, sessions + more.pop(user, 0)) for user, sessions in sums.users(cursor, since_hour, until_hour))
    # In this order: those of the rest are in no hour.
    return user_counts(itertools.chain(held, more.items()), limit)


def _owed(cursor: sqlite3.Cursor, since_hour: int, until_hour: int) -> Iterator[tuple[int, SessionRecord, Tally]]:
    """The sessions whose export is owed, of those that ended in these hours: the hour, the record, what it adds."""
    wanted = Wanted(since_ns=since_hour * HOUR_NS, until_ns=until_hour * HOUR_NS)
    for record, tally in rows.countable(itertools.chain.from_iterable(_pages(cursor, _OWED, wanted, None))):
        if record.beginning.part is None:
            yield hour_of(record.ended_ns or 0), record, tally


def owed(cursor: sqlite3.Cursor) -> tuple[int, int | None]:
    """How many ended sessions and parts are owed, and when the one ended that ended first; the index alone says it."""
    number, oldest_ns = cursor.execute(
        "SELECT count(*), min(ended_ns) FROM session INDEXED BY session_owed "
        "WHERE ended_ns IS NOT NULL AND owner IS NOT NULL"
    ).fetchone()
    return int(number), oldest_ns
