"""`otel-sessions report` writes a page, and says what it cannot."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import resource
import secrets
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest

from otel_sessions import start
from otel_sessions.cli._app import app
from otel_sessions.reports._whole_file import whole_file
from otel_sessions.testing import record_sessions
from tests import redis_server
from tests.cli.command import MAIN, otel_sessions

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "report.json").read_text(encoding="utf-8"))


def sqlite(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    return f"sqlite:///{folder / 'sessions.db'}"


def redis(_folder: Path) -> str:
    return f"{redis_server.shared().url}?prefix={secrets.token_hex(4)}"


def in_process(*arguments: str) -> int:
    """The exit code of the command; for what a process of its own would show no better."""
    with pytest.raises(SystemExit) as left:
        app(arguments, prog_name="otel-sessions")
    return int(left.value.code or 0)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> str:
    """A store with one session in it."""
    return filled(sqlite(tmp_path))


def filled(store: str) -> str:
    with record_sessions(store=store, pseudonym_key="k" * 32, clock=None):
        start("chat", user="ada").end("error")
    return store


class TestReport:
    @pytest.mark.parametrize("where", [sqlite, redis])
    def test_a_file(self, where: Callable[[Path], str], tmp_path: Path) -> None:
        """The page is written, and it is said where; again only with --overwrite."""
        store, file = filled(where(tmp_path)), tmp_path / "page.html"
        done = otel_sessions("report", str(file), "--title", "Shop <7>", "--days", "7", OTEL_SESSIONS_STORE=store)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"written   {file}\n", "")
        made = file.read_text(encoding="utf-8")
        assert "<title>Shop &lt;7&gt;</title>" in made
        assert "<h2>Latest sessions that failed</h2>" in made

        again = otel_sessions("report", str(file), "--store", store)
        assert (again.returncode, again.stdout) == (1, "")
        assert again.stderr == f"otel-sessions: {file} is there already: --overwrite replaces it\n"
        file.chmod(0o640)
        over = otel_sessions("report", str(file), "--store", store, "--overwrite", "--json")
        said = json.loads(over.stdout)
        jsonschema.validate(said, SCHEMA, jsonschema.Draft202012Validator)
        assert said == {"file": str(file), "bytes": file.stat().st_size}
        assert "<title>Sessions</title>" in file.read_text(encoding="utf-8")
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        assert not list(tmp_path.glob(".otel-sessions-*"))

    def test_a_pipe(self, store: str) -> None:
        """Without a file the page goes to standard output, and nothing else does."""
        done = otel_sessions("report", "--store", store)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("<!DOCTYPE html>\n<html ")
        assert done.stdout.endswith("</html>\n")

    def test_a_terminal(self, store: str) -> None:
        """Markup does not run over a person's screen."""
        ours, theirs = pty.openpty()
        with os.fdopen(ours), os.fdopen(theirs, "w") as terminal:
            done = subprocess.run(
                [sys.executable, "-c", MAIN, "report", "--store", store],
                check=False,
                stdout=terminal,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
            )
        assert done.returncode == 2
        assert done.stderr == (
            "otel-sessions: a page is not for a terminal: name a file, such as sessions.html, or pipe it somewhere\n"
        )

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("{folder}/none/page.html",), "{folder}/none/page.html cannot be written: No such file or directory"),
            (("{folder}", "--overwrite"), "'{folder}' is no file: choose another name"),
        ],
    )
    def test_what_cannot_be(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
    ) -> None:
        """One line says what, and no file is left."""
        store = filled(sqlite(tmp_path / "store"))
        folder = tmp_path / "folder"
        folder.mkdir()
        code = in_process("report", *(each.format(folder=folder) for each in arguments), "--store", store)
        assert (code, *capfd.readouterr()) == (1, "", f"otel-sessions: {said.format(folder=folder)}\n")
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--json",), "--json says which file was written: name one, such as sessions.html"),
            (
                ("a.html", "--days", "-1"),
                "--days -1: use a number of days above 0, such as 7 or 0.5, and of 1,000,000 at",
            ),
        ],
    )
    def test_bad_options(self, store: str, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
        """What was typed wrong is said, with another exit code."""
        assert in_process("report", *arguments, "--store", store) == 2
        assert capfd.readouterr().err.startswith(f"otel-sessions: {said}")

    def test_a_disk_that_fills_up(self, tmp_path: Path) -> None:
        """What was there stays there, whole."""
        file = tmp_path / "page.html"
        file.write_text("before", encoding="utf-8")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"), whole_file(file, overwrite=True) as stream:
                stream.write("x" * 1_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [
            ("page.html", "before")
        ]

    def test_stores_that_cannot_be_asked(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """No store, none there, one of another version: nothing is written, and the reason is said."""
        file, other = tmp_path / "page.html", tmp_path / "other.db"
        with contextlib.closing(sqlite3.connect(other)) as database:
            database.execute("PRAGMA user_version = 999")
        for arguments in ((), ("--store", sqlite(tmp_path / "none")), ("--store", f"sqlite:///{other}")):
            code = in_process("report", str(file), *arguments)
            told = capfd.readouterr()
            assert (code, told.out, len(told.err.splitlines())) == (1 if arguments else 2, "", 1), told.err
            assert not file.exists()

    def test_an_empty_store(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """It is a page as well."""
        store = sqlite(tmp_path)
        with record_sessions(store=store):
            pass
        code = in_process("report", str(tmp_path / "page.html"), "--store", store)
        assert (code, capfd.readouterr().err) == (0, "")
        assert "No session ended in this time." in (tmp_path / "page.html").read_text(encoding="utf-8")
