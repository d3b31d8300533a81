"""A program that runs as a child process."""

from __future__ import annotations

import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

_ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:\d+")
_LINES_KEPT: Final = 40


class ProgramError(Exception):
    """A program of the demo did not do what it should; the message ends with what it wrote last."""


def executable(name: str) -> str | None:
    """The path of a command that is installed beside this interpreter; None if it is not."""
    return shutil.which(name, path=str(Path(sys.executable).parent))


class Program:
    """Runs from `__enter__` to `__exit__`; whatever happens, it does not outlive the block.

    Args:
        command: what to run, the executable's path first.
        environment: all of its variables.
        directory: where it runs.
        grace: seconds to end in, when asked to, before it is asked less politely.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        directory: str | None = None,
        grace: float = 5.0,
    ) -> None:
        self._command = list(command)
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self._directory = directory
        self._grace = grace
        self._output: collections.deque[str] = collections.deque(maxlen=_LINES_KEPT)
        self._address: str | None = None
        self._heard = threading.Event()

    def __enter__(self) -> Program:
        self._process = subprocess.Popen(  # noqa: S603 - the demo's own commands
            self._command,
            env=self._environment,
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()

    def address(self, timeout: float) -> str:
        """The address that a server says it listens at.

        Raises:
            ProgramError: it has not said so within `timeout` seconds, or has ended.
        """
        self._heard.wait(timeout)
        if self._address is None:
            raise self.error("does not serve")
        return self._address

    def finish(self, timeout: float) -> None:
        """Wait until the program has ended by itself.

        Raises:
            ProgramError: it failed, or has not ended within `timeout` seconds.
        """
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.error(f"has not ended within {timeout:.0f} s") from None
        if code:
            raise self.error(f"ended with the code {code}")

    def error(self, what: str) -> ProgramError:
        """An error about this program, with what it wrote last."""
        # Without the folder of the interpreter: the line is cut where the page ends, and what happened stands last.
        command = [Path(self._command[0]).name, *self._command[1:]]
        return ProgramError("\n".join([f"{' '.join(command)} {what}.", *self._output]))

    def stop(self) -> None:
        """End the program: as Ctrl-C would, so that it exports what it holds; then less and less politely."""
        interrupt = signal.SIGINT if os.name == "posix" else signal.SIGTERM
        for number in (interrupt, signal.SIGTERM, None):
            if self._process.poll() is None:
                self._process.kill() if number is None else self._process.send_signal(number)
            try:
                self._process.wait(timeout=self._grace)
            except subprocess.TimeoutExpired:
                continue
            break
        self._listener.join(timeout=self._grace)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._output.append(line.rstrip())
            found = None if self._address else _ADDRESS.search(line)
            if found:
                self._address = found.group()
                self._heard.set()
        self._heard.set()
