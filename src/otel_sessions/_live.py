"""What one process holds of the sessions it works with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

from opentelemetry.context import Context

from ._models import Beginning, EndReason, SessionRecord, Status, Totals
from ._telemetry import LiveSpan

_GENERATION_NS: Final = 60 * 1_000_000_000


class Live:
    """One session as this process holds it: its beginning, and what happened here since the last merge."""

    __slots__ = (
        "beginning",
        "context",
        "delta",
        "ended",
        "last_ns",
        "lock",
        "operations",
        "platform",
        "span",
        "started_monotonic_ns",
        "user",
    )

    def __init__(self, beginning: Beginning, last_ns: int) -> None:
        self.beginning = beginning
        self.delta = Totals(last_ns)
        self.lock = threading.RLock()
        self.last_ns = last_ns
        self.ended: tuple[Status, EndReason] | None = None
        self.operations = 0
        self.user = beginning.user
        self.platform = beginning.platform
        self.context: Context | None = None
        self.span: LiveSpan | None = None
        self.started_monotonic_ns = 0

    @classmethod
    def of(cls, record: SessionRecord) -> Live:
        """The session of `record`, as a process holds it that has not seen it before."""
        live = cls(record.beginning, record.totals.last_activity_ns)
        live.user, live.platform = record.user, record.platform
        return live

    @property
    def key(self) -> str:
        """What it is found under in this process."""
        return self.beginning.key or f"id:{self.beginning.id}"


class Recent:
    """The durable sessions that were used here in the last one to two minutes, by key. The others are in the store."""

    def __init__(self) -> None:
        self._young: dict[str, Live] = {}
        self._old: dict[str, Live] = {}
        self._turned_ns = 0

    def get(self, key: str) -> Live | None:
        """The session under `key`, if it was used here lately."""
        live = self._young.get(key)
        if live is None:
            live = self._old.pop(key, None)
            if live is not None:
                live = self._young.setdefault(key, live)
        return live

    def keep(self, live: Live) -> Live:
        """Keep `live`, unless another thread was quicker: then the result is the one it kept."""
        return self._young.setdefault(live.key, live)

    def drop(self, live: Live) -> None:
        """Forget `live`."""
        key = live.key
        for generation in (self._young, self._old):
            if generation.get(key) is live:
                del generation[key]

    def turn(self, now_ns: int) -> None:
        """Age: called often, acts once a minute. Sessions in use stay."""
        if now_ns - self._turned_ns < _GENERATION_NS:
            return
        self._turned_ns = now_ns
        in_use = {key: live for key, live in self._old.items() if live.operations}
        self._old, self._young = self._young, in_use

    def __iter__(self) -> Iterator[Live]:
        return iter([*self._young.values(), *self._old.values()])
