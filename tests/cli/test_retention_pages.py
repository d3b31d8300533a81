"""What `docs/export-and-retention.md` and `docs/operations.md` show can be typed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from otel_sessions.testing import OTLPReceiver

from .. import redis_server
from ..docs_snippets import snippets
from .command import invoke
from .test_export import fill

PAGES = {"export-and-retention.md", "operations.md"}
LINES = [line for snippet in snippets("sh") if snippet.page in PAGES for line in snippet.code.splitlines()]


class TestPages:
    @pytest.mark.parametrize("line", LINES)
    def test_commands_do_something(
        self, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, otlp_receiver: OTLPReceiver
    ) -> None:
        """Each one is run beside a file with sessions, and nothing goes wrong."""
        monkeypatch.chdir(tmp_path)
        fill("sqlite:///sessions.db")
        words = shlex.split(line.replace("redis://localhost:6379/0", redis_server.shared().url))
        given = [word for word in words if word.startswith("OTEL_")]
        environment = {**otlp_receiver.environment, **dict(word.split("=", 1) for word in given)}
        command, *arguments = words[len(given) :]
        done = invoke(*arguments, env=environment)
        assert (command, done.exit_code, done.exception) == ("otel-sessions", 0, None), done.output
