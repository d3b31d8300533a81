"""An overload is refused; it does not take the collector down, and when it is over everything gets through."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_sessions.testing import OTLPReceiver

from ..redis_server import free_port, until
from . import otlp
from .collector import Collector

_LIMITS: Final = {"MEMORY_LIMIT_MIB": "70", "MEMORY_SPIKE_MIB": "10"}
# Just below what the collector takes in one request (20 MiB).
_BODY: Final = 20_000_000
_SENDERS: Final = 8


def _refused(collector: Collector) -> float:
    return collector.own("otelcol_processor_memory_limiter_refused_spans_total")


class TestOverload:
    def test_more_than_the_memory_holds_is_refused_and_counted_and_then_taken_again(self, tmp_path: Path) -> None:
        """Senders are told to come again (503), receivers count it, the collector lives; it takes again what fits."""
        # What is decided later waits in memory, which is what fills it here.
        variables = {**_LIMITS, "SAMPLING_DECISION_WAIT": "8s", "OTLP_BACKEND": f"http://127.0.0.1:{free_port()}"}
        request = otlp.traces(otlp.span("GET /x") for _ in range(2_000))
        with Collector("sampling", directory=tmp_path, **variables) as collector:
            until(lambda: otlp.send(collector.endpoint, request) == 503)
            assert _refused(collector) > 0
            assert collector.own("otelcol_receiver_refused_spans_total", 'receiver="otlp"') > 0
            assert collector.healthy()
            until(lambda: otlp.send(collector.endpoint, request) == 200, seconds=30)

    def test_senders_that_come_again_get_through_and_nothing_acknowledged_is_lost(self, tmp_path: Path) -> None:
        """With the base configuration: what was refused is taken when memory is free, and all of it arrives."""
        batches = [[otlp.session_span() for _ in range(500)] for _ in range(2 * _SENDERS)]
        with ExitStack() as held:
            backend = held.enter_context(OTLPReceiver())
            senders = held.enter_context(ThreadPoolExecutor(_SENDERS))
            collector = held.enter_context(Collector(directory=tmp_path, OTLP_BACKEND=backend.endpoint, **_LIMITS))
            assert otlp.send(collector.endpoint, otlp.traces(batches[0])) == 200
            with _filled(collector):
                until(lambda: otlp.send(collector.endpoint, otlp.traces(batches[0])) == 503)
                coming = [senders.submit(self._come_again, collector, batch) for batch in batches]
                until(lambda: _refused(collector) >= 500 * (_SENDERS + 1))
                assert not any(sender.done() for sender in coming)
                assert collector.healthy()
            for sender in coming:
                sender.result(30)
            sent = {span.span_id.hex() for batch in batches for span in batch}
            backend.wait_for(lambda: {span.span_id for span in backend.spans} == sent, timeout=30)

    @staticmethod
    def _come_again(collector: Collector, batch: list[Span]) -> None:
        until(lambda: otlp.send(collector.endpoint, otlp.traces(batch)) == 200, seconds=30)


@contextmanager
def _filled(collector: Collector) -> Iterator[None]:
    """Memory is full of requests that are not complete, until the end of it: their senders hang up."""
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: collector\r\nContent-Type: application/x-protobuf\r\n"
        f"Content-Length: {_BODY}\r\n\r\n"
    )
    with ExitStack() as held:
        for _ in range(4):
            connection = held.enter_context(
                closing(socket.create_connection(("127.0.0.1", collector.ports["OTLP_HTTP_ENDPOINT"])))
            )
            connection.sendall(head.encode() + bytes(_BODY - 1))
        yield
