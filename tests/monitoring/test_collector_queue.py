"""What the collector keeps when a backend is away, when it is killed, and what it says when it cannot."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from otel_sessions.testing import OTLPReceiver

from ..redis_server import free_port, until
from . import otlp
from .backends import FailingBackend, SlowBackend
from .collector import Collector
from .small_disk import SmallDisk, small_disk

# Retries soon after the backend is back; what is promised does not depend on it.
SOON = "{exporters: {otlp_http/backend: {retry_on_failure: {initial_interval: 200ms, max_interval: 500ms}}}}"
EXPORTER = 'exporter="otlp_http/backend"'


def extra(*, size: int) -> str:
    return SOON.replace("otlp_http/backend: {", f"otlp_http/backend: {{sending_queue: {{queue_size: {size}}}, ", 1)


def sessions(backend: OTLPReceiver) -> set[str]:
    return {span.attributes["session.id"] for span in backend.spans}


def send_until_it_dies(collector: Collector, acknowledged: set[str]) -> None:
    """Session spans in requests of 500; what was answered with success is added."""
    # As many as the queue holds: it is the death that ends it.
    for _ in range(200):
        batch = [secrets.token_hex(16) for _ in range(500)]
        try:
            answer = otlp.send(collector.endpoint, otlp.traces(map(otlp.session_span, batch)))
        except OSError:
            return
        if answer == 200:
            acknowledged.update(batch)


class TestKilled:
    def test_what_was_accepted_arrives_although_backend_and_collector_died(self, tmp_path: Path) -> None:
        """10,000 session spans, acknowledged by the collector; then SIGKILL, and both are started again."""
        port = free_port()
        collector = Collector(directory=tmp_path, extra=SOON, OTLP_BACKEND=f"http://127.0.0.1:{port}")
        sent = [secrets.token_hex(16) for _ in range(10_000)]
        with collector:
            for start in range(0, len(sent), 500):
                request = otlp.traces(map(otlp.session_span, sent[start : start + 500]))
                assert otlp.send(collector.endpoint, request) == 200
            collector.kill()
            collector.start()
            assert collector.own("otelcol_exporter_queue_size", EXPORTER, 'data_type="traces"') > 0
            with OTLPReceiver(port=port) as backend:
                backend.wait_for(lambda: len(backend.spans) >= len(sent) and sessions(backend) == set(sent), timeout=30)

    def test_killed_while_it_sends_to_a_slow_backend_and_while_it_is_sent_to(self, tmp_path: Path) -> None:
        """Some batches are delivered, some are under way, some wait: all that was acknowledged is there in the end."""
        port = free_port()
        acknowledged: set[str] = set()
        collector = Collector(directory=tmp_path, extra=SOON, OTLP_BACKEND=f"http://127.0.0.1:{port}")
        backend = SlowBackend(port, at_once=2)
        with backend, collector:
            sender = threading.Thread(target=send_until_it_dies, args=(collector, acknowledged))
            sender.start()
            until(lambda: backend.busy and len(acknowledged) >= 10_000)
            collector.kill()
            sender.join()
            before = len(backend.spans)
            # Those of the batches that were delivered, and of those that the collector did not learn it of.
            assert 0 < before < len(acknowledged)
            backend.go_on()
            collector.start()
            backend.wait_for(lambda: acknowledged <= sessions(backend), timeout=60)
            until(lambda: collector.own("otelcol_exporter_queue_size", EXPORTER, 'data_type="traces"') == 0)
            # At least once: what was under way has arrived twice.
            assert len(backend.spans) > len(sessions(backend))

    def test_a_backend_that_was_away_gets_everything(self, tmp_path: Path) -> None:
        """The queue is counted in spans, and is empty afterwards."""
        port = free_port()
        with Collector(directory=tmp_path, extra=SOON, OTLP_BACKEND=f"http://127.0.0.1:{port}") as collector:
            assert otlp.send(collector.endpoint, otlp.traces(otlp.session_span() for _ in range(50))) == 200
            until(lambda: collector.own("otelcol_exporter_queue_size", EXPORTER, 'data_type="traces"') == 50)
            until(lambda: "Exporting failed. Will retry the request after interval." in collector.log)
            assert collector.own("otelcol_exporter_send_failed_spans_total", EXPORTER) == 0
            with OTLPReceiver(port=port) as backend:
                backend.wait_for(lambda: len(backend.spans) == 50)
                until(lambda: collector.own("otelcol_exporter_queue_size", EXPORTER, 'data_type="traces"') == 0)
            assert collector.own("otelcol_exporter_sent_spans_total", EXPORTER) == 50


class TestLongOutage:
    """With intervals of tens of milliseconds, where the defaults are 5 to 30 seconds: an attempt is an attempt.

    If it were to give up, it would do so after five minutes, which is its default: about 13 attempts.
    """

    _QUICK: Final = "initial_interval: 10ms, max_interval: 30ms"

    def test_it_is_tried_again_for_as_long_as_it_takes(self, tmp_path: Path) -> None:
        """After 60 attempts the spans arrive, and none has been counted as failed."""
        backend = FailingBackend(503, times=60)
        with backend, self._collector(tmp_path, backend, self._QUICK) as collector:
            assert otlp.send(collector.endpoint, otlp.traces(otlp.session_span() for _ in range(50))) == 200
            backend.wait_for(lambda: len(backend.spans) == 50)
            assert backend.attempts == 61
            assert collector.own("otelcol_exporter_send_failed_spans_total", EXPORTER) == 0

    def test_with_an_end_to_it_they_would_be_lost(self, tmp_path: Path) -> None:
        """What `max_elapsed_time: 0` is for: the same with an end, long before the outage's."""
        retry = f"{self._QUICK}, max_elapsed_time: 200ms"
        backend = FailingBackend(503, times=60)
        with backend, self._collector(tmp_path, backend, retry) as collector:
            assert otlp.send(collector.endpoint, otlp.traces(otlp.session_span() for _ in range(50))) == 200
            until(lambda: collector.own("otelcol_exporter_send_failed_spans_total", EXPORTER) == 50)
            assert 1 < backend.attempts < 60
            assert backend.spans == []

    @pytest.mark.parametrize("status", [429, 502, 504])
    def test_answers_that_are_no_refusal_for_good(self, tmp_path: Path, status: int) -> None:
        """OTLP names four, of which 503 is above; on these it tries again."""
        backend = FailingBackend(status, times=2)
        with backend, self._collector(tmp_path, backend, self._QUICK) as collector:
            assert otlp.send(collector.endpoint, otlp.traces([otlp.session_span()])) == 200
            backend.wait_for(lambda: backend.spans)

    @pytest.mark.parametrize("status", [401, 413, 500])
    def test_answers_that_are_a_refusal_for_good(self, tmp_path: Path, status: int) -> None:
        """All others, 500 and a token that is no longer valid among them: dropped, and counted."""
        backend = FailingBackend(status, times=1)
        with backend, self._collector(tmp_path, backend, self._QUICK) as collector:
            assert otlp.send(collector.endpoint, otlp.traces([otlp.session_span()])) == 200
            until(lambda: collector.own("otelcol_exporter_send_failed_spans_total", EXPORTER) == 1)
            assert backend.attempts == 1
            assert backend.spans == []

    @staticmethod
    def _collector(tmp_path: Path, backend: OTLPReceiver, retry: str) -> Collector:
        extra = f"{{exporters: {{otlp_http/backend: {{retry_on_failure: {{{retry}}}}}}}}}"
        return Collector(directory=tmp_path, extra=extra, OTLP_BACKEND=backend.endpoint)


class TestOverflow:
    def test_a_full_queue_refuses_and_counts(self, tmp_path: Path) -> None:
        """The sender is told, and otelcol_exporter_enqueue_failed_spans_total says how many; it does not block."""
        address = f"http://127.0.0.1:{free_port()}"
        with Collector(directory=tmp_path, extra=extra(size=1024), OTLP_BACKEND=address) as collector:
            assert otlp.send(collector.endpoint, otlp.traces(otlp.session_span() for _ in range(1024))) == 200
            assert otlp.send(collector.endpoint, otlp.traces(otlp.session_span() for _ in range(30))) == 503
            assert collector.own("otelcol_exporter_enqueue_failed_spans_total", EXPORTER) == 30
            assert collector.own("otelcol_exporter_queue_capacity", EXPORTER, 'data_type="traces"') == 1024
            assert collector.healthy()


class TestWrongEndpoint:
    def test_an_answer_that_is_no_otlp_is_counted_as_failed(self, tmp_path: Path) -> None:
        """A path that does not exist: 404 is for good, so the spans are dropped, counted and named in the log."""
        with OTLPReceiver() as backend:
            wrong = f"{backend.endpoint}/not-here"
            with Collector(directory=tmp_path, extra=SOON, OTLP_BACKEND=wrong) as collector:
                assert otlp.send(collector.endpoint, otlp.traces([otlp.session_span()])) == 200
                until(lambda: collector.own("otelcol_exporter_send_failed_spans_total", EXPORTER) == 1)
                assert "/not-here/v1/traces" in collector.log


@pytest.fixture(name="disk")
def _disk() -> Iterator[SmallDisk]:
    with small_disk() as disk:
        yield disk


class TestFullDisk:
    def test_a_full_disk_refuses_and_counts_and_goes_on(self, tmp_path: Path, disk: SmallDisk) -> None:
        """The sender is told; the collector lives, and takes again what it is sent when there is space."""
        self._fill(tmp_path, "no space left on device", within=disk.within, QUEUE_DIRECTORY=str(disk.path / "queue"))

    def test_a_queue_that_has_all_the_space_it_may_have_does_the_same(self, tmp_path: Path) -> None:
        """QUEUE_MAX_BYTES keeps a queue from filling the disk."""
        threshold = "rebound_needed_threshold_mib: 1, rebound_trigger_threshold_mib: 1"
        compaction = f"extensions: {{file_storage/queue: {{compaction: {{{threshold}}}}}}}"
        more = SOON.replace("{", "{" + compaction + ", ", 1)
        self._fill(tmp_path, "the storage extension has run out of available space", more, QUEUE_MAX_BYTES=str(1 << 20))

    @staticmethod
    def _fill(tmp_path: Path, reason: str, more: str = SOON, within: Sequence[str] = (), **variables: str) -> None:
        # Held until the backend is there: whoever else got the port would answer, and the queue would not fill.
        with socket.socket() as held, ExitStack() as running:
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
            address = f"http://127.0.0.1:{port}"
            collector = running.enter_context(
                Collector(directory=tmp_path, extra=more, within=within, OTLP_BACKEND=address, **variables)
            )
            answers = [
                otlp.send(collector.endpoint, otlp.traces(otlp.session_span() for _ in range(500))) for _ in range(20)
            ]
            held.close()
            accepted = 500 * answers.count(200)
            assert 0 < accepted < 10_000, answers
            assert collector.own("otelcol_exporter_enqueue_failed_spans_total", EXPORTER) == 10_000 - accepted
            assert reason in collector.log
            fresh = [secrets.token_hex(16) for _ in range(10)]
            with OTLPReceiver(port=port) as backend:
                # Not all that was accepted: what is read from a file that cannot be written to may be lost.
                backend.wait_for(lambda: backend.spans, timeout=30)
                request = otlp.traces(map(otlp.session_span, fresh))
                until(lambda: otlp.send(collector.endpoint, request) == 200)
                backend.wait_for(lambda: set(fresh) <= sessions(backend), timeout=30)
            until(lambda: collector.own("otelcol_exporter_queue_size", EXPORTER, 'data_type="traces"') == 0)
