"""An overload is refused; it does not take the collector down."""

from __future__ import annotations

from pathlib import Path

from ..redis_server import free_port, until
from . import otlp
from .collector import Collector


class TestOverload:
    def test_more_than_the_memory_holds_is_refused_and_counted(self, tmp_path: Path) -> None:
        """Senders are told to come again (503), receivers count it, the collector lives."""
        # Everything that is sampled later waits in memory, which is what fills it here.
        variables = {
            "MEMORY_LIMIT_MIB": "60",
            "MEMORY_SPIKE_MIB": "10",
            "SAMPLING_DECISION_WAIT": "10m",
            "OTLP_BACKEND": f"http://127.0.0.1:{free_port()}",
        }
        request = otlp.traces(otlp.span("GET /x") for _ in range(2_000))
        with Collector("sampling", directory=tmp_path, **variables) as collector:
            until(lambda: otlp.send(collector.endpoint, request) == 503)
            assert collector.own("otelcol_processor_memory_limiter_refused_spans_total") > 0
            assert collector.own("otelcol_receiver_refused_spans_total", 'receiver="otlp"') > 0
            assert collector.healthy()
