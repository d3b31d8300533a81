"""What is sent, and whether it has arrived: exporters of all kinds."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from otel_sessions.cli._checkup import exporting
from otel_sessions.cli._delivery import Delivery, configured, made
from otel_sessions.cli._failure import Failure

MODULE = """
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Exporter(InMemorySpanExporter):
    pass
"""


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture(name="installed")
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with an exporter of its own, and with one that cannot be loaded."""
    (tmp_path / "own_exporter.py").write_text(MODULE, "utf-8")
    info = tmp_path / "own_exporter-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-exporter\nVersion: 1\n", "utf-8")
    points = "[opentelemetry_traces_exporter]\nown = own_exporter:Exporter\nbroken = own_exporter:None_such\n"
    (info / "entry_points.txt").write_text(points, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


class Exporter(SpanExporter):
    """One that says what it is told to."""

    def __init__(self, answer: SpanExportResult | Exception, said: str | None = None) -> None:
        self.answer, self.said = answer, said
        self.batches: list[int] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.batches.append(len(spans))
        if self.said is not None:
            logging.getLogger("opentelemetry.exporter.own").error("%s", self.said)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def send(delivery: Delivery, **options: Any) -> bool:
    """Make a span, and flush it."""
    provider = TracerProvider(shutdown_on_exit=False, **options)
    provider.add_span_processor(delivery)
    provider.get_tracer("test").start_span("a").end()
    return provider.force_flush()


class TestDelivery:
    def test_arrived(self) -> None:
        """What has ended is sent once."""
        exporter = Exporter(SpanExportResult.SUCCESS)
        delivery = Delivery({"own": exporter})
        assert (send(delivery), delivery.force_flush()) == (True, True)
        assert (exporter.batches, delivery.failure) == ([1], None)

    @pytest.mark.parametrize(
        ("exporter", "failure"),
        [
            (Exporter(SpanExportResult.FAILURE), "own: it does not say why"),
            (Exporter(SpanExportResult.FAILURE, "no\x1b room\nleft"), "own: no\\x1b room left"),
            (Exporter(RuntimeError("no room, password=hunter2-abc")), "own: RuntimeError: no room"),
        ],
    )
    def test_failed(self, exporter: Exporter, failure: str, caplog: pytest.LogCaptureFixture) -> None:
        """It is known why; nothing is sent after it, and whoever asks later is told the same."""
        delivery = Delivery({"own": exporter})
        assert (send(delivery), send(delivery)) == (False, False)
        assert exporter.batches == [1]
        assert str(delivery.failure).startswith(failure)
        assert "hunter2" not in str(delivery.failure)
        assert caplog.records == []

    def test_not_sampled(self) -> None:
        """What the sampler does not want is not sent."""
        exporter = Exporter(SpanExportResult.SUCCESS)
        assert send(Delivery({"own": exporter}), sampler=ALWAYS_OFF) is True
        assert exporter.batches == []

    def test_recorded_only(self) -> None:
        """Nor is what is only recorded."""
        exporter = Exporter(SpanExportResult.SUCCESS)
        delivery = Delivery({"own": exporter})
        delivery.on_end(ReadableSpan("a"))
        assert (delivery.force_flush(), exporter.batches) == (True, [])


class TestConfigured:
    @pytest.mark.usefixtures("installed")
    def test_one_of_ones_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An exporter of any distribution is found by its name, and tried; it has no endpoint that is known."""
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "own")
        assert [(each.check, each.verdict) for each in exporting(offline=False)] == [
            ("exporter", "ok"),
            ("test span", "ok"),
        ]

    @pytest.mark.usefixtures("installed")
    def test_one_that_cannot_be_loaded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is said which one."""
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "broken")
        with pytest.raises(Failure, match="OTEL_TRACES_EXPORTER=broken: the exporter cannot be loaded"):
            configured("traces")

    def test_one_that_cannot_be_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it says of the variables is said, without what is secret in them."""
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hunter2-key")

        def make(**_: object) -> SpanExporter:
            raise ValueError("bad header hunter2-key")

        with pytest.raises(Failure, match=r"the exporter otlp cannot be made .*: ValueError: bad header \*\*\*"):
            made({"otlp": make})
