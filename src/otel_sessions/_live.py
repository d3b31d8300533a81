"""What one process holds of the sessions it works with."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from opentelemetry.context import Context
from opentelemetry.trace import set_span_in_context

from ._models import Beginning, EndReason, SessionRecord, Status, Totals
from ._telemetry import LiveSpan
from .limits.policy import unwritten, written

if TYPE_CHECKING:
    from ._limiting.allowances import Allowances
    from .limits.policy import Limit

_GENERATION_NS: Final = 60 * 1_000_000_000


class Live:
    """One session as this process holds it: its beginning, and what happened here since the last merge."""

    __slots__ = (
        "__weakref__",
        "_context",
        "allowances",
        "beginning",
        "delta",
        "ended",
        "last_ns",
        "limits",
        "lock",
        "operations",
        "outer",
        "part",
        "platform",
        "span",
        "started_monotonic_ns",
        "successor",
        "turns",
        "user",
    )

    def __init__(
        self,
        beginning: Beginning,
        last_ns: int,
        *,
        operations: int = 0,
        started_monotonic_ns: int = 0,
        outer: Context | None = None,
    ) -> None:
        self.beginning = beginning
        self.delta = Totals(last_ns)
        self.lock = threading.RLock()
        self.last_ns = last_ns
        self.ended: tuple[Status, EndReason] | None = None
        self.operations = operations
        """How many requests and blocks of it are under way here."""
        self.turns = 0
        """How many turns of it are."""
        self.part = 1
        """Up to which part of the session those before are known to be over, and taken care of."""
        self.successor: Live | None = None
        self.user = beginning.user
        self.platform = beginning.platform
        self.allowances: Allowances | None = None
        """The limits that apply to it, once it is asked for one."""
        self.limits: Mapping[tuple[str, str], Limit] | None = None
        """Its own limits, by kind and name; they go before those of its tier."""
        self.span: LiveSpan | None = None
        self.outer = outer
        """Where a scoped session began."""
        self._context: Context | None = None
        self.started_monotonic_ns = started_monotonic_ns

    @classmethod
    def of(cls, record: SessionRecord) -> Live:
        """The session of `record`, as a process holds it that has not seen it before."""
        live = cls(record.beginning, record.totals.last_activity_ns)
        live.user, live.platform = record.user, record.platform
        if record.totals.limits:
            live.limits = dict(map(unwritten, record.totals.limits.values()))
        return live

    def keep_limits(self, limits: Mapping[tuple[str, str], Limit]) -> None:
        """Have these limits of its own from now on, here and wherever else it is resumed."""
        with self.lock:
            self.limits, self.allowances = limits, None
            self.delta.limits = dict(written(kind, limit) for (kind, _), limit in limits.items())

    @property
    def is_under_way(self) -> bool:
        """Whether something goes on in it here, though nothing may happen for a while."""
        return self.operations > 0 or self.turns > 0

    @property
    def context(self) -> Context | None:
        """A context in which the live span of a scoped session is the current one."""
        if self._context is None and self.span is not None:
            self._context = set_span_in_context(self.span, self.outer)
        return self._context

    @property
    def latest(self) -> Live:
        """The session that goes on in its place, after rotations; itself if there were none."""
        live = self
        while live.successor is not None:
            live = live.successor
        return live

    @property
    def key(self) -> str:
        """What it is found under in this process."""
        return self.beginning.key or f"id:{self.beginning.id}"


class Recent:
    """The durable sessions that this process works with: one `Live` of each as long as anybody holds it.

    Those used in the last one to two minutes are held here, by key; the others are in the store, and with whoever has a
    handle of them.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._all: WeakValueDictionary[str, Live] = WeakValueDictionary()
        self._young: dict[str, Live] = {}
        self._old: dict[str, Live] = {}
        self._turned_ns = 0

    def get(self, key: str) -> Live | None:
        """The session under `key`, if it was used here lately."""
        live = self._young.get(key)
        if live is None:
            with self._lock:
                live = self._old.pop(key, None)
                if live is not None:
                    live = self._young.setdefault(key, live)
        return live

    def of(self, record: SessionRecord) -> Live:
        """The session of `record` as this process holds it: the same for all who ask, as long as one holds it."""
        with self._lock:
            live = self._all.get(record.id)
            if live is None:
                live = self._all[record.id] = Live.of(record)
            return live

    def has_ended(self, session_id: str) -> bool:
        """Whether this process knows that the session with that id has ended."""
        live = self._all.get(session_id)
        return live is not None and live.ended is not None

    def keep(self, live: Live) -> Live:
        """Keep `live`, unless another thread was quicker: then the result is the one it kept."""
        with self._lock:
            known = self._all.get(live.beginning.id)
            if known is not None and known.ended is None:
                live = known
            self._all[live.beginning.id] = live
            kept = self._young.get(live.key)
            if kept is None or kept.ended is not None:
                kept = self._young[live.key] = live
            return kept

    def drop(self, live: Live) -> None:
        """Forget `live`."""
        with self._lock:
            for generation in (self._young, self._old):
                if generation.get(live.key) is live:
                    del generation[live.key]

    def turn(self, now_ns: int) -> None:
        """Age: called often, acts once a minute."""
        if 0 <= now_ns - self._turned_ns < _GENERATION_NS:
            return
        self._turned_ns = now_ns
        self._old, self._young = self._young, {}

    def inherit(self, lives: Iterable[Live]) -> None:
        """Go on with those of the parent process that somebody has handles of: there is one `Live` of each session."""
        for live in lives:
            self._all[live.beginning.id] = live

    def all(self) -> list[Live]:
        """Every session that anybody in this process holds."""
        return list(self._all.values())
