"""The command in a terminal: a pseudo-terminal, as a person has it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path


def in_terminal(*arguments: str, typed: str = "", stdout: Path | None = None) -> tuple[int, str]:
    """The exit code of `otel-sessions`, and all that the terminal shows; standard output may go into a file."""
    main, side = pty.openpty()
    os.write(main, typed.encode())
    with (stdout or Path(os.devnull)).open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", "from otel_sessions.cli import main; main()", *arguments],
            env={**os.environ, "TERM": "dumb"},
            stdin=side,
            stdout=side if stdout is None else file,
            stderr=side,
        )
    os.close(side)
    shown = b""
    try:
        while some := os.read(main, 1024):
            shown += some
    except OSError:
        # So it is said that nobody has the other side any more.
        pass
    os.close(main)
    return process.wait(60), shown.decode()
