"""An SDK that exports as the `OTEL_*` variables say, and knows whether what it has sent has arrived."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final
from urllib.parse import unquote

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ..security.redaction import redact
from ._failure import Failure
from ._output import plain

_OTLP: Final[Mapping[str, str]] = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_HEADERS: Final = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_SHORTEST_SECRET: Final = 3
_MAX_REASON: Final = 300

Exporters = Mapping[str, Callable[..., Any]]
"""What makes them, by the name that they are known by."""


def configured(signal: str) -> Exporters:
    """The exporters of a signal (`traces`, `logs`, `metrics`), as the SDK would choose them; there may be none.

    Raises:
        Failure: one is not installed.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return {}
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    names = [name.strip() for name in (os.environ.get(variable) or "otlp").split(",") if name.strip()]
    return {name: _load(variable, signal, name) for name in names if name != "none"}


def _load(variable: str, signal: str, name: str) -> Callable[..., Any]:
    offered: dict[str, EntryPoint] = {
        point.name: point for point in entry_points(group=f"opentelemetry_{signal}_exporter")
    }
    point = offered.get(_protocol(signal) if name == "otlp" else name)
    if point is None:
        raise Failure(
            f"{variable}={plain(name)}: no such exporter is installed; there are {', '.join(sorted(offered))}"
        )
    try:
        found: Callable[..., Any] = point.load()
    except Exception as error:
        raise Failure(f"{variable}={plain(name)}: the exporter cannot be loaded: {type(error).__name__}") from error
    return found


def _protocol(signal: str) -> str:
    """The exporter for OTLP by the protocol that is configured; an unknown one names none."""
    named = protocol(signal)
    return _OTLP.get(named, named)


def protocol(signal: str) -> str:
    """How OTLP is to be spoken."""
    each = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    return next((value for name in each if (value := os.environ.get(name, "").strip())), "grpc")


def made(exporters: Exporters, **options: Any) -> dict[str, Any]:
    """These exporters, by their names.

    Args:
        exporters: what makes them.
        options: arguments for those that speak OTLP.

    Raises:
        Failure: one cannot be made.
    """
    name = ""
    found: dict[str, Any] = {}
    try:
        with _heard([]):
            for name, make in exporters.items():
                found[name] = make(**(options if name.startswith("otlp") else {}))
    except Exception as error:
        reason = _shown(f"{type(error).__name__}: {error}")
        raise Failure(f"the exporter {plain(name)} cannot be made from the OTEL_* variables: {reason}") from error
    return found


class Delivery(SpanProcessor):
    """Hands over what has ended when it is flushed. Once that has failed it holds back the rest: nobody is to wait for
    each of many exports that an endpoint does not answer.

    Args:
        exporters: of spans, by their names.
    """

    def __init__(self, exporters: Mapping[str, SpanExporter]) -> None:
        self._exporters = exporters
        self._ended: list[ReadableSpan] = []
        self.failure: str | None = None
        """Why something did not arrive."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do."""

    def on_end(self, span: ReadableSpan) -> None:
        """Keep it until it is flushed."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._ended.append(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - exporters have timeouts of their own
        """Export what has ended; whether all of it has arrived, of what came before, too."""
        batch, self._ended = self._ended, []
        if batch and self.failure is None:
            self.failure = self.send(batch)
        return self.failure is None

    def shutdown(self) -> None:
        """Close the exporters."""
        with _heard([]):
            for exporter in self._exporters.values():
                exporter.shutdown()

    def send(self, batch: Sequence[ReadableSpan]) -> str | None:
        """Export these spans, or none, to see what is answered; why that failed, None if it did not."""
        for name, exporter in self._exporters.items():
            said: list[str] = []
            try:
                with _heard(said):
                    arrived = exporter.export(batch) is SpanExportResult.SUCCESS
            except Exception as error:  # noqa: BLE001 - an exporter is anybody's code
                arrived, said = False, [f"{type(error).__name__}: {error}"]
            if not arrived:
                return f"{plain(name)}: {_shown(said[-1]) if said else 'it does not say why'}"
        return None


@contextmanager
def _heard(said: list[str]) -> Iterator[None]:
    """Listen to what exporters tell their logs, which is where they say why they have failed; nobody else hears it."""
    logger, listener = logging.getLogger("opentelemetry"), _Listener(said)
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagates


class _Listener(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.getMessage())


def _shown(reason: str) -> str:
    """A reason in one line, without what headers hold."""
    for secret in header_values():
        reason = reason.replace(secret, "***")
    return plain(redact(" ".join(reason.split())))[:_MAX_REASON]


def header_values() -> list[str]:
    """What no output may show: what stands in the configured headers, as it is written and as it is sent."""
    found: set[str] = set()
    for variable in _HEADERS:
        for pair in os.environ.get(variable, "").split(","):
            value = pair.partition("=")[2].strip()
            for part in (value, unquote(value), *value.split(), *unquote(value).split()):
                if len(part) > _SHORTEST_SECRET:
                    found.add(part)
    return sorted(found, key=len, reverse=True)


def header_names() -> list[str]:
    """The names of the configured headers."""
    pairs = [pair for variable in _HEADERS for pair in os.environ.get(variable, "").split(",")]
    return sorted({plain(name.strip()) for pair in pairs if (name := pair.partition("=")[0]).strip()})
