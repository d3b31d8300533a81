"""Whether telemetry leaves: which exporter there is, whether its endpoint answers, and whether a span arrives."""

from __future__ import annotations

import os
import socket
import urllib.request
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider

import otel_sessions as sessions

from ... import _runtime
from ..._config import resolve
from .._delivery import Delivery, configured, header_names, made, protocol
from .._failure import Failure
from .._output import plain
from ._finding import Finding, ok, problem, warning

_TIMEOUT: Final = 5
"""Seconds."""
_PORTS: Final = {"http": 80, "https": 443}
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_TYPE: Final = "doctor"
_CONSOLE: Final = "console"


class _Endpoint(NamedTuple):
    """Where OTLP goes; of its address nothing is shown but this."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def exporting(*, offline: bool) -> Iterator[Finding]:
    """What becomes of a span.

    Args:
        offline: send nothing.
    """
    try:
        every = configured("traces")
        # What is written here would be taken for what this command has to say.
        exporters = {name: make for name, make in every.items() if name != _CONSOLE}
        delivery = Delivery(made(exporters, timeout=_TIMEOUT))
    except Failure as failure:
        yield problem("exporter", str(failure), "correct the OTEL_* variables, or install the exporter")
        return
    if not every:
        yield warning(
            "exporter",
            "none for spans: OTEL_TRACES_EXPORTER=none, or OTEL_SDK_DISABLED=true",
            "unset it, unless the application sets up an SDK of its own",
        )
        return
    if not exporters:
        yield ok("exporter", "console: spans are written to the standard output of the application")
        return
    try:
        yield from _sent(list(exporters), delivery, offline=offline)
    finally:
        delivery.shutdown()


def _sent(names: list[str], delivery: Delivery, *, offline: bool) -> Iterator[Finding]:
    speaks_otlp = any(name.startswith("otlp") for name in names)
    endpoint = _endpoint() if speaks_otlp else None
    headers = header_names()
    told = [plain(name) for name in names]
    if endpoint is not None:
        how = f"{protocol('traces')} to {endpoint}"
        told.append(f"{how}, with the headers {', '.join(headers)}" if headers else how)
    elif speaks_otlp:
        yield problem("exporter", "the endpoint is no address", f"set {_ENDPOINTS[1]} to one such as http://host:4318")
        return
    if endpoint is not None and not any(os.environ.get(name, "").strip() for name in _ENDPOINTS):
        yield warning(
            "exporter", f"{', '.join(told)}, because none is set", f"set {_ENDPOINTS[1]}, unless a collector runs there"
        )
    else:
        yield ok("exporter", ", ".join(told))
    if not offline:
        yield from _answered(endpoint, delivery)


def _endpoint() -> _Endpoint | None:
    """Where the exporter sends to; None if what is configured is no address."""
    default = "http://localhost:4317" if protocol("traces") == "grpc" else "http://localhost:4318"
    text = next((found for name in _ENDPOINTS if (found := os.environ.get(name, "").strip())), default)
    try:
        # gRPC takes a bare host and port as well.
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return _Endpoint(parts.scheme, plain(parts.hostname), port) if parts.hostname and port else None


def _answered(endpoint: _Endpoint | None, delivery: Delivery) -> Iterator[Finding]:
    fault = None if endpoint is None else _unreachable(endpoint)
    if fault is not None:
        yield problem(
            "endpoint",
            f"nothing answers at {endpoint}: {fault}",
            "start the collector, or correct the endpoint; the test span was not sent",
        )
        return
    if endpoint is not None:
        failure = delivery.send([])
        if failure is not None:
            yield problem("endpoint", f"{endpoint} refuses an empty request: {failure}", _advice(endpoint))
            return
        yield ok("endpoint", f"{endpoint} takes requests")
    yield _span(delivery)


def _advice(endpoint: _Endpoint) -> str:
    other = "http/protobuf, usually port 4318" if protocol("traces") == "grpc" else "grpc, usually port 4317"
    secure = "" if endpoint.scheme == "https" else ", and whether it wants https"
    return f"see whether it wants another protocol ({other}; OTEL_EXPORTER_OTLP_PROTOCOL), or other headers{secure}"


def _unreachable(endpoint: _Endpoint) -> str | None:
    """Why no connection can be had; None if one can, or a proxy would have it."""
    proxies = urllib.request.getproxies()
    if endpoint.scheme in proxies and not urllib.request.proxy_bypass(endpoint.host):
        return None
    try:
        socket.create_connection((endpoint.host, endpoint.port), timeout=_TIMEOUT).close()
    except (OSError, UnicodeError) as error:
        return plain(getattr(error, "strerror", None) or error)
    return None


def _span(delivery: Delivery) -> Finding:
    """Send the span of a session, as an application does."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(delivery)
    # Of a runtime of its own: nothing of it is in the store, and no wrong variable stands in the way.
    given = {"tracer_provider": provider, "meter_provider": NoOpMeterProvider(), "background": False}
    runtime = _runtime.Runtime(resolve({**given, "events": "span", "detect_user": False}, environ={}), explicit=True)
    before = _runtime.swap(runtime)
    try:
        with sessions.session(_TYPE) as handle:
            pass
        arrived = provider.force_flush()
    finally:
        _runtime.swap(before)
        runtime.stop()
    if not arrived:
        advice = "see the log of the collector; the application's spans are lost as this one is"
        return problem("test span", f"it did not arrive: {delivery.failure}", advice)
    if not handle.span_context.trace_flags.sampled:
        return warning("test span", "the sampler did not want it", "see OTEL_TRACES_SAMPLER, unless that is meant")
    return ok("test span", f"a span `session {_TYPE}` was taken; its trace is {handle.span_context.trace_id:032x}")
