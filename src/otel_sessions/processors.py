"""Processors for an OpenTelemetry SDK: `session.id` on everything made in a session, and events as span events.

The first two are added by themselves to the SDK's providers (setting `stamp`); add them yourself, before your
exporters, if you export with a simple (not batching) log processor.
"""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from . import _context
from . import _semconv as sc
from ._guard import guarded, swallow
from ._session import Session
from ._telemetry import BRIDGED_KEY

__all__ = ["EventToSpanEventBridge", "SessionLogRecordProcessor", "SessionSpanProcessor"]


class SessionSpanProcessor(SpanProcessor):
    """Puts `session.id` on every span that starts inside a session.

    The first span of a trace in this process is also linked to the span of its durable session.

    Args:
        firsts_only: leave the other spans alone.
    """

    def __init__(self, *, firsts_only: bool = False) -> None:
        self._firsts_only = firsts_only

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stamp the span."""
        try:
            session = _context.find(parent_context)
            if session is not None:
                self._stamp(span, session)
        except Exception as exc:  # noqa: BLE001 - the guard, without its frame: this runs for every span
            swallow("stamp a span", exc)

    def _stamp(self, span: Span, session: Session) -> None:
        parent = span.parent
        first = parent is None or parent.is_remote
        if self._firsts_only and not first:
            return
        attributes = span.attributes
        session_id = session.id
        if not session_id or attributes is None or sc.SESSION_ID in attributes:
            return
        span.set_attribute(sc.SESSION_ID, session_id)
        if first:
            span.set_attribute(sc.TYPE, session.type)
            link = session.span_context
            if link.is_valid:
                span.add_link(link)

    def on_end(self, span: ReadableSpan) -> None:
        """Nothing to do."""

    def shutdown(self) -> None:
        """Nothing to release."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the interface's
        """Nothing is held back."""
        return True


class SessionLogRecordProcessor(LogRecordProcessor):
    """Puts `session.id` on every log record that is emitted inside a session."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Stamp the record."""
        with guarded("stamp a log record"):
            record = log_record.log_record
            session = _context.find(record.context)
            attributes = record.attributes
            if session is None or not session.id or attributes is None or sc.SESSION_ID in attributes:
                return
            # In place: a batching processor that ran before this one has copied the record, not its attributes.
            attributes[sc.SESSION_ID] = session.id  # type: ignore[index]  # BoundedAttributes, mutable until exported

    def shutdown(self) -> None:
        """Nothing to release."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the interface's
        """Nothing is held back."""
        return True


class EventToSpanEventBridge(LogRecordProcessor):
    """The specification's event to span event bridge: log-based events also become events of the current span.

    https://opentelemetry.io/docs/specs/otel/logs/sdk/#event-to-span-event-bridge. It bridges the events of any
    instrumentation; this package's own are then written once.
    """

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Add the span event, if the record is an event of the recording span that is current in its context."""
        with guarded("bridge an event"):
            record = log_record.log_record
            if not record.event_name or not record.trace_id or not record.span_id:
                return
            span = trace.get_current_span(record.context)
            context = span.get_span_context()
            if not span.is_recording() or (context.trace_id, context.span_id) != (record.trace_id, record.span_id):
                return
            timestamp = record.timestamp if record.timestamp is not None else record.observed_timestamp
            span.add_event(record.event_name, dict(record.attributes or {}), timestamp)
            bridged = (record.context or Context()).get(BRIDGED_KEY)
            if isinstance(bridged, list):
                bridged.append(True)

    def shutdown(self) -> None:
        """Nothing to release."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the interface's
        """Nothing is held back."""
        return True
