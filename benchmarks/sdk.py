"""An OpenTelemetry SDK that does everything except export."""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry.metrics import MeterProvider as AnyMeterProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler


class Providers(NamedTuple):
    """The three providers of one application."""

    tracers: TracerProvider
    meters: AnyMeterProvider
    loggers: LoggerProvider


def providers(*, sampler: Sampler = ALWAYS_ON, metrics: bool = True) -> Providers:
    """Providers whose processors do nothing. Each side of a comparison has its own: ours gets a processor more."""
    tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    tracers.add_span_processor(SpanProcessor())
    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(_Nowhere())
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False) if metrics else NoOpMeterProvider()
    return Providers(tracers, meters, loggers)


class _Nowhere(LogRecordProcessor):
    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        pass

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the interface's
        return True
