"""Processors for an OpenTelemetry SDK: `session.id` on everything made in a session, tokens and cost of the calls of
models made in it, and events as span events.

All but the last are added by themselves to the SDK's providers (settings `stamp` and `genai`); add them yourself,
before your exporters, if you export with a simple (not batching) log processor.
"""

from __future__ import annotations

import weakref
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind

from . import _context, _genai
from . import _semconv as sc
from ._consumption import Consumption
from ._guard import guarded, swallow
from ._hook_mark import in_a_hook, marked
from ._open_spans import OpenSpan, OpenSpans
from ._session import Session
from ._telemetry import BRIDGED_KEY
from ._turn import current_turn

__all__ = ["EventToSpanEventBridge", "GenAISpanProcessor", "SessionLogRecordProcessor", "SessionSpanProcessor"]

_OPEN: Final = OpenSpans()
_CLIENT: Final = SpanKind.CLIENT


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


class GenAISpanProcessor(SpanProcessor):
    """Counts in their sessions the tokens that spans of GenAI instrumentations tell of, and what they cost.

    Every span that is started in a session and has attributes `gen_ai.usage.*`, in the spelling of any version of the
    semantic conventions, counts when it ends. Tokens count once: not those of a span that sums up what was counted of
    the spans in it, nor those of a turn in which `tokens()` is called. Spans that are not recorded do not count.
    """

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note in which session and turn it starts."""
        try:
            session = _context.find(parent_context)
            if session is not None:
                opened = span.parent, session, current_turn(), weakref.ref(span), in_a_hook()
                _OPEN.begin(span.get_span_context().span_id, opened)
                if span.kind is _CLIENT:
                    _prepare(session, span)
        except Exception as exc:  # noqa: BLE001 - the guard, without its frame: this runs for every span
            swallow("note the start of a span", exc)

    def on_end(self, span: ReadableSpan) -> None:
        """Count what it tells of."""
        try:
            context = span.get_span_context()
            if context is not None and (opened := _OPEN.end(context.span_id)) is not None:
                below = _OPEN.below(context.span_id)
                attributes = span.attributes
                if attributes is not None and _genai.has_usage(attributes) and not _genai.is_summary(attributes):
                    consumption = _genai.consumption_of(attributes, span.start_time or 0)
                    if consumption is not None:
                        kind = _genai.kind_of(attributes, consumption)
                        if _OPEN.count(context.span_id, opened, kind, below):
                            with marked(opened[4]):
                                _count(opened, consumption)
        except Exception as exc:  # noqa: BLE001 - the guard, without its frame: this runs for every span
            swallow("count what a span tells of", exc)

    def shutdown(self) -> None:
        """Nothing to release."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the interface's
        """Nothing is held back."""
        return True


def _prepare(session: Session, span: Span) -> None:
    """If a call of a model is about to be made, it will be priced when it is over."""
    meter = session._lifecycle.meter
    if not meter.is_prepared and _genai.REQUEST_MODEL in (span.attributes or {}):
        meter.prepare()


def _count(opened: OpenSpan, consumption: Consumption) -> None:
    """Count a call of a model in its turn, else in its session."""
    _, session, turn, _, _ = opened
    live = session._usable("The span of a call of a model", " was not counted")
    if live is None:
        return
    if turn is not None and turn._is_of(live):
        turn._consumed(live, consumption)
    else:
        session._lifecycle.meter.call(live, consumption)


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
