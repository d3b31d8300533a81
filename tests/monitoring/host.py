"""A collector with `host.yaml`, and a directory of log files that it reads."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType

from otel_sessions.testing import OTLPReceiver

from .collector import Collector, matching


class Host:
    """A collector that reads a directory of log files."""

    def __init__(self, directory: Path, backend: OTLPReceiver) -> None:
        self.logs = directory / "logs"
        self.logs.mkdir()
        self.backend = backend
        self.collector = Collector(
            "host",
            directory=directory,
            OTLP_BACKEND=backend.endpoint,
            LOG_FILES=str(self.logs / "*.log*"),
            LOG_POLL_INTERVAL="50ms",
            HOST_NAME="web-1",
        )

    def write(self, name: str, data: str | bytes) -> Path:
        path = self.logs / name
        with path.open("ab") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        return path

    def wait(self, *lines: str) -> None:
        """Until all of these have been received as bodies."""
        self.backend.wait_for(lambda: set(lines) <= set(self.bodies()))

    def bodies(self) -> list[str]:
        return [log.body for log in self.backend.logs]

    def size(self, path: Path) -> float | None:
        return self.sizes().get(str(path))

    def sizes(self) -> dict[str, float]:
        """What there is, by path: files that are read, and files that rotation has made of them."""
        found = matching(self.collector.metrics(), "file_size_bytes", 'job="host"')
        return {re.findall(r'file_path="([^"]*)"', series)[0]: value for series, value in found}

    def __enter__(self) -> Host:
        self.collector.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.collector.__exit__(exc_type, exc, tb)
