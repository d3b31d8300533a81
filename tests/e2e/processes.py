"""Servers in processes of their own, run as their users run them."""

from __future__ import annotations

import functools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from otel_sessions.cli._checkup._instrumentations import restriction
from otel_sessions.testing import OTLPReceiver
from tests.redis_server import until

APPLICATIONS = Path(__file__).parent / "applications"
BINARIES = Path(sys.executable).parent
INSTRUMENT = str(BINARIES / "opentelemetry-instrument")
REACHES_WORKERS = not restriction(version("opentelemetry-instrumentation"))
"""Whether `opentelemetry-instrument` reaches the workers of uvicorn; where it does not, see `by_itself`."""

_PATIENCE_SECONDS = 60.0
_LISTENING = re.compile(r"(?:[Rr]unning on|Listening at:) (http://127\.0\.0\.1:\d+)")


def _accepts(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0


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
        """Where it listens, once it does."""

        def found() -> re.Match[str] | bool | None:
            return _LISTENING.search("".join(self._lines)) or self._ended

        with self._said:
            match = self._said.wait_for(found, _PATIENCE_SECONDS)
        assert isinstance(match, re.Match), f"it does not listen:\n{self.output}"
        # uvicorn says so before its workers do.
        until(functools.partial(_accepts, match[1]), seconds=_PATIENCE_SECONDS)
        return match[1]

    def wait(self, seconds: float = 600.0) -> int:
        """Wait for its end; its exit status."""
        status = self._process.wait(seconds)
        self._listener.join(_PATIENCE_SECONDS)
        return status

    def terminate(self) -> None:
        """Tell it to end, as those do who run it in production."""
        self._process.terminate()

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


class Dialogue:
    """A process that answers each line that it is given with one of its own: `did`, the line, and what came of it."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""

    def say(self, line: str) -> str:
        """What it answers."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.hear(line)

    def hear(self, line: str) -> str:
        """What it answers to a line that it has been given."""
        assert self._process.stdout is not None
        for said in self._process.stdout:
            self.output += said
            if said.startswith(f"did {line} "):
                return said.removeprefix(f"did {line} ").strip()
        raise AssertionError(f"it has ended:\n{self.output}")

    def close(self) -> int:
        """Tell it nothing more, and wait for its end; its exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self.output += self._process.stdout.read()
        return self._process.wait(_PATIENCE_SECONDS)

    def __enter__(self) -> Dialogue:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def uvicorn(application: str, *options: str) -> list[str]:
    """Run an application that is instrumented in each of its workers, in the way that the versions here allow."""
    return [INSTRUMENT, "uvicorn", *options, application] if REACHES_WORKERS else by_itself(application, *options)


def by_itself(application: str, *options: str) -> list[str]:
    """Run an application that has itself instrumented, as documented for versions that do not reach workers."""
    return ["uvicorn", *options, f"by_itself:{application.replace(':', '.')}"]


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
