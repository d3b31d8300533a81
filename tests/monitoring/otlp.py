"""OTLP requests as a sender could make them, whatever an SDK would have done about it, and the sending of them."""

from __future__ import annotations

import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

_PATHS: Final[dict[type[Message], str]] = {
    ExportTraceServiceRequest: "/v1/traces",
    ExportLogsServiceRequest: "/v1/logs",
    ExportMetricsServiceRequest: "/v1/metrics",
}
_SECOND: Final = 1_000_000_000

RESOURCE: Final = {"service.namespace": "ns", "service.name": "app", "service.instance.id": "i1"}


def send(
    endpoint: str,
    request: Message,
    *,
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
) -> int:
    """Send a request once, and return the status of the answer."""
    post = urllib.request.Request(
        f"{endpoint}{_PATHS[type(request)]}",
        request.SerializeToString(),
        {"Content-Type": "application/x-protobuf", **(headers or {})},
    )
    try:
        with urllib.request.urlopen(post, timeout=20, context=context) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code


def value(of: Any) -> AnyValue:
    """A value of any type that OTLP has."""
    match of:
        case bool():
            return AnyValue(bool_value=of)
        case int():
            return AnyValue(int_value=of)
        case float():
            return AnyValue(double_value=of)
        case bytes():
            return AnyValue(bytes_value=of)
        case Mapping():
            return AnyValue(kvlist_value=KeyValueList(values=pairs(of)))
        case list():
            return AnyValue(array_value=ArrayValue(values=[value(item) for item in of]))
        case _:
            return AnyValue(string_value=of)


def pairs(of: Mapping[str, Any]) -> list[KeyValue]:
    """Attributes."""
    return [KeyValue(key=key, value=value(item)) for key, item in of.items()]


def resource(**more: Any) -> Resource:
    """The resource of one process of an application."""
    return Resource(attributes=pairs({**RESOURCE, **more}))


def span(
    name: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    trace_id: bytes | None = None,
    seconds: float = 0.01,
    error: bool = False,
) -> Span:
    """A span that has just ended."""
    end = time.time_ns()
    return Span(
        trace_id=trace_id or secrets.token_bytes(16),
        span_id=secrets.token_bytes(8),
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=end - int(seconds * _SECOND),
        end_time_unix_nano=end,
        attributes=pairs(attributes or {}),
        status=Status(code=Status.STATUS_CODE_ERROR) if error else None,
    )


def session_span(session_id: str | None = None) -> Span:
    """The span of a session that was one of its own trace."""
    return span(
        "session chat",
        {
            "session.id": session_id or secrets.token_hex(16),
            "app_session.type": "chat",
            "app_session.topology": "durable",
            "app_session.status": "success",
        },
    )


def traces(spans: Iterable[Span]) -> ExportTraceServiceRequest:
    """One request with these spans."""
    scoped = ScopeSpans(scope=InstrumentationScope(name="tests"), spans=spans)
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource(), scope_spans=[scoped])])


def logs(*bodies: str) -> ExportLogsServiceRequest:
    """One request with log records of these texts."""
    scoped = ScopeLogs(
        scope=InstrumentationScope(name="tests"), log_records=[LogRecord(body=value(body)) for body in bodies]
    )
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs(resource=resource(), scope_logs=[scoped])])


def gauge(name: str, reading: float) -> ExportMetricsServiceRequest:
    """One request with a metric that has one point."""
    point = NumberDataPoint(time_unix_nano=time.time_ns(), as_double=reading)
    scoped = ScopeMetrics(metrics=[Metric(name=name, gauge=Gauge(data_points=[point]))])
    return ExportMetricsServiceRequest(resource_metrics=[ResourceMetrics(resource=resource(), scope_metrics=[scoped])])
