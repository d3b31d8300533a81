"""Records as text: JSON in which integers of any size, floats and any text come back as they went in."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from .._models import MAX_EVENTS, AttributeValue, Beginning, Event, Reservation, Totals

_ID, _KEY, _ATTRIBUTES, _RESERVATION = (
    Beginning._fields.index(name) for name in ("id", "key", "attributes", "reservation")
)


def _plain(value: object) -> object:
    """What JSON has no form for: `Totals.recent`, and attributes in a mapping that is no dictionary."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, deque):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


# Without the circle check, which takes a third of the time: what is stored here is flat.
encode: Final[Callable[[object], str]] = json.JSONEncoder(
    separators=(",", ":"), check_circular=False, default=_plain
).encode
_scan: Final = json.JSONDecoder().raw_decode


def decode(text: str) -> Any:
    """Invert `encode`; what it made has nothing around it that would have to be skipped."""
    return _scan(text)[0]


def encode_beginning(beginning: Beginning) -> str:
    """All fields but the id and the key, in their order: those are looked up by and stand elsewhere."""
    return encode((*beginning[:_ID], *beginning[_ID + 1 : _KEY], *beginning[_KEY + 1 :]))


def decode_beginning(session_id: str, key: str | None, text: str) -> Beginning:
    """Invert `encode_beginning`."""
    values = decode(text)
    values.insert(_ID, session_id)
    values.insert(_KEY, key)
    if values[_ATTRIBUTES]:
        values[_ATTRIBUTES] = _attributes(values[_ATTRIBUTES])
    if values[_RESERVATION]:
        values[_RESERVATION] = _reservation(values[_RESERVATION])
    return Beginning._make(values)


def encode_totals(totals: Totals) -> str:
    """The fields that have been set."""
    return encode(vars(totals))


def decode_totals(text: str) -> Totals:
    """Invert `encode_totals`."""
    totals = Totals()
    fields = decode(text)
    vars(totals).update(fields)
    # Most have none of these.
    if fields.get("error"):
        totals.error = tuple(fields["error"])
    if fields.get("recent"):
        totals.recent = deque((Event(n, t, _attributes(a)) for n, t, a in fields["recent"]), maxlen=MAX_EVENTS)
    if fields.get("attributes"):
        totals.attributes = _attributes(fields["attributes"])
    return totals


def _reservation(values: list[Any]) -> Reservation:
    found = Reservation._make(values)
    return found._replace(attributes=_attributes(dict(found.attributes))) if found.attributes else found


def _attributes(values: dict[str, Any]) -> dict[str, AttributeValue]:
    """With tuples where JSON has lists."""
    for name, value in values.items():
        if type(value) is list:
            values[name] = tuple(value)
    return values
