"""Sampling keeps what matters, and the metrics of spans count what it drops."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_sessions.testing import OTLPReceiver

from ..redis_server import until
from . import otlp
from .collector import Collector, total

_MANY: Final = 2_000


def _sent() -> tuple[list[Span], list[Span], list[Span], list[Span]]:
    plain = [otlp.span("GET /plain") for _ in range(_MANY)]
    failed = [otlp.span("GET /failed", error=True) for _ in range(50)]
    slow = [otlp.span("GET /slow", seconds=3) for _ in range(50)]
    sessions = [otlp.session_span() for _ in range(50)]
    # A trace is kept as a whole: the server's span goes with the error in it.
    failed += [otlp.span("GET /parent", trace_id=span.trace_id) for span in failed]
    return plain, failed, slow, sessions


class TestSampling:
    def test_errors_slow_traces_and_sessions_are_kept_and_everything_is_counted(self, tmp_path: Path) -> None:
        """Of 2,000 traces that are neither, one per cent stays; span_metrics has counted all of them."""
        plain, failed, slow, sessions = _sent()
        variables = {"SAMPLING_PERCENTAGE": "1", "SAMPLING_DECISION_WAIT": "1s"}
        with OTLPReceiver() as backend:
            variables["OTLP_BACKEND"] = backend.endpoint
            with Collector("sampling", directory=tmp_path, **variables) as collector:
                for spans in (failed, slow, sessions, plain):
                    assert otlp.send(collector.endpoint, otlp.traces(spans)) == 200
                kept = {span.span_id.hex() for span in (*failed, *slow, *sessions)}
                backend.wait_for(lambda: kept <= {span.span_id for span in backend.spans})
                until(lambda: collector.own("otelcol_processor_tail_sampling_sampling_traces_on_memory") == 0)
                until(lambda: total(collector.metrics(), "traces_span_metrics_calls_total") == _MANY + 200)
                assert total(collector.metrics(), "traces_span_metrics_calls_total", 'span_name="GET /plain"') == _MANY
                share = sum(span.name == "GET /plain" for span in backend.spans) / _MANY
                # Which ones is random by trace id: five standard deviations of a binomial share.
                assert 0 <= share <= 0.0215
