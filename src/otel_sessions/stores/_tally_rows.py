"""The sums of the SQLite store over ended sessions, by the hour and the day in which they ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from .._models import SessionRecord
from .._tally import DAY_HOURS, Kind, Tally, day_of, hour_of
from ._codec import decode, encode
from ._sql_values import from_sql, sql_text

HOURLY: Final = 1
DAILY: Final = DAY_HOURS
"""What sums are kept for: spans of so many hours, numbered from the epoch on."""

_ADD_USER: Final = """
    INSERT INTO user_hour VALUES (?, ?, 1) ON CONFLICT (hour, user) DO UPDATE SET sessions = sessions + 1
"""


def count_in(cursor: sqlite3.Cursor, ended: Iterable[tuple[SessionRecord, Tally]]) -> None:
    """Add sessions that are owed no longer, each with what it adds, to the sums; parts of sessions are none."""
    added: dict[tuple[int, Kind], Tally] = {}
    users = []
    for record, tally in ended:
        if record.beginning.part is not None:
            continue
        hour = hour_of(record.ended_ns or 0)
        added.setdefault((hour, Kind.of(record)), Tally()).add(tally)
        if record.user is not None:
            users.append((hour, sql_text(record.user)))
    daily: dict[tuple[int, Kind], Tally] = {}
    for (hour, kind), sums in added.items():
        daily.setdefault((day_of(hour), kind), Tally()).add(sums)
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


def users(cursor: sqlite3.Cursor, since_hour: int, until_hour: int) -> Iterator[tuple[str, int]]:
    """The users of these hours, each once, with the number of their sessions."""
    held = cursor.execute(
        "SELECT user, sum(sessions) FROM user_hour WHERE hour >= ? AND hour < ? GROUP BY user", (since_hour, until_hour)
    )
    return ((from_sql(user), sessions) for user, sessions in held)


def forget(cursor: sqlite3.Cursor, before_ns: int, users_before_ns: int) -> None:
    """Forget the hours that were over by that time, and whose they were; what is left of a day is its sum then."""
    first = hour_of(before_ns)
    day = day_of(first)
    gone = HOURLY, day * DAY_HOURS, first
    found = cursor.execute("SELECT 1 FROM tally WHERE span = ? AND number >= ? AND number < ?", gone).fetchone()
    is_shorter = found is not None
    cursor.execute("DELETE FROM tally WHERE span = ? AND number < ?", (HOURLY, first))
    cursor.execute("DELETE FROM tally WHERE span = ? AND number < ?", (DAILY, day + is_shorter))
    if is_shorter:
        left: dict[tuple[int, Kind], Tally] = {}
        for _, kind, tally in select(cursor, HOURLY, first, (day + 1) * DAY_HOURS):
            left.setdefault((day, kind), Tally()).add(tally)
        _add(cursor, DAILY, left)
    cursor.execute("DELETE FROM user_hour WHERE hour < ?", (hour_of(users_before_ns),))
