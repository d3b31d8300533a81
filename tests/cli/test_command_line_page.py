"""What `docs/command-line.md` shows can be typed."""

from __future__ import annotations

import shlex

import pytest

import otel_sessions as sessions
from otel_sessions import session
from otel_sessions._lifecycle import SystemClock
from otel_sessions.testing import record_sessions

from ..docs_snippets import snippets
from .stock import KEY, run, url

VERBS = {"list", "show", "stats", "usage", "watch"}
LINES = [line for snippet in snippets("sh") if snippet.page == "command-line.md" for line in snippet.code.splitlines()]
COMMANDS = [words[1:] for words in map(shlex.split, LINES) if words[0] == "otel-sessions" and words[1] in VERBS]


@pytest.fixture(name="store", scope="module")
def _store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The store of the page."""
    where = url("sqlite", tmp_path_factory.mktemp("store"))
    with record_sessions(store=where, clock=SystemClock(), pseudonym_key=KEY):
        sessions.start("chat", id="conversation-42", user="ada")
        with session("chat", user="ada", tier="pro", attributes={"shop": "north", "rows": 3}):
            pass
    return where


class TestPage:
    @pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
    def test_commands_do_something(
        self, store: str, command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each one says something, and nothing goes wrong."""
        monkeypatch.setenv("OTEL_SESSIONS_STORE", store)
        monkeypatch.setenv("OTEL_SESSIONS_PSEUDONYM_KEY", KEY)
        once = ["--count", "1"] if command[0] == "watch" and "--once" not in command else []
        done = run(capsys, *(store if word.startswith("sqlite:") else word for word in command), *once)
        assert (0, "") == (done.returncode, done.stderr)
        assert done.stdout

    def test_all_verbs_are_shown(self) -> None:
        """There is a command of each verb."""
        assert VERBS == {command[0] for command in COMMANDS}
