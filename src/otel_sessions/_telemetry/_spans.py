"""The span of a session: live for a scoped one, reserved at the start and emitted at the end for a durable one.

The OpenTelemetry API cannot give a span its ids (open-telemetry/opentelemetry-python#4963). The SDK's tracer reads its
`id_generator` and `sampler` attributes at each `start_span`, so a copy of our own tracer with both replaced emits a
span with the reserved ids and the decision of the start, through the provider's own processors and limits. Sampling
again at the end would orphan children. `can_reserve` is the one capability check; tests/telemetry/test_spans.py holds
the contract test.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as LiveSpan

from .._models import Attributes, Event, Reservation

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

__all__ = ["LiveSpan", "can_reserve", "emit_reserved", "reservation_of", "reserve", "reserved_context", "reserved_span"]

_MAX_KNOWN = 1_024
_RANDOM_TRACE_ID = 0x02  # W3C Trace Context Level 2, section 2.2.4.2


_EndState: TypeAlias = "tuple[StatusCode, str | None]"


def can_reserve(tracer: Tracer) -> bool:
    """Whether `tracer` is one whose spans can be reserved: the SDK's."""
    return hasattr(tracer, "id_generator") and hasattr(tracer, "sampler")


def reserve(tracer: Tracer, name: str, attributes: Attributes) -> Reservation | None:
    """Fix the identity of a root span to be emitted later, and ask the sampler about it, once.

    Returns:
        None if the tracer is switched off: then nothing must refer to a span that will not come.
    """
    twin: Any = copy.copy(tracer)
    twin.sampler = asked = _Asked(twin.sampler)
    # An empty context, not the current one: the span is a root, whatever request happens to start the session.
    context = twin.start_span(name, context=Context(), attributes=dict(attributes)).get_span_context()
    result = asked.result
    if result is None:
        return None
    sampled: bool = result.decision.is_sampled()  # type: ignore[no-untyped-call]  # upstream is untyped
    flags = context.trace_flags | (TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    extra = {k: v for k, v in (result.attributes or {}).items() if k not in attributes}
    return Reservation(
        context.trace_id,
        context.span_id,
        flags,
        context.trace_state.to_header(),
        result.decision.value,
        extra or None,
    )


def reservation_of(span: LiveSpan, given: Attributes) -> Reservation | None:
    """What it takes to emit the live `span` elsewhere, if its process does not come to that.

    Args:
        span: of the SDK.
        given: the attributes that it was started with; what else it has is the sampler's.

    Returns:
        None if the span is that of no SDK.
    """
    context = span.get_span_context()
    if not context.is_valid:
        return None
    attributes: Attributes = getattr(span, "attributes", None) or {}
    parent: SpanContext | None = getattr(span, "parent", None)
    decision = 0 if not span.is_recording() else 2 if context.trace_flags.sampled else 1
    return Reservation(
        context.trace_id,
        context.span_id,
        context.trace_flags,
        context.trace_state.to_header(),
        decision,
        {name: value for name, value in attributes.items() if name not in given} or None,
        0 if parent is None else parent.span_id,
    )


def reserved_context(reservation: Reservation) -> SpanContext:
    """The span context that the reserved span will have; links and children refer to it before the span exists."""
    return _span_context(reservation.trace_id, reservation.span_id, reservation.trace_flags, reservation.trace_state)


@functools.lru_cache(maxsize=_MAX_KNOWN)
def _span_context(trace_id: int, span_id: int, flags: int, state: str) -> SpanContext:
    """Kept for the sessions in use: each of their requests links to it."""
    return SpanContext(
        trace_id,
        span_id,
        is_remote=False,
        trace_flags=TraceFlags(flags),
        trace_state=TraceState.from_header([state]) if state else TraceState(),
    )


def reserved_span(reservation: Reservation) -> NonRecordingSpan:
    """What stands for the reserved span in a context."""
    return NonRecordingSpan(reserved_context(reservation))


def emit_reserved(
    tracer: Tracer,
    name: str,
    *,
    reservation: Reservation,
    start_ns: int,
    end_ns: int,
    attributes: Attributes,
    events: Iterable[Event],
    status: _EndState,
) -> None:
    """Send the reserved span through the tracer's own pipeline, with the identity and the decision of its start."""
    twin: Any = copy.copy(tracer)
    twin.id_generator = twin.sampler = _Replay(reservation)
    span = twin.start_span(
        name,
        context=_parent(reservation),
        start_time=start_ns,
        attributes={**(reservation.attributes or {}), **attributes},
    )
    for event in events:
        span.add_event(event.name, dict(event.attributes), event.time_ns)
    code, description = status
    if code is not StatusCode.UNSET:
        span.set_status(Status(code, description))
    span.end(end_ns)


def _parent(reservation: Reservation) -> Context:
    if not reservation.parent_span_id:
        return Context()
    parent = _span_context(
        reservation.trace_id, reservation.parent_span_id, reservation.trace_flags, reservation.trace_state
    )
    return set_span_in_context(NonRecordingSpan(parent), Context())


class _Asked:
    """A sampler that asks another, keeps the answer, and lets no span be made: none is started and abandoned."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self.result: SamplingResult | None = None

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        from opentelemetry.sdk.trace.sampling import Decision, SamplingResult  # noqa: PLC0415 - the SDK loads on use

        self.result = self._sampler.should_sample(*args, **kwargs)
        return SamplingResult(Decision.DROP, None, self.result.trace_state)

    def get_description(self) -> str:
        return f"otel-sessions: asks {self._sampler.get_description()}"


class _Replay:
    """An id generator and a sampler that answer with what was reserved."""

    __slots__ = ("_reservation",)

    def __init__(self, reservation: Reservation) -> None:
        self._reservation = reservation

    def generate_trace_id(self) -> int:
        return self._reservation.trace_id

    def generate_span_id(self) -> int:
        return self._reservation.span_id

    def is_trace_id_random(self) -> bool:
        return bool(self._reservation.trace_flags & _RANDOM_TRACE_ID)

    def should_sample(
        self,
        _parent_context: Context | None,
        _trace_id: int,
        _name: str,
        _kind: SpanKind | None = None,
        attributes: Any = None,
        _links: Sequence[Any] | None = None,
        *_: Any,
    ) -> SamplingResult:
        from opentelemetry.sdk.trace.sampling import Decision, SamplingResult  # noqa: PLC0415 - the SDK loads on use

        return SamplingResult(
            Decision(self._reservation.decision), attributes, reserved_context(self._reservation).trace_state
        )

    def get_description(self) -> str:
        return "otel-sessions: the decision of the session's start"
