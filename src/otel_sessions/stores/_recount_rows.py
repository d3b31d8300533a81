"""The sums of the SQLite store held against its sessions; each function sees the tables at one moment."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from .._tally import DAY_HOURS, HOUR_NS, Kind, Tally, day_of
from ..typing import Recount
from . import _rows as rows
from . import _tally_rows as sums
from ._codec import decode, encode
from ._sql_values import from_sql, sql_text, whole
from ._unreadable import UNREADABLE, UnreadableError, tally_of

_ROWS: Final = f"{rows.SELECT} INDEXED BY session_ended WHERE ended_ns >= ? AND ended_ns < ? AND owner IS NULL"
_COUNT: Final = """
    SELECT count(*) FROM session INDEXED BY session_ended WHERE ended_ns >= ? AND ended_ns < ? AND owner IS NULL
"""


def next_hour(cursor: sqlite3.Cursor, after: int) -> int | None:
    """The first hour after that one of which there are sums, or in which a session ended."""
    found = cursor.execute(
        "SELECT min(number) FROM tally WHERE span = ? AND number > ? UNION ALL SELECT min(ended_ns) / ? FROM session "
        "INDEXED BY session_ended WHERE ended_ns IS NOT NULL AND owner IS NULL AND ended_ns >= ?",
        (sums.HOURLY, after, HOUR_NS, whole((after + 1) * HOUR_NS)),
    )
    return min((number for (number,) in found if number is not None), default=None)


def hour(cursor: sqlite3.Cursor, number: int) -> Recount:
    """The sums of an hour, and what the sessions add up to that ended in it."""
    counted: dict[Kind, Tally] = {}
    users: Counter[str] = Counter()
    unreadable: list[str] = []
    seen = 0
    for row in cursor.execute(_ROWS, _span(number)):
        seen += 1
        counts = _counts(row, unreadable.append)
        if counts is not None:
            kind, tally, user = counts
            counted.setdefault(kind, Tally()).add(tally)
            users.update(() if user is None else (user,))
    return Recount(
        _kept(cursor, sums.HOURLY, number),
        counted,
        _kept_users(cursor, number),
        dict(users),
        unreadable,
        is_partial=number * HOUR_NS < rows.forgotten_until(cursor),
        stamp=seen,
    )


def replace_hour(cursor: sqlite3.Cursor, number: int, found: Recount) -> bool:
    """Make the sums of an hour, and of its day, what was counted; False if something has happened since."""
    # A session that is owed no longer does not change any more: as many of them are the same ones.
    (seen,) = cursor.execute(_COUNT, _span(number)).fetchone()
    is_partial = number * HOUR_NS < rows.forgotten_until(cursor)
    now = _kept(cursor, sums.HOURLY, number), _kept_users(cursor, number), seen, is_partial
    if now != (found.kept, found.kept_users, found.stamp, False):
        return False
    remove(cursor, found.unreadable)
    _replace(cursor, sums.HOURLY, number, found.counted)
    cursor.execute("DELETE FROM user_hour WHERE hour = ?", (number,))
    cursor.executemany(
        "INSERT INTO user_hour (hour, user, sessions) VALUES (?, ?, ?)",
        [(number, sql_text(user), sessions) for user, sessions in found.counted_users.items()],
    )
    replace_day(cursor, day_of(number))
    return True


def day(cursor: sqlite3.Cursor, number: int) -> Recount:
    """The sums of a day, and what those of its hours add up to."""
    counted: dict[Kind, Tally] = {}
    for each in range(number * DAY_HOURS, (number + 1) * DAY_HOURS):
        for kind, tally in _kept(cursor, sums.HOURLY, each).items():
            counted.setdefault(kind, Tally()).add(tally)
    return Recount(_kept(cursor, sums.DAILY, number), counted, {}, {})


def replace_day(cursor: sqlite3.Cursor, number: int) -> None:
    """Make the sums of a day what those of its hours add up to."""
    _replace(cursor, sums.DAILY, number, day(cursor, number).counted)


def unreadable(cursor: sqlite3.Cursor) -> list[str]:
    """The ids of those that are active or owed, and whose record cannot be read."""
    found: list[str] = []
    for condition in ("ended_ns IS NULL", "ended_ns IS NOT NULL AND owner IS NOT NULL"):
        for row in cursor.execute(f"{rows.SELECT} WHERE {condition}"):
            _counts(row, found.append)
    return found


def remove(cursor: sqlite3.Cursor, session_ids: Iterable[str]) -> None:
    """Remove sessions."""
    cursor.executemany("DELETE FROM session WHERE id = ?", [(sql_text(each),) for each in session_ids])


def damage(cursor: sqlite3.Cursor) -> tuple[str, ...]:
    """What SQLite finds wrong with the file, https://www.sqlite.org/pragma.html#pragma_quick_check."""
    try:
        found = [str(line) for (line,) in cursor.execute("PRAGMA quick_check")]
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        return (str(error),)
    return () if found == ["ok"] else tuple(found)


def _counts(row: tuple[Any, ...], note: Callable[[str], object]) -> tuple[Kind, Tally, str | None] | None:
    """What a session adds, and its user; a part adds nothing. If it cannot be read the id is noted."""
    try:
        record = rows.record_of(row)
        return None if record.beginning.part is not None else (Kind.of(record), tally_of(record), record.user)
    except UnreadableError:
        note(rows.id_of(row))
        return None


def _kept(cursor: sqlite3.Cursor, span: int, number: int) -> dict[Kind, Tally]:
    """The sums of an hour, or a day; of those that cannot be read there is nothing."""
    return dict(_readable(cursor.execute("SELECT kind, sums FROM tally WHERE span = ? AND number = ?", (span, number))))


def _readable(found: Iterable[tuple[str, str]]) -> Iterator[tuple[Kind, Tally]]:
    for kind, held in found:
        try:
            one = Kind._make(decode(kind)), Tally.from_dict(decode(held))
        except UNREADABLE:
            continue
        if one[1].is_sound:
            yield one


def _kept_users(cursor: sqlite3.Cursor, number: int) -> dict[str, int]:
    found = cursor.execute("SELECT user, sessions FROM user_hour WHERE hour = ?", (number,))
    return {from_sql(user): sessions for user, sessions in found}


def _replace(cursor: sqlite3.Cursor, span: int, number: int, counted: Mapping[Kind, Tally]) -> None:
    cursor.execute("DELETE FROM tally WHERE span = ? AND number = ?", (span, number))
    cursor.executemany(
        "INSERT INTO tally (span, number, kind, sums) VALUES (?, ?, ?, ?)",
        [(span, number, encode(kind), encode(tally.to_dict())) for kind, tally in counted.items()],
    )


def _span(number: int) -> tuple[int, int]:
    return whole(number * HOUR_NS), whole((number + 1) * HOUR_NS)
