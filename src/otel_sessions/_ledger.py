"""The books of one process: which sessions it works with, and what it owes the store.

Requests write here, in memory; the background thread carries it to the store in one batch. Every call to the store goes
through `call`, which times it and keeps its failures away from the application.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter, deque
from collections.abc import Mapping
from typing import Final, TypeVar

from . import _process
from . import _semconv as sc
from ._guard import guarded
from ._live import Live, Recent
from ._models import EndReason, SessionRecord, Status, Totals
from ._parts import Parts
from ._past import PastSessions
from ._store_calls import Failed, StoreCalls, lacking
from ._store_gauges import StoreGauges
from ._telemetry import Telemetry
from ._unstored import Unstored
from .exceptions import ConfigurationError
from .typing import Clock, SharedStore, Store, UserStore

T = TypeVar("T")
F = TypeVar("F")

_NS: Final = 1_000_000_000
_MAX_UNEXPORTED: Final = 100_000
_TRIES: Final = 3
"""How often the store is asked anew for a session into which something was merged meanwhile."""


class Ledger:
    """What this process knows of the sessions of one store, and has not told it yet."""

    def __init__(self, store: Store, *, history: int = 0) -> None:
        self.store = store
        self.shared: SharedStore | None = _shared(store)
        self.calls = StoreCalls(store.name)
        self.call, self.ask = self.calls.call, self.calls.ask
        self._user_store = store if isinstance(store, UserStore) else None
        self._history = history
        self.gauges = StoreGauges(self)
        self._begin()

    def _begin(self) -> None:
        self._owner: str | None = None
        self._naming = threading.Lock()
        self.leads = self.shared is None
        """Whether it is this process that reports what the store holds."""
        self.unexported: deque[str] = deque(maxlen=_MAX_UNEXPORTED)
        """The sessions whose end this process has emitted, and the exporter may not have sent yet."""
        self.open: dict[str, Live] = {}
        """The scoped sessions of this process, by id. A store inside the process does not know them."""
        self.past = PastSessions(self.store, self.calls, history=self._history)
        """What has ended."""
        self.recent = Recent()
        """The durable sessions that were used here lately."""
        self.entered: dict[str, Live] = {}
        """The durable sessions in which a request or a block of this process is under way, by id."""
        self.unstored = Unstored(self)
        """Sessions that started while the store could not be reached, by id."""
        self._dirty: dict[str, Live] = {}
        self.merging = threading.RLock()
        """Held while deltas are on their way to the store: a session must not be closed before its last one arrives."""

    @property
    def owner(self) -> str | None:
        """What a shared store calls this process; None if others do not see the store.

        Of the processes that can emit what others leave the oldest leads: the name says whether this one can, as it is
        when a name is needed first.
        """
        if self._owner is None and self.shared is not None:
            # Before the lock: it may take others, and load the SDK.
            self._telemetry.bind()
            with self._naming:
                if self._owner is None:
                    self._owner = _process.mint(emits=self._telemetry.emits)
        return self._owner

    def bind(self, telemetry: Telemetry, clock: Clock, *, active_gap: float, observed: bool) -> None:
        """Say where metrics go and where time comes from; pauses of up to `active_gap` seconds count as active."""
        self._telemetry = telemetry
        self.calls.bind(telemetry)
        self._clock = clock
        self.parts = Parts(self, telemetry)
        self._gap_ns = int(active_gap * _NS)
        self.gauges.bind(telemetry, observed=observed)

    def touch(self, live: Live, *, requests: int = 0, operations: int = 0) -> None:
        """Note that the session was active now, with what else there is to count."""
        now = self._clock.time_ns()
        with live.lock:
            delta = live.delta
            gap = now - live.last_ns
            if gap > 0:
                live.last_ns = delta.last_activity_ns = now
                if gap <= self._gap_ns or live.is_under_way:
                    delta.active_ns += gap
            if operations:
                live.operations += operations
                if live.operations and live.ended is None:
                    self.entered[live.beginning.id] = live
                else:
                    self.entered.pop(live.beginning.id, None)
            if requests:
                delta.requests += requests
        self.mark(live)

    def begin(self, live: Live) -> None:
        """Enter a scoped session that begins here."""
        self.open[live.beginning.id] = live

    def store_scoped(self, live: Live) -> None:
        """Tell a store that others see of a scoped session that has begun here."""
        if self.shared is None:
            return
        # Who ends it meanwhile, because the process does, waits: the store cannot close what it does not know yet.
        with live.lock:
            stored = self.call("create", self.shared.create, live.beginning, failed=Failed.FAILED)
            if stored is Failed.FAILED:
                self.unstored.keep(live)

    def close(
        self,
        live: Live,
        status: Status,
        reason: EndReason,
        ended_ns: int,
        delta: Totals | None,
        idle_since_ns: int | None = None,
    ) -> SessionRecord | Failed | None:
        """Close a session in the store; its export is owed by this process from then on."""
        if not self.parts.finish(live, ended_ns, delta or Totals(live.last_ns)):
            return Failed.FAILED
        # A copy: it belongs to the store from then on, and may have to be sent again.
        delta = None if delta is None else delta.copy()
        owner = {} if self.owner is None else {"owner": self.owner}
        close = functools.partial(
            self.store.close,
            live.beginning.id,
            status=status,
            reason=reason,
            ended_ns=ended_ns,
            delta=delta,
            idle_since_ns=idle_since_ns,
            **owner,
        )
        return self.call("close", close, failed=Failed.FAILED)

    def mark(self, live: Live) -> None:
        """Note that `live` holds something that the store does not know, and is to know."""
        if live.beginning.topology == "durable" or self.shared is not None:
            self._dirty[live.beginning.id] = live

    def take(self, live: Live) -> Totals:
        """Take out what is not merged yet, to hand it to the store in another way."""
        self._dirty.pop(live.beginning.id, None)
        with live.lock:
            delta, live.delta = live.delta, Totals(live.last_ns)
        return delta

    def flush(self) -> None:
        """Merge everything into the store. A session that turns out to have ended elsewhere is forgotten."""
        with self.merging:
            # What the store does not know yet cannot be merged either, and keeps nobody else waiting.
            dirty = {name: live for name, live in self._dirty.copy().items() if self._can_be_told_of(live)}
            for session_id in dirty:
                self._dirty.pop(session_id, None)
            deltas: dict[str, Totals] = {}
            for session_id, live in dirty.items():
                with live.lock:
                    deltas[session_id], live.delta = live.delta, Totals(live.last_ns)
            missing = self.call("merge", self.store.merge, deltas, failed=None) if deltas else set()
            if missing is None:
                self._take_back(dirty, deltas)
                return
        for session_id in missing:
            self._lost(dirty[session_id], deltas[session_id])

    def _can_be_told_of(self, live: Live) -> bool:
        """Whether the store may hear now what has happened in a session."""
        # Most sessions have but one part, and need no call to know it.
        is_ready = live.beginning.max_span_ns is None or self.parts.finish(live, live.last_ns, self._pending(live))
        return is_ready and live.beginning.id not in self.unstored

    @staticmethod
    def _pending(live: Live) -> Totals:
        with live.lock:
            return live.delta.copy()

    def owe(self, record: SessionRecord) -> bool | None:
        """Owe the export of a part of a session, or of one that the store hears of only now that it is over.

        Returns:
            False if another process does, or the store has a record with its id; None if the store could not say.
        """
        if self.shared is None or self.owner is None or record.beginning.of_session().id in self.unstored:
            return True
        return self.call("owe", self.shared.owe, record, self.owner, failed=None)

    def note_export(self, record: SessionRecord) -> None:
        """Note that what is owed of a record has been emitted: once the exporter has sent it, nobody owes it.

        If its span was promised by a process with an SDK, and this one has none, it stays owed: to whoever can emit it,
        when this process has ended.
        """
        promised = record.beginning.reservation
        if self.owner is not None and (self._telemetry.emits or promised is None or not promised.decision):
            self.unexported.append(record.id)

    def _take_back(self, dirty: dict[str, Live], deltas: dict[str, Totals]) -> None:
        """The store did not take them."""
        for session_id, live in dirty.items():
            self.give_back(live, deltas[session_id])

    def give_back(self, live: Live, delta: Totals) -> None:
        """Take back what the store did not take; what has happened since goes on top of it."""
        with live.lock:
            delta.merge(live.delta)
            live.delta = delta
        self._dirty[live.beginning.id] = live

    def _lost(self, live: Live, delta: Totals) -> None:
        if live.ended is None:
            live.ended = "expired", "completed"
            if not delta.is_empty:
                self._telemetry.metrics.dropped.add(1, sc.Drop.SESSION_ENDED)
        self.forget(live)

    def forget(self, live: Live) -> None:
        """Drop a durable session that has ended."""
        self._dirty.pop(live.beginning.id, None)
        self.entered.pop(live.beginning.id, None)
        self.recent.drop(live)

    def record(self, live: Live) -> SessionRecord:
        """The state of a session, including what has not been merged yet."""
        if live.beginning.topology == "scoped" and self.shared is None:
            return self._here(live)
        with self.merging:
            return self._with_delta(live, self.call("get", self.store.get, live.beginning.id, failed=None))

    def _with_delta(self, live: Live, stored: SessionRecord | None) -> SessionRecord:
        """What the store knows of a session, and what has not been merged yet."""
        if stored is None:
            status, reason = live.ended or ("active", None)
            stored = SessionRecord(live.beginning, Totals(live.beginning.started_ns), status, reason)
        if not stored.is_active:
            return stored
        totals = stored.totals.copy()
        with live.lock:
            totals.merge(live.delta)
            if live.is_under_way:
                totals.active_ns += max(0, self._clock.time_ns() - live.last_ns)
        return stored._replace(totals=totals)

    def _here(self, live: Live) -> SessionRecord:
        """A scoped session that only this process knows."""
        with live.lock:
            totals = live.delta.copy()
        if live.ended is None:
            return SessionRecord(live.beginning, totals)
        return self.past.here(live.beginning.id) or SessionRecord(live.beginning, totals, *live.ended)

    def get(self, session_id: str) -> SessionRecord | None:
        """The session with that id, active or recently ended."""
        live = self.open.get(session_id)
        if live is not None:
            return self.record(live)
        self.flush()
        return self.call("get", self.store.get, session_id, failed=None) or self.past.here(session_id)

    def get_or_fail(self, session_id: str) -> SessionRecord | None:
        """The session with that id, active or recently ended.

        Raises:
            StoreError: the store cannot be asked.
        """
        self.flush()
        for _ in range(_TRIES):
            # Also for a session that is known here: whoever may not see it is not to learn, by an answer that comes
            # while the store is slow, or down, that there is one. Nobody has to wait who begins or ends one meanwhile:
            # the answer may take as long as the store does.
            before = self._unmerged(session_id)
            stored = self.ask("get", self.store.get, session_id)
            with self.merging:
                # What has been merged since is in neither of them.
                if self._unmerged(session_id) is before:
                    return self._known(session_id, stored)
        with self.merging:
            return self._known(session_id, self.ask("get", self.store.get, session_id))

    def _unmerged(self, session_id: str) -> Totals | None:
        """What has happened in a session that is open here since it was merged: another object after each merge."""
        with self.merging:
            live = self.open.get(session_id)
            return None if live is None else live.delta

    def _known(self, session_id: str, stored: SessionRecord | None) -> SessionRecord | None:
        """What the store and this process know of a session."""
        live = self.open.get(session_id)
        if live is None:
            return stored or self.past.here(session_id)
        return self._here(live) if self.shared is None else self._with_delta(live, stored)

    def used(self, live: Live, name: str) -> float:
        """How much of something a session has used itself."""
        record = self.get(live.beginning.id)
        return 0.0 if record is None else (record.totals.usage or {}).get(name, 0)

    def active(self, user: str | None = None) -> list[SessionRecord]:
        """The active sessions, oldest first; none if the store cannot be asked."""
        self.flush()
        return self._with_scoped(self.call("active", lambda: self.store.active(user=user), failed=[]), user)

    def active_or_fail(self, user: str | None = None) -> list[SessionRecord]:
        """The active sessions, oldest first.

        Raises:
            StoreError: the store cannot be asked.
        """
        self.flush()
        return self._with_scoped(self.ask("active", lambda: self.store.active(user=user)), user)

    def counts(self) -> Mapping[tuple[str, str | None], int] | None:
        """How many sessions are active, by type and tier; None if the store cannot be asked."""
        found = self.call("counts", self.store.counts, failed=None)
        return None if found is None else self._with_open(found)

    def counts_or_fail(self) -> Mapping[tuple[str, str | None], int]:
        """How many sessions are active, by type and tier.

        Raises:
            StoreError: the store cannot be asked.
        """
        return self._with_open(self.ask("counts", self.store.counts))

    @property
    def knows_users(self) -> bool:
        """Whether the store can say how many sessions a user has."""
        return self._user_store is not None

    def most_of_a_user(self) -> int | None:
        """How many sessions the user has open who has most of them; None if the store cannot say."""
        if self._user_store is None:
            return None
        return self.call("most_of_a_user", self._user_store.most_of_a_user, self._users_here(), failed=None)

    def most_of_a_user_or_fail(self) -> int | None:
        """How many sessions the user has open who has most of them; None if the store knows no users.

        Raises:
            StoreError: the store cannot be asked.
        """
        if self._user_store is None:
            return None
        return self.ask("most_of_a_user", self._user_store.most_of_a_user, self._users_here())

    @property
    def pending(self) -> int:
        """How many sessions there are whose latest counts the store has not been told."""
        return len(self._dirty)

    def _with_scoped(self, found: list[SessionRecord], user: str | None) -> list[SessionRecord]:
        if self.shared is not None:
            return found
        scoped = [self._here(live) for live in list(self.open.values()) if user is None or live.user == user]
        return sorted([*found, *scoped], key=lambda record: record.beginning.started_ns)

    def owners_or_fail(self) -> Mapping[str, int]:
        """The last heartbeat of every process that shares the store; none if nobody does.

        Raises:
            StoreError: the store cannot be asked.
        """
        return {} if self.shared is None else self.ask("owners", self.shared.owners)

    def resign(self) -> None:
        """Report nothing of a shared store, until it is this process's turn again."""
        self.leads = self.shared is None

    def shutdown(self) -> None:
        """Close the store."""
        self.gauges.shutdown()
        with guarded("close the store"):
            self.store.shutdown()

    def after_fork(self) -> None:
        """Start afresh in a child process: what was open belongs to the parent."""
        # Handles of the parent may be used here too: what they have not merged is the parent's to merge, and another of
        # its threads may have held the lock.
        scoped, durable = list(self.open.values()), self.recent.all()
        for live in [*scoped, *durable]:
            live.lock = threading.RLock()
            if self.shared is not None:
                live.delta = Totals(live.last_ns)
        self._begin()
        if self.shared is not None:
            self.recent.inherit(durable)
        self.store.after_fork()

    def _with_open(self, found: Mapping[tuple[str, str | None], int]) -> Counter[tuple[str, str | None]]:
        active = Counter(found)
        if self.shared is None:
            active.update((live.beginning.type, live.beginning.tier) for live in list(self.open.values()))
        return active

    def _users_here(self) -> Mapping[str, int]:
        """The scoped sessions of each user that the store does not know."""
        if self.shared is not None:
            return {}
        return Counter(live.user for live in list(self.open.values()) if live.user is not None)


def _shared(store: Store) -> SharedStore | None:
    """The store, if other processes see it."""
    if not store.shared:
        return None
    if isinstance(store, SharedStore):
        return store
    verbs = lacking(store, SharedStore)
    raise ConfigurationError(f"store: {type(store).__name__} says that it is shared, but lacks {verbs} of SharedStore")
