"""Long sessions in parts: a backend that waits for spans need not wait for the end of a session that lasts for weeks.

A durable session whose `max_span_duration` is set consists of parts of that length, one after the other, each with a
span of its own; all have the same `session.id`. Which part a time falls into, and which identity its span has, follows
from the beginning: every process links to the right one. A part's span is emitted when something happens in the session
after it: before, nobody knows whether the session has not ended in it. Whoever is about to tell the store of that asks
for the part first: of all processes one is granted it, and owes its export like that of an end.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ._guard import guarded
from ._live import Live
from ._models import Beginning, SessionRecord, Totals

if TYPE_CHECKING:
    from ._ledger import Ledger
    from ._telemetry import Telemetry

_DROPPED = 0
"""The decision of a sampler that wants no span, see `Reservation`."""


class Parts:
    """The parts of the durable sessions that one process works with."""

    def __init__(self, ledger: Ledger, telemetry: Telemetry) -> None:
        self._ledger = ledger
        self._telemetry = telemetry

    def finish(self, live: Live, time_ns: int, pending: Totals) -> bool:
        """Emit the parts of a session that are over at that time, of which the store is to be told now.

        Args:
            live: the session.
            time_ns: when something happened in it, or it ended.
            pending: what the store is to be told.

        Returns:
            False if the store could not be asked: then it must not be told, or the parts would be forgotten.
        """
        began = live.beginning
        current = began.part_at(time_ns)
        if current <= live.part or began.reservation is None or began.reservation.decision == _DROPPED:
            return True
        if began.id not in self._ledger.unstored:
            stored = self._ledger.call("get", self._ledger.store.get, began.id, failed=False)
            if not isinstance(stored, SessionRecord) or not stored.is_active:
                # If it has ended, whoever did that has done this, too.
                return stored is not False
            totals = stored.totals.copy()
            totals.merge(pending)
            live.part = max(live.part, began.part_at(stored.totals.last_activity_ns))
            pending = totals
        return self._emit_over(live, current, pending)

    def _emit_over(self, live: Live, current: int, totals: Totals) -> bool:
        """Emit the part that the store was told of last, and of the following ones those of which more is known."""
        began = live.beginning
        numbers = {live.part, *(began.part_at(event.time_ns) for event in totals.recent or ())}
        for number in sorted(number for number in numbers if live.part <= number < current):
            if not self._emit(_part(began, totals, number)):
                return False
            live.part = number + 1
        live.part = max(live.part, current)
        return True

    def _emit(self, part: SessionRecord) -> bool:
        """Emit a part, unless another process does; False if the store could not be asked."""
        granted = self._ledger.owe(part)
        if granted:
            with guarded("emit a part of a session"):
                self._telemetry.part_ended(part)
            self._ledger.note_export(part)
        return granted is not None


def _part(beginning: Beginning, totals: Totals, number: int) -> SessionRecord:
    """The record of a part: the sums are those of the session up to now, the events are its own."""
    totals = totals.copy()
    events = [event for event in totals.recent or () if beginning.part_at(event.time_ns) == number]
    totals.recent = deque(events) if events else None
    totals.uses = None
    return SessionRecord(beginning.as_part(number), totals, ended_ns=beginning.part_started_ns(number + 1))
