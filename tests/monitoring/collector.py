"""A real collector with the configurations of `collector-config/`, on free ports, in a directory of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from ..redis_server import free_port, until
from .binaries import ROOT, need

CONFIGURATIONS: Final = ROOT / "collector-config"

# What makes a test quick, and changes nothing of what is promised.
_QUICK: Final = {"SPAN_METRICS_INTERVAL": "300ms", "HOST_INTERVAL": "500ms", "FILE_FLUSH_INTERVAL": "100ms"}


def arguments(*overlays: str) -> list[str]:
    """`--config` for the base and each overlay, by name: `arguments("backends", "sampling")`."""
    return [f"--config={CONFIGURATIONS / name}.yaml" for name in ("collector", *overlays)]


class Collector:
    """One collector. It keeps its ports and its queue when it is started again.

    Args:
        overlays: the overlays, by name.
        directory: where it writes; made if it is not there.
        extra: YAML that is merged after the overlays.
        within: a command that runs the one after it.
        variables: what the configurations ask the environment for.
    """

    def __init__(
        self, *overlays: str, directory: Path, extra: str = "", within: Sequence[str] = (), **variables: str
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.ports = {
            name: free_port()
            for name in (
                "HEALTH_ENDPOINT",
                "OTLP_GRPC_ENDPOINT",
                "OTLP_HTTP_ENDPOINT",
                "PROMETHEUS_ENDPOINT",
                "TELEMETRY",
            )
        }
        self.command = [need("OTELCOL"), *arguments(*overlays), *([f"--config=yaml:{extra}"] if extra else [])]
        self.within = list(within)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
            **{name: f"127.0.0.1:{port}" for name, port in self.ports.items() if name.endswith("_ENDPOINT")},
            "TELEMETRY_PORT": str(self.ports["TELEMETRY"]),
            "QUEUE_DIRECTORY": str(directory / "queue"),
            "TELEMETRY_DIRECTORY": str(directory / "telemetry"),
            **_QUICK,
            **({"HOST_NAME": "box"} if "host" in overlays else {}),
            **variables,
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`, over HTTP."""
        return f"http://127.0.0.1:{self.ports['OTLP_HTTP_ENDPOINT']}"

    @property
    def log(self) -> str:
        """What it has written to its console, over all its lives."""
        return (self.directory / "collector.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it, and wait until it is healthy."""
        with (self.directory / "collector.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.within, *self.command], env=self.environment, cwd=self.directory, stdout=log, stderr=log
            )
        until(self._settled)
        assert self.healthy(), f"the collector did not start:\n{self.log[-4000:]}"

    def healthy(self) -> bool:
        """Whether its health check answers 200."""
        return _get(f"http://127.0.0.1:{self.ports['HEALTH_ENDPOINT']}/") is not None

    def kill(self) -> None:
        """SIGKILL: no time to put anything in order."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as a service manager would."""
        self._end(signal.SIGTERM)

    def metrics(self) -> dict[str, float]:
        """What Prometheus would scrape of the application's metrics: series, with their labels, and values."""
        return _series(_get(f"http://127.0.0.1:{self.ports['PROMETHEUS_ENDPOINT']}/metrics") or "")

    def own_metrics(self) -> dict[str, float]:
        """What the collector says of itself."""
        return _series(_get(f"http://127.0.0.1:{self.ports['TELEMETRY']}/metrics") or "")

    def own(self, name: str, *labels: str) -> float:
        """The sum of the collector's own series of that name that have all of these labels: `exporter="debug"`."""
        return total(self.own_metrics(), name, *labels)

    def __enter__(self) -> Collector:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.kill()

    def _settled(self) -> bool:
        assert self.process is not None
        return self.healthy() or self.process.poll() is not None

    def _end(self, how: signal.Signals) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        self.process.wait(20)
        self.process = None


def total(series: dict[str, float], name: str, *labels: str) -> float:
    """The sum of the series of that name that have all of these labels: `job="ns/app"`."""
    return sum(value for key, value in matching(series, name, *labels))


def matching(series: dict[str, float], name: str, *labels: str) -> Iterator[tuple[str, float]]:
    """The series of that name that have all of these labels."""
    for key, value in series.items():
        found, _, rest = key.partition("{")
        if found == name and all(label in rest for label in labels):
            yield key, value


def _get(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            text: str = answer.read().decode()
            return text
    except (urllib.error.URLError, OSError):
        return None


def _series(text: str) -> dict[str, float]:
    return {
        match[1]: float(match[2]) for match in re.finditer(r"^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)", text, re.MULTILINE)
    }
