"""What one writes without this package to get the same signals: the floor that sessions are compared with.

It is written as tightly as one can: the span is started and attached by hand, because `start_as_current_span` costs a
quarter more, and attributes are given in one piece.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextvars import ContextVar, Token
from typing import Any, Final, Protocol, TypeVar

from opentelemetry import context as otel_context
from opentelemetry._logs import LoggerProvider, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import Span, SpanContext, TracerProvider, get_current_span, set_span_in_context

from otel_sessions import _semconv as sc

T = TypeVar("T")

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]

_SESSION_ID: Final[ContextVar[str | None]] = ContextVar("session_id", default=None)
_SERVER_ERROR: Final = 500
_IDENTITY: Final = {sc.TYPE: "work", sc.ENDUSER_PSEUDO_ID: "5b3c1f0e9a7d4c2b8e6f0a1d3c5b7e9f"}
_SUMMARY: Final[Mapping[str, str | int]] = {
    sc.STATUS: "success",
    sc.END_REASON: "completed",
    sc.EVENT_COUNT: 0,
    sc.ERROR_COUNT: 0,
}


class Signals(Protocol[T]):
    """What is emitted around a call."""

    def begin(self) -> T: ...

    def end(self, begun: T, /) -> None: ...


class OneSpan:
    """A span with the attributes that a session's span has."""

    def __init__(self, tracers: TracerProvider) -> None:
        self._tracer = tracers.get_tracer("by hand")
        self._random = random.Random()

    def begin(self) -> tuple[Span, Token[Context]]:
        attributes = {sc.SESSION_ID: f"{self._random.getrandbits(128):032x}", **_IDENTITY, sc.TOPOLOGY: "scoped"}
        span = self._tracer.start_span("session work", attributes=attributes)
        return span, otel_context.attach(set_span_in_context(span))

    def end(self, begun: tuple[Span, Token[Context]], /) -> None:
        span, token = begun
        otel_context.detach(token)
        if span.is_recording():
            span.set_attributes(_SUMMARY)
        span.end()


class AllSignals:
    """The same span, the events `session.start` and `session.end`, a counter and the histogram of durations."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider, loggers: LoggerProvider) -> None:
        self._tracer = tracers.get_tracer("by hand")
        self._logger = loggers.get_logger("by hand")
        meter = meters.get_meter("by hand")
        self._starts = meter.create_counter(sc.STARTS.name, unit=sc.STARTS.unit)
        self._duration = meter.create_histogram(
            sc.DURATION.name, unit=sc.DURATION.unit, explicit_bucket_boundaries_advisory=sc.DURATION.buckets
        )
        self._random = random.Random()

    def begin(self) -> tuple[Span, Token[Context], int, dict[str, str]]:
        began_ns = time.time_ns()
        identity = {sc.SESSION_ID: f"{self._random.getrandbits(128):032x}", **_IDENTITY}
        span = self._tracer.start_span(
            "session work", attributes={**identity, sc.TOPOLOGY: "scoped"}, start_time=began_ns
        )
        token = otel_context.attach(set_span_in_context(span))
        self._starts.add(1, {sc.TYPE: "work"})
        self._logger.emit(
            event_name=sc.EVENT_SESSION_START,
            timestamp=began_ns,
            severity_number=SeverityNumber.INFO,
            attributes=identity,
        )
        return span, token, began_ns, identity

    def end(self, begun: tuple[Span, Token[Context], int, dict[str, str]], /) -> None:
        span, token, began_ns, identity = begun
        ended_ns = time.time_ns()
        self._logger.emit(
            event_name=sc.EVENT_SESSION_END,
            timestamp=ended_ns,
            severity_number=SeverityNumber.INFO,
            attributes={**identity, **_SUMMARY},
        )
        self._duration.record(
            (ended_ns - began_ns) / 1e9, {sc.TYPE: "work", sc.STATUS: "success", sc.END_REASON: "completed"}
        )
        otel_context.detach(token)
        if span.is_recording():
            span.set_attributes(_SUMMARY)
        span.end(ended_ns)


class NothingCollected:
    """A span and a counter that nobody collects: the least that instrumented code costs without an SDK."""

    def __init__(self, tracers: TracerProvider, meters: MeterProvider) -> None:
        self._tracer = tracers.get_tracer("by hand")
        self._starts = meters.get_meter("by hand").create_counter(sc.STARTS.name)

    def begin(self) -> tuple[Span, Token[Context]]:
        span = self._tracer.start_span("session work")
        token = otel_context.attach(set_span_in_context(span))
        self._starts.add(1, {sc.TYPE: "work"})
        return span, token

    def end(self, begun: tuple[Span, Token[Context]], /) -> None:
        span, token = begun
        otel_context.detach(token)
        span.end()


class Request:
    """What a request says on its spans of a session that lives longer: ASGI middleware and a span processor.

    No session begins, is stored, expires or ends: this is the least that `session.id` on every span, a link on the
    server span and a count of requests and failures cost.
    """

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._known: dict[bytes, tuple[str, SpanContext]] = {}
        self.requests = self.failures = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        cookie = next((value for name, value in scope["headers"] if name == b"cookie"), b"")
        known = self._known.get(cookie)
        if known is None:
            context = SpanContext(random.getrandbits(128), random.getrandbits(64), is_remote=False)
            known = self._known[cookie] = f"{random.getrandbits(128):032x}", context
        session_id, context = known
        span = get_current_span()
        span.set_attribute(sc.SESSION_ID, session_id)
        span.set_attribute(sc.TYPE, "web")
        span.add_link(context)
        self.requests += 1

        async def count_and_send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] >= _SERVER_ERROR:
                self.failures += 1
            await send(message)

        token = _SESSION_ID.set(session_id)
        try:
            await self._app(scope, receive, count_and_send)
        finally:
            _SESSION_ID.reset(token)


class Stamp(SpanProcessor):
    """Puts the id of the request's session on the spans inside."""

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the interface's
        session_id = _SESSION_ID.get()
        if session_id is not None:
            span.set_attribute(sc.SESSION_ID, session_id)


def decorated(function: Callable[[], Any], signals: Signals[T]) -> Callable[[], Any]:
    """`function` with `signals` around each call."""
    begin, end = signals.begin, signals.end

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        begun = begin()
        try:
            return function(*args, **kwargs)
        finally:
            end(begun)

    return wrapper


def decorated_coroutine(function: Callable[[], Awaitable[Any]], signals: Signals[T]) -> Callable[[], Awaitable[Any]]:
    """The coroutine function `function` with `signals` around each call."""
    begin, end = signals.begin, signals.end

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        begun = begin()
        try:
            return await function(*args, **kwargs)
        finally:
            end(begun)

    return wrapper


def passed_through(function: Callable[[], Any]) -> Callable[[], Any]:
    """`function` decorated with nothing: the least that any decorator costs."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper
