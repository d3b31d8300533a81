"""`otel-sessions usage`: what was used, by everybody or by one user."""

from __future__ import annotations

from pathlib import Path

import pytest

from .command import otel_sessions
from .stock import HOSTILE, KEY, checked, empty, run, stocked


@pytest.fixture(name="store", scope="module", params=["sqlite", "redis"])
def _store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of each kind in which something has happened."""
    return stocked(request.param, tmp_path_factory.mktemp("store"))


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command has the application's key."""
    monkeypatch.setenv("OTEL_SESSIONS_PSEUDONYM_KEY", KEY)


class TestUsage:
    def test_of_everybody(self, store: str) -> None:
        """Sums over all sessions, for people and for programs."""
        done = otel_sessions("usage", OTEL_SESSIONS_STORE=store)
        assert (0, "") == (done.returncode, done.stderr)
        lines = [line.split() for line in done.stdout.splitlines()]
        assert done.stdout.startswith("Usage of everybody\n")
        assert 2 == lines.count(["cost", "0.50", "USD"])
        for line in (
            ["sessions", "8"],
            ["active", "3"],
            ["users", "3"],
            ["tokens", "880"],
            ["search", "1", "95", "api_calls"],
            # What was used of `cost` is money, and so it is told.
            ["cost", "0.50", "USD"],
        ):
            assert line in lines
        found = checked("usage", otel_sessions("usage", "--json", OTEL_SESSIONS_STORE=store).stdout)
        assert ({"tokens": 880, "api_calls": 95, "cost": 0.5}, [], None) == (
            found["usage"], found["history"], found["user"],
        )  # fmt: skip

    def test_of_a_user(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """The sums of one user's, and the latest uses; the clear name is not shown."""
        done = run(capsys, "usage", "grace", "--store", store)
        assert (0, "") == (done.returncode, done.stderr)
        assert "grace" not in done.stdout
        assert "chat-1" in done.stdout
        found = checked("usage", run(capsys, "usage", "grace", "--store", store, "--limit", "2", "--json").stdout)
        assert (4, 880, 2) == (found["sessions"], found["usage"]["tokens"], len(found["history"]))

    @pytest.mark.parametrize("user", ["nobody", HOSTILE + "?"])
    def test_of_nobody(self, store: str, capsys: pytest.CaptureFixture[str], user: str) -> None:
        """Of a user who is not known it is said why that may be."""
        done = run(capsys, "usage", user, "--store", store)
        assert (0, "") == (done.returncode, done.stderr)
        assert "No session of this user is known." in done.stdout
        assert "nobody" not in done.stdout
        assert "\x1b" not in done.stdout
        found = checked("usage", run(capsys, "usage", user, "--store", store, "--json").stdout)
        assert (0, []) == (found["sessions"], found["history"])

    @pytest.mark.parametrize("kind", ["sqlite", "redis"])
    def test_empty(self, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Of an empty store everything is zero."""
        store = empty(kind, tmp_path)
        assert 0 == checked("usage", run(capsys, "usage", "--store", store, "--json").stdout)["sessions"]
        done = run(capsys, "usage", "--store", store)
        assert (0, "") == (done.returncode, done.stderr)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--limit", "3"], "otel-sessions: --limit 3: single uses are shown of a user"),
            (["grace", "--limit", "0"], "otel-sessions: --limit 0: use a whole number from 1 to"),
            ([""], "otel-sessions: USER: '' cannot be a user"),
        ],
    )
    def test_bad_arguments(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
    ) -> None:
        """They are refused in a line that says the value, and what to do."""
        done = run(capsys, "usage", *arguments, "--store", empty("sqlite", tmp_path))
        assert (2, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert done.stderr.startswith(said)
