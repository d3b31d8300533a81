"""The store for several machines: one Redis, or a Redis Cluster.

::

    otel_sessions.configure(store="redis://localhost:6379/0")
    otel_sessions.configure(store="rediss://user:password@host:6380/0?prefix=shop&retention=604800")
    otel_sessions.configure(store="redis://node:6379?cluster=true")

Redis 6.0 or newer, or a server that is compatible with it. It should not evict (`maxmemory-policy noeviction`): a
session that is evicted is forgotten, and so is its end.
"""

from __future__ import annotations

import itertools
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from .._models import Beginning, EndReason, SessionRecord, Status, Totals
from ..exceptions import MissingExtraError, StoreError
from ..typing import DayTally, HourTally, Place, Recount, UserCounts, Wanted

try:
    import redis  # noqa: F401 - so that its absence is told from a fault of ours
except ImportError as error:
    raise MissingExtraError(feature="otel_sessions.stores.redis", module="redis", extra="redis") from error

from . import _redis_format as form
from ._facts import Facts
from ._redis_deployment import Deployment, chunks
from ._redis_doubts import Doubts
from ._redis_history import RedisHistory
from ._redis_limits import RedisLimits
from ._redis_line import Line
from ._redis_recount import RedisRecount
from ._redis_url import Address, Options
from .memory import _deadline

__all__ = ["RedisStore"]

_DAY: Final = 86_400.0
_OWED: Final = 30 * _DAY
_ENDLESS: Final = 366 * _DAY
_MERGED_AT_ONCE: Final = 500
_SLACK: Final = 24
_ATTEMPTS: Final = 10
_LOOKS: Final = 100
"""How often a session is read that is to end. Who merges into it without a pause is in between every other time."""
_MAX_DOUBTS: Final = 100_000


class RedisStore:
    """Records in Redis, for any number of processes on any number of machines.

    All keys begin with `{prefix}:`; the braces keep those of one deployment on one node of a cluster, so that each
    change is one script, done as a whole or not at all. Deployments with different prefixes do not see each other.

    A call that failed has no effect in the end, even if Redis got to it later: when it is made again, it takes the
    place of the first one. Sums are added in Python, so integers of any size stay exact.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`. The parameters `prefix`, `retention`, `timeout` and `cluster`
            in it go before the arguments here; the others are those of redis-py's `from_url`.
        prefix: the deployment.
        retention: for how many seconds an ended session is remembered. One whose export is owed stays for 30 days.
        timeout: how many seconds a call may take. After a call that was not answered, others fail at once for as long.
        clock: seconds from an arbitrary origin, never going back.

    Raises:
        ConfigurationError: the URL or an argument cannot be used. Whether Redis can be reached is not asked.
    """

    name = "redis"
    shared = True

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "otel-sessions",
        retention: float = _DAY,
        timeout: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        address = Address(url, Options(prefix, retention, timeout))
        options = address.options
        self._line = Line(address, pause=options.timeout, clock=clock)
        self._deployment = Deployment(self._line, options.prefix)
        self._run = self._deployment.run
        self._read = self._deployment.read
        self.limits = RedisLimits(self._line, self._deployment.prefix)
        self.retention = options.retention
        """For how many seconds ended sessions are remembered."""
        self._retention_ms = int(options.retention * 1000)
        self._past = RedisHistory(self._deployment, self._retention_ms)
        self._recount = RedisRecount(self._deployment, self._retention_ms)
        self._secret = secrets.token_bytes(32)
        self._begin()

    def _begin(self) -> None:
        self._writer = secrets.token_hex(6)
        self._merging = threading.Lock()
        self._numbers = itertools.count(1)
        self._unanswered: dict[str, int] = {}
        """From which number on the merges of a session have failed."""
        self._doubts = Doubts(_MAX_DOUBTS)

    def create(self, beginning: Beginning) -> SessionRecord | None:
        """Store a new session, unless an active one has its key, or any has its id: then return that one's record."""
        with self._doubts.token("create", beginning.id) as token:
            for _ in range(_ATTEMPTS):
                found = self._run("create", *self._creation(beginning, token), sessions=[beginning.id])
                if found is None:
                    return None
                if isinstance(found, list):
                    return form.record(found[0])
                holder = self._holder(form.decode(found), beginning.key or "")
                if holder is not None:
                    return holder
        # Others have taken and left the key between all of our looks; no test can make them.
        raise StoreError(
            f"redis: the key of session {beginning.id!r} changed hands {_ATTEMPTS} times meanwhile"
        )  # pragma: no cover

    def _creation(self, beginning: Beginning, token: str) -> list[bytes | str | int]:
        return [
            form.encode(beginning.id),
            token,
            form.dump_beginning(beginning),
            form.stamp(beginning.started_ns),
            form.dump_kind(beginning),
            form.optional(beginning.key),
            form.optional(beginning.user),
            form.optional(beginning.owner if beginning.topology == "scoped" else None),
            form.milliseconds(beginning.idle_timeout_ns),
            form.latest_ms(beginning),
            self._life_ms(beginning),
        ]

    def _life_ms(self, beginning: Beginning) -> int:
        """For how long Redis keeps an active session that nobody touches: until it is overdue by the retention."""
        limits = [ns for ns in (beginning.idle_timeout_ns, beginning.max_duration_ns) if ns is not None]
        life = int(form.milliseconds(min(limits))) if limits else int(_ENDLESS * 1000)
        return life + max(self._retention_ms, int(_DAY * 1000))

    def find(self, key: str) -> SessionRecord | None:
        """The active session under `key`."""
        holder = self._run("holder", form.encode(key))
        return None if holder is None else self._holder(form.decode(holder), key)

    def _holder(self, session_id: str, key: str) -> SessionRecord | None:
        """The active session that holds `key`; if it is none, because it ended just now or is lost, free the key."""
        record = self.get(session_id)
        if record is not None and record.is_active:
            return record
        self._run("vacate", form.encode(session_id), form.encode(key), sessions=[session_id])
        return None

    def get(self, session_id: str) -> SessionRecord | None:
        """The session with that id, active or, for the retention, ended."""
        return form.record(self._run("read", sessions=[session_id])[0])

    def previous(self, key: str) -> str | None:
        """The id of the last session that ended under `key`, for the retention."""
        found = self._run("previous", form.encode(key))
        return None if found is None else form.decode(found)

    def merge(self, deltas: Mapping[str, Totals]) -> set[str]:
        """Add each delta to its active session; the result holds the ids that are not active.

        If it fails, none of the deltas counts once those sessions are merged or closed with a delta again.
        """
        missing: set[str] = set()
        # One at a time, so that the numbers of one writer arrive in their order.
        if not self._merging.acquire(timeout=self._line.timeout):
            raise StoreError(f"redis: an earlier merge is not done within {self._line.timeout:g} s")
        try:
            number = next(self._numbers)
            try:
                for chunk in chunks(list(deltas), _MERGED_AT_ONCE):
                    missing |= self._merge(number, {session_id: deltas[session_id] for session_id in chunk})
            except BaseException:
                self._doubt(deltas, number)
                raise
            for session_id in deltas:
                self._unanswered.pop(session_id, None)
        finally:
            self._merging.release()
        return missing

    def _doubt(self, ids: Iterable[str], number: int) -> None:
        for session_id in ids:
            self._unanswered.setdefault(session_id, number)
        for session_id in list(itertools.islice(self._unanswered, max(0, len(self._unanswered) - _MAX_DOUBTS))):
            self._unanswered.pop(session_id, None)

    def _merge(self, number: int, deltas: Mapping[str, Totals]) -> set[str]:
        ids = list(deltas)
        arguments: list[bytes | str | int] = [self._writer, number, _SLACK]
        for session_id, delta in deltas.items():
            arguments += [
                form.encode(session_id),
                self._unanswered.get(session_id, ""),
                form.stamp(delta.last_activity_ns),
                form.optional(delta.user),
                form.dumps(delta.to_dict()),
            ]
        missing, long = self._run("merge", *arguments, sessions=ids)
        if long:
            # What cannot be read stays as long as it is: `leave_out` says so when it is asked for.
            compactions = {ids[place - 1]: form.compaction(raw) for place, raw in long}
            self._compact({name: found for name, found in compactions.items() if found is not None})
        return {ids[place - 1] for place in missing}

    def _compact(self, compactions: Mapping[str, form.Compaction]) -> None:
        arguments = [argument for one in compactions.values() for argument in one.arguments]
        self._run("compact", _SLACK, *arguments, sessions=compactions)

    def close(
        self,
        session_id: str,
        *,
        status: Status,
        reason: EndReason,
        ended_ns: int,
        delta: Totals | None = None,
        idle_since_ns: int | None = None,
        owner: str | None = None,
    ) -> SessionRecord | None:
        """Add `delta` to an active session and end it; exactly one caller receives the final record.

        With `owner`, that process owes the export until `exported` says that it is done. If the call fails it may
        nevertheless have ended the session: whoever makes it again on this store then receives the record.
        """
        end = form.End(
            form.dumps([status, reason, ended_ns]),
            None if delta is None else form.dumps(delta.to_dict()),
            self._writer,
            self._unanswered.get(session_id),
        )
        with self._doubts.token("close", session_id) as token:
            found = self._close(
                session_id,
                end,
                form.encode(session_id),
                token,
                end.how,
                form.stamp(ended_ns),
                form.optional(None if idle_since_ns is None else form.stamp(idle_since_ns)),
                form.optional(owner),
                form.optional(end.delta),
                end.writer,
                "" if end.replaced is None else end.replaced,
                self._retention_ms,
                max(self._retention_ms, int(_OWED * 1000)),
                is_owed=owner is not None,
            )
        self._unanswered.pop(session_id, None)
        return None if found is None else form.record(found)

    def _close(self, session_id: str, end: form.End, *arguments: bytes | str | int, is_owed: bool) -> Any:
        if is_owed:
            return self._run("close", *arguments, sessions=[session_id])
        for _ in range(_LOOKS):
            foreseen = form.foresee(self._run("read", sessions=[session_id])[0], end)
            added = form.sums(foreseen.record)
            keys = self._past.keys(added)
            found = self._run("close", *arguments, *foreseen.seen, *added.arguments, sessions=[session_id], keys=keys)
            if found != 0:
                return found
        # Others have merged something between all of our looks; no test can make them.
        raise StoreError(f"redis: session {session_id!r} changed {_LOOKS} times meanwhile")  # pragma: no cover

    def due(self, now_ns: int) -> Iterator[SessionRecord]:
        """The active sessions whose idle timeout or maximum duration has passed at `now_ns`."""
        for record in self._active(self._run("due", now_ns // 1_000_000)):
            deadline = _deadline(record.beginning, record.totals.last_activity_ns)
            if deadline is not None and deadline <= now_ns:
                yield record

    def counts(self) -> Mapping[tuple[str, str | None], int]:
        """How many sessions are active, by type and tier."""
        found = form.fields(self._run("counts"))
        return {form.load_kind(kind): int(count) for kind, count in found.items() if int(count) > 0}

    def most_of_a_user(self, besides: Mapping[str, int]) -> int:
        """How many sessions are active of the user who has most of them, with those that some have `besides`."""
        most = int(self._run("most_of_a_user"))
        return max([most, *(sessions + len(self.active(user=user)) for user, sessions in besides.items())])

    def active(self, *, user: str | None = None) -> list[SessionRecord]:
        """The active sessions, oldest first; only those of `user` (a pseudonym) when given."""
        records = self._active(self._run("active", form.optional(user)))
        return sorted((r for r in records if user is None or r.user == user), key=lambda r: r.beginning.started_ns)

    def ended(self, limit: int) -> list[SessionRecord]:
        """The sessions that ended last, for the retention: at most `limit`, the latest end first."""
        return self.history(Wanted(), limit)

    def history(self, wanted: Wanted, limit: int, before: Place | None = None) -> list[SessionRecord]:
        """The ended sessions that are wanted and stand behind `before`, at most `limit`, the latest end first."""
        return self._past.select(wanted, limit, before)

    def tallies(self, since_hour: int, until_hour: int) -> list[HourTally]:
        """What ended in these hours, for the retention, and for nine days at least.

        Of what is exported while it is asked, only the last 200 hours are sure to be right.
        """
        return self._past.tallies(since_hour, until_hour)

    def daily_tallies(self, since_day: int, until_day: int) -> list[DayTally]:
        """What ended in these days, for the retention, and for nine days at least.

        Of what is exported while it is asked, only the last 200 days are sure to be right.
        """
        return self._past.daily_tallies(since_day, until_day)

    def users(self, since_hour: int, until_hour: int, limit: int, besides: Mapping[str, int]) -> UserCounts:
        """Those most of whose sessions ended in these hours, for the retention, with those that some have `besides`.

        Of what is exported while it is asked, only the last hour is sure to be right.
        """
        return self._past.users(since_hour, until_hour, limit, besides)

    def _active(self, ids: Sequence[bytes]) -> Iterator[SessionRecord]:
        for chunk in chunks([form.decode(raw) for raw in ids]):
            found = self._read(chunk)
            active = [record for record in found.values() if record is not None and record.is_active]
            if len(active) < len(found):
                self._lost(set(found) - {record.id for record in active})
            yield from active

    def _lost(self, ids: Collection[str]) -> None:
        """Correct the indexes: Redis has lost these sessions, or they have just ended."""
        self._run("lost", *map(form.encode, ids), sessions=ids)

    def facts(self) -> Facts:
        """What there is to know of the server."""
        version, seconds, micros, memory = self._run("facts")
        said = dict(re.findall(r"(?m)^(\w+):(\S+)", form.decode(memory)))
        owed, oldest_owed_ns = self._past.owed()
        return Facts(
            version=int(version),
            bytes=int(said["used_memory"]) if "used_memory" in said else None,
            clock_ns=int(seconds) * 1_000_000_000 + int(micros) * 1000,
            changed_ns=None,
            evicts=said.get("maxmemory", "0") != "0" and said.get("maxmemory_policy") != "noeviction",
            owed=owed,
            oldest_owed_ns=oldest_owed_ns,
        )

    def secret(self) -> bytes:
        """32 random bytes, made once. A Redis that was emptied gets the same ones again from who has known them."""
        self._secret = self._run("secret", self._secret)
        return self._secret

    def owe(self, record: SessionRecord, owner: str) -> bool:
        """Store a record that is over already, and whose export `owner` owes; False if another has its id."""
        return bool(
            self._run(
                "owe",
                form.encode(record.id),
                form.encode(owner),
                form.dump_beginning(record.beginning),
                form.stamp(record.totals.last_activity_ns),
                form.dumps(record.totals.to_dict()),
                form.dumps([record.status, record.end_reason, record.ended_ns]),
                form.stamp(record.ended_ns or 0),
                max(self._retention_ms, int(_OWED * 1000)),
                sessions=[record.id],
            )
        )

    def exported(self, session_ids: Collection[str]) -> None:
        """The ends of these sessions have been exported: nobody owes them any more."""
        self._past.exported(session_ids)

    def beat(self, owner: str, now_ns: int) -> None:
        """Note that `owner` lives."""
        self._run("beat", form.encode(owner), str(now_ns))

    def owners(self) -> Mapping[str, int]:
        """The last heartbeat of every owner that has not retired."""
        return {form.decode(owner): int(beat) for owner, beat in form.fields(self._run("owners")).items()}

    def take_over(self, dead: str, beat_ns: int, owner: str) -> list[SessionRecord]:
        """Make `owner` owe everything that `dead` owes, and forget `dead`, if its last heartbeat is `beat_ns`.

        If the call fails and is made again on this store, the result is what it would have been.
        """
        with self._doubts.token("take_over", form.dumps([dead, beat_ns, owner])) as token:
            taken = self._run("take_over", form.encode(dead), str(beat_ns), form.encode(owner), token)
            records = []
            for chunk in chunks([form.decode(raw) for raw in taken]):
                found = self._read(chunk)
                records += [record for record in found.values() if record is not None]
                if None in found.values():
                    self._lost([name for name, record in found.items() if record is None])
            return records

    def retire(self, owner: str) -> None:
        """Forget `owner`, unless it owes something."""
        self._run("retire", form.encode(owner))

    def purge(self, before_ns: int) -> int:
        """Forget the sessions that ended before that time and are owed by nobody; how many they were."""
        return self._past.purge(before_ns)

    def purgeable(self, before_ns: int) -> int:
        """How many `purge` would forget now."""
        return self._past.purgeable(before_ns)

    def next_hour(self, hour: int) -> int | None:
        """The first hour after that one of which there are sums, or in which a remembered session ended."""
        return self._recount.next_hour(hour)

    def recount_hour(self, hour: int) -> Recount | None:
        """The sums of an hour, and what the sessions add up to that ended in it; None if they went on ending in it."""
        return self._recount.hour(hour)

    def replace_hour(self, hour: int, recount: Recount) -> bool:
        """Make the sums of an hour, and of its day, what was counted; False if something has happened since."""
        return self._recount.replace_hour(hour, recount)

    def recount_day(self, day: int) -> Recount:
        """The sums of a day, and what those of its hours add up to."""
        return self._recount.day(day)

    def replace_day(self, day: int) -> None:
        """Make the sums of a day what those of its hours add up to."""
        self._recount.replace_day(day)

    def unreadable(self) -> list[str]:
        """The ids of those that are active or owed, and whose record cannot be read."""
        return self._recount.unreadable()

    def remove(self, session_ids: Sequence[str]) -> None:
        """Remove sessions whose records cannot be read."""
        self._recount.remove(session_ids)

    def damage(self) -> tuple[str, ...]:
        """Nothing: Redis does not say."""
        return ()

    def after_fork(self) -> None:
        """Connect anew in a child process; the parent keeps its connections."""
        self._line.after_fork()
        self._begin()

    def shutdown(self) -> None:
        """Close the connections."""
        self._line.shutdown()
