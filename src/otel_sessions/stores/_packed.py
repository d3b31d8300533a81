"""An active session as one string of bytes: a million of them take half the memory, and the collector none of its time.

Only the process that packs one ever unpacks it, so the format is the interpreter's own and has no version.
"""

from __future__ import annotations

import marshal
import struct
from collections import deque
from typing import Any, Final

from .._models import MAX_EVENTS, Beginning, Event, Reservation, SessionRecord, Totals

_ID: Final = Beginning._fields.index("id")
_ATTRIBUTES: Final = Beginning._fields.index("attributes")
_RESERVATION: Final = Beginning._fields.index("reservation")
_TOPOLOGY: Final = Beginning._fields.index("topology")
_IDENTITY: Final = struct.Struct(">QQQQBB")
_HALF: Final = 64
_LOW: Final = (1 << _HALF) - 1


def pack(beginning: Beginning, totals: Totals | None = None) -> bytes:
    """An active session but for its id; without totals, nothing has happened in it."""
    fields: list[Any] = [*beginning]
    fields[_ID] = None
    if fields[_TOPOLOGY] == "durable":
        # As good as all of them.
        fields[_TOPOLOGY] = None
    if fields[_ATTRIBUTES] is not None:
        fields[_ATTRIBUTES] = dict(fields[_ATTRIBUTES])
    if fields[_RESERVATION] is not None:
        fields[_RESERVATION] = _pack_reservation(fields[_RESERVATION])
    return marshal.dumps((fields, None if totals is None else _plain_totals(totals)))


def unpack(session_id: str, packed: bytes) -> SessionRecord:
    """Invert `pack`; the record is the caller's."""
    fields, sums = marshal.loads(packed)  # noqa: S302 - packed by this very process
    fields[_ID] = session_id
    if fields[_TOPOLOGY] is None:
        fields[_TOPOLOGY] = "durable"
    if fields[_RESERVATION] is not None:
        fields[_RESERVATION] = _unpack_reservation(*fields[_RESERVATION])
    beginning = Beginning._make(fields)
    totals = Totals(beginning.started_ns)
    if isinstance(sums, int):
        totals.last_activity_ns = sums
    elif sums is not None:
        if "recent" in sums:
            sums["recent"] = deque(map(Event._make, sums["recent"]), maxlen=MAX_EVENTS)
        totals.__dict__.update(sums)
    return SessionRecord(beginning, totals)


def _pack_reservation(reservation: Reservation) -> tuple[bytes, str | None, dict[str, Any] | None]:
    identity = _IDENTITY.pack(
        reservation.trace_id >> _HALF,
        reservation.trace_id & _LOW,
        reservation.span_id,
        reservation.parent_span_id,
        reservation.trace_flags,
        reservation.decision,
    )
    attributes = None if reservation.attributes is None else dict(reservation.attributes)
    return identity, reservation.trace_state or None, attributes


def _unpack_reservation(identity: bytes, state: str | None, attributes: dict[str, Any] | None) -> Reservation:
    high, low, span_id, parent_span_id, flags, decision = _IDENTITY.unpack(identity)
    return Reservation(high << _HALF | low, span_id, flags, state or "", decision, attributes, parent_span_id)


def _plain_totals(totals: Totals) -> dict[str, Any] | int:
    """What has been counted; the time alone, if nothing has."""
    fields = dict(totals.__dict__)
    if fields.keys() == {"last_activity_ns"}:
        return totals.last_activity_ns
    if totals.recent is None:
        fields.pop("recent", None)
    else:
        fields["recent"] = [(event.name, event.time_ns, dict(event.attributes)) for event in totals.recent]
    return fields
