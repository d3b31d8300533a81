"""`otel-sessions export`, as a real process."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import otel_sessions as sessions
from otel_sessions.reports._rows import COLUMNS
from otel_sessions.testing import record_sessions

from ..e2e.store_urls import store_url
from .command import MAIN, invoke, otel_sessions
from .stock import checked
from .terminal import Terminal

HOSTILE = "=cmd\x1b[31m[red]"


def fill(url: str) -> None:
    """Three jobs, one of which fails; and a conversation that goes on."""
    with record_sessions(store=url, detect_user=False) as recorded:
        # The clock of the store is ours: what is asked about days is asked of now.
        recorded.clock.jump(-recorded.clock.time_ns() / 1e9)
        recorded.clock.jump(1_700_000_000)
        for number in range(2):
            with sessions.session("import", user="ada", tier="pro", attributes={"shop": "a", "note": HOSTILE}):
                recorded.advance(10 + number)
        recorded.advance(1)
        with pytest.raises(ValueError, match="cmd"), sessions.session("import"):
            raise ValueError(HOSTILE)
        sessions.start("chat", id="c1", user="ada", idle_timeout=1e9, max_duration=1e9)


@pytest.fixture(name="url", params=["sqlite", "redis"])
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url = store_url(request.param, tmp_path)
    fill(url)
    return url


@pytest.fixture(name="here")
def _here(tmp_path: Path) -> str:
    url = store_url("sqlite", tmp_path)
    fill(url)
    return url


def run(*arguments: str) -> Result:
    """The command in this process."""
    return invoke("export", *arguments)


class TestWritten:
    def test_to_standard_output(self, url: str) -> None:
        """Each session is a line of JSON, the latest end first; nothing else is said."""
        done = otel_sessions("export", "--store", url)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert (done.returncode, done.stderr, [each["status"] for each in found]) == (
            0,
            "",
            ["error", "success", "success"],
        )
        assert done.stdout.isascii()

    def test_to_a_file(self, url: str, tmp_path: Path) -> None:
        """With filters, and what was done as JSON; the suffix says the format, and no cell is a formula."""
        path = tmp_path / "out.csv"
        done = otel_sessions(
            *("export", str(path), "--store", url, "--json", "--user", "ada", "--tier", "pro", "--type", "import"),
            *("--status", "success", "--end-reason", "completed", "--attribute", "shop=a", "--since", "2023-01-01"),
        )
        assert checked("export", done.stdout) == {"sessions": 2, "file": str(path)}
        rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
        assert [row["duration"] for row in rows] == ["11.0", "10.0"]
        assert json.loads(rows[0]["attributes"])["note"] == HOSTILE
        assert done.stderr == ""

    def test_active_ones(self, here: str) -> None:
        """If they are asked for they come first."""
        found = [json.loads(line) for line in run("--store", here, "--active").stdout.splitlines()]
        assert [each["status"] for each in found] == ["active", "error", "success", "success"]
        assert len(run("--store", here, "--status", "active").stdout.splitlines()) == 1

    def test_csv_to_standard_output(self, here: str) -> None:
        """Lines end as the format has it, and no terminal obeys what is in them."""
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "export", "--store", here, "--format", "csv", "--status", "error"],
            check=True,
            capture_output=True,
        )
        head, row, rest = done.stdout.split(b"\r\n")
        assert (head.decode().split(","), rest) == (list(COLUMNS), b"")
        assert b"'=cmd\\x1b[31m[red]" in row
        assert b"\x1b" not in row

    def test_of_a_user_who_is_not_known(self, here: str, tmp_path: Path) -> None:
        """Who reads the sessions gets none; who has typed it is told why that may be."""
        hint = "otel-sessions: no session of this user was found. Pseudonyms are made with the application's key: "
        done = run("--store", here, "--user", "nobody")
        assert (done.exit_code, done.stdout, done.stderr.startswith(hint)) == (0, "", True)
        done = run(str(tmp_path / "a.jsonl"), "--store", here, "--user", "nobody")
        assert (done.exit_code, done.stdout, hint in done.stderr) == (0, "", True)
        assert run("--store", here, "--user", "0" * 32).stderr == ""

    def test_whoever_reads_has_enough(self, here: str) -> None:
        """`| head -1` ends it quietly, also if there is much more."""
        script = f'"{sys.executable}" -c "{MAIN}" export --store "{here}" | head -1; echo "${{PIPESTATUS[0]}}"'
        fill_more(here)
        done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
        line, status = done.stdout.splitlines()
        assert (json.loads(line)["type"], status, done.stderr) == ("import", "0", "")

    def test_in_a_terminal(self, here: str, tmp_path: Path) -> None:
        """A person sees how far it is, and where it went; not where the sessions themselves are shown."""
        with Terminal("export", str(tmp_path / "a.jsonl"), "--store", here, columns=200) as terminal:
            assert terminal.finish() == 0
            assert terminal.written == f"\r3 sessions \r3 sessions written to {tmp_path}/a.jsonl\r\n"
        with Terminal("export", "--store", here, "--type", "none") as terminal:
            assert (terminal.finish(), terminal.written) == (0, "")


def fill_more(url: str) -> None:
    with record_sessions(store=url, detect_user=False) as recorded:
        for _ in range(300):
            with sessions.session("import"):
                recorded.clock.advance(1)


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["--json"], "name a FILE"),
            (["--attribute", "shop"], "--attribute shop: write NAME=VALUE"),
            (["--format", "xml"], "--format xml: use one of jsonl, csv"),
            (["--status", "failed"], "--status failed: use one of"),
            (["--days", "1", "--since", "2023-01-01"], "give one of them"),
            (["--since", "2999-01-01"], "is in the future"),
            (["FOLDER/out.txt"], "say --format jsonl or --format csv"),
            (["--json", "FOLDER/out.txt"], "say --format jsonl or --format csv"),
        ],
    )
    def test_bad_arguments(self, here: str, tmp_path: Path, arguments: list[str], reason: str) -> None:
        """What was wrong is said in one line, and no file is made or changed."""
        (tmp_path / "there.csv").write_text("mine", "utf-8")
        before = sorted(path.name for path in tmp_path.iterdir())
        done = run(*(each.replace("FOLDER", str(tmp_path)) for each in arguments), "--store", here)
        assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
        assert reason in done.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        assert (tmp_path / "there.csv").read_text("utf-8") == "mine"

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["FOLDER/none/out.csv"], "FOLDER/none/out.csv cannot be written: No such file or directory"),
            (["FOLDER/there.csv"], "FOLDER/there.csv is there already: --overwrite replaces it"),
            (["FOLDER", "--format", "csv", "--overwrite"], "'FOLDER' is no file: choose another name"),
        ],
    )
    def test_files_that_cannot_be(self, here: str, tmp_path: Path, arguments: list[str], reason: str) -> None:
        """What is in the way of a file is said in one line, and it stays as it is."""
        (tmp_path / "there.csv").write_text("mine", "utf-8")
        done = run(*(each.replace("FOLDER", str(tmp_path)) for each in arguments), "--store", here)
        said = f"otel-sessions: {reason.replace('FOLDER', str(tmp_path))}\n"
        assert (done.exit_code, done.stdout, done.stderr) == (1, "", said)
        assert (tmp_path / "there.csv").read_text("utf-8") == "mine"

    @pytest.mark.parametrize(
        ("url", "reason", "code"),
        [
            (None, "say where the sessions are", 2),
            ("memory://", "memory is the application's own", 2),
            ("sqlite:///none.db", "there is no file", 1),
            ("redis://user:hunter2@127.0.0.1:1/0", "the redis store cannot be asked", 1),
        ],
    )
    def test_no_store(self, url: str | None, reason: str, code: int, tmp_path: Path) -> None:
        """A store that cannot be asked is said in one line, without a credential."""
        arguments: list[Any] = [] if url is None else ["--store", url]
        done = run(str(tmp_path / "a.csv"), *arguments)
        assert (done.exit_code, len(done.stderr.splitlines())) == (code, 1)
        assert reason in done.stderr
        assert "hunter2" not in done.stderr
        assert not list(tmp_path.iterdir())
