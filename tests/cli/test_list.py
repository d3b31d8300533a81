"""`otel-sessions list`: which sessions there are, and were."""

from __future__ import annotations

from pathlib import Path

import pytest

from .command import otel_sessions
from .stock import HOSTILE_ID, KEY, checked, empty, run, stocked
from .terminal import Terminal


@pytest.fixture(name="store", scope="module", params=["sqlite", "redis"])
def _store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of each kind in which something has happened."""
    return stocked(request.param, tmp_path_factory.mktemp("store"))


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command has the application's key."""
    monkeypatch.setenv("OTEL_SESSIONS_PSEUDONYM_KEY", KEY)


def types(capsys: pytest.CaptureFixture[str], store: str, *options: str) -> list[str]:
    """The types of the sessions that it lists with these options."""
    done = run(capsys, "list", "--store", store, "--json", *options)
    assert (0, "") == (done.returncode, done.stderr)
    return [each["type"] for each in checked("list", done.stdout)["sessions"]]


class TestList:
    def test_of_all(self, store: str) -> None:
        """Active ones first, then the latest ended, for people and for programs; a pipe gets no color."""
        done = otel_sessions("list", OTEL_SESSIONS_STORE=store, PYTHONWARNINGS="error")
        assert (0, "") == (done.returncode, done.stderr)
        heads, *rows = done.stdout.splitlines()
        assert heads.split()[:2] == ["status", "type"]
        statuses = [row.split()[0] for row in rows]
        assert (statuses[:3], sorted(statuses[3:])) == (["active"] * 3, ["error"] * 2 + ["success"] * 3)
        assert "\x1b" not in done.stdout
        assert "grace" not in done.stdout

    def test_as_json(self, store: str) -> None:
        """The same for programs, with no key that a client is found by."""
        done = otel_sessions("list", "--json", OTEL_SESSIONS_STORE=store)
        found = checked("list", done.stdout)
        assert (8, None) == (len(found["sessions"]), found["next"])
        assert "id:chat-1" not in done.stdout

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (["--type", "chat"], ["chat"]),
            (["--type", "web"], ["web", "web", "web"]),
            (["--user", "grace"], ["chat", "web", "audit", "audit"]),
            (["--user", "eve"], []),
            (["--status", "active", "--type", "web"], ["web", "web"]),
            (["--status", "error"], ["import", "import"]),
            (["--end-reason", "logout"], ["web"]),
            (["--tier", "pro"], ["chat", "audit", "audit"]),
            (["--attribute", "shop=north"], ["audit"]),
            (["--attribute", "shop=north", "--attribute", "rows=3"], ["audit"]),
            (["--attribute", "shop=north", "--attribute", 'rows="3"'], []),
            (["--attribute", "shop=null"], []),
            (["--days", "1", "--type", "import"], ["import", "import"]),
            (["--since", "2020-01-01", "--type", "chat"], ["chat"]),
            (["--until", "2020-01-01"], []),
            (["--limit", "1"], ["web"]),
        ],
    )
    def test_conditions(
        self, store: str, capsys: pytest.CaptureFixture[str], options: list[str], expected: list[str]
    ) -> None:
        """Each of them is honored, by active sessions as by those that ended."""
        assert types(capsys, store, *options) == expected

    def test_a_value_that_is_no_json(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """It is text, however deep it is nested."""
        assert types(capsys, store, "--attribute", f"shop={'[' * 100_000}") == []

    def test_pages(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """What a page says at its end leads to the next one, for programs and for people."""
        found: list[str] = []
        more: list[str] = []
        while True:
            page = checked("list", run(capsys, "list", "--store", store, "--limit", "3", "--json", *more).stdout)
            found += [each["id"] for each in page["sessions"]]
            if page["next"] is None:
                break
            more = ["--after", page["next"]]
            said = run(capsys, "list", "--store", store, "--limit", "3", *more).stdout
            assert ("There are more: the same command with --after " in said) == (len(found) < 6)
        assert (8, 8) == (len(found), len(set(found)))

    def test_by_pseudonym(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A pseudonym that was shown finds the user's sessions."""
        [chat] = checked("list", run(capsys, "list", "--store", store, "--type", "chat", "--json").stdout)["sessions"]
        assert types(capsys, store, "--user", chat["user"]) == types(capsys, store, "--user", "grace")

    def test_of_a_user_who_is_not_known(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """It may be that pseudonyms are made with another key here: that is said, but not of a pseudonym."""
        done = run(capsys, "list", "--store", store, "--user", "nobody")
        assert done.stdout == (
            "There is no such session. Pseudonyms are made with the application's key: is it the one in "
            "OTEL_SESSIONS_PSEUDONYM_KEY? Or give the pseudonym.\n"
        )
        assert run(capsys, "list", "--store", store, "--user", "0" * 32).stdout == "There is no such session.\n"

    def test_of_a_user_by_no_key(self, store: str) -> None:
        """Whoever has set none is told what to set."""
        done = otel_sessions("list", "--user", "nobody", OTEL_SESSIONS_STORE=store, OTEL_SESSIONS_PSEUDONYM_KEY="")
        assert done.stdout == (
            "There is no such session. Pseudonyms are made with the application's key: set "
            "OTEL_SESSIONS_PSEUDONYM_KEY to it if it has one, or give the pseudonym.\n"
        )

    @pytest.mark.parametrize("more", [["--status", "expired"], ["--days", "0.001", "--type", "none"]])
    def test_of_a_user_with_other_conditions(
        self, store: str, more: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """They may be the reason as well."""
        assert run(capsys, "list", "--store", store, "--user", "grace", *more).stdout == "There is no such session.\n"


class TestTerminal:
    @pytest.mark.parametrize("columns", [40, 80, 140])
    def test_width(self, tmp_path_factory: pytest.TempPathFactory, columns: int) -> None:
        """It fits, ids are whole, and nothing that somebody wrote steers the terminal."""
        store = stocked("sqlite", tmp_path_factory.mktemp("store"))
        with Terminal("list", "--store", store, columns=columns) as terminal:
            assert 0 == terminal.finish()
        assert columns >= max(map(len, terminal.shown.splitlines()))
        assert "chat-1" in terminal.shown
        assert HOSTILE_ID in terminal.shown
        assert "\x1b[31merror" in terminal.written


class TestNothing:
    @pytest.mark.parametrize("kind", ["sqlite", "redis"])
    def test_empty(self, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """An empty store has none, which is no failure."""
        store = empty(kind, tmp_path)
        told = "There is no session yet, or it has been forgotten.\n"
        assert run(capsys, "list", "--store", store) == (0, told, "")
        assert checked("list", run(capsys, "list", "--store", store, "--json").stdout) == {"sessions": [], "next": None}

    def test_behind_the_last(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Nor is a page behind the last one."""
        assert run(capsys, "list", "--store", store, "--after", "1:x") == (0, "There are no more sessions.\n", "")


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--attribute", "shop"], "otel-sessions: --attribute shop: write NAME=VALUE"),
            (
                ["--attribute", "shop=a", "--attribute", "shop=b"],
                "otel-sessions: --attribute shop: it is given twice; a session has one value of it",
            ),
            (["--attribute", "=\x1b[31m"], "otel-sessions: --attribute =\\x1b[31m: write NAME=VALUE"),
            (
                ["--attribute", "rows=99999999999999999999"],
                "otel-sessions: --attribute rows=99999999999999999999: no session has that",
            ),
            (["--status", "done"], "otel-sessions: --status done: use one of active, success"),
            (["--end-reason", "why"], "otel-sessions: --end-reason why: use one of completed"),
            (["--limit", "0"], "otel-sessions: --limit 0: use a whole number from 1 to 100,000"),
            (["--days", "-1"], "otel-sessions: --days -1: use a number of days above 0"),
            (
                ["--days", "1", "--since", "2020-01-01"],
                "otel-sessions: --days 1 and --since 2020-01-01: give one of them",
            ),
            (
                ["--since", "2020-01-02", "--until", "2020-01-02"],
                "otel-sessions: --since 2020-01-02 is --until 2020-01-02: no time is in between",
            ),
            (
                ["--since", "2020-02-30"],
                "otel-sessions: --since 2020-02-30: no clock says that; write a date or a time, such as ",
            ),
            (["--since", "today"], "otel-sessions: --since today: write a date or a time, such as "),
            (
                ["--since", "2020-01-02", "--until", "2020-01-01"],
                "otel-sessions: --since 2020-01-02 is not before --until 2020-01-01: exchange",
            ),
            (["--since", "2190-01-01"], "otel-sessions: --since 2190-01-01 is in the future"),
            (["--limit", "1e9"], "otel-sessions: --limit 1e9: use a whole number from 1 to 100,000"),
            (["--limit", "9" * 30], "otel-sessions: --limit 999"),
            (["--days", "1e300"], "otel-sessions: --days 1e300: use a number of days above 0"),
            (["--days", "nan"], "otel-sessions: --days nan: use a number of days above 0"),
            (["--days", "soon"], "otel-sessions: --days soon: use a number of days above 0"),
            (
                ["--days", "1", "--until", "2190-01-01"],
                "otel-sessions: --until 2190-01-01 with --days 1 begins in the f",
            ),
            (["--until", "1950-01-01"], "otel-sessions: --until 1950-01-01 is before anything"),
            (["--since", "\x1b[2J"], "otel-sessions: --since \\x1b[2J: write a date or a time, such as 2026-11-22, "),
            (["--since", "0001-01-01"], "otel-sessions: --since 0001-01-01: no clock says that; write a date"),
            (["--type", "a b"], "otel-sessions: --type: 'a b' cannot be a session type: use"),
            (["--tier", ""], "otel-sessions: --tier: '' cannot be a tier: use"),
            (["--user", ""], "otel-sessions: --user: '' cannot be a user: use"),
            (["--dayz"], "otel-sessions: No such option"),
            (["--store"], "otel-sessions: "),
            (["--after", "99999999999999999999:x"], "otel-sessions: --after 99999999999999999999:x: use what the"),
            (["--after", "x"], "otel-sessions: --after x: use what the page before said at its end"),
        ],
    )
    def test_bad_options(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
    ) -> None:
        """They are refused in a line that says the value, and what to do."""
        done = run(capsys, "list", "--store", empty("sqlite", tmp_path), *options)
        assert (2, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert done.stderr.startswith(said)
