"""`otel-sessions recover`: finish what crashed processes have left."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import typer

import otel_sessions as sessions

from .. import _runtime
from ..reports._figures import counted
from ._failure import Failure
from ._output import AsJson, write_json
from ._store import StoreUrl, check_writing, opened

if TYPE_CHECKING:
    from ._delivery import Delivery


def finish(*, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Finish the sessions of processes that have crashed, and send what they have not.

    A running application does it by itself; this is for where none runs any more. It exports as the OTEL_* variables
    say: set OTEL_SERVICE_NAME as the application has it. What could not be sent is not lost, but sent the next time.

    For example: OTEL_SERVICE_NAME=shop otel-sessions recover --store sqlite:///sessions.db
    """
    check_writing(store)
    with _sdk() as (delivery, providers), opened(store, read_only=False, **providers):
        runtime = _runtime.get()
        runtime.lifecycle.ledger.owners_or_fail()
        finished = sessions.recover()
        runtime.upkeep.export()
    if delivery.failure is not None:
        raise Failure(
            f"{counted(finished)} finished, but not all could be sent: {delivery.failure}. What was not is "
            "kept: run this again"
        )
    if as_json:
        write_json({"sessions": finished})
    else:
        typer.echo(f"{counted(finished)} finished and sent" if finished else "nothing was left by anybody")


@contextmanager
def _sdk() -> Iterator[tuple[Delivery, dict[str, Any]]]:
    """Providers that export as is configured; the delivery says whether the spans have arrived.

    Raises:
        Failure: there is nothing to export with, or nobody who takes it.
    """
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - the SDK loads on use
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above

    from ._delivery import Delivery, configured, made  # noqa: PLC0415 - as above

    exporters = {signal: configured(signal) for signal in ("traces", "logs", "metrics")}
    if not exporters["traces"]:
        raise Failure(
            "nothing was done: there is no exporter of spans (OTEL_TRACES_EXPORTER=none, or OTEL_SDK_DISABLED=true)"
        )
    resource = Resource.create({"service.instance.id": str(uuid.uuid4())})
    delivery = Delivery(made(exporters["traces"]))
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(delivery)
    with ExitStack() as stack:
        stack.callback(tracers.shutdown)
        if failure := delivery.send([]):
            raise Failure(f"nothing was done: the exporter does not get through ({failure}); see otel-sessions doctor")
        loggers = _loggers(made(exporters["logs"]), resource)
        stack.callback(loggers.shutdown)
        meters = _meters(made(exporters["metrics"]), resource)
        stack.callback(meters.shutdown)
        yield delivery, {"tracer_provider": tracers, "logger_provider": loggers, "meter_provider": meters}


def _loggers(exporters: dict[str, Any], resource: Any) -> Any:
    from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415 - the SDK loads on use
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415 - as above

    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    for exporter in exporters.values():
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    return provider


def _meters(exporters: dict[str, Any], resource: Any) -> Any:
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - the SDK loads on use
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415 - as above

    readers = [PeriodicExportingMetricReader(exporter) for exporter in exporters.values()]
    return MeterProvider(readers, resource, shutdown_on_exit=False)
