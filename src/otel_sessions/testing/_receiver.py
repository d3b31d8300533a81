"""A small OTLP/HTTP receiver: it decodes what an application really sends.

https://opentelemetry.io/docs/specs/otlp/#otlphttp, binary protobuf, with or without gzip.
"""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_PROTOBUF: Final = "application/x-protobuf"
_MAX_BODY: Final = 64 * 1024 * 1024
_POLL_SECONDS: Final = 0.02
_DECODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "identity": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span as it came; ids are hexadecimal, times nanoseconds since the epoch."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    start_ns: int
    end_ns: int
    status: int
    attributes: dict[str, Any]
    events: list[tuple[str, int, dict[str, Any]]]
    links: list[tuple[str, str]]
    resource: dict[str, Any]
    scope: str


@dataclass(frozen=True, slots=True)
class ReceivedLog:
    """A log record or log event as it came; ids are hexadecimal, `time_ns` is nanoseconds since the epoch."""

    event_name: str
    body: Any
    time_ns: int
    severity: int
    trace_id: str
    span_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str


@dataclass(frozen=True, slots=True)
class ReceivedPoint:
    """One point of a metric as it came; a histogram's value is its sum, and `count` says how many it is the sum of."""

    name: str
    unit: str
    kind: str
    value: float
    count: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str


class OTLPReceiver:
    """Listens from `__enter__` to `__exit__` on a port of this machine.

    ::

        with OTLPReceiver() as receiver:
            run_application(env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
                                 "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
            receiver.wait_for(lambda: receiver.spans)

    Args:
        port: 0 for a free one.
        host: the address to listen on; by default only this machine can reach it.
    """

    def __init__(self, port: int = 0, *, host: str = "127.0.0.1") -> None:
        self._lock = threading.Lock()
        self._spans: list[ReceivedSpan] = []
        self._logs: list[ReceivedLog] = []
        self._points: list[ReceivedPoint] = []
        self._refused: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                status, answer = receiver._receive(
                    self.path, {name.lower(): value for name, value in self.headers.items()}, self.rfile.read
                )
                # An unread body would be taken for the next request.
                self.close_connection = status in {411, 413}
                self.send_response(status)
                self.send_header("Content-Type", _PROTOBUF)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Not on the console of whoever runs the tests."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away in the middle is what some tests are about."""

        self._server = Server((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)

    @property
    def endpoint(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make an application send everything here."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
        }

    @property
    def spans(self) -> list[ReceivedSpan]:
        """The spans received so far."""
        with self._lock:
            return list(self._spans)

    @property
    def logs(self) -> list[ReceivedLog]:
        """The log records received so far."""
        with self._lock:
            return list(self._logs)

    @property
    def points(self) -> list[ReceivedPoint]:
        """The points of metrics received so far, oldest first: a cumulative metric comes again with each export."""
        with self._lock:
            return list(self._points)

    @property
    def refused(self) -> list[str]:
        """What could not be decoded, and why."""
        with self._lock:
            return list(self._refused)

    def latest(self) -> dict[tuple[str, frozenset[tuple[str, Any]]], ReceivedPoint]:
        """The last point of each series, by name and attributes."""
        return {(p.name, frozenset(p.attributes.items())): p for p in self.points}

    def wait_for(self, condition: Callable[[], Any], timeout: float = 15.0) -> Any:
        """Wait until `condition()` is true, and return what it returned.

        Raises:
            TimeoutError: it was not within `timeout` seconds; the message says what has been received.
        """
        deadline = time.monotonic() + timeout
        while not (found := condition()):
            if time.monotonic() > deadline:
                names = sorted({span.name for span in self.spans})
                events = sorted({log.event_name for log in self.logs})
                refused = sorted(set(self.refused))
                raise TimeoutError(
                    f"not received within {timeout} s; spans: {names}, events: {events}, refused: {refused}"
                )
            time.sleep(_POLL_SECONDS)
        return found

    def __enter__(self) -> OTLPReceiver:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _receive(self, path: str, headers: Mapping[str, str], read: Callable[[int], bytes]) -> tuple[int, bytes]:
        signals: dict[str, tuple[type[Message], type[Message], Callable[[Any], None]]] = {
            "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse, self._keep_spans),
            "/v1/logs": (ExportLogsServiceRequest, ExportLogsServiceResponse, self._keep_logs),
            "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse, self._keep_points),
        }
        length = headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            return self._refuse(411, f"{path}: Content-Length {length!r} is no length; chunked bodies are not read")
        if int(length) > _MAX_BODY:
            return self._refuse(413, f"{path}: a body of {length} bytes")
        body = read(int(length))
        if path not in signals:
            return self._refuse(404, f"{path}: no such signal")
        if headers.get("content-type", "").partition(";")[0].strip() != _PROTOBUF:
            return self._refuse(415, f"{path}: {headers.get('content-type')!r} is not {_PROTOBUF}")
        encoding = headers.get("content-encoding", "identity")
        if encoding not in _DECODERS:
            return self._refuse(415, f"{path}: no decoder for Content-Encoding {encoding!r}")
        request_type, response_type, keep = signals[path]
        request = request_type()
        try:
            request.ParseFromString(_DECODERS[encoding](body))
        except (DecodeError, OSError, EOFError, zlib.error) as error:
            return self._refuse(400, f"{path}: {error!r}")
        keep(request)
        return 200, response_type().SerializeToString()

    def _refuse(self, status: int, reason: str) -> tuple[int, bytes]:
        with self._lock:
            self._refused.append(reason)
        return status, b""

    def _keep_spans(self, request: ExportTraceServiceRequest) -> None:
        spans = [
            _span(span, _attributes(group.resource.attributes), scoped.scope.name)
            for group in request.resource_spans
            for scoped in group.scope_spans
            for span in scoped.spans
        ]
        with self._lock:
            self._spans += spans

    def _keep_logs(self, request: ExportLogsServiceRequest) -> None:
        logs = [
            _log(record, _attributes(group.resource.attributes), scoped.scope.name)
            for group in request.resource_logs
            for scoped in group.scope_logs
            for record in scoped.log_records
        ]
        with self._lock:
            self._logs += logs

    def _keep_points(self, request: ExportMetricsServiceRequest) -> None:
        points = [
            point
            for group in request.resource_metrics
            for scoped in group.scope_metrics
            for metric in scoped.metrics
            for point in _points(metric, _attributes(group.resource.attributes), scoped.scope.name)
        ]
        with self._lock:
            self._points += points


def _span(span: Any, resource: dict[str, Any], scope: str) -> ReceivedSpan:
    return ReceivedSpan(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code,
        _attributes(span.attributes),
        [(event.name, event.time_unix_nano, _attributes(event.attributes)) for event in span.events],
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        resource,
        scope,
    )


def _log(record: Any, resource: dict[str, Any], scope: str) -> ReceivedLog:
    return ReceivedLog(
        record.event_name,
        _value(record.body),
        record.time_unix_nano,
        record.severity_number,
        record.trace_id.hex(),
        record.span_id.hex(),
        _attributes(record.attributes),
        resource,
        scope,
    )


def _points(metric: Any, resource: dict[str, Any], scope: str) -> Iterable[ReceivedPoint]:
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points if kind else ():
        if kind in {"gauge", "sum"}:
            which = point.WhichOneof("value")
            if which is None:
                # Flagged as having no recorded value.
                continue
            value, count = getattr(point, which), 1
        else:
            value, count = point.sum, point.count
        attributes = _attributes(point.attributes)
        yield ReceivedPoint(metric.name, metric.unit, kind, value, count, attributes, resource, scope)


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return tuple(_value(item) for item in value.array_value.values)
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)
