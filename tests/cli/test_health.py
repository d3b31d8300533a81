"""`otel-sessions health`: what it says of a store, and the code that it leaves with."""

from __future__ import annotations

import datetime as dt
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import otel_sessions as sessions
from otel_sessions.cli import _health

from ..e2e.store_urls import store_url
from ..redis_server import free_port
from .command import invoke, otel_sessions
from .stock import checked

CALM = "--threshold=storage_ratio=1"
"""However full this machine is, that is no problem of the tests."""


def health(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What the command does."""
    return otel_sessions("health", CALM, *arguments, **variables)


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What it wrote as JSON, in the form that is promised."""
    return dict(checked("health", done.stdout))


def check(done: subprocess.CompletedProcess[str], name: str) -> dict[str, Any]:
    """One check of it."""
    return next(each for each in report(done)["checks"] if each["type"] == name)


@pytest.fixture(name="url", params=["sqlite", "redis"])
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store in which three sessions are active, and one of 21 has ended in an error."""
    url = store_url(request.param, tmp_path)
    sessions.configure(store=url, background=False, detect_user=False)
    for number in range(21):
        sessions.start("chat", id=f"c{number}").end("error" if number == 0 else "success")
    for number in range(3):
        sessions.start("chat", id=f"d{number}", user="ada")
    sessions.shutdown()
    return url


class TestCodes:
    def test_codes(self, url: str) -> None:
        """It leaves with 0 if all is well, 1 if something is worth a warning, 2 if something is wrong."""
        done = health("--store", url, "--json")
        assert (0, "healthy", "") == (done.returncode, report(done)["verdict"], done.stderr)
        done = health("--json", "--threshold", "active_sessions=2", OTEL_SESSIONS_STORE=url)
        assert (1, "degraded") == (done.returncode, report(done)["verdict"])
        found = check(done, "SessionActiveHigh")
        assert ("warning", 3, 2) == (found["severity"], found["current_value"], found["threshold"])
        settings = {"OTEL_SESSIONS_STORE": url, "OTEL_SESSIONS_THRESHOLDS": "error_ratio=0.04,active_sessions=2"}
        done = health("--threshold", "active_sessions=3", **settings)
        lines = done.stdout.splitlines()
        assert 2 == done.returncode
        assert lines[0].startswith("unhealthy, ")
        assert ["error", "SessionErrorRateHigh", "chat: 4.762 %, threshold 4 %"] == lines[2].strip().split(maxsplit=2)
        assert "SessionErrorRateHigh (sessions): Find the error type that has grown" in done.stdout
        assert "ada" not in done.stdout


class TestStore:
    def test_left_out(self, tmp_path: Path) -> None:
        """On an empty store all is well; what only the application's process knows is left out, the rest not judged."""
        url = store_url("sqlite", tmp_path)
        sessions.configure(store=url, background=False)
        sessions.shutdown()
        done = health("--store", url)
        assert 0 == done.returncode
        rows = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines()[2:]}
        assert ("-", "ok", "ok") == tuple(
            rows[name] for name in ("SessionErrorRateHigh", "SessionActiveHigh", "SessionStoreFailing")
        )
        assert not {"SessionHostMemoryHigh", "SessionSuspiciousActivity"} & rows.keys()

    def test_out_of_reach(self) -> None:
        """A store that does not answer is unhealthy: that is what the report says, without its address."""
        port = free_port()
        done = health("--store", f"redis://:hunter2@127.0.0.1:{port}", "--json")
        assert (2, "unhealthy") == (done.returncode, report(done)["verdict"])
        found = check(done, "SessionStoreFailing")
        assert ("error", 1) == (found["severity"], found["current_value"])
        assert "Connection refused" in found["reason"]
        assert "hunter2" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr

    def test_locked(self, tmp_path: Path) -> None:
        """So is a file that somebody else keeps locked."""
        url = store_url("sqlite", tmp_path)
        sessions.configure(store=url, background=False)
        sessions.shutdown()
        url = url.partition("?")[0] + "?timeout=0.1"
        with closing(sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode=EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            done = health("--store", url)
        assert 2 == done.returncode
        assert done.stdout.startswith("unhealthy, ")
        assert "SessionStoreFailing" in done.stdout
        assert "in use" in done.stdout
        assert "Traceback" not in done.stderr


class TestNoReport:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--store", "sqlite:///nothing.db"], "there is no file"),
            (["--store", "memory://"], "memory is the application's own"),
            ([], "say where the sessions are"),
            (["--threshold", "errors=1"], "--threshold: there is no threshold 'errors'; there are access_failures"),
            (["--threshold", "error_ratio"], "--threshold: 'error_ratio': use NAME=NUMBER"),
        ],
    )
    def test_nothing_to_report(self, arguments: list[str], said: str) -> None:
        """It says in a line on standard error what it cannot begin with, and leaves with 2: not known is not well."""
        done = invoke("health", *arguments)
        assert (2, "") == (done.exit_code, done.stdout)
        assert said in done.stderr
        assert 1 == len(done.stderr.splitlines())

    def test_as_a_process(self, tmp_path: Path) -> None:
        """A file that is no store is one of these."""
        (tmp_path / "notes.db").write_text("Dear diary, it is no database that I write.\n" * 20)
        done = health("--store", f"sqlite:///{tmp_path}/notes.db")
        assert (2, "") == (done.returncode, done.stdout)
        assert "file is not a database" in done.stderr
        assert "Traceback" not in done.stderr


class TestHostile:
    def test_reason(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What a store says in its failure cannot steer the terminal, nor colour what is written."""
        at = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
        check = sessions.HealthCheck(
            at,
            "SessionStoreFailing",
            "error",
            "store",
            1,
            0.01,
            "Look.",
            "ratio",
            "\x1b[1m",
            "no \x1b[2J[red]answer\u202e",
        )
        _health._print(sessions.HealthReport.of(at, (check,)))
        written = capsys.readouterr().out
        assert "no \\x1b[2J[red]answer\\u202e" in written
        assert "\x1b" not in written
