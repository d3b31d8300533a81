"""The span of a session: live for a scoped one, reserved at the start and emitted at the end for a durable one.

The OpenTelemetry API cannot give a span its ids (open-telemetry/opentelemetry-python#4963). The SDK's tracer reads its
`id_generator` and `sampler` attributes at each `start_span`, so a copy of our own tracer with both replaced emits a
span with the reserved ids and the decision of the start, through the provider's own processors and limits. Sampling
again at the end would orphan children. `can_reserve` is the one capability check, `tests/test_spans.py` the contract
test.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

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
)
from opentelemetry.trace import Span as LiveSpan

from .._models import Attributes, AttributeValue, Event, Reservation

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

__all__ = ["LiveSpan", "can_reserve", "emit_reserved", "reserve", "reserved_context", "reserved_span"]

_RANDOM_TRACE_ID = 0x02  # W3C Trace Context Level 2, section 2.2.4.2


class _SdkTracer(Protocol):
    """What is relied on of the SDK's tracer."""

    id_generator: IdGenerator
    sampler: Sampler | _Replay


_EndState: TypeAlias = "tuple[StatusCode, str | None]"


def can_reserve(tracer: Tracer) -> bool:
    """Whether `tracer` is one whose spans can be reserved: the SDK's."""
    return hasattr(tracer, "id_generator") and hasattr(tracer, "sampler")


def reserve(tracer: Any, name: str, attributes: Attributes) -> tuple[Reservation, dict[str, AttributeValue]]:
    """Fix the identity of a root span to be emitted later, and ask the sampler about it, once.

    Returns:
        The reservation, and the attributes that the sampler wants on the span beyond those given.
    """
    sdk: _SdkTracer = tracer
    generator = sdk.id_generator
    trace_id = generator.generate_trace_id()
    # An empty context, not the current one: the span is a root, whatever request happens to start the session.
    result: SamplingResult = sdk.sampler.should_sample(
        Context(), trace_id, name, SpanKind.INTERNAL, dict(attributes), ()
    )
    sampled: bool = result.decision.is_sampled()  # type: ignore[no-untyped-call]  # upstream is untyped
    flags = TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT
    # Older SDKs lack the question; their ids are not declared random either.
    if getattr(generator, "is_trace_id_random", bool)():
        flags |= _RANDOM_TRACE_ID
    state = result.trace_state.to_header() if result.trace_state else ""
    reservation = Reservation(trace_id, generator.generate_span_id(), flags, state, result.decision.value)
    extra = {k: v for k, v in (result.attributes or {}).items() if k not in attributes}
    return reservation, extra


def reserved_context(reservation: Reservation) -> SpanContext:
    """The span context that the reserved span will have; links and children refer to it before the span exists."""
    return SpanContext(
        reservation.trace_id,
        reservation.span_id,
        is_remote=False,
        trace_flags=TraceFlags(reservation.trace_flags),
        trace_state=TraceState.from_header([reservation.trace_state]) if reservation.trace_state else TraceState(),
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
    span = twin.start_span(name, context=Context(), start_time=start_ns, attributes=dict(attributes))
    for event in events:
        span.add_event(event.name, dict(event.attributes), event.time_ns)
    code, description = status
    if code is not StatusCode.UNSET:
        span.set_status(Status(code, description))
    span.end(end_ns)


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
