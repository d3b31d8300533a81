"""A call decorated by other packages, in the cheapest form that each offers, beside the same call in a session.

They live in an environment of their own, because between them they bring a hundred packages along. A peer that cannot
be installed is left out, and the reason is said.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

import otel_sessions

from .decorators import work
from .harness import Case, calls
from .sdk import providers

_ROOT: Final = Path(__file__).parents[1]
_ENVIRONMENT: Final = _ROOT / ".venvs" / "peers"
_CONSTRAINTS: Final = (_ROOT / "constraints.txt", Path(__file__).with_name("constraints.txt"))
_TIMEOUT_SECONDS: Final = 300


class Peer(NamedTuple):
    """A package with a decorator that makes a call a span."""

    name: str
    scenario: str
    requirements: Sequence[str]
    bare: Sequence[str] = ()
    """What is installed without its dependencies."""


PEERS: Final = (
    Peer(
        "OpenLLMetry `@task`",
        "traceloop",
        # Of its dependencies forty instrument model providers, and have no part in this.
        (
            "aiohttp",
            "colorama",
            "cuid",
            "deprecated",
            "httpx",
            "jinja2",
            "opentelemetry-exporter-otlp",
            "opentelemetry-instrumentation-logging",
            "opentelemetry-instrumentation-threading",
            "opentelemetry-semantic-conventions-ai",
            "pydantic",
            "tenacity",
        ),
        ("traceloop-sdk",),
    ),
    Peer("Logfire `@instrument`", "logfire", ("logfire",)),
    Peer("Langfuse `@observe`", "langfuse", ("langfuse",)),
    Peer("OpenInference `@chain`", "openinference", ("openinference-instrumentation",)),
)


class NotInstalledError(Exception):
    """A peer could not be installed."""


def python() -> str:
    """The interpreter of the peers' environment, which is made if it is not there.

    Raises:
        NotInstalledError: it cannot be made.
    """
    interpreter = _ENVIRONMENT / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not interpreter.exists():
        venv.create(_ENVIRONMENT, with_pip=True)
        _install(str(interpreter), ["opentelemetry-sdk", "wrapt"])
    return str(interpreter)


def install(peer: Peer) -> None:
    """Install a peer into that environment.

    Raises:
        NotInstalledError: that did not work.
    """
    _install(python(), peer.requirements)
    if peer.bare:
        _install(python(), ["--no-deps", *peer.bare])


def _install(interpreter: str, arguments: Sequence[str]) -> None:
    constraints = [word for file in _CONSTRAINTS for word in ("--constraint", str(file))]
    command = [interpreter, "-m", "pip", "install", "--quiet", *constraints, *arguments]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True)
    except subprocess.TimeoutExpired as error:
        raise NotInstalledError(f"pip needed more than {_TIMEOUT_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise NotInstalledError((error.stderr.strip().splitlines() or ["pip failed"])[-1]) from error


def traceloop() -> list[Case]:
    """OpenLLMetry, without the arguments and the result of the call."""
    os.environ["TRACELOOP_TRACE_CONTENT"] = "false"
    from traceloop.sdk import Traceloop  # type: ignore[import-not-found]  # not in this environment
    from traceloop.sdk.decorators import task  # type: ignore[import-not-found]  # as above

    Traceloop.init("benchmark", api_key="none", telemetry_enabled=False, processor=SpanProcessor(), instruments=set())
    return _cases(task(name="work")(work))


def logfire() -> list[Case]:
    """Logfire, without the arguments of the call."""
    import logfire  # type: ignore[import-not-found]  # as above

    logfire.configure(
        send_to_logfire=False,
        console=False,
        metrics=False,
        inspect_arguments=False,
        additional_span_processors=[SpanProcessor()],
    )
    return _cases(logfire.instrument("work", extract_args=False)(work))


def langfuse() -> list[Case]:
    """Langfuse, without input and output of the call. Its batching processor is there whatever one says."""
    from langfuse import Langfuse, observe  # type: ignore[import-not-found]  # as above

    Langfuse(
        public_key="pk-lf-none", secret_key="sk-lf-none", tracer_provider=TracerProvider(), span_exporter=_Nowhere()
    )
    return _cases(observe(capture_input=False, capture_output=False)(work))


def openinference() -> list[Case]:
    """OpenInference; it always records arguments and result."""
    from openinference import instrumentation  # type: ignore[import-not-found]  # as above

    tracers = instrumentation.TracerProvider()
    tracers.add_span_processor(SpanProcessor())
    return _cases(tracers.get_tracer("benchmark").chain(work))


SCENARIOS: Final[Mapping[str, Callable[[], list[Case]]]] = {
    scenario.__name__: scenario for scenario in (traceloop, logfire, langfuse, openinference)
}


def _cases(theirs: Callable[[], Any]) -> list[Case]:
    # Spans are what peers emit, so sessions emit nothing else here.
    otel_sessions.configure(
        tracer_provider=providers().tracers,
        meter_provider=NoOpMeterProvider(),
        logger_provider=NoOpLoggerProvider(),
    )
    tracer = providers().tracers.get_tracer("by hand")
    return [
        calls("by hand", lambda: _traced(tracer)),
        calls("peer", theirs),
        calls("session", otel_sessions.session(work)),
    ]


def _traced(tracer: trace.Tracer) -> None:
    """A span as most people write it."""
    with tracer.start_as_current_span("work") as span:
        span.set_attribute("kind", "task")
        span.set_attribute("name", "work")
        work()


class _Nowhere(SpanExporter):
    def export(self, _spans: Iterable[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS
