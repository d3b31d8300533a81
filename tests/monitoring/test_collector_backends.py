"""What Loki is sent: it keeps no name of an event."""

from __future__ import annotations

from pathlib import Path

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_sessions.testing import OTLPReceiver

from ..redis_server import free_port
from . import otlp
from .collector import Collector


def test_events_have_their_name_where_loki_keeps_it(tmp_path: Path) -> None:
    """As a line if they have none, and as an attribute; what is no event is as it was."""
    request = otlp.logs()
    request.resource_logs[0].scope_logs[0].log_records.extend(
        [
            LogRecord(event_name="session.end"),
            LogRecord(event_name="session.start", body=otlp.value("")),
            LogRecord(event_name="app_session.progress", body=otlp.value("Reading")),
            LogRecord(body=otlp.value("a line")),
        ]
    )
    with OTLPReceiver() as backend:
        variables = {"LOKI_ENDPOINT": backend.endpoint, "TEMPO_ENDPOINT": f"127.0.0.1:{free_port()}"}
        with Collector("backends", directory=tmp_path, **variables) as collector:
            assert otlp.send(collector.endpoint, request) == 200
            backend.wait_for(lambda: len(backend.logs) == 4)
    assert [(log.body, log.attributes.get("event_name"), log.event_name) for log in backend.logs] == [
        ("session.end", "session.end", "session.end"),
        ("session.start", "session.start", "session.start"),
        ("Reading", "app_session.progress", "app_session.progress"),
        ("a line", None, ""),
    ]
