"""What the SQLite store is asked about ended sessions; each function sees the tables at one moment."""

from __future__ import annotations

import heapq
import itertools
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from .._models import SessionRecord
from .._tally import Kind, Tally, day_of, hour_of
from ..typing import DayTally, HourTally, Place, Wanted
from . import _rows as rows
from . import _tally_rows as sums
from ._codec import encode
from ._sql_values import from_sql, sql_text, whole

_PAGE: Final = 500

_ENDED: Final = f"{rows.SELECT} INDEXED BY session_ended WHERE ended_ns IS NOT NULL AND owner IS NULL"


def select(cursor: sqlite3.Cursor, wanted: Wanted, limit: int, before: Place | None) -> list[SessionRecord]:
    """The ended sessions that are wanted and stand behind `before`: at most `limit`, the latest end first."""
    owed = (record for record in rows.unexported(cursor) if before is None or Place.of(record) < before)
    both = heapq.merge(
        sorted(owed, key=Place.of, reverse=True), _exported(cursor, wanted, before), key=Place.of, reverse=True
    )
    return list(itertools.islice(filter(_session(wanted), both), limit))


def _session(wanted: Wanted) -> Callable[[SessionRecord], bool]:
    return lambda record: record.beginning.part is None and wanted.fits(record)


def _exported(cursor: sqlite3.Cursor, wanted: Wanted, before: Place | None) -> Iterator[SessionRecord]:
    """Those that are owed by nobody, as far as columns tell whether they are wanted; the latest first."""
    conditions = list(_conditions(wanted))
    place: tuple[int, str | bytes | None] | None = None if before is None else (before.ended_ns, sql_text(before[1]))
    while True:
        behind = [] if place is None else [("(ended_ns, id) < (?, ?)", place)]
        texts = "".join(f" AND {condition}" for condition, _ in (*behind, *conditions))
        values = [value for _, some in (*behind, *conditions) for value in some]
        page = cursor.execute(f"{_ENDED}{texts} ORDER BY ended_ns DESC, id DESC LIMIT {_PAGE}", values).fetchall()
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
        HourTally(hour, Kind.of(record), Tally.of(record))
        for record, hour in _owed(cursor)
        if since_hour <= hour < until_hour
    ]


def daily_tallies(cursor: sqlite3.Cursor, since_day: int, until_day: int) -> list[DayTally]:
    """What ended in these days, with those sessions whose export is owed."""
    held = [DayTally(*each) for each in sums.select(cursor, sums.DAILY, since_day, until_day)]
    return held + [
        DayTally(day_of(hour), Kind.of(record), Tally.of(record))
        for record, hour in _owed(cursor)
        if since_day <= day_of(hour) < until_day
    ]


def most_frequent_users(cursor: sqlite3.Cursor, since_day: int, until_day: int, limit: int) -> list[tuple[str, int]]:
    """Those most of whose sessions ended in these days."""
    owed = _owed_by_user(cursor, since_day, until_day)
    # Whoever is among the most with what is owed was, without it, among so many more.
    held = cursor.execute(
        "SELECT user, sum(sessions) AS total FROM user_day WHERE day >= ? AND day < ? "
        "GROUP BY user ORDER BY total DESC, user LIMIT ?",
        (since_day, until_day, limit),
    ).fetchall()
    found = Counter({from_sql(user): total for user, total in held})
    for user in owed:
        if user not in found:
            (found[user],) = cursor.execute(
                "SELECT coalesce(sum(sessions), 0) FROM user_day WHERE user = ? AND day >= ? AND day < ?",
                (sql_text(user), since_day, until_day),
            ).fetchone()
    found.update(owed)
    return heapq.nsmallest(limit, found.items(), key=lambda each: (-each[1], each[0]))


def users(cursor: sqlite3.Cursor, since_day: int, until_day: int) -> int:
    """How many users' sessions ended in these days."""
    (known,) = cursor.execute(
        "SELECT count(DISTINCT user) FROM user_day WHERE day >= ? AND day < ?", (since_day, until_day)
    ).fetchone()
    more = 0
    for user in _owed_by_user(cursor, since_day, until_day):
        held = cursor.execute(
            "SELECT 1 FROM user_day WHERE user = ? AND day >= ? AND day < ?", (sql_text(user), since_day, until_day)
        ).fetchone()
        more += held is None
    return int(known) + more


def _owed(cursor: sqlite3.Cursor) -> Iterator[tuple[SessionRecord, int]]:
    """The ended sessions whose export is owed, with the hour in which they ended."""
    for record in rows.unexported(cursor):
        if record.beginning.part is None:
            yield record, hour_of(record.ended_ns or 0)


def _owed_by_user(cursor: sqlite3.Cursor, since_day: int, until_day: int) -> Counter[str]:
    return Counter(
        record.user
        for record, hour in _owed(cursor)
        if record.user is not None and since_day <= day_of(hour) < until_day
    )
