"""A fresh interpreter, for what a process can set only once: global providers, imports, the end of the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any


def run(
    code: str, *, options: tuple[str, ...] = (), env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `code` to its end in a new process that has no OpenTelemetry variables but those of `env`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    completed = subprocess.run(
        [sys.executable, *options, "-c", dedent(code)],
        env={**inherited, **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed


def answer(code: str, *, env: Mapping[str, str] | None = None) -> Any:
    """What `code` printed, as JSON; it may neither warn nor log."""
    completed = run(code, options=("-W", "error"), env=env)
    assert completed.stderr == ""
    return json.loads(completed.stdout)
