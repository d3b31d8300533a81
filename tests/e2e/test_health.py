"""A running application makes faults: it notices them itself, and so does the command that looks into its store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.command import otel_sessions

from .processes import APPLICATIONS

# However busy and full this machine is, that is no problem of the test.
CALM = "memory_ratio=1,process_memory_ratio=1,cpu_ratio=1,storage_ratio=1"


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/sessions.db?timeout=60"


@pytest.fixture(name="tell")
def _tell(url: str) -> Iterator[Callable[[str], str]]:
    """Have the application do something; how it finds itself afterwards."""
    settings = {"OTEL_SESSIONS_STORE": url, "OTEL_SESSIONS_THRESHOLDS": CALM, "OTEL_SESSIONS_HEALTH_INTERVAL": "0.2"}
    with subprocess.Popen(
        [sys.executable, str(APPLICATIONS / "watched.py")],
        env={**os.environ, **settings, "OTEL_SESSIONS_FLUSH_INTERVAL": "0.1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        into, out = process.stdin, process.stdout

        def tell(line: str) -> str:
            into.write(f"{line}\n")
            into.flush()
            return out.readline().strip()

        yield tell
        into.close()
        assert 0 == process.wait(30)


class TestFaults:
    def test_from_0_to_1_to_2(self, url: str, tell: Callable[[str], str]) -> None:
        """Healthy, then more sessions than expected, then too many errors: in the process and from the shell alike."""

        def look() -> tuple[int, str]:
            done = otel_sessions("health", OTEL_SESSIONS_STORE=url, OTEL_SESSIONS_THRESHOLDS=CALM)
            return done.returncode, done.stdout.partition(",")[0]

        tell("start 100")
        assert ("healthy", (0, "healthy")) == (tell("start 0"), look())
        assert ("degraded", (1, "degraded")) == (tell("start 1"), look())
        assert "healthy" == tell("end 101")
        assert ("unhealthy", (2, "unhealthy")) == (tell("fail 30"), look())
        assert "unhealthy" == tell("wait 0")
