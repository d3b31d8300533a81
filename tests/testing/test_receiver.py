"""`OTLPReceiver`, against the real exporters and against what no exporter should send."""

from __future__ import annotations

import gzip
import http.client
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode, format_span_id, format_trace_id

from otel_sessions import session
from otel_sessions.testing import OTLPReceiver, ReceivedLog, ReceivedPoint, ReceivedSpan, record_sessions

SHOP = Resource({"service.name": "shop"})
PROTOBUF = {"Content-Type": "application/x-protobuf"}
COMPRESSIONS = pytest.mark.parametrize("compression", list(Compression))


def post(
    receiver: OTLPReceiver, path: str, body: bytes, headers: dict[str, str], *, length: str | None = None
) -> tuple[int, bytes]:
    """What the receiver answers to a body that an exporter would not send; no length if `length` is empty."""
    connection = http.client.HTTPConnection(receiver.endpoint.removeprefix("http://"), timeout=5)
    try:
        connection.putrequest("POST", path)
        declared = str(len(body)) if length is None else length
        for name, value in {**headers, **({"Content-Length": declared} if declared else {})}.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def one_span() -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="s", trace_id=b"\1" * 16, span_id=b"\2" * 8)
    return request.SerializeToString()


@pytest.fixture(name="receiver", scope="module")
def _receiver() -> Iterator[OTLPReceiver]:
    with OTLPReceiver() as receiver:
        yield receiver


@pytest.fixture(name="fresh")
def _fresh(otlp_receiver: OTLPReceiver) -> OTLPReceiver:
    return otlp_receiver


class TestSpans:
    """What the real span exporter sends is decoded, whole."""

    @COMPRESSIONS
    def test_whole(self, fresh: OTLPReceiver, compression: Compression) -> None:
        """Every part of a span, with the types of its attributes."""
        provider = TracerProvider(resource=SHOP, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{fresh.endpoint}/v1/traces", compression=compression)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("application")
        parent = tracer.start_span("parent", start_time=100)
        attributes: dict[str, Any] = {"s": "x", "i": 1, "f": 0.5, "b": True, "many": ("a", "b"), "empty": ()}
        span = tracer.start_span(
            "GET /",
            context=_within(parent),
            kind=SpanKind.SERVER,
            attributes=attributes,
            links=[Link(parent.get_span_context())],
            start_time=200,
        )
        span.add_event("cache.miss", {"n": 2}, 250)
        span.set_status(StatusCode.ERROR, "it broke")
        span.end(300)
        provider.shutdown()
        (received,) = fresh.spans
        of, above = span.get_span_context(), parent.get_span_context()
        expected = ReceivedSpan(
            name="GET /",
            trace_id=format_trace_id(of.trace_id),
            span_id=format_span_id(of.span_id),
            parent_id=format_span_id(above.span_id),
            kind=2,
            start_ns=200,
            end_ns=300,
            status=2,
            attributes=attributes,
            events=[("cache.miss", 250, {"n": 2})],
            links=[(format_trace_id(above.trace_id), format_span_id(above.span_id))],
            resource={"service.name": "shop"},
            scope="application",
        )
        assert expected == received
        assert [] == fresh.refused

    def test_root_has_no_parent(self, fresh: OTLPReceiver) -> None:
        """The parent of a root is empty."""
        assert (200, ExportTraceServiceResponse().SerializeToString()) == post(
            fresh, "/v1/traces", one_span(), PROTOBUF
        )
        (span,) = fresh.spans
        assert ("s", "01" * 16, "02" * 8, "", {}, [], []) == (
            span.name,
            span.trace_id,
            span.span_id,
            span.parent_id,
            span.attributes,
            span.events,
            span.links,
        )


def _within(span: Any) -> Any:
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(span)


class TestLogs:
    """What the real log exporter sends is decoded, whole."""

    @COMPRESSIONS
    def test_whole(self, fresh: OTLPReceiver, compression: Compression) -> None:
        """A log event, with nested values."""
        provider = LoggerProvider(resource=SHOP, shutdown_on_exit=False)
        exporter = OTLPLogExporter(f"{fresh.endpoint}/v1/logs", compression=compression)
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        provider.get_logger("application").emit(
            event_name="cart.checkout",
            body={"text": "paid", "lines": [1, 2]},
            timestamp=100,
            severity_number=SeverityNumber.WARN,
            attributes={"amount": 3, "raw": b"\x00\x01", "nested": {"a": [True, False]}},
        )
        provider.shutdown()
        expected = ReceivedLog(
            event_name="cart.checkout",
            body={"text": "paid", "lines": (1, 2)},
            time_ns=100,
            severity=13,
            trace_id="",
            span_id="",
            attributes={"amount": 3, "raw": b"\x00\x01", "nested": {"a": (True, False)}},
            resource={"service.name": "shop"},
            scope="application",
        )
        assert [expected] == fresh.logs

    def test_without_anything(self, fresh: OTLPReceiver) -> None:
        """A record in which nothing is set."""
        request = ExportLogsServiceRequest()
        request.resource_logs.add().scope_logs.add().log_records.add()
        assert 200 == post(fresh, "/v1/logs", request.SerializeToString(), PROTOBUF)[0]
        assert [ReceivedLog("", None, 0, 0, "", "", {}, {}, "")] == fresh.logs


class TestMetrics:
    """What the real metric exporter sends is decoded, point by point."""

    @COMPRESSIONS
    def test_of_all_kinds(self, fresh: OTLPReceiver, compression: Compression) -> None:
        """Sums, gauges and both kinds of histograms."""
        exporter = OTLPMetricExporter(f"{fresh.endpoint}/v1/metrics", compression=compression)
        provider = MeterProvider(
            [PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)],
            resource=SHOP,
            shutdown_on_exit=False,
            views=[View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())],
        )
        meter = provider.get_meter("application")
        meter.create_counter("sum", unit="{request}").add(3, {"type": "web"})
        meter.create_up_down_counter("open").add(-2)
        meter.create_gauge("level", unit="1").set(0.5)
        for name in ("explicit", "exponential"):
            histogram = meter.create_histogram(name, unit="s")
            histogram.record(1.5)
            histogram.record(2)
        provider.shutdown()
        resource = {"service.name": "shop"}
        assert [
            ReceivedPoint("explicit", "s", "histogram", 3.5, 2, {}, resource, "application"),
            ReceivedPoint("exponential", "s", "exponential_histogram", 3.5, 2, {}, resource, "application"),
            ReceivedPoint("level", "1", "gauge", 0.5, 1, {}, resource, "application"),
            ReceivedPoint("open", "", "sum", -2, 1, {}, resource, "application"),
            ReceivedPoint("sum", "{request}", "sum", 3, 1, {"type": "web"}, resource, "application"),
        ] == sorted(fresh.points, key=lambda point: point.name)

    def test_latest_of_each_series(self, fresh: OTLPReceiver) -> None:
        """A cumulative metric comes again with each export; the last value counts."""
        exporter = OTLPMetricExporter(f"{fresh.endpoint}/v1/metrics")
        provider = MeterProvider(
            [PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)], shutdown_on_exit=False
        )
        counter = provider.get_meter("application").create_counter("visits")
        for kind in ("web", "api", "web"):
            counter.add(1, {"type": kind})
            provider.force_flush()
        provider.shutdown()
        assert {"web": 2, "api": 1} == {
            dict(attributes)["type"]: point.value for (_, attributes), point in fresh.latest().items()
        }
        assert len(fresh.points) > 3

    def test_points_without_a_value(self, fresh: OTLPReceiver) -> None:
        """A point that says only that nothing was recorded, or a metric without data, costs the others nothing."""
        request = ExportMetricsServiceRequest()
        metrics = request.resource_metrics.add().scope_metrics.add().metrics
        metrics.add(name="empty")
        gauge = metrics.add(name="level").gauge.data_points
        gauge.add(flags=1)
        gauge.add(as_int=7)
        assert 200 == post(fresh, "/v1/metrics", request.SerializeToString(), PROTOBUF)[0]
        assert [("level", 7)] == [(point.name, point.value) for point in fresh.points]

    def test_summary(self, fresh: OTLPReceiver) -> None:
        """The old kind of metric that Prometheus receivers send has a sum and a count too."""
        request = ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="old")
        metric.summary.data_points.add(count=2, sum=3.5)
        assert 200 == post(fresh, "/v1/metrics", request.SerializeToString(), PROTOBUF)[0]
        assert [("old", "summary", 3.5, 2)] == [(p.name, p.kind, p.value, p.count) for p in fresh.points]


class TestRefusals:
    """What cannot be decoded is refused, listed, and keeps nobody waiting."""

    @pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics"])
    @pytest.mark.parametrize("body", [b"\xff\xff\xff", b"not protobuf", one_span()[:-1]])
    def test_malformed(self, receiver: OTLPReceiver, path: str, body: bytes) -> None:
        """A body that is not the protobuf message of its path."""
        before = len(receiver.refused)
        assert (400, b"") == post(receiver, path, body, PROTOBUF)
        (reason,) = receiver.refused[before:]
        assert reason.startswith(f"{path}: ")

    @pytest.mark.parametrize(
        ("encoding", "body"),
        [
            ("gzip", one_span()),
            ("gzip", gzip.compress(one_span())[:-9]),
            ("deflate", b"\x00\x01"),
            ("gzip", gzip.compress(b"\xff\xff")),
        ],
        ids=["plain", "cut-off", "no-deflate", "not-protobuf-inside"],
    )
    def test_malformed_compression(self, receiver: OTLPReceiver, encoding: str, body: bytes) -> None:
        """A body that is not compressed as it claims."""
        assert 400 == post(receiver, "/v1/traces", body, {**PROTOBUF, "Content-Encoding": encoding})[0]

    @pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "application/x-protobuffer"])
    def test_wrong_content_type(self, receiver: OTLPReceiver, content_type: str) -> None:
        """Only binary protobuf is understood."""
        before = len(receiver.spans)
        assert (415, b"") == post(receiver, "/v1/traces", one_span(), {"Content-Type": content_type})
        assert before == len(receiver.spans)
        assert "application/x-protobuf" in receiver.refused[-1]

    def test_no_content_type(self, receiver: OTLPReceiver) -> None:
        """A type must be given."""
        assert 415 == post(receiver, "/v1/traces", one_span(), {})[0]

    @pytest.mark.parametrize("encoding", ["zstd", "br", "snappy"])
    def test_unknown_encoding(self, receiver: OTLPReceiver, encoding: str) -> None:
        """A compression that is not understood is said so, not taken for plain."""
        before = len(receiver.spans)
        assert 415 == post(receiver, "/v1/traces", one_span(), {**PROTOBUF, "Content-Encoding": encoding})[0]
        assert before == len(receiver.spans)

    @pytest.mark.parametrize("path", ["/", "/v1/profiles", "/v1/traces/x", "/v2/traces"])
    def test_unknown_signal(self, receiver: OTLPReceiver, path: str) -> None:
        """Other paths are not found."""
        assert (404, b"") == post(receiver, path, one_span(), PROTOBUF)

    @pytest.mark.parametrize(
        ("headers", "length"),
        [({}, ""), ({"Transfer-Encoding": "chunked"}, ""), ({}, "abc"), ({}, "-1"), ({}, "1.5")],
        ids=["none", "chunked", "word", "negative", "fraction"],
    )
    def test_no_usable_length(self, receiver: OTLPReceiver, headers: dict[str, str], length: str) -> None:
        """Without a length nothing can be read: that is said at once, and nothing is acknowledged."""
        assert 411 == post(receiver, "/v1/traces", b"", {**PROTOBUF, **headers}, length=length)[0]

    def test_too_long(self, receiver: OTLPReceiver) -> None:
        """More than 64 MiB are not read."""
        assert 413 == post(receiver, "/v1/traces", b"", PROTOBUF, length=str(65 * 1024 * 1024))[0]

    def test_client_that_hangs_up(self, fresh: OTLPReceiver) -> None:
        """A client that goes away in the middle costs nothing; the next one is served."""
        connection = http.client.HTTPConnection(fresh.endpoint.removeprefix("http://"), timeout=5)
        connection.putrequest("POST", "/v1/traces")
        connection.putheader("Content-Length", "1000")
        connection.endheaders()
        connection.send(b"only this")
        connection.close()
        assert 200 == post(fresh, "/v1/traces", one_span(), PROTOBUF)[0]

    def test_real_exporter_is_told(self, receiver: OTLPReceiver) -> None:
        """An exporter at the wrong path sees a failure, as from a collector."""
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{receiver.endpoint}/v1/nowhere")
        before = len(receiver.spans)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        provider.get_tracer("x").start_span("lost").end()
        provider.shutdown()
        assert before == len(receiver.spans)
        assert "/v1/nowhere: no such signal" == receiver.refused[-1]


class TestAcceptance:
    """What is unusual and right is accepted."""

    @pytest.mark.parametrize(
        ("headers", "encode"),
        [
            ({"Content-Type": "application/x-protobuf; charset=utf-8"}, bytes),
            ({**PROTOBUF, "Content-Encoding": "gzip"}, gzip.compress),
            ({**PROTOBUF, "Content-Encoding": "deflate"}, zlib.compress),
            ({**PROTOBUF, "Content-Encoding": "identity"}, bytes),
            ({"content-TYPE": "application/x-protobuf"}, bytes),
        ],
        ids=["parameters", "gzip", "deflate", "identity", "case"],
    )
    def test_headers(self, fresh: OTLPReceiver, headers: dict[str, str], encode: Callable[[bytes], bytes]) -> None:
        """Media type parameters, both compressions, names of fields in any case."""
        assert 200 == post(fresh, "/v1/traces", encode(one_span()), headers)[0]
        assert ["s"] == [span.name for span in fresh.spans]

    def test_empty_request(self, fresh: OTLPReceiver) -> None:
        """A request without data is a request."""
        assert (200, b"") == post(fresh, "/v1/traces", b"", PROTOBUF)
        assert ([], []) == (fresh.spans, fresh.refused)

    def test_many_clients_at_once(self, fresh: OTLPReceiver) -> None:
        """Ten exporters at a time lose nothing."""

        def send() -> None:
            for _ in range(10):
                assert 200 == post(fresh, "/v1/traces", one_span(), PROTOBUF)[0]

        threads = [threading.Thread(target=send) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 100 == len(fresh.spans)

    def test_connection_is_kept(self, fresh: OTLPReceiver) -> None:
        """Exporters send batch after batch over one connection, also after a refusal."""
        connection = http.client.HTTPConnection(fresh.endpoint.removeprefix("http://"), timeout=5)
        statuses = []
        for path in ("/v1/traces", "/v1/nowhere", "/v1/traces"):
            connection.request("POST", path, one_span(), PROTOBUF)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        assert [200, 404, 200] == statuses
        assert 2 == len(fresh.spans)


class TestWaiting:
    """`wait_for` is how a test waits for another process."""

    def test_returns_what_the_condition_returned(self, fresh: OTLPReceiver) -> None:
        """As soon as it is true."""
        sending = threading.Thread(target=post, args=(fresh, "/v1/traces", one_span(), PROTOBUF))
        sending.start()
        assert ["s"] == [span.name for span in fresh.wait_for(lambda: fresh.spans)]
        sending.join()

    def test_says_what_came_instead(self, fresh: OTLPReceiver) -> None:
        """A test that waits in vain says what has been received."""
        post(fresh, "/v1/traces", one_span(), PROTOBUF)
        post(fresh, "/v1/nowhere", b"", PROTOBUF)
        with pytest.raises(TimeoutError) as caught:
            fresh.wait_for(lambda: fresh.logs, timeout=0.01)
        assert "not received within 0.01 s" in str(caught.value)
        assert "spans: ['s']" in str(caught.value)
        assert "/v1/nowhere: no such signal" in str(caught.value)


class TestServer:
    """The receiver as a server."""

    def test_environment_for_the_application(self, receiver: OTLPReceiver) -> None:
        """The variables that make the SDK's exporters send to it."""
        assert {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
        } == receiver.environment
        assert receiver.endpoint.startswith("http://127.0.0.1:")

    def test_port_can_be_chosen_and_is_given_back(self) -> None:
        """When it is closed, another can listen there."""
        with OTLPReceiver() as first:
            port = int(first.endpoint.rpartition(":")[2])
        with OTLPReceiver(port) as second:
            assert first.endpoint == second.endpoint
            assert 200 == post(second, "/v1/traces", one_span(), PROTOBUF)[0]

    def test_leaves_no_thread(self) -> None:
        """What it starts ends with it."""
        before = set(threading.enumerate())
        with OTLPReceiver() as receiver:
            post(receiver, "/v1/traces", one_span(), PROTOBUF)
            assert set(threading.enumerate()) - before
        for thread in set(threading.enumerate()) - before:
            thread.join(5)
        assert set(threading.enumerate()) <= before

    def test_receives_a_session(self, fresh: OTLPReceiver) -> None:
        """A session through real exporters: its span, its events, its metrics."""
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{fresh.endpoint}/v1/traces")))
        loggers = LoggerProvider(shutdown_on_exit=False)
        loggers.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{fresh.endpoint}/v1/logs")))
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(f"{fresh.endpoint}/v1/metrics"), export_interval_millis=3_600_000
        )
        meters = MeterProvider([reader], shutdown_on_exit=False)
        with (
            record_sessions(tracer_provider=tracers, logger_provider=loggers, meter_provider=meters),
            session("job", user="ada") as s,
        ):
            s.event("cart.checkout", "Paid", amount=3)
        for provider in (tracers, loggers, meters):
            provider.shutdown()
        (span,) = fresh.spans
        assert ("session job", s.id, "success") == (
            span.name,
            span.attributes["session.id"],
            span.attributes["app_session.status"],
        )
        assert ["cart.checkout"] == [name for name, _, _ in span.events]
        names = [log.event_name for log in fresh.logs]
        assert ["app_session.startup", "session.start", "cart.checkout", "session.end"] == names
        assert {span.trace_id} == {log.trace_id for log in fresh.logs if log.event_name != "app_session.startup"}
        assert {"app_session.starts", "app_session.duration", "app_session.events"} <= {p.name for p in fresh.points}
        scopes = {span.scope, *(log.scope for log in fresh.logs), *(point.scope for point in fresh.points)}
        assert {"otel_sessions"} == scopes
        assert [] == fresh.refused
