"""Turning what happens to a session into spans, events and metrics, with the providers that are there at the time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal
from weakref import WeakKeyDictionary

from opentelemetry import _logs, metrics, trace
from opentelemetry import context as otel_context
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import NoOpTracer, ProxyTracerProvider

from .. import _semconv as sc
from .._guard import guarded, swallow
from .._models import Attributes, Beginning, Event, Reservation, SessionRecord
from ..version import __version__
from . import _spans, _summary
from ._instruments import Instruments, Reader

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

BRIDGED_KEY: Final = otel_context.create_key("otel-sessions-bridged")
"""In the context of an emitted event: a list to which a bridge appends when it has made a span event of it."""

_INSTRUMENTS: Final[WeakKeyDictionary[object, Instruments]] = WeakKeyDictionary()


class _Global:
    """Stands for the global meter provider, whichever it will be."""


_GLOBAL: Final = _Global()


def _instruments(provider: MeterProvider | None) -> Instruments:
    """The instruments of `provider`: made once, because an SDK does not forget an instrument."""
    held = _INSTRUMENTS.get(provider or _GLOBAL)
    if held is None:
        meter = metrics.get_meter(sc.SCOPE_NAME, __version__, provider, sc.SCHEMA_URL)
        held = _INSTRUMENTS[provider or _GLOBAL] = Instruments(meter)
    return held


class Telemetry:
    """The emitter. Providers come from the arguments, else from the global API; none is ever set.

    An SDK that is set up later is picked up when it appears: `on_sdk` is then called with the providers, once.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        events: Literal["both", "log", "span"] = "both",
        on_sdk: Callable[[TracerProvider | None, LoggerProvider | None], None] | None = None,
    ) -> None:
        self._on_sdk = on_sdk
        self._binding = threading.RLock()
        self.to_span = events in {"both", "span"}
        self._to_log = events in {"both", "log"}
        self._tracer_provider = tracer_provider
        self._logger_provider = logger_provider
        # Until an SDK appears these are the API's proxies, or its no-ops.
        self._tracer = trace.get_tracer(sc.SCOPE_NAME, __version__, tracer_provider, sc.SCHEMA_URL)
        self._logger = _logs.get_logger(sc.SCOPE_NAME, __version__, logger_provider, sc.SCHEMA_URL)
        self._enabled = getattr(self._logger, "enabled", None)
        self._has_tracer = self._has_logger = self._can_reserve = False
        self._meter_provider = meter_provider
        self.metrics = _instruments(meter_provider)

    def bind(self) -> None:
        """Pick up an SDK that was set up since the last look."""
        if not self._has_tracer:
            self._bind_tracer()
        if not self._has_logger:
            self._bind_logger()

    @property
    def emits(self) -> bool:
        """Whether there is an SDK that takes spans, as far as `bind` has seen."""
        return self._has_tracer and not isinstance(self._tracer, NoOpTracer)

    def _bind_tracer(self) -> None:
        provider = self._tracer_provider or trace.get_tracer_provider()
        if isinstance(provider, ProxyTracerProvider):
            return
        with self._binding:
            if self._has_tracer:
                return
            self._tracer = provider.get_tracer(sc.SCOPE_NAME, __version__, sc.SCHEMA_URL)
            self._can_reserve = _spans.can_reserve(self._tracer)
            if self._on_sdk:
                with guarded("prepare the tracer provider"):
                    self._on_sdk(provider, None)
            # Last: other threads take it as the sign that all of the above is done.
            self._has_tracer = True

    def _bind_logger(self) -> None:
        provider = self._logger_provider or _logs.get_logger_provider()
        # The API offers no question for this; its proxy hands out proxies, an SDK its own loggers.
        if type(provider).__name__ == "ProxyLoggerProvider":
            return
        with self._binding:
            if self._has_logger:
                return
            self._logger = provider.get_logger(sc.SCOPE_NAME, __version__, sc.SCHEMA_URL)
            if self._on_sdk:
                with guarded("prepare the logger provider"):
                    self._on_sdk(None, provider)
            self._has_logger = True

    def _listens(self) -> bool:
        """Whether log events are heard by anybody; a look that is cheap as long as there is no SDK."""
        # Asked before 1.40 the API does not know.
        if not self._has_logger and (self._enabled is None or self._enabled(severity_number=SeverityNumber.FATAL)):
            self._bind_logger()
        return self._has_logger

    def start_span(self, beginning: Beginning) -> _spans.LiveSpan:
        """Open the live span of a scoped session, as a child of the current span if there is one."""
        span = self._tracer.start_span(
            f"session {beginning.type}",
            attributes=_summary.start_attributes(beginning),
            start_time=beginning.started_ns,
        )
        if not self._has_tracer and span.get_span_context().is_valid:
            # An SDK has answered through the proxy.
            self._bind_tracer()
        return span

    def reservation_of(self, span: _spans.LiveSpan | None, beginning: Beginning) -> Reservation | None:
        """What it takes to emit the live span of a session from another process, if this one does not come to that."""
        if span is None or not self._can_reserve:
            return None
        return _spans.reservation_of(span, _summary.start_attributes(beginning))

    def reserve(self, beginning: Beginning) -> Beginning:
        """Reserve the span of a durable session; without an SDK the session has no span, only its events."""
        self.bind()
        if not self._can_reserve:
            return beginning
        attributes = _summary.start_attributes(beginning)
        reservation = _spans.reserve(self._tracer, f"session {beginning.type}", attributes)
        return beginning._replace(reservation=reservation)

    def reserved_context(self, beginning: Beginning, time_ns: int) -> Context | None:
        """A context in which the span that a durable session has at that time is the current one; None without one."""
        reservation = _reservation_at(beginning, time_ns)
        return None if reservation is None else trace.set_span_in_context(_spans.reserved_span(reservation))

    def join(self, span: _spans.LiveSpan, beginning: Beginning, time_ns: int) -> None:
        """Tie the current span to a durable session: a link to the span that it has at that time, and its id.

        A span that is another session's keeps that one's id.
        """
        if not span.is_recording():
            return
        held = getattr(span, "attributes", None)
        if not held or sc.SESSION_ID not in held:
            span.set_attribute(sc.SESSION_ID, beginning.id)
            span.set_attribute(sc.TYPE, beginning.type)
        reservation = _reservation_at(beginning, time_ns)
        if reservation is not None:
            span.add_link(_spans.reserved_context(reservation))

    def started(self, beginning: Beginning, context: Callable[[], Context | None]) -> None:
        """Say that a session has started: the event of the semantic conventions, and the counter.

        The context is only asked for if somebody hears the event.
        """
        self.metrics.starts.add(1, beginning.type, beginning.tier)
        try:
            if self._listens() and self._to_log:
                attributes = _summary.identity(beginning)
                if beginning.previous_id is not None:
                    attributes[sc.SESSION_PREVIOUS_ID] = beginning.previous_id
                self._emit(sc.EVENT_SESSION_START, beginning.started_ns, context(), attributes)
        except Exception as exc:  # noqa: BLE001 - the guard, without its frame: this is the hot path
            swallow("emit the start of a session", exc)

    def _emit(self, name: str, time_ns: int, context: Context | None, attributes: Attributes) -> None:
        self._logger.emit(
            event_name=name,
            timestamp=time_ns,
            severity_number=SeverityNumber.INFO,
            context=context,
            attributes=attributes,
        )

    def ended(self, record: SessionRecord, context: Context | None, span: _spans.LiveSpan | None) -> None:
        """Say that a session has ended: its event, its span, its duration."""
        beginning = record.beginning
        if span is None:
            # A process may do nothing but end what others have started.
            self.bind()
        ended_ns = beginning.started_ns if record.ended_ns is None else record.ended_ns
        summary = _summary.end_attributes(record)
        latest = _summary.latest_attributes(record)
        self._say_end(beginning, ended_ns, context, {**latest, **summary})
        seconds = (ended_ns - beginning.started_ns) / 1e9
        reason = record.end_reason or "completed"
        self.metrics.duration.record(
            seconds,
            {sc.TYPE: beginning.type, sc.STATUS: record.status, sc.END_REASON: reason},
            context=context,
        )
        if beginning.topology == "durable" and seconds > 0:
            ratio = min(1.0, record.totals.active_ns / 1e9 / seconds)
            self.metrics.engagement_ratio.record(ratio, {sc.TYPE: beginning.type}, context=context)
        if span is not None:
            if span.is_recording():
                self._complete(span, record, {**latest, **summary} if latest else summary)
            span.end(ended_ns)
        else:
            self._emit_reserved(record, {**latest, **summary}, ended_ns)

    def resend(self, record: SessionRecord) -> None:
        """Say once more that a session has ended, for a process that may not have come to it: the same, with the same
        ids. What it measured is not counted twice.
        """
        self.bind()
        beginning = record.beginning
        ended_ns = beginning.started_ns if record.ended_ns is None else record.ended_ns
        summary = {**_summary.latest_attributes(record), **_summary.end_attributes(record)}
        self._say_end(beginning, ended_ns, self.reserved_context(beginning, ended_ns), summary)
        self._emit_reserved(record, summary, ended_ns)

    def part_ended(self, record: SessionRecord) -> None:
        """Emit the span of a part that is over, of a session that goes on.

        Args:
            record: the part: its totals are those of the session up to then.
        """
        self.bind()
        number, ended_ns = record.beginning.part, record.ended_ns
        if number is None or ended_ns is None:
            raise ValueError(f"{record.id} is no part that is over")
        whole = record._replace(beginning=record.beginning.of_session())
        summary = {**_summary.latest_attributes(whole), **_summary.part_attributes(whole)}
        self._emit_reserved(whole, summary, ended_ns, number=number)

    def _say_end(self, beginning: Beginning, ended_ns: int, context: Context | None, summary: Attributes) -> None:
        if not self._has_logger or not self._to_log:
            return
        # Apart, so that a log processor that fails does not take the span with it.
        try:
            self._emit(sc.EVENT_SESSION_END, ended_ns, context, {**_summary.identity(beginning), **summary})
        except Exception as exc:  # noqa: BLE001 - the guard, without its frame: this is the hot path
            swallow("emit the end of a session", exc)

    def flush(self) -> bool:
        """Have the SDK export what it holds; False if it says that it could not."""
        providers = (
            self._tracer_provider or trace.get_tracer_provider(),
            self._logger_provider or _logs.get_logger_provider(),
        )
        # All of them, whatever the first says.
        done = [provider.force_flush() for provider in providers if hasattr(provider, "force_flush")]
        return all(done)

    def flush_metrics(self) -> None:
        """Have the SDK collect and export the metrics now."""
        provider = self._meter_provider or metrics.get_meter_provider()
        if hasattr(provider, "force_flush"):
            provider.force_flush()

    def _complete(self, span: _spans.LiveSpan, record: SessionRecord, summary: Attributes) -> None:
        span.set_attributes(summary)
        code, description = _summary.span_status(record)
        if code is trace.StatusCode.ERROR:
            span.set_status(code, description)

    def _emit_reserved(
        self, record: SessionRecord, summary: Attributes, ended_ns: int, *, number: int | None = None
    ) -> None:
        """Emit the span of one part of a session: the last one, if no number is given. Most have but one."""
        beginning = record.beginning
        if beginning.reservation is None or not self._can_reserve:
            return
        number = beginning.part_at(ended_ns) if number is None else number
        events = (event for event in record.totals.recent or () if beginning.part_at(event.time_ns) >= number)
        attributes = {**_summary.start_attributes(beginning), **summary}
        if beginning.max_span_ns is not None:
            attributes[sc.PART_NUMBER] = number
        _spans.emit_reserved(
            self._tracer,
            f"session {beginning.type}",
            reservation=beginning.reservation.of_part(number),
            start_ns=beginning.part_started_ns(number),
            end_ns=ended_ns,
            attributes=attributes,
            events=sorted(events, key=lambda event: event.time_ns),
            status=_summary.span_status(record),
        )

    def event(
        self,
        event: Event,
        identity: Attributes,
        *,
        severity: SeverityNumber = SeverityNumber.INFO,
        body: str | None = None,
        context: Context | None = None,
        always_log: bool = False,
    ) -> bool:
        """Emit the log half of an event.

        Args:
            event: what happened; its attributes are complete and clean.
            identity: what identifies the session; added to the log event only, a span knows it already.
            severity: the log event's severity.
            body: display text.
            context: where it happened; the current context if not given.
            always_log: also in the mode `span`: for what must survive trace sampling.

        Returns:
            Whether the span half is still to be written: the mode wants it, and no bridge has done it.
        """
        if not (self._to_log or always_log) or not self._listens():
            return self.to_span
        bridged: list[bool] = []
        # Apart, so that a log processor that fails costs neither the span event nor the counts.
        with guarded("emit an event"):
            self._logger.emit(
                event_name=event.name,
                timestamp=event.time_ns,
                severity_number=severity,
                body=body,
                context=otel_context.set_value(BRIDGED_KEY, bridged, context),
                attributes={**event.attributes, **identity},
            )
        return self.to_span and not bridged

    def startup(self, attributes: Attributes, time_ns: int) -> None:
        """Say that the library is running, and how it is configured."""
        if self._has_logger and self._to_log:
            self._emit(sc.EVENT_STARTUP, time_ns, None, attributes)

    def observe(self, metric: sc.Metric, read: Reader) -> None:
        """Report what `read` returns as `metric` at each collection."""
        self.metrics.observe(metric, read)

    def replace_reader(self, metric: sc.Metric, read: Reader, last: Mapping[tuple[str | None, ...], float]) -> None:
        """Report `last` for `metric` from now on, unless somebody else than `read` reports it."""
        self.metrics.replace_reader(metric, read, last)

    def after_fork(self) -> None:
        """Start from zero in a child process."""
        self._binding = threading.RLock()
        self.metrics.after_fork()


def _reservation_at(beginning: Beginning, time_ns: int) -> Reservation | None:
    reservation = beginning.reservation
    if reservation is None or beginning.max_span_ns is None:
        return reservation
    return reservation.of_part(beginning.part_at(time_ns))
