"""An active session as one string of bytes: a million of them take half the memory, and the collector none of its time.

Only the process that packs one ever unpacks it, so the format is the interpreter's own and has no version.
"""

from __future__ import annotations

import marshal
from collections import deque
from typing import Any, Final

from .._models import MAX_EVENTS, Beginning, Event, Reservation, SessionRecord, Totals

_ID: Final = Beginning._fields.index("id")
_ATTRIBUTES: Final = Beginning._fields.index("attributes")
_RESERVATION: Final = Beginning._fields.index("reservation")
_SAMPLER: Final = Reservation._fields.index("attributes")


def pack(beginning: Beginning, totals: Totals | None = None) -> bytes:
    """An active session but for its id; without totals, nothing has happened in it."""
    fields: list[Any] = [*beginning]
    fields[_ID] = None
    if fields[_ATTRIBUTES] is not None:
        fields[_ATTRIBUTES] = dict(fields[_ATTRIBUTES])
    if fields[_RESERVATION] is not None:
        fields[_RESERVATION] = _plain_reservation(fields[_RESERVATION])
    return marshal.dumps((fields, None if totals is None else _plain_totals(totals)))


def unpack(session_id: str, packed: bytes) -> SessionRecord:
    """Invert `pack`; the record is the caller's."""
    fields, sums = marshal.loads(packed)  # noqa: S302 - packed by this very process
    fields[_ID] = session_id
    if fields[_RESERVATION] is not None:
        fields[_RESERVATION] = Reservation._make(fields[_RESERVATION])
    beginning = Beginning._make(fields)
    totals = Totals(beginning.started_ns)
    if isinstance(sums, int):
        totals.last_activity_ns = sums
    elif sums is not None:
        if "recent" in sums:
            sums["recent"] = deque(map(Event._make, sums["recent"]), maxlen=MAX_EVENTS)
        totals.__dict__.update(sums)
    return SessionRecord(beginning, totals)


def _plain_reservation(reservation: Reservation) -> list[Any]:
    fields: list[Any] = [*reservation]
    fields[_SAMPLER] = None if reservation.attributes is None else dict(reservation.attributes)
    # An enumeration of the API's, and a number.
    return [int(field) if isinstance(field, int) else field for field in fields]


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
