"""The default store: this process's memory.

Under several worker processes each has its own, so a client's session is split by worker; choose a shared store there.
"""

from __future__ import annotations

import heapq
import itertools
import secrets
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from typing import Final

from .._models import Beginning, EndReason, SessionRecord, Status, Totals
from ..typing import DayTally, HourTally, Place, UserCounts, Wanted
from ._hours import Hours
from ._kept_uses import KeptUses
from ._memory_limits import MemoryLimits
from ._packed import pack, unpack
from ._user_tally import UserTally

_TICK_NS: Final = 1_000_000_000
_SECRET_BYTES: Final = 32
_AT_ONCE: Final = 100

Chunk = tuple[str, ...] | list[str]
"""Some ids of one bucket: a list while others are added, then a tuple, which the garbage collector leaves alone."""


class MemoryStore:
    """Records in dictionaries under one lock; expiry by a timer wheel with lazy re-insertion, O(1) amortised.

    A session sits in the bucket of the second in which it would expire as far as was known when it was put there. Only
    when that second has passed is its real deadline looked at again, so a touch never moves anything.
    """

    name = "memory"
    shared = False

    def __init__(self, *, history: int = 10_000) -> None:
        self._history_size = history
        self._secret = secrets.token_bytes(_SECRET_BYTES)
        self.limits = MemoryLimits()
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._active: dict[str, bytes] = {}
        self._counts: Counter[tuple[str, str | None]] = Counter()
        self._users = UserTally()
        self._by_key: dict[str, str] = {}
        self._wheel: dict[int, list[Chunk]] = {}
        self._ticks: list[int] = []
        self._ended: OrderedDict[str, SessionRecord] = OrderedDict()
        self.has_forgotten = False
        """Whether a session that has ended is not in the history any more."""
        self._uses = KeptUses()
        self._hours = Hours()
        self._last_by_key: dict[str, str] = {}

    def create(self, beginning: Beginning) -> SessionRecord | None:
        """Store a new session, unless an active one has its key, or any has its id: then return that one's record."""
        key = beginning.key
        with self._lock:
            held = self._by_key.get(key) if key is not None else None
            if held is not None:
                return self._record(held)
            if beginning.id in self._active:
                return self._record(beginning.id)
            ended = self._past(beginning.id)
            if ended is not None:
                return ended
            if key is not None:
                self._by_key[key] = beginning.id
            self._active[beginning.id] = pack(beginning)
            self._counts[beginning.type, beginning.tier] += 1
            self._users.add(beginning.user)
            deadline = _deadline(beginning, beginning.started_ns)
            if deadline is not None:
                self._put(beginning.id, deadline)
        return None

    def find(self, key: str) -> SessionRecord | None:
        """The active session under `key`."""
        with self._lock:
            session_id = self._by_key.get(key)
            return None if session_id is None else self._record(session_id)

    def get(self, session_id: str) -> SessionRecord | None:
        """The session with that id, active or among the last `history` that ended."""
        with self._lock:
            return self._record(session_id) if session_id in self._active else self._past(session_id)

    def previous(self, key: str) -> str | None:
        """The id of the last session that ended under `key`, while it is in the history."""
        with self._lock:
            return self._last_by_key.get(key)

    def merge(self, deltas: Mapping[str, Totals]) -> set[str]:
        """Add each delta to its active session; the result holds the ids that are not active."""
        missing = set()
        with self._lock:
            for session_id, delta in deltas.items():
                held = self._active.get(session_id)
                if held is None:
                    missing.add(session_id)
                else:
                    record = unpack(session_id, held)
                    user = record.user
                    record.totals.merge(delta)
                    if record.user != user:
                        self._users.remove(user)
                        self._users.add(record.user)
                    self._active[session_id] = pack(record.beginning, record.totals)
        return missing

    def close(
        self,
        session_id: str,
        *,
        status: Status,
        reason: EndReason,
        ended_ns: int,
        delta: Totals | None = None,
        idle_since_ns: int | None = None,
    ) -> SessionRecord | None:
        """Add `delta` to an active session and end it; exactly one caller receives the final record."""
        with self._lock:
            held = self._active.get(session_id)
            if held is None:
                return None
            record = unpack(session_id, held)
            if idle_since_ns is not None and record.totals.last_activity_ns > idle_since_ns:
                return None
            self._drop(record)
            if delta is not None:
                record.totals.merge(delta)
            record = record._replace(status=status, end_reason=reason, ended_ns=ended_ns)
            self._remember(record)
            return record

    def due(self, now_ns: int) -> Iterator[SessionRecord]:
        """The active sessions whose idle timeout or maximum duration has passed at `now_ns`."""
        self._hours.settle(now_ns)
        while bucket := self._next_sessions(now_ns // _TICK_NS):
            with self._lock:
                expired = [record for session_id in bucket if (record := self._look(session_id, now_ns))]
            yield from expired

    def counts(self) -> Mapping[tuple[str, str | None], int]:
        """How many sessions are active, by type and tier."""
        with self._lock:
            return self._counts.copy()

    def most_of_a_user(self, besides: Mapping[str, int]) -> int:
        """How many sessions are active of the user who has most of them, with those that some have `besides`."""
        with self._lock:
            return self._users.most(besides)

    def active(self, *, user: str | None = None) -> list[SessionRecord]:
        """The active sessions, oldest first; only those of `user` (a pseudonym) when given."""
        with self._lock:
            held = list(self._active.items())
        # Without the lock: it takes a while for a million.
        records = itertools.starmap(unpack, held)
        return sorted((r for r in records if user is None or r.user == user), key=lambda r: r.beginning.started_ns)

    def ended(self, limit: int) -> list[SessionRecord]:
        """The sessions of the history that ended last, at most `limit`, the latest end first."""
        return self.history(Wanted(), limit)

    def history(self, wanted: Wanted, limit: int, before: Place | None = None) -> list[SessionRecord]:
        """The ended sessions that are wanted and stand behind `before`, at most `limit`, the latest end first."""
        with self._lock:
            past = list(self._ended.values())
        fitting = (
            record
            for record in past
            if record.beginning.part is None and (before is None or Place.of(record) < before) and wanted.fits(record)
        )
        found = heapq.nlargest(limit, fitting, key=Place.of)
        with self._lock:
            return [self._uses.give(record) for record in found]

    def tallies(self, since_hour: int, until_hour: int) -> list[HourTally]:
        """What ended in these hours, of the last 30 days."""
        return self._hours.tallies(since_hour, until_hour)

    def daily_tallies(self, since_day: int, until_day: int) -> list[DayTally]:
        """What ended in these days, of the last 30."""
        return self._hours.daily_tallies(since_day, until_day)

    def users(self, since_hour: int, until_hour: int, limit: int, besides: Mapping[str, int]) -> UserCounts:
        """Those most of whose sessions ended in these hours, of the last 30 days or 100,000 users of an hour."""
        return self._hours.users(since_hour, until_hour, limit, besides)

    def purge(self, before_ns: int) -> int:
        """Forget the sessions that ended before that time, and the sums of the hours that were over by then."""
        with self._lock:
            old = self._old(before_ns)
            for record in old:
                self._forget(record)
            self._hours.forget(before_ns)
            return len(old)

    def purgeable(self, before_ns: int) -> int:
        """How many `purge` would forget now."""
        with self._lock:
            return len(self._old(before_ns))

    def secret(self) -> bytes:
        """32 random bytes, made when the store was."""
        return self._secret

    def after_fork(self) -> None:
        """Start empty in a child process: the sessions in memory are the parent's."""
        self._begin()
        self.limits.after_fork()

    def shutdown(self) -> None:
        """Nothing to release."""

    def _record(self, session_id: str) -> SessionRecord:
        return unpack(session_id, self._active[session_id])

    def _past(self, session_id: str) -> SessionRecord | None:
        record = self._ended.get(session_id)
        return None if record is None else self._uses.give(record)

    def _drop(self, record: SessionRecord) -> None:
        """Count a session as active no longer."""
        beginning = record.beginning
        self._users.remove(record.user)
        del self._active[beginning.id]
        if beginning.key is not None:
            del self._by_key[beginning.key]
        kind = beginning.type, beginning.tier
        self._counts[kind] -= 1
        if not self._counts[kind]:
            del self._counts[kind]

    def _remember(self, record: SessionRecord) -> None:
        self._hours.add(record)
        if self._history_size == 0:
            self.has_forgotten |= record.beginning.part is None
            return
        if record.totals.recent:
            # Its span has the events; here they would be most of the memory.
            totals = record.totals.copy()
            totals.recent = None
            record = record._replace(totals=totals)
        record = self._uses.take(record)
        self._ended[record.id] = record
        if record.beginning.key is not None:
            self._last_by_key[record.beginning.key] = record.id
        if len(self._ended) > self._history_size:
            self._forget(next(iter(self._ended.values())))

    def _old(self, before_ns: int) -> list[SessionRecord]:
        return [record for record in self._ended.values() if (record.ended_ns or 0) < before_ns]

    def _forget(self, record: SessionRecord) -> None:
        del self._ended[record.id]
        self._uses.drop(record.id)
        self.has_forgotten |= record.beginning.part is None
        key = record.beginning.key
        if key is not None and self._last_by_key.get(key) == record.id:
            del self._last_by_key[key]

    def _put(self, session_id: str, deadline_ns: int) -> None:
        tick = deadline_ns // _TICK_NS
        bucket = self._wheel.get(tick)
        if bucket is None:
            self._wheel[tick] = [[session_id]]
            heapq.heappush(self._ticks, tick)
            return
        last = bucket[-1]
        if isinstance(last, list):
            last.append(session_id)
            if len(last) == _AT_ONCE:
                bucket[-1] = tuple(last)
        else:
            bucket.append([session_id])

    def _next_sessions(self, tick: int) -> Chunk | None:
        """Some of the oldest bucket that is due at `tick`: few enough that nobody waits long for the lock."""
        with self._lock:
            if not self._ticks or self._ticks[0] > tick:
                return None
            bucket = self._wheel[self._ticks[0]]
            taken = bucket.pop()
            if not bucket:
                del self._wheel[heapq.heappop(self._ticks)]
            return taken

    def _look(self, session_id: str, now_ns: int) -> SessionRecord | None:
        """The session if it has expired; otherwise it goes into the bucket of its real deadline."""
        held = self._active.get(session_id)
        if held is None:
            return None
        record = unpack(session_id, held)
        deadline = _deadline(record.beginning, record.totals.last_activity_ns)
        if deadline is None:
            return None
        if deadline <= now_ns:
            # Looked at again a tick later, in case whoever asked is not able to close it now.
            self._put(session_id, now_ns + _TICK_NS)
            return record
        # Not into the bucket of this second, which is being emptied.
        self._put(session_id, max(deadline, now_ns + _TICK_NS - now_ns % _TICK_NS))
        return None


def _deadline(beginning: Beginning, last_activity_ns: int) -> int | None:
    idle, longest = beginning.idle_timeout_ns, beginning.max_duration_ns
    by_idle = None if idle is None else last_activity_ns + idle
    by_age = None if longest is None else beginning.started_ns + longest
    if by_idle is None or by_age is None:
        return by_age if by_idle is None else by_idle
    return min(by_idle, by_age)
