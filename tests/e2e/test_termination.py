"""Servers that are told to end, and end by the signal itself: Python's own end does not come."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_sessions.stores import from_url
from otel_sessions.testing import OTLPReceiver, ReceivedSpan

from .load import Load, cookie
from .processes import running, uvicorn
from .store_urls import store_url

REQUESTS = 100


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[OTLPReceiver]:
    with OTLPReceiver() as receiver:
        yield receiver


def served(workers: int) -> list[str]:
    return uvicorn("fastapi_workers:app", "--port", "0", "--workers", str(workers))


def sessions(receiver: OTLPReceiver) -> list[ReceivedSpan]:
    return [span for span in receiver.spans if span.name == "session web"]


class TestUvicorn:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_memory(self, workers: int, receiver: OTLPReceiver) -> None:
        """The sessions of every worker have their spans, with all of their requests."""
        # Nothing is exported by itself in the time that this takes.
        slow = {"OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_BLRP_SCHEDULE_DELAY": "60000"}
        with running(served(workers), receiver, **slow) as process:
            answers = Load(process.url(), [cookie()], count=REQUESTS).start().join()
            process.terminate()
            process.wait(60)
        assert [200] * REQUESTS == [answer.status for answer in answers]
        found = sessions(receiver)
        assert len({answer.text for answer in answers}) == len(found)
        assert {("cancelled", "shutdown")} == {
            (span.attributes["app_session.status"], span.attributes["app_session.end_reason"]) for span in found
        }
        assert REQUESTS == sum(span.attributes["app_session.request.count"] for span in found)
        assert "Traceback" not in process.output

    @pytest.mark.parametrize("workers", [1, 2])
    def test_shared_store(self, workers: int, receiver: OTLPReceiver, tmp_path: Path) -> None:
        """In a store that others see the session goes on, with all of its requests."""
        url = store_url("sqlite", tmp_path)
        settings = {
            "OTEL_SESSIONS_STORE": url,
            "OTEL_SESSIONS_FLUSH_INTERVAL": "60",
            "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process",
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
        }
        with running(served(workers), receiver, **settings) as process:
            Load(process.url(), [cookie()], count=REQUESTS).start().join()
            process.terminate()
            process.wait(60)
        store = from_url(url)
        try:
            assert [REQUESTS] == [record.totals.requests for record in store.active()]
        finally:
            store.shutdown()
        assert [] == sessions(receiver)
        # What each process says last is what a backend goes on showing.
        last = {
            (point.name, point.resource["process.pid"]): point.value
            for point in receiver.points
            if point.name in {"app_session.active", "app_session.requests"}
        }
        assert 0 == sum(value for (name, _), value in last.items() if name == "app_session.active")
        assert REQUESTS == sum(value for (name, _), value in last.items() if name == "app_session.requests")

    def test_collector_that_does_not_answer(self) -> None:
        """A collector that takes what it is sent, and says nothing, delays the end by a few seconds at most."""
        with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
            endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
            silence = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
            with running(served(1), None, **silence) as process:
                Load(process.url(), [cookie()], count=REQUESTS).start().join()
                began = time.monotonic()
                process.terminate()
                process.wait(60)
                assert time.monotonic() - began < 8
