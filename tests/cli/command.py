"""The command as a real process."""

from __future__ import annotations

import os
import subprocess
import sys

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
