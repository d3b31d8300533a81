"""The sums of the SQLite store over ended sessions, by the hour and the day in which they ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from .._models import SessionRecord
from .._tally import Kind, Tally, hour_of
from ._codec import decode, encode
from ._hours import day_of
from ._sql_values import sql_text

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
        added.setdefault((hour, Kind.of(record)), Tally()).add(Tally.of(record))
        if record.user is not None:
            users.append((sql_text(record.user), day_of(hour)))
    for (hour, kind), tally in added.items():
        place = hour, encode(kind)
        held = cursor.execute("SELECT sums FROM tally WHERE hour = ? AND kind = ?", place).fetchone()
        if held is not None:
            tally.add(Tally.from_dict(decode(held[0])))
        cursor.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?)", (*place, encode(tally.to_dict())))
    cursor.executemany(_ADD_USER, users)


def forget(cursor: sqlite3.Cursor, before_ns: int) -> None:
    """Forget the hours, and the days, that were over by that time."""
    first = hour_of(before_ns)
    cursor.execute("DELETE FROM tally WHERE hour < ?", (first,))
    cursor.execute("DELETE FROM user_day WHERE day < ?", (day_of(first),))
