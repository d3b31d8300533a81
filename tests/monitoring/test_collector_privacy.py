"""Nothing personal gets behind the collector, wherever it was put."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Exemplar,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from otel_sessions import _semconv as sc
from otel_sessions._config import Settings, summary
from otel_sessions.testing import OTLPReceiver

from ..redis_server import until
from . import otlp
from .collector import CONFIGURATIONS, Collector, matching

# What has a shape is masked in any text; each is searched for by the part of it that is like nothing else.
SHAPES: Final = {
    "canary.anna@example.com": "canary.anna",
    "canary.anna%40example.com": "canary.anna",
    "Bearer cnry.5d41402abc4b2a76": "cnry.5d41402abc4b2a76",
    "Authorization: Custom cnryheader17": "cnryheader17",
    "eyJhbGciOiJub25lIn0.eyJjYW5hcnkiOjF9.c2ln": "eyJjYW5hcnkiOjF9",
    "password=cnryhunter2": "cnryhunter2",
    '{"api_key": "cnryapikey99"}': "cnryapikey99",
    "postgres://cnryuser:cnrypass@db/x": "cnrypass",
    "sk-cnry0123456789abcdefgh": "cnry0123456789abcdefgh",
    "4111 1111 1111 1111": "1111 1111",
    "4111111111111111": "4111111111111111",
    "371449635398431": "371449635398431",
    "DE89 3704 0044 0532 0130 00": "0044 0532",
    "+49 170 5550123": "5550123",
    "078-05-1120": "078-05-1120",
    "203.0.113.77": "203.0.113.77",
    "2001:db8::ca1:7": "ca1:7",
    "00:1a:2b:3c:4d:5e": "1a:2b:3c",
}
# What has none can be told by where it is: under a name that is not listed.
NAME: Final = "Canaria Birdsong"
TEXT: Final = " and ".join(f"<{shape}>" for shape in SHAPES)
CANARIES: Final = (*SHAPES.values(), NAME)

SESSION: Final = secrets.token_hex(16)
UNLISTED: Final = {
    "user.name": NAME,
    "customer": {"name": NAME, "mail": "canary.anna@example.com"},
    "names": [NAME],
    "raw": NAME.encode(),
}
LISTED: Final = {
    "app_session.event.message": TEXT,
    "app_session.type": f"chat {TEXT}",
    "app_session.usage.tokens": 4111111111111111,
}


def everywhere(**more: Any) -> dict[str, Any]:
    """Attributes with every canary that attributes can have."""
    return {**UNLISTED, **LISTED, **more}


def scope() -> InstrumentationScope:
    return InstrumentationScope(name=f"scope {TEXT}", version=TEXT, attributes=otlp.pairs(everywhere()))


def spans() -> ExportTraceServiceRequest:
    span = otlp.span(f"GET /users/{TEXT}", everywhere(**{"session.id": SESSION, "enduser.pseudo.id": "ab" * 16}))
    span.trace_state = f"vendor={TEXT}"
    span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=TEXT))
    span.events.append(Span.Event(name=f"event {TEXT}", attributes=otlp.pairs(everywhere())))
    span.events.append(
        Span.Event(
            name="exception",
            attributes=otlp.pairs({"exception.message": TEXT, "exception.stacktrace": f"Traceback\n  {TEXT}\nError"}),
        )
    )
    # Without events and attributes: what holds for a span must not hang on what is in it.
    bare = otlp.span(f"bare {TEXT}")
    group = ResourceSpans(resource=otlp.resource(**everywhere()))
    group.scope_spans.append(ScopeSpans(scope=scope(), spans=[span, bare]))
    return ExportTraceServiceRequest(resource_spans=[group])


def logs() -> ExportLogsServiceRequest:
    bodies: tuple[Any, ...] = (
        TEXT,
        {"message": NAME, "session.id": TEXT},
        [TEXT, {"who": NAME}],
        NAME.encode(),
        4111111111111111,
    )
    records = [
        LogRecord(
            event_name=f"event {TEXT}",
            severity_text=TEXT,
            severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
            body=otlp.value(body),
            attributes=otlp.pairs(everywhere(**{"session.id": SESSION})),
        )
        for body in bodies
    ]
    group = ResourceLogs(resource=otlp.resource(**everywhere()))
    group.scope_logs.append(ScopeLogs(scope=scope(), log_records=records))
    return ExportLogsServiceRequest(resource_logs=[group])


def metrics() -> ExportMetricsServiceRequest:
    point = NumberDataPoint(
        as_int=1,
        time_unix_nano=1,
        attributes=otlp.pairs(everywhere()),
        exemplars=[Exemplar(as_int=1, filtered_attributes=otlp.pairs(everywhere()))],
    )
    counter = Metric(name="app_session.starts", unit="{session}")
    counter.sum.is_monotonic = True
    counter.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    counter.sum.data_points.append(point)
    group = ResourceMetrics(resource=otlp.resource(**everywhere()))
    group.scope_metrics.append(ScopeMetrics(scope=scope(), metrics=[counter]))
    return ExportMetricsServiceRequest(resource_metrics=[group])


class Passed:
    """What came out of a collector that all canaries were put into."""

    def __init__(self, collector: Collector, receiver: OTLPReceiver) -> None:
        self.receiver = receiver
        self.files = "".join(path.read_text() for path in (collector.directory / "telemetry").glob("*.jsonl"))
        self.queue = b"".join(path.read_bytes() for path in (collector.directory / "queue").glob("*"))
        self.scrape = collector.metrics()
        self.log = collector.log


@pytest.fixture(scope="module", name="passed")
def _passed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Passed]:
    with OTLPReceiver() as receiver:
        directory = tmp_path_factory.mktemp("privacy")
        pipelines = {
            "traces/out": "[debug, file/traces, otlp_http/backend]",
            "logs/out": "[debug, file/logs, otlp_http/backend]",
            "metrics/out": "[debug, file/metrics, otlp_http/backend, prometheus]",
        }
        exporters = ", ".join(f"{name}: {{exporters: {to}}}" for name, to in pipelines.items())
        extra = f"{{service: {{pipelines: {{{exporters}}}}}}}"
        variables = {"OTLP_BACKEND": receiver.endpoint, "DEBUG_VERBOSITY": "detailed"}
        with Collector("local", directory=directory, extra=extra, **variables) as collector:
            for request in (spans(), logs(), metrics()):
                assert otlp.send(collector.endpoint, request) == 200
            receiver.wait_for(lambda: len(receiver.spans) == 2 and len(receiver.logs) == 5)
            receiver.wait_for(
                lambda: {"app_session.starts", "traces.span.metrics.calls"} <= {p.name for p in receiver.points}
            )
            receiver.wait_for(lambda: any(matching(collector.metrics(), "traces_span_metrics_calls_total")))
            yield Passed(collector, receiver)


class TestCanaries:
    @pytest.mark.parametrize("canary", CANARIES)
    def test_no_trace_of_a_canary_is_left_anywhere(self, passed: Passed, canary: str) -> None:
        """Not at the next OTLP receiver, in a file, on the console, in Prometheus or in the queue on the disk."""
        received = repr((passed.receiver.spans, passed.receiver.logs, passed.receiver.points))
        for place in (received, passed.files, passed.log, repr(list(passed.scrape))):
            assert canary not in place
        assert canary.encode() not in passed.queue

    def test_what_is_not_personal_gets_through(self, passed: Passed) -> None:
        """Ids of sessions, pseudonyms, names of things and what is around a masked part: it is redaction, not loss."""
        span, bare = passed.receiver.spans
        assert span.attributes["session.id"] == SESSION
        assert span.attributes["enduser.pseudo.id"] == "ab" * 16
        assert span.name.startswith("GET /users/<****>")
        assert bare.name.startswith("bare <****>")
        assert span.events[0][0].startswith("event <****>")
        assert span.events[1][2]["exception.stacktrace"].startswith("Traceback\n  <****>")
        assert span.scope.startswith("scope <****>")
        assert span.resource["service.name"] == "app"
        assert span.status == Status.STATUS_CODE_ERROR
        assert not [key for key in span.attributes if key.startswith(("privacy.", "redaction."))]
        assert passed.receiver.logs[0].attributes["session.id"] == SESSION
        assert passed.receiver.logs[0].event_name.startswith("event <****>")
        assert passed.receiver.logs[0].severity == 9


class TestFailure:
    def test_what_cannot_be_made_private_is_refused(self, tmp_path: Path) -> None:
        """A statement that fails stops the request: the failure is made here, what it leads to is configured."""
        failing = """processors:
  transform/expose:
    trace_statements: [{context: span, statements: ['set(span.name, ParseJSON(span.name))']}]
"""
        with OTLPReceiver() as backend:
            with Collector(directory=tmp_path, extra=failing, OTLP_BACKEND=backend.endpoint) as collector:
                assert otlp.send(collector.endpoint, otlp.traces([otlp.span("no JSON")])) == 503
                # Logs are untouched by it, and come after: what would have come has come.
                assert otlp.send(collector.endpoint, logs()) == 200
                backend.wait_for(lambda: backend.logs)
            assert backend.spans == []

    def test_attributes_of_links_are_not_looked_at(self, tmp_path: Path) -> None:
        """The limit that is documented. When this fails, a component has learnt it: say so in the README."""
        linked = otlp.span("GET /linked")
        linked.links.append(Span.Link(trace_id=b"1" * 16, span_id=b"2" * 8, attributes=otlp.pairs({"user.name": NAME})))
        with Collector("local", directory=tmp_path) as collector:
            assert otlp.send(collector.endpoint, otlp.traces([linked])) == 200
            until(lambda: NAME in (tmp_path / "telemetry" / "traces.jsonl").read_text())


class TestAllowList:
    def test_everything_this_package_sends_is_listed(self) -> None:
        """Every attribute of the catalogue, and what a process says of its settings."""
        listed = _allowed()
        names = {
            value
            for name, value in vars(sc).items()
            if isinstance(value, str) and name.isupper() and value.startswith("app_session.")
        }
        prefixes = {sc.USAGE_PREFIX, sc.CONFIG_PREFIX}
        events = sc.BUILT_IN_EVENTS | {sc.EVENT_STARTUP, sc.EVENT_ALERT, sc.EVENT_ACCESS}
        assert names - prefixes - events - listed == set()
        assert set(summary(Settings())) - listed == set()
        assert {sc.SESSION_ID, sc.SESSION_PREVIOUS_ID, sc.ENDUSER_PSEUDO_ID, sc.GEN_AI_TOKEN_TYPE} <= listed

    def test_nothing_is_listed_twice(self) -> None:
        """So that what is removed from the list is gone."""
        listed = _lines()
        assert sorted(set(listed)) == sorted(listed)


def _lines() -> list[str]:
    text = (Path(CONFIGURATIONS) / "collector.yaml").read_text()
    between = text.partition("    allowed_keys:\n")[2].partition("    allowed_values:\n")[0]
    return [line.strip().removeprefix("- ") for line in between.splitlines() if line.strip().startswith("- ")]


def _allowed() -> set[str]:
    return set(_lines())
