"""What the verbs of the SQLite store do to its tables; each function runs within one transaction or statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .._models import Beginning, EndReason, SessionRecord, Status, Totals
from .._tally import Tally
from ._codec import decode, decode_beginning, decode_totals, encode, encode_beginning, encode_totals
from ._schema import NEVER
from ._sql_values import from_sql, sql_text, whole
from ._tally_rows import count_in
from ._unreadable import UNREADABLE, UnreadableError, leave_out, tally_of

SELECT: Final = "SELECT id, key, beginning, totals, status, reason, ended_ns, number, due_ns FROM session"
"""What a record is made of."""

_OPEN: Final = f"{SELECT} INDEXED BY session_open WHERE ended_ns IS NULL"

_OWED: Final = f"{SELECT} INDEXED BY session_owed WHERE ended_ns IS NOT NULL AND owner = ?"

_INSERT: Final = """
    INSERT OR IGNORE INTO session (id, key, kind, user, owner, due_ns, status, beginning)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, 'active', ?7
    WHERE (SELECT ended_ns IS NULL FROM session WHERE key = ?2 ORDER BY number DESC LIMIT 1) IS NOT 1
"""

_INSERT_OVER: Final = """
    INSERT OR IGNORE INTO session (id, kind, user, owner, due_ns, ended_ns, status, reason, beginning, totals)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_END: Final = "UPDATE session SET status = ?, reason = ?, ended_ns = ?, owner = ?, totals = ? WHERE number = ?"


class End(NamedTuple):
    """How a session ends."""

    status: Status
    reason: EndReason
    ended_ns: int
    owner: str | None


class Waiting(NamedTuple):
    """An active session, and until when nobody had to look at it."""

    record: SessionRecord | None
    """None if it cannot be read."""
    number: int
    due_ns: int


def create(cursor: sqlite3.Cursor, beginning: Beginning) -> SessionRecord | None:
    """Insert an active session, unless its key or its id is taken: then whose it is."""
    cursor.execute(
        _INSERT,
        (
            sql_text(beginning.id),
            sql_text(beginning.key),
            _kind(beginning.type, beginning.tier),
            sql_text(beginning.user),
            sql_text(beginning.owner) if beginning.topology == "scoped" else None,
            deadline(beginning, beginning.started_ns),
            encode_beginning(beginning),
        ),
    )
    if cursor.rowcount:
        if beginning.topology == "scoped":
            _show(cursor, beginning.owner, beginning.started_ns)
        return None
    taken = None if beginning.key is None else find(cursor, beginning.key)
    return taken or get(cursor, beginning.id)


def find(cursor: sqlite3.Cursor, key: str) -> SessionRecord | None:
    """The active session under `key`: if there is one, it is the newest."""
    row = cursor.execute(f"{SELECT} WHERE key = ? ORDER BY number DESC LIMIT 1", (sql_text(key),)).fetchone()
    return None if row is None or row[6] is not None else record_of(row)


def get(cursor: sqlite3.Cursor, session_id: str) -> SessionRecord | None:
    """The session with that id."""
    row = cursor.execute(f"{SELECT} WHERE id = ?", (sql_text(session_id),)).fetchone()
    return None if row is None else record_of(row)


def previous(cursor: sqlite3.Cursor, key: str) -> str | None:
    """The id of the session that ended last under `key`."""
    row = cursor.execute(
        "SELECT id FROM session WHERE key = ? AND ended_ns IS NOT NULL ORDER BY number DESC LIMIT 1", (sql_text(key),)
    ).fetchone()
    return None if row is None else from_sql(row[0])


def merge(cursor: sqlite3.Cursor, deltas: Mapping[str, Totals]) -> set[str]:
    """Add each delta to its active session; the ids of those that are not, or whose sums cannot be read."""
    missing, changed, users = set(), [], []
    for session_id, delta in deltas.items():
        row = cursor.execute(
            "SELECT number, totals, beginning FROM session WHERE id = ? AND ended_ns IS NULL", (sql_text(session_id),)
        ).fetchone()
        if row is None:
            missing.add(session_id)
            continue
        number, text, began = row
        try:
            totals = _totals(text, began)
            totals.merge(delta)
        except UNREADABLE:
            leave_out("sqlite", session_id)
            missing.add(session_id)
            continue
        changed.append((encode_totals(totals), number))
        if delta.user is not None:
            users.append((sql_text(totals.user), number))
    cursor.executemany("UPDATE session SET totals = ? WHERE number = ?", changed)
    # Apart, because it costs the index of users as much as all the rest, and they seldom change.
    cursor.executemany("UPDATE session SET user = ?1 WHERE number = ?2 AND user IS NOT ?1", users)
    return missing


def close(
    cursor: sqlite3.Cursor, session_id: str, end: End, delta: Totals | None, idle_since_ns: int | None
) -> SessionRecord | None:
    """End a session, if it is active and was not after `idle_since_ns`."""
    row = cursor.execute(f"{SELECT} WHERE id = ? AND ended_ns IS NULL", (sql_text(session_id),)).fetchone()
    if row is None:
        return None
    record = record_of(row)
    totals = record.totals
    if idle_since_ns is not None and totals.last_activity_ns > idle_since_ns:
        return None
    if delta is not None:
        totals.merge(delta)
    cursor.execute(
        _END,
        (end.status, end.reason, end.ended_ns, sql_text(end.owner), encode_totals(totals), row[7]),
    )
    _show(cursor, end.owner, end.ended_ns)
    final = record._replace(status=end.status, end_reason=end.reason, ended_ns=end.ended_ns)
    if end.owner is None:
        _leave(cursor, [(row[7], final, tally_of(final))])
    return final


def due(cursor: sqlite3.Cursor, now_ns: int, after: tuple[int, int], limit: int) -> list[Waiting]:
    """The next active sessions, after that time and number, that somebody has to look at by `now_ns`."""
    rows = cursor.execute(
        f"{_OPEN} AND due_ns <= ? AND (due_ns, number) > (?, ?) ORDER BY due_ns, number LIMIT ?",
        (whole(now_ns), *after, limit),
    )
    return [Waiting(_if_readable(row), row[7], row[8]) for row in rows]


def postpone(cursor: sqlite3.Cursor, deadlines: Iterable[tuple[int, str]]) -> None:
    """Look at these active sessions then, and not earlier."""
    cursor.executemany(
        "UPDATE session SET due_ns = ? WHERE id = ? AND ended_ns IS NULL",
        [(due_ns, sql_text(session_id)) for due_ns, session_id in deadlines],
    )


def counts(cursor: sqlite3.Cursor) -> dict[tuple[str, str | None], int]:
    """The number of active sessions by type and tier."""
    rows = cursor.execute(
        "SELECT kind, count(*) FROM session INDEXED BY session_open WHERE ended_ns IS NULL GROUP BY kind"
    )
    return {(kind, tier): sessions for text, sessions in rows for kind, tier in (decode(text),)}


def most_of_a_user(cursor: sqlite3.Cursor) -> int:
    """The number of active sessions of the user who has most of them."""
    (most,) = cursor.execute(
        "SELECT max(sessions) FROM (SELECT count(*) AS sessions FROM session INDEXED BY session_open "
        "WHERE ended_ns IS NULL AND user IS NOT NULL GROUP BY user)"
    ).fetchone()
    return most or 0


def active(cursor: sqlite3.Cursor, user: str | None) -> list[SessionRecord]:
    """The active sessions, of one user or of all."""
    of_user, values = ("", ()) if user is None else (" AND user = ?", (sql_text(user),))
    return list(readable(cursor.execute(f"{_OPEN}{of_user}", values)))


def owe(cursor: sqlite3.Cursor, record: SessionRecord, owner: str) -> bool:
    """Insert a record that is over, and that `owner` owes; whether it is owed by that one."""
    began, name = record.beginning, sql_text(owner)
    cursor.execute(
        _INSERT_OVER,
        (
            sql_text(record.id),
            _kind(record.type, record.tier),
            sql_text(record.user),
            name,
            NEVER,
            record.ended_ns,
            record.status,
            record.end_reason,
            encode_beginning(began),
            encode_totals(record.totals),
        ),
    )
    if cursor.rowcount:
        _show(cursor, owner, record.ended_ns or began.started_ns)
        return True
    taken = cursor.execute("SELECT ended_ns, owner FROM session WHERE id = ?", (sql_text(record.id),)).fetchone()
    return taken is not None and taken[0] is not None and taken[1] == name


def exported(cursor: sqlite3.Cursor, session_ids: Collection[str]) -> None:
    """Let nobody owe the export of these ended sessions, and count them in; what cannot be read stays owed."""
    owed = []
    # Each once, or it would be counted twice.
    for session_id in dict.fromkeys(session_ids):
        row = cursor.execute(
            f"{SELECT} WHERE id = ? AND ended_ns IS NOT NULL AND owner IS NOT NULL", (sql_text(session_id),)
        ).fetchone()
        if row is not None:
            owed += [(row[7], *found) for found in countable([row])]
    _leave(cursor, owed)


def _leave(cursor: sqlite3.Cursor, ended: list[tuple[int, SessionRecord, Tally]]) -> None:
    """Leave ended sessions to the history: they are owed by nobody, and found by the last user that they had."""
    cursor.executemany(
        "UPDATE session SET owner = NULL, user = ? WHERE number = ?",
        [(sql_text(record.user), number) for number, record, _ in ended],
    )
    count_in(cursor, [(record, tally) for _, record, tally in ended])


def beat(cursor: sqlite3.Cursor, owner: str, now_ns: int) -> None:
    """Keep the heartbeat of `owner`."""
    cursor.execute("INSERT OR REPLACE INTO owner VALUES (?, ?)", (sql_text(owner), now_ns))


def _show(cursor: sqlite3.Cursor, owner: str | None, now_ns: int) -> None:
    """Let who owes something have a heartbeat, so that it is missed when it is gone."""
    if owner is not None:
        cursor.execute("INSERT OR IGNORE INTO owner VALUES (?, ?)", (sql_text(owner), whole(now_ns)))


def owners(cursor: sqlite3.Cursor) -> dict[str, int]:
    """All heartbeats."""
    return {from_sql(name): beat_ns for name, beat_ns in cursor.execute("SELECT name, beat_ns FROM owner")}


def take_over(cursor: sqlite3.Cursor, dead: str, beat_ns: int, owner: str) -> list[SessionRecord]:
    """Hand everything that `dead` owes to `owner`, if that was its last heartbeat; what of it can be read."""
    gone, heir = sql_text(dead), sql_text(owner)
    cursor.execute("DELETE FROM owner WHERE name = ? AND beat_ns = ?", (gone, beat_ns))
    if not cursor.rowcount:
        return []
    rows = [*cursor.execute(f"{_OPEN} AND owner = ?", (gone,)), *cursor.execute(_OWED, (gone,))]
    if rows:
        _show(cursor, owner, beat_ns)
    cursor.executemany("UPDATE session SET owner = ? WHERE number = ?", [(heir, row[7]) for row in rows])
    return list(readable(rows))


def retire(cursor: sqlite3.Cursor, owner: str) -> None:
    """Forget the heartbeat of `owner`, if it owes nothing."""
    name = sql_text(owner)
    for owed in (_OWED, f"{_OPEN} AND owner = ?"):
        if cursor.execute(f"{owed} LIMIT 1", (name,)).fetchone() is not None:
            return
    cursor.execute("DELETE FROM owner WHERE name = ?", (name,))


def purge(cursor: sqlite3.Cursor, before_ns: int, limit: int) -> int:
    """Forget up to `limit` sessions that ended before that time and are owed by nobody."""
    found = cursor.execute(
        "SELECT number, ended_ns FROM session WHERE ended_ns < ? AND owner IS NULL ORDER BY ended_ns LIMIT ?",
        (whole(before_ns), limit),
    ).fetchall()
    if found:
        cursor.executemany("DELETE FROM session WHERE number = ?", [(number,) for number, _ in found])
        cursor.execute("UPDATE forgotten SET until_ns = max(until_ns, ?)", (min(found[-1][1] + 1, NEVER),))
    return len(found)


def forgotten_until(cursor: sqlite3.Cursor) -> int:
    """Of what ended before that time some has been forgotten; nothing that ended later has."""
    (until_ns,) = cursor.execute("SELECT until_ns FROM forgotten").fetchone()
    return int(until_ns)


def purgeable(cursor: sqlite3.Cursor, before_ns: int) -> int:
    """How many sessions ended before that time and are owed by nobody; the index alone says it."""
    (found,) = cursor.execute(
        "SELECT count(*) FROM session INDEXED BY session_ended "
        "WHERE ended_ns IS NOT NULL AND ended_ns < ? AND owner IS NULL",
        (whole(before_ns),),
    ).fetchone()
    return int(found)


def version(cursor: sqlite3.Cursor) -> int:
    """Of the tables."""
    (found,) = cursor.execute("PRAGMA user_version").fetchone()
    return int(found)


def secret(cursor: sqlite3.Cursor) -> bytes:
    """What was made with the tables."""
    value: bytes = cursor.execute("SELECT value FROM secret").fetchone()[0]
    return value


def deadline(beginning: Beginning, last_activity_ns: int) -> int:
    """When a session expires that was active last at that time."""
    idle, longest = beginning.idle_timeout_ns, beginning.max_duration_ns
    by_idle = NEVER if idle is None else last_activity_ns + idle
    by_age = NEVER if longest is None else beginning.started_ns + longest
    return min(by_idle, by_age, NEVER)


@lru_cache(maxsize=256)
def _kind(session_type: str, tier: str | None) -> str:
    return encode((session_type, tier))


def record_of(row: tuple[Any, ...]) -> SessionRecord:
    """What a row holds that `SELECT` has found.

    Raises:
        UnreadableError: it is no record.
    """
    session_id, key, began, totals, status, reason, ended_ns = row[:7]
    try:
        beginning = decode_beginning(from_sql(session_id), None if key is None else from_sql(key), began)
        held = Totals(beginning.started_ns) if totals is None else decode_totals(totals)
    except UNREADABLE as error:
        raise UnreadableError(
            f"sqlite: the record of session {id_of(row)!r} cannot be read: {error}; "
            "`otel-sessions verify --repair` removes it"
        ) from error
    return SessionRecord(beginning, held, status, reason, ended_ns)


def readable(rows: Iterable[tuple[Any, ...]]) -> Iterator[SessionRecord]:
    """What of these rows is a record; the others are left out, and the log says so."""
    return (record for row in rows if (record := _if_readable(row)) is not None)


def _if_readable(row: tuple[Any, ...]) -> SessionRecord | None:
    try:
        return record_of(row)
    except UnreadableError:
        leave_out("sqlite", id_of(row))
        return None


def countable(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[SessionRecord, Tally]]:
    """What of these rows is the record of an ended session, with what it adds to sums; the others are left out."""
    return (found for row in rows if (found := _if_countable(row)) is not None)


def _if_countable(row: tuple[Any, ...]) -> tuple[SessionRecord, Tally] | None:
    try:
        record = record_of(row)
        return record, tally_of(record)
    except UnreadableError:
        leave_out("sqlite", id_of(row))
        return None


def id_of(row: tuple[Any, ...]) -> str:
    """The id of a row that may hold anything."""
    try:
        return from_sql(row[0])
    except UnicodeDecodeError:
        return str(row[0], "utf-8", "backslashreplace")


def _totals(text: str | None, began: str) -> Totals:
    if text is None:
        return Totals(decode_beginning("", None, began).started_ns)
    return decode_totals(text)
