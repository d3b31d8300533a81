"""The command as a real process, or within this one."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from typer.testing import CliRunner, Result

from otel_sessions.cli._app import app

MAIN = "from otel_sessions.cli import main; main()"


def otel_sessions(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """What `otel-sessions` does with these arguments; of the surroundings' credentials it sees none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRAFANA_")}
    environment = {**kept, "NO_PROXY": "127.0.0.1", "TERM": "dumb", "COLUMNS": "200", **variables}
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        input=stdin,
        timeout=60,
    )


def invoke(*arguments: str, env: Mapping[str, str] | None = None) -> Result:
    """What the command does with these arguments in this process, where nobody sees it and nobody answers."""
    # Errors are kept apart from 8.2 of click on; before, one has to say so.
    apart: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
    return CliRunner(**apart).invoke(app, arguments, env=env)
