"""How a session is told to other programs: in JSON, in CSV, over HTTP."""

from __future__ import annotations

import math
from typing import Any, Final

from .._models import Attributes, Event, SessionRecord
from .._statistics import moment

_NOT_SHOWN: Final = frozenset({"session_id"})
"""Of the statistics: it has a place of its own."""


def describe(record: SessionRecord, at_ns: int | None = None) -> dict[str, Any]:
    """A session as JSON-compatible values: times are ISO 8601 in UTC, durations are seconds.

    What is not in it, but in the record: under which key a client finds the session, which process owns it, and what
    its sampler decided.

    Args:
        record: the session.
        at_ns: up to when one that is active is looked at; its last activity if not given.
    """
    beginning, totals = record.beginning, record.totals
    reservation = beginning.reservation
    error_type, error_message = totals.error or (None, None)
    found = {
        "id": record.id,
        "type": record.type,
        "status": record.status,
        "end_reason": record.end_reason,
        "topology": beginning.topology,
        "started": moment(beginning.started_ns).isoformat(),
        "ended": None if record.ended_ns is None else moment(record.ended_ns).isoformat(),
        "last_activity": moment(totals.last_activity_ns or beginning.started_ns).isoformat(),
        "user": record.user,
        "tier": record.tier,
        "platform": record.platform,
        "parent_id": beginning.parent_id,
        "previous_id": beginning.previous_id,
        "trace_id": None if reservation is None else f"{reservation.trace_id:032x}",
        "span_id": None if reservation is None else f"{reservation.span_id:016x}",
        "attributes": plain_attributes(record.attributes),
        "error_type": error_type,
        "error_message": error_message,
    }
    statistics = record.statistics(at_ns).to_dict()
    return found | {name: value for name, value in statistics.items() if name not in _NOT_SHOWN}


def describe_event(event: Event) -> dict[str, Any]:
    """What happened in a session as JSON-compatible values."""
    return {
        "name": event.name,
        "time": moment(event.time_ns).isoformat(),
        "attributes": plain_attributes(event.attributes),
    }


def plain_attributes(attributes: Attributes) -> dict[str, Any]:
    """Attributes as JSON-compatible values; numbers that JSON has no form for become the text that OTLP has for them.

    https://protobuf.dev/programming-guides/json/
    """
    return {name: _plain(value) for name, value in attributes.items()}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
