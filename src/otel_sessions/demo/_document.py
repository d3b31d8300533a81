"""What came out, as JSON-compatible values for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import _semconv as sc
from ..testing import ReceivedPoint, ReceivedSpan
from ._checks import Check
from ._harvest import Harvest, program


def received(harvest: Harvest, found: Sequence[Check]) -> dict[str, Any]:
    """The sessions, what happened in them, the last point of each series, and the checks."""
    return {
        "sessions": [_session(harvest, span) for span in harvest.sessions],
        "metrics": [_point(point) for point in harvest.points],
        "checks": [{"statement": check.statement, "holds": check.holds} for check in found],
    }


def _session(harvest: Harvest, span: ReceivedSpan) -> dict[str, Any]:
    told = span.attributes
    return {
        "program": program(span),
        "id": told[sc.SESSION_ID],
        "type": told[sc.TYPE],
        "status": told[sc.STATUS],
        "end_reason": told[sc.END_REASON],
        "duration": (span.end_ns - span.start_ns) / 1e9,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "attributes": dict(told),
        "timeline": [
            {
                "seconds": (moment.time_ns - span.start_ns) / 1e9,
                "what": moment.what,
                "attributes": {**moment.attributes},
            }
            for moment in harvest.timeline(span)
        ],
    }


def _point(point: ReceivedPoint) -> dict[str, Any]:
    return {
        "program": program(point),
        "name": point.name,
        "attributes": dict(point.attributes),
        "value": point.value,
        "count": point.count,
    }
