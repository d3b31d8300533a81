"""The command in a terminal: a real process in a pty."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from types import TracebackType

from .command import MAIN

_PATIENCE_SECONDS = 30.0
_IN_CHARGE = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
"""What makes the terminal the one whose Ctrl-C the process gets."""
_ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")


class Terminal:
    """A terminal of so many columns in which `otel-sessions` runs with these arguments."""

    def __init__(self, *arguments: str, columns: int = 80, lines: int = 40, **variables: str) -> None:
        self._master, slave = pty.openpty()
        self.resize(columns, lines)
        kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{_IN_CHARGE}; {MAIN}", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**kept, "TERM": "xterm-256color", "NO_PROXY": "127.0.0.1", **variables},
            start_new_session=True,
        )
        os.close(slave)
        self.written = ""
        """All that the command has written, control sequences included."""

    @property
    def shown(self) -> str:
        """What it has written, without control sequences."""
        return _ESCAPE.sub("", self.written).replace("\r\n", "\n")

    def until(self, condition: Callable[[Terminal], bool]) -> None:
        """Read until something has been written."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition(self):
            assert time.monotonic() < deadline, self.written
            assert self._read(), self.written

    def press(self, text: str) -> None:
        """Press these keys."""
        os.write(self._master, text.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Give it another size."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self._master, b"\x03")

    def terminate(self) -> None:
        """Have it stopped as a service is."""
        self._process.terminate()

    def finish(self) -> int:
        """Read until the command ends; its exit code."""
        while self._read():
            pass
        return self._process.wait(_PATIENCE_SECONDS)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], _PATIENCE_SECONDS)[0]:
            return False
        try:
            found = os.read(self._master, 65_536)
        except OSError:
            # Linux says that nobody writes there any more.
            return False
        self.written += found.decode("utf-8", "replace")
        return bool(found)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        os.close(self._master)
