"""Everything that sessions emit, kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from .. import _runtime, sweep
from .._config import resolve
from .._hooks import hooks
from ..processors import SessionLogRecordProcessor
from ._clock import ManualClock

_SPAN_PREFIX = "session "


class RecordedSessions:
    """The telemetry of one test, and the clock it runs by."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self.clock = ManualClock()
        self._spans = InMemorySpanExporter()
        self._logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # upstream is untyped
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.logger_provider = LoggerProvider(shutdown_on_exit=False)
        # Before the exporter, because that one exports at once.
        self.logger_provider.add_log_record_processor(SessionLogRecordProcessor())
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.meter_provider = MeterProvider([self._reader], shutdown_on_exit=False)

    @property
    def spans(self) -> list[ReadableSpan]:
        """All ended spans, in the order in which they ended."""
        return list(self._spans.get_finished_spans())

    @property
    def session_spans(self) -> list[ReadableSpan]:
        """The spans of sessions among them."""
        return [span for span in self.spans if span.name.startswith(_SPAN_PREFIX)]

    @property
    def logs(self) -> list[ReadableLogRecord]:
        """All log records and log events, in the order in which they were emitted."""
        return list(self._logs.get_finished_logs())

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The attributes of the log events, or of those called `name`."""
        records = (log.log_record for log in self.logs)
        return [dict(r.attributes or {}) for r in records if r.event_name and name in {None, r.event_name}]

    def metrics(self) -> dict[str, dict[frozenset[tuple[str, Any]], Any]]:
        """The metrics as they stand now: by name, then by attributes; a histogram's point is its (count, sum)."""
        found: dict[str, dict[frozenset[tuple[str, Any]], Any]] = {}
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                points = found.setdefault(metric.name, {})
                for point in metric.data.data_points:
                    value = getattr(point, "value", None)
                    held = (point.count, point.sum) if value is None else value  # type: ignore[union-attr]  # a histogram's
                    points[frozenset((point.attributes or {}).items())] = held
        return found

    def metric(self, name: str, /, **attributes: Any) -> Any:
        """The sum over the points of `name` whose attributes include `attributes`; a histogram's is its count.

        Keys are written with `__` for the dot: `app_session__type="web"`.
        """
        wanted = {(key.replace("__", "."), value) for key, value in attributes.items()}
        points = self.metrics().get(name, {})
        return sum(v[0] if isinstance(v, tuple) else v for key, v in points.items() if wanted <= key)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, then do what the background thread would have done."""
        self.clock.advance(seconds)
        sweep()

    def clear(self) -> None:
        """Forget the spans and logs recorded so far."""
        self._spans.clear()
        self._logs.clear()


@contextmanager
def record_sessions(*, sampler: Sampler = ALWAYS_ON, **settings: Any) -> Iterator[RecordedSessions]:
    """Run sessions under a clock of their own, in a store of their own, and record what they emit.

    Whatever was configured before is put aside, and put back afterwards. No background thread runs: use `advance`.

    Args:
        sampler: the sampler of the recording tracer provider.
        settings: as for `otel_sessions.configure`.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    recorded = RecordedSessions(sampler)
    defaults: dict[str, Any] = {
        "clock": recorded.clock,
        "tracer_provider": recorded.tracer_provider,
        "meter_provider": recorded.meter_provider,
        "logger_provider": recorded.logger_provider,
        "background": False,
        "store": "memory://",
    }
    runtime = _runtime.Runtime(resolve({**defaults, **settings}, environ={}), explicit=True)
    before = _runtime.swap(runtime)
    try:
        yield recorded
    finally:
        runtime.lifecycle.limiter.measured.settle_all()
        hooks.drain()
        _runtime.swap(before)
        runtime.stop()
