"""Many sessions that end at once are exported, all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import otel_sessions
from otel_sessions import session
from otel_sessions._outflow import Outflow
from otel_sessions.testing import record_sessions

MANY = 5_000
"""More than twice what the SDK's queue takes."""


class SlowExporter(SpanExporter):
    """One that takes 300 milliseconds for every batch."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        time.sleep(0.3)
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS


@pytest.fixture(name="exporter")
def _exporter() -> SlowExporter:
    return SlowExporter()


@pytest.fixture(name="provider")
def _provider(exporter: SlowExporter) -> Iterator[TracerProvider]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    yield provider
    provider.shutdown()


class TestManyAtOnce:
    def test_expire(self, provider: TracerProvider, exporter: SlowExporter) -> None:
        """Sessions that expire in one round."""
        with record_sessions(tracer_provider=provider, idle_timeout=60) as recorded:
            for _ in range(MANY):
                otel_sessions.start("chat")
            recorded.advance(61)
            provider.force_flush()
            assert MANY == exporter.names.count("session chat")

    def test_exit(self, provider: TracerProvider, exporter: SlowExporter) -> None:
        """Sessions that end with the process, scoped and durable."""
        with record_sessions(tracer_provider=provider):
            handles = [otel_sessions.start("chat") for _ in range(MANY)]
            held = [session("job") for _ in range(MANY)]
            for one in held:
                one.__enter__()
            otel_sessions.shutdown()
            provider.force_flush()
            assert [MANY, MANY] == [exporter.names.count(f"session {name}") for name in ("chat", "job")]
            assert {"shutdown"} == {handle.end_reason for handle in handles}
            for one in reversed(held):
                one.__exit__(None, None, None)


class Exporting:
    """An export that lasts until it is let go."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.began = 0

    def __call__(self) -> None:
        self.began += 1
        assert self.go_on.wait(20)


@pytest.fixture(name="impatient")
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_sessions._outflow._PATIENCE_SECONDS", 0.05)


@pytest.mark.usefixtures("impatient")
class TestPatience:
    def test_hangs(self) -> None:
        """An exporter that hangs is not waited for longer than that, nor asked again meanwhile."""
        export = Exporting()
        outflow = Outflow(export, in_thread=True)
        assert [False, False] == [outflow.keeps_up(), outflow.keeps_up()]
        assert 1 == export.began
        export.go_on.set()
        assert outflow.keeps_up()
        assert outflow.keeps_up()
        assert 2 == export.began

    @pytest.mark.parametrize(
        ("make", "at_exit"),
        [
            (lambda export: Outflow(export, in_thread=False), False),
            (lambda export: Outflow(export, in_thread=True), True),
        ],
    )
    def test_without_thread(self, make: Callable[[Exporting], Outflow], at_exit: bool) -> None:
        """Where there may be no thread it is waited for to its end; that it took too long is said."""
        export = Exporting()
        outflow = make(export)
        timer = threading.Timer(0.2, export.go_on.set)
        timer.start()
        assert not outflow.keeps_up(at_exit=at_exit)
        assert outflow.keeps_up(at_exit=at_exit)
        timer.join()

    def test_fails(self) -> None:
        """An exporter that fails keeps up: nothing is gained by waiting for it."""

        def fail() -> None:
            raise RuntimeError("no exporter")

        assert Outflow(fail, in_thread=False).keeps_up()

    def test_after_fork(self) -> None:
        """A child process does not wait for a thread of its parent."""
        export = Exporting()
        outflow = Outflow(export, in_thread=True)
        assert not outflow.keeps_up()
        outflow.after_fork()
        export.go_on.set()
        assert outflow.keeps_up()
        assert 2 == export.began
