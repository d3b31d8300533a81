"""A store in memory that says that other processes see it: several runtimes of one test play them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from otel_sessions.stores import MemoryStore
from otel_sessions.typing import Beginning, SessionRecord


class SharedMemoryStore(MemoryStore):
    """A memory store with the verbs of a `SharedStore`."""

    name = "shared memory"
    shared = True

    def _begin(self) -> None:
        super()._begin()
        self._beats: dict[str, int] = {}
        self._owed: dict[str, str] = {}

    def create(self, beginning: Beginning) -> SessionRecord | None:
        with self._lock:
            taken = super().create(beginning)
            if taken is None and beginning.topology == "scoped" and beginning.owner is not None:
                self._owed[beginning.id] = beginning.owner
                self._beats.setdefault(beginning.owner, beginning.started_ns)
            return taken

    def close(self, session_id: str, *, owner: str | None = None, **ending: Any) -> SessionRecord | None:
        with self._lock:
            record = super().close(session_id, **ending)
            if record is not None:
                self._owed.pop(session_id, None)
                if owner is not None:
                    self._owed[session_id] = owner
                    self._beats.setdefault(owner, ending["ended_ns"])
            return record

    def owe(self, record: SessionRecord, owner: str) -> bool:
        with self._lock:
            if self.get(record.id) is not None:
                return record.id not in self._active and self._owed.get(record.id) == owner
            assert record.ended_ns is not None
            self._ended[record.id] = record
            self._owed[record.id] = owner
            self._beats.setdefault(owner, record.ended_ns)
            return True

    def exported(self, session_ids: Collection[str]) -> None:
        with self._lock:
            for session_id in session_ids:
                if session_id not in self._active:
                    self._owed.pop(session_id, None)

    def beat(self, owner: str, now_ns: int) -> None:
        self._beats[owner] = now_ns

    def owners(self) -> Mapping[str, int]:
        return self._beats.copy()

    def take_over(self, dead: str, beat_ns: int, owner: str) -> list[SessionRecord]:
        with self._lock:
            if self._beats.get(dead) != beat_ns:
                return []
            del self._beats[dead]
            left = [session_id for session_id, debtor in self._owed.items() if debtor == dead]
            self._owed.update(dict.fromkeys(left, owner))
            if left:
                self._beats.setdefault(owner, beat_ns)
            return [record for session_id in left if (record := self.get(session_id)) is not None]

    def retire(self, owner: str) -> None:
        with self._lock:
            if owner not in self._owed.values():
                self._beats.pop(owner, None)

    def _old(self, before_ns: int) -> list[SessionRecord]:
        return [record for record in super()._old(before_ns) if record.id not in self._owed]
