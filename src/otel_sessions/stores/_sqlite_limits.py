"""The counts of limits in a SQLite file: each decision is one transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from .._counting.buckets import CRITICAL, WARNING, Admission, Bucket, Charge, Level, Pace, Standing, grace_us
from .._counting.counters import Counter, decide, level, load
from .._counting.forecast import forecast
from .._counting.standing import LOOKED_AT, ratio, soonest
from ._codec import decode, encode
from ._database import Database

_FORGET_AFTER: Final = 64
_AT_ONCE: Final = 4 * _FORGET_AFTER
"""After so many rows that were written, up to so many go that hold nothing any more: more than can have come."""

_SOONEST: Final = 20
_LATEST_US: Final = 2**62

_READ: Final = "SELECT state, pace FROM bucket WHERE name = ?"

_WRITE: Final = """
    INSERT OR REPLACE INTO bucket (name, state, pace, expires_us, group_name, ratio, full_us)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""

_DROP: Final = "DELETE FROM bucket WHERE name = ?"

_FORGET: Final = "DELETE FROM bucket WHERE name IN (SELECT name FROM bucket WHERE expires_us <= ? LIMIT ?)"

# The plus keeps it from the index of the ends: what has not ended is nearly everything.
_STANDING: Final = """
    SELECT ifnull(max(ratio), 0), ifnull(sum(ratio < ?1), 0), ifnull(sum(ratio >= ?1 AND ratio < ?2), 0),
        ifnull(sum(ratio >= ?2 AND ratio < 1), 0), ifnull(sum(ratio >= 1), 0)
    FROM bucket WHERE group_name = ?3 AND +expires_us > ?4 AND ratio > 0
"""

_HIGHEST: Final = """
    SELECT name, state, pace FROM bucket WHERE group_name = ? AND +expires_us > ? AND ratio > 0
    ORDER BY ratio DESC LIMIT ?
"""

_RANK: Final = "UPDATE bucket SET ratio = ?, full_us = ? WHERE name = ?"

_SOON: Final = """
    SELECT state, pace FROM bucket WHERE group_name = ? AND +expires_us > ? AND full_us IS NOT NULL
    ORDER BY full_us LIMIT ?
"""


class SQLiteLimits:
    """Counters as rows, for all processes that use the file."""

    def __init__(self, database: Database, clock: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._clock = clock
        self._written = _FORGET_AFTER

    def admit(self, charges: Sequence[Charge], now_us: int | None = None) -> Admission:
        """Put all charges into their buckets, or none.

        Raises:
            StoreError: it could not be decided, and nothing was put in.
        """
        return self._database.write(self._admit, charges, now_us)

    def levels(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Level]:
        """How buckets stand, without putting anything in.

        Raises:
            StoreError: they could not be read.
        """
        return self._database.read(self._levels, buckets, now_us)

    def renew(self, slots: Sequence[Charge], now_us: int | None = None) -> Sequence[bool]:
        """Hold each slot for another length; one that was lost is taken again, if there is room. Which are held.

        Raises:
            StoreError: they could not be renewed.
        """
        return self._database.write(lambda cursor: [self._admit(cursor, [slot], now_us).admitted for slot in slots])

    def standings(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Standing]:
        """How the groups stand that these buckets are of.

        Raises:
            StoreError: they could not be read.
        """
        moving = [bucket for bucket in buckets if bucket.strategy != "fixed"]
        if moving:
            self._database.write(self._look, moving, now_us)
        return self._database.read(self._standings, buckets, now_us)

    def _now(self, given: int | None) -> int:
        return self._clock() // 1000 if given is None else given

    def _admit(self, cursor: sqlite3.Cursor, charges: Sequence[Charge], now_us: int | None) -> Admission:
        # Only now: before that the transaction may have waited for others.
        now = self._now(now_us)
        counters = [_counter(cursor, charge.bucket, now) for charge in charges]
        decision = decide(counters, charges, now)
        if decision.admitted:
            decided = zip(counters, charges, decision.levels, strict=True)
            rows = [_row(counter, charge.bucket, reached, now) for counter, charge, reached in decided]
            cursor.executemany(_WRITE, [row for row in rows if row.expires_us > now])
            cursor.executemany(_DROP, [(row.name,) for row in rows if row.expires_us <= now])
            self._forget(cursor, len(charges), now)
        return decision

    def _levels(self, cursor: sqlite3.Cursor, buckets: Sequence[Bucket], now_us: int | None) -> Sequence[Level]:
        now = self._now(now_us)
        return [level(_counter(cursor, bucket, now), bucket, now) for bucket in buckets]

    def _look(self, cursor: sqlite3.Cursor, buckets: Sequence[Bucket], now_us: int | None) -> None:
        """Write down what has left the windows of those of each group that have used most."""
        now = self._now(now_us)
        for bucket in buckets:
            rows = cursor.execute(_HIGHEST, (bucket.group, now, LOOKED_AT)).fetchall()
            ranks = [_rank(bucket, level(_load(bucket, state, pace, now), bucket, now), now) for _, state, pace in rows]
            cursor.executemany(_RANK, [(*rank, row[0]) for rank, row in zip(ranks, rows, strict=True)])

    def _standings(self, cursor: sqlite3.Cursor, buckets: Sequence[Bucket], now_us: int | None) -> Sequence[Standing]:
        now = self._now(now_us)
        found = []
        for bucket in buckets:
            # All of a group have the same windows.
            over = now + grace_us(bucket)
            counts = cursor.execute(_STANDING, (WARNING, CRITICAL, bucket.group, over)).fetchone()
            levels = []
            for state, pace in cursor.execute(_SOON, (bucket.group, over, _SOONEST)).fetchall():
                counter = _load(bucket, state, pace, now)
                levels.append(level(counter, bucket, now))
            highest, below, warning, critical, exhausted = counts
            found.append(Standing(highest, below, warning, critical, exhausted, soonest(bucket, levels, now)))
        return found

    def _forget(self, cursor: sqlite3.Cursor, written: int, now: int) -> None:
        """Let go of some of the buckets that hold nothing any more."""
        self._written += written
        if self._written >= _FORGET_AFTER:
            self._written = 0
            cursor.execute(_FORGET, (now, _AT_ONCE))


def _counter(cursor: sqlite3.Cursor, bucket: Bucket, now: int) -> Counter:
    """The counter of a bucket, as it is at that time."""
    row = cursor.execute(_READ, (bucket.name,)).fetchone()
    state, pace = row or (None, None)
    return _load(bucket, state, pace, now)


def _load(bucket: Bucket, state: str | None, pace: str | None, now: int) -> Counter:
    strategy, kept = (None, None) if state is None else decode(state)
    # What another strategy has left counts as none.
    if strategy == bucket.strategy:
        counter = load(bucket, kept, None if pace is None else Pace(*decode(pace)))
    else:
        counter = load(bucket, None)
    counter.advance(bucket, now)
    return counter


def _rank(bucket: Bucket, reached: Level, now: int) -> tuple[float, int | None]:
    """Which share of a bucket is used, and when it will be full."""
    seconds = forecast(bucket, reached, now).seconds
    return ratio(bucket, reached.used), now + int(min(seconds * 1e6, _LATEST_US)) if seconds else None


class _Row(NamedTuple):
    name: str
    state: str
    pace: str | None
    expires_us: int
    group_name: str | None
    ratio: float | None
    full_us: int | None


def _row(counter: Counter, bucket: Bucket, reached: Level, now: int) -> _Row:
    share, full_us = (None, None) if bucket.group is None else _rank(bucket, reached, now)
    pace = None if counter.pace is None else encode(counter.pace)
    return _Row(
        bucket.name,
        encode([bucket.strategy, counter.dump()]),
        pace,
        # By the time that this has the file, the period may be over for which it was asked.
        max(counter.expires_us(bucket, now), now + grace_us(bucket)),
        bucket.group,
        share,
        full_us,
    )
