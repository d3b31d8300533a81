"""Servers in processes of their own, run as their users run them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from otel_sessions.testing import OTLPReceiver

APPLICATIONS = Path(__file__).parent / "applications"
BINARIES = Path(sys.executable).parent

_PATIENCE_SECONDS = 60.0
_RUNNING = re.compile(r"[Rr]unning on (http://127\.0\.0\.1:\d+)")


class Process:
    """A process and what it says."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=APPLICATIONS,
            env={**os.environ, **environment, "PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._said = threading.Condition()
        self._ended = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._said:
                self._lines.append(line)
                self._said.notify_all()
        with self._said:
            self._ended = True
            self._said.notify_all()

    @property
    def output(self) -> str:
        """All that it has said, on either stream."""
        with self._said:
            return "".join(self._lines)

    def url(self) -> str:
        """Where it listens, once it says so."""

        def found() -> re.Match[str] | bool | None:
            return _RUNNING.search("".join(self._lines)) or self._ended

        with self._said:
            match = self._said.wait_for(found, _PATIENCE_SECONDS)
        assert isinstance(match, re.Match), f"it does not listen:\n{self.output}"
        return match[1]

    def stop(self) -> int:
        """Interrupt it, as Ctrl-C does, and wait for its end; its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._listener.join(_PATIENCE_SECONDS)
            assert self._process.stdout is not None
            self._process.stdout.close()


@contextmanager
def running(command: list[str], receiver: OTLPReceiver | None = None, **environment: str) -> Iterator[Process]:
    """Run `command` beside the applications; what it measures goes to `receiver`, soon."""
    soon = {
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "OTEL_SERVICE_NAME": "site",
        "OTEL_SESSIONS_FLUSH_INTERVAL": "0.1",
    }
    process = Process(command, {**soon, **(receiver.environment if receiver is not None else {}), **environment})
    try:
        yield process
    finally:
        process.stop()
