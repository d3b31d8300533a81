"""The tables of the SQLite store, and how older ones become the present ones."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from ..exceptions import StoreError

APPLICATION_ID: Final = 0x6F747365
"""`otse`: says in the file's header whose it is, https://www.sqlite.org/pragma.html#pragma_application_id."""

NEVER: Final = 2**63 - 1
"""When a session without timeouts is due."""

# A start and an end each write as many pages as there are trees that they change, and that is most of what they cost.
# So there is one index of the active sessions, which answers by being gone through what is asked seldom: how many there
# are of a kind, which are a user's or a process's. `due_ns` says when a session is due at the earliest: activity does
# not move it, `due` does when it has passed; those without timeouts stand at the end.
# Sessions under one key follow each other, so the newest of them is the active one if any is.
_FIRST: Final = (
    """
    CREATE TABLE session (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        key TEXT,
        kind TEXT NOT NULL,
        user TEXT,
        owner TEXT,
        due_ns INTEGER NOT NULL,
        ended_ns INTEGER,
        status TEXT NOT NULL,
        reason TEXT,
        beginning TEXT NOT NULL,
        totals TEXT
    )
    """,
    "CREATE UNIQUE INDEX session_id ON session (id)",
    "CREATE INDEX session_key ON session (key) WHERE key IS NOT NULL",
    "CREATE INDEX session_open ON session (due_ns, kind, user, owner) WHERE ended_ns IS NULL",
    "CREATE INDEX session_owed ON session (owner) WHERE ended_ns IS NOT NULL AND owner IS NOT NULL",
    "CREATE INDEX session_ended ON session (ended_ns) WHERE ended_ns IS NOT NULL AND owner IS NULL",
    "CREATE TABLE owner (name TEXT PRIMARY KEY, beat_ns INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE secret (number INTEGER PRIMARY KEY CHECK (number = 1), value BLOB NOT NULL)",
    "INSERT INTO secret VALUES (1, randomblob(32))",
)

# A decision reads and writes by name; the index finds what has ended. `ratio` and `full_us` are what was known when the
# decision was made, and are gone through to say how a group stands: that is asked seldom.
_LIMITS: Final = (
    """
    CREATE TABLE bucket (
        name TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        pace TEXT,
        expires_us INTEGER NOT NULL,
        group_name TEXT,
        ratio REAL,
        full_us INTEGER
    ) WITHOUT ROWID
    """,
    "CREATE INDEX bucket_end ON bucket (expires_us)",
)

# Sessions are counted in when their export is owed no longer, by whoever exports them: an end costs what it did.
# Those that are owed are added when somebody asks. What history is asked by stands in the index: the rows themselves,
# which are wide, are read only of what is found.
_HISTORY: Final = (
    "DROP INDEX session_ended",
    """
    CREATE INDEX session_ended ON session (ended_ns, kind, status, reason, user)
    WHERE ended_ns IS NOT NULL AND owner IS NULL
    """,
    # Of hours, and of days again: a month is 30 rows of a kind then, and not 720.
    """
    CREATE TABLE tally (
        span INTEGER, number INTEGER, kind TEXT, sums TEXT NOT NULL, PRIMARY KEY (span, number, kind)
    ) WITHOUT ROWID
    """,
    # By user first: who has most is found by going through it in its order.
    "CREATE TABLE user_day (user TEXT, day INTEGER, sessions INTEGER NOT NULL, PRIMARY KEY (user, day)) WITHOUT ROWID",
)

# Users are counted by hours, as everything else is. By hour first, not by user: what is written at a time is in one
# place, and so is what is forgotten. They are counted anew, from the sessions; the last value of the JSON is the number
# of a part. Nobody is counted in hours of which there are no sums: those ended before there were any, and users without
# sessions would be told of. What is owed is found by when it ended, as questions ask; who owes it is asked seldom.
_USERS_BY_HOUR: Final = (
    "DROP TABLE user_day",
    """
    CREATE TABLE user_hour (
        hour INTEGER, user TEXT, sessions INTEGER NOT NULL, PRIMARY KEY (hour, user)
    ) WITHOUT ROWID
    """,
    """
    INSERT INTO user_hour
    SELECT ended_ns / 3600000000000 AS hour, user, count(*) FROM session
    WHERE ended_ns IS NOT NULL AND owner IS NULL AND user IS NOT NULL AND beginning LIKE '%,null]'
        AND ended_ns / 3600000000000 IN (SELECT number FROM tally WHERE span = 1)
    GROUP BY hour, user
    """,
    # Before which time some of what ended has been forgotten: there sums are of more than what is remembered.
    "CREATE TABLE forgotten (until_ns INTEGER NOT NULL)",
    """
    INSERT INTO forgotten SELECT coalesce(min(ended_ns), 0) FROM session WHERE ended_ns IS NOT NULL AND owner IS NULL
    """,
    "DROP INDEX session_owed",
    "CREATE INDEX session_owed ON session (ended_ns, owner) WHERE ended_ns IS NOT NULL AND owner IS NOT NULL",
)

MIGRATIONS: Final = (_FIRST, _LIMITS, _HISTORY, _USERS_BY_HOUR)
"""What leads from each version to the next; the first makes a new file."""

VERSION: Final = len(MIGRATIONS)


def check(cursor: sqlite3.Cursor, path: Path) -> None:
    """See that the file is ours, or new and empty.

    Raises:
        StoreError: it is another application's, or of a later version of this package.
    """
    # In this order: tables that another process makes meanwhile come together with the mark whose they are.
    has_tables = cursor.execute("SELECT 1 FROM sqlite_master").fetchone() is not None
    (application,) = cursor.execute("PRAGMA application_id").fetchone()
    if application == APPLICATION_ID:
        version = _version(cursor)
        if version > VERSION:
            raise StoreError(_newer(path, version))
    elif application or has_tables:
        raise StoreError(f"sqlite: {path} is the database of another application; choose another file")


def check_readable(cursor: sqlite3.Cursor, path: Path) -> None:
    """See that the file is ours, and of this version, for somebody who may not migrate it.

    Raises:
        StoreError: it is not.
    """
    check(cursor, path)
    version = _version(cursor)
    if not version:
        raise StoreError(f"sqlite: {path} is empty: no application has kept a session in it; is it the right file?")
    if version < VERSION:
        raise StoreError(
            f"sqlite: {path} has the schema version {version}, and this version of otel-sessions reads {VERSION}; "
            "start the application once with this version, or look with the one that it has"
        )


def check_version(cursor: sqlite3.Cursor, path: Path) -> None:
    """See that nobody has migrated the file since it was opened.

    Raises:
        StoreError: a later version of this package has.
    """
    version = _version(cursor)
    if version > VERSION:
        raise StoreError(_newer(path, version))


def is_present(cursor: sqlite3.Cursor) -> bool:
    """Whether the tables are what they are at present, so that there is nothing to migrate."""
    return _version(cursor) == VERSION


def migrate(cursor: sqlite3.Cursor) -> None:
    """Make the tables what they are at present; in a transaction, so that one process does it and all of it."""
    version = _version(cursor)
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            cursor.execute(statement)
    if version < VERSION:
        cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        cursor.execute(f"PRAGMA user_version = {VERSION}")


def _version(cursor: sqlite3.Cursor) -> int:
    version: int = cursor.execute("PRAGMA user_version").fetchone()[0]
    return version


def _newer(path: Path, version: int) -> str:
    return (
        f"sqlite: {path} has the schema version {version}, and this version of otel-sessions knows up to {VERSION}; "
        "upgrade otel-sessions, or choose another file"
    )
