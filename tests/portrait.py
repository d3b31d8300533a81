"""The whole of what the span of a session says, for tests to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from otel_sessions import Session


def scoped(
    handle: Session,
    more: Mapping[str, object] | None = None,
    /,
    *,
    status: str = "success",
    reason: str = "completed",
    events: int = 0,
    errors: int = 0,
) -> dict[str, object]:
    """All attributes of the span of a scoped session."""
    return {
        **_identity(handle, "scoped"),
        "app_session.status": status,
        "app_session.end_reason": reason,
        "app_session.event.count": events,
        "app_session.error.count": errors,
        **(more or {}),
    }


def durable(
    handle: Session,
    more: Mapping[str, object] | None = None,
    /,
    *,
    status: str = "success",
    reason: str = "completed",
    requests: int = 0,
    events: int = 0,
    errors: int = 0,
) -> dict[str, object]:
    """All attributes of the span of a durable session."""
    return {
        **_identity(handle, "durable"),
        "app_session.status": status,
        "app_session.end_reason": reason,
        "app_session.request.count": requests,
        "app_session.event.count": events,
        "app_session.error.count": errors,
        **(more or {}),
    }


def _identity(handle: Session, topology: str) -> dict[str, object]:
    found: dict[str, object] = {
        "session.id": handle.id,
        "app_session.type": handle.type,
        "app_session.topology": topology,
    }
    if handle.user is not None:
        found["enduser.pseudo.id"] = handle.user
    return found


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """The attributes of a span."""
    return dict(span.attributes or {})


def events(span: ReadableSpan) -> list[tuple[str, dict[str, Any]]]:
    """The names and attributes of the events of a span."""
    return [(event.name, dict(event.attributes or {})) for event in span.events]


def parent_id(span: ReadableSpan) -> int | None:
    """The id of the span above, None for a root."""
    return None if span.parent is None else span.parent.span_id


def span_id(span: ReadableSpan) -> int:
    """The id of the span."""
    assert span.context is not None
    span_id: int = span.context.span_id
    return span_id


def trace_id(span: ReadableSpan) -> int:
    """The id of the span's trace."""
    assert span.context is not None
    trace_id: int = span.context.trace_id
    return trace_id
