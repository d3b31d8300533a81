"""The sums of the SQLite store over ended sessions, by the hour and the day in which they ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from .._models import SessionRecord
from .._tally import DAY_HOURS, Kind, Tally, day_of, hour_of
from ._codec import decode, encode
from ._sql_values import sql_text

HOURLY: Final = 1
DAILY: Final = DAY_HOURS
"""What sums are kept for: spans of so many hours, numbered from the epoch on."""

_ADD_USER: Final = """
    INSERT INTO user_day VALUES (?, ?, 1) ON CONFLICT (user, day) DO UPDATE SET sessions = sessions + 1
"""


def count_in(cursor: sqlite3.Cursor, records: Iterable[SessionRecord]) -> None:
    """Add sessions that have ended, and are owed no longer, to the sums; parts of sessions are none."""
    added: dict[tuple[int, Kind], Tally] = {}
    users = []
    for record in records:
        if record.beginning.part is not None:
            continue
        hour = hour_of(record.ended_ns or 0)
        added.setdefault((hour, Kind.of(record)), Tally()).count(record)
        if record.user is not None:
            users.append((sql_text(record.user), day_of(hour)))
    daily: dict[tuple[int, Kind], Tally] = {}
    for (hour, kind), tally in added.items():
        daily.setdefault((day_of(hour), kind), Tally()).add(tally)
    _add(cursor, HOURLY, added)
    _add(cursor, DAILY, daily)
    cursor.executemany(_ADD_USER, users)


def _add(cursor: sqlite3.Cursor, span: int, added: Mapping[tuple[int, Kind], Tally]) -> None:
    for (number, kind), tally in added.items():
        place = span, number, encode(kind)
        held = cursor.execute("SELECT sums FROM tally WHERE span = ? AND number = ? AND kind = ?", place).fetchone()
        if held is not None:
            tally.add(Tally.from_dict(decode(held[0])))
        cursor.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?)", (*place, encode(tally.to_dict())))


def select(cursor: sqlite3.Cursor, span: int, since: int, until: int) -> Iterator[tuple[int, Kind, Tally]]:
    """The sums of these spans, with the number of each."""
    held = cursor.execute(
        "SELECT number, kind, sums FROM tally WHERE span = ? AND number >= ? AND number < ?", (span, since, until)
    )
    for number, kind, sums in held:
        yield number, Kind._make(decode(kind)), Tally.from_dict(decode(sums))


def forget(cursor: sqlite3.Cursor, before_ns: int) -> None:
    """Forget the hours, and the days, that were over by that time."""
    first = hour_of(before_ns)
    cursor.execute("DELETE FROM tally WHERE span = ? AND number < ?", (HOURLY, first))
    cursor.execute("DELETE FROM tally WHERE span = ? AND number < ?", (DAILY, day_of(first)))
    cursor.execute("DELETE FROM user_day WHERE day < ?", (day_of(first),))
