"""`otel-sessions watch`: what goes on, drawn again and again."""

from __future__ import annotations

import contextlib
import io
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import otel_sessions as sessions
from otel_sessions.cli._view import view
from otel_sessions.cli._watch import _Lines, _Stop
from otel_sessions.limits import Quota, Tier
from otel_sessions.reports import Situation, Watch
from otel_sessions.testing import record_sessions

from .. import redis_server
from .command import MAIN, otel_sessions
from .stock import HOSTILE_ID, checked, empty, run, stocked
from .terminal import Terminal


@pytest.fixture(name="store", scope="module", params=["sqlite", "redis"])
def _store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of each kind in which something has happened."""
    return stocked(request.param, tmp_path_factory.mktemp("store"))


@pytest.fixture(name="file", scope="module")
def _file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file in which something has happened."""
    return stocked("sqlite", tmp_path_factory.mktemp("store"))


def contents(store: str) -> Any:
    """All that is in a store."""
    if store.startswith("sqlite"):
        with sqlite3.connect(store.removeprefix("sqlite:///")) as connection:
            return list(connection.iterdump())
    prefix = re.findall("prefix=([^&]*)", store)[0]
    with redis_server.shared().client() as client:
        return {key: client.dump(key) for key in client.keys(f"{prefix}:*")}


class TestPiped:
    def test_to_people(self, store: str) -> None:
        """Each drawing is printed below the one before, without anything that moves a cursor; nothing is changed."""
        before = contents(store)
        done = otel_sessions("watch", "--count", "2", "--interval", "0.2", OTEL_SESSIONS_STORE=store)
        assert (0, "") == (done.returncode, done.stderr)
        assert not {"\x1b", "\r"} & set(done.stdout)
        _, first, second = done.stdout.split("Sessions at ")
        for line in (r"active +3: 2 web, 1 chat", r"ended +5 since \d\d:00, 40.0% errors", r"tokens +pro +\d+\.\d%"):
            assert re.search(line, first)
        assert "per minute" not in first
        assert "0 requests, 0 turns, 0 errors" in second
        assert re.search(r"device_change +error +0.86 +chat", second)
        assert HOSTILE_ID in second
        assert before == contents(store)

    def test_to_programs(self, store: str) -> None:
        """One object a line."""
        done = otel_sessions("watch", "--count", "2", "--interval", "0.2", "--json", OTEL_SESSIONS_STORE=store)
        assert (0, "") == (done.returncode, done.stderr)
        first, second = (checked("watch", line)["situation"] for line in done.stdout.splitlines())
        assert (3, {"web": 2, "chat": 1}, 5, 0) == (
            first["active"], first["by_type"], first["lately"]["ended"], first["watched"]["ended"],
        )  # fmt: skip
        assert (None, {"requests": 0, "errors": 0, "turns": 0}) == (first["rates"], second["rates"])
        assert (["chat-1", HOSTILE_ID, "idle"], "device_change") == (
            [each["id"] for each in first["oldest"]], first["findings"][0]["kind"],
        )  # fmt: skip

    @pytest.mark.parametrize("kind", ["sqlite", "redis"])
    def test_empty(self, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Of an empty store there is little to draw."""
        store = empty(kind, tmp_path)
        done = run(capsys, "watch", "--once", "--store", store)
        assert (0, "", 4) == (done.returncode, done.stderr, len(done.stdout.strip().splitlines()))
        told = checked("watch", run(capsys, "watch", "--once", "--json", "--store", store).stdout)
        assert 0 == told["situation"]["active"]

    def test_somebody_who_has_read_enough(self, file: str) -> None:
        """It ends without a word when nobody reads any more."""
        command = [sys.executable, "-c", MAIN, "watch", "--interval", "0.2", "--store", file]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline().startswith("Sessions at ")
            process.stdout.close()
            assert "" == process.stderr.read()
            process.wait(30)


SCREEN = ("\x1b[?1049h", "\x1b[?1049l")
"""Begins and ends a screen of its own."""


class TestTerminal:
    def test_redrawn_until_it_is_stopped(self, file: str) -> None:
        """Each drawing replaces the one before; Ctrl-C ends it quietly, the last one stays, and the cursor is there."""
        with Terminal("watch", "--interval", "0.2", "--store", file, columns=40) as terminal:
            terminal.until(lambda each: each.written.count("Sessions at") >= 3)
            terminal.interrupt()
            assert 0 == terminal.finish()
        begun, drawn = terminal.written.split(SCREEN[0])
        drawn, left = drawn.split(SCREEN[1])
        assert ("", 1) == (begun, left.count("Sessions at"))
        assert drawn.count("\x1b[H") >= 3
        assert left.startswith("\x1b[?25h")
        assert "\x1b[?25l" not in left
        last = terminal.shown[terminal.shown.rindex("Sessions at") :]
        assert 40 >= max(map(len, last.splitlines()))
        assert not {"Traceback", "Aborted", "Aborted!"} & set(terminal.shown.split())

    def test_terminated(self, file: str) -> None:
        """So does SIGTERM, also while it waits for long."""
        with Terminal("watch", "--interval", "3600", "--store", file) as terminal:
            terminal.until(lambda each: "finding" in each.written)
            terminal.terminate()
            assert 0 == terminal.finish()
        assert f"{SCREEN[1]}\x1b[?25h" in terminal.written
        assert "Traceback" not in terminal.shown

    def test_resized(self, file: str) -> None:
        """It is drawn anew as soon as the terminal is of another size, however long it waits."""
        with Terminal("watch", "--interval", "3600", "--store", file, columns=120) as terminal:
            terminal.until(lambda each: "finding" in each.written)
            terminal.resize(columns=40, lines=20)
            terminal.until(lambda each: "... more, in a larger terminal" in each.written)
            terminal.written = terminal.written.rpartition("\x1b[H")[2]
            lines = terminal.shown.splitlines()
            assert (True, True) == (max(map(len, lines)) <= 40, len(lines) <= 20), lines
            terminal.interrupt()
            assert 0 == terminal.finish()

    @pytest.mark.parametrize("options", [["--once"], ["--count", "1"]])
    def test_once(self, file: str, options: list[str]) -> None:
        """One drawing is printed once, as anything else is."""
        with Terminal("watch", *options, "--store", file) as terminal:
            assert 0 == terminal.finish()
        assert (1, False) == (terminal.written.count("Sessions at"), SCREEN[0] in terminal.written)

    def test_no_color(self, file: str) -> None:
        """NO_COLOR takes the colors, COLUMNS says how wide it is."""
        with Terminal("watch", "--once", "--store", file, NO_COLOR="1", COLUMNS="40") as terminal:
            assert 0 == terminal.finish()
        assert not re.search("\x1b\\[3[0-9]m", terminal.written)
        assert 40 >= max(map(len, terminal.shown.splitlines()))

    def test_dumb(self, file: str) -> None:
        """A terminal that can only be written to gets one drawing below the other."""
        with Terminal("watch", "--count", "2", "--interval", "0.2", "--store", file, TERM="dumb") as terminal:
            assert 0 == terminal.finish()
        assert ("\x1b" in terminal.written, terminal.written.count("Sessions at ")) == (False, 2)


class TestFailure:
    def test_a_store_that_goes_away(self) -> None:
        """It is said in the view, with what was known before; when the store is back the view is up to date again."""
        server = redis_server.RedisServer()
        url = f"{server.url}?timeout=0.2"
        command = [sys.executable, "-c", MAIN, "watch", "--interval", "0.2", "--store", url]
        try:
            with record_sessions(store=url):
                sessions.start("web", id="w")
            for options in ([], ["--json"]):
                with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
                    assert process.stdout is not None
                    lines = iter(process.stdout.readline, "")
                    _until(lines, "1: 1 web" if not options else '"error": null')
                    server.pause()
                    said = _until(lines, "no answer" if not options else '"situation": null')
                    assert "the redis store cannot be asked (active)" in said
                    if options:
                        checked("watch", said)
                    server.resume()
                    _until(lines, "1: 1 web" if not options else '"error": null')
                    process.stdout.close()
                    process.wait(30)
        finally:
            server.stop()


def _until(lines: Any, text: str) -> str:
    """The first line with that text."""
    found: str = next(line for line in lines if text in line)
    return found


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--interval", "0.1"], "--interval 0.1: use 0.2 to 3600 seconds"),
            (["--interval", "3601"], "--interval 3601: use 0.2 to 3600 seconds"),
            (["--interval", "nan"], "--interval nan: use 0.2 to 3600 seconds"),
            (["--count", "0"], "--count 0: use a whole number from 1 to 1,000,000,000"),
            (["--once", "--count", "2"], "--once and --count 2: give one of them"),
        ],
    )
    def test_bad_options(self, file: str, capsys: pytest.CaptureFixture[str], options: list[str], said: str) -> None:
        """They are refused in a line that says the value, and what to do."""
        assert run(capsys, "watch", "--store", file, *options) == (2, "", f"otel-sessions: {said}\n")


class TestStop:
    def test_what_was_not_heard(self) -> None:
        """If the exception of a signal gets lost it is raised again; afterwards signals are what they were."""
        before = signal.getsignal(signal.SIGTERM)
        stop = _Stop()
        with stop.listening():
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
            stop.wait(3600, _Lines())
        assert before == signal.getsignal(signal.SIGTERM)


def drawn(seen: Situation, width: int, height: int | None = None, error: str | None = None) -> str:
    """A view as it is printed."""
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(view(seen, error, width=width, height=height))
    return out.getvalue()


class TestView:
    def test_as_high_as_the_terminal(self) -> None:
        """However many sessions there are, it fits."""
        with record_sessions() as recorded:
            for number in range(40):
                web = sessions.start(f"type{number % 8}", id=f"w{number}", user="ada")
                web.suspicious("burst", score=0.1)
                recorded.clock.advance(100)
            seen = Watch().look()
        for width in (40, 80, 120):
            for height in (24, 50):
                text = drawn(seen, width, height)
                assert (len(text.splitlines()) <= height, max(map(len, text.splitlines())) <= width) == (True, True)
        assert "and 2 types more" in drawn(seen, 120)
        assert len(drawn(seen, 40, 5).splitlines()) < 24

    def test_quotas(self) -> None:
        """Those near their end are named; if none is, the one that is used most."""
        tier = Tier("pro", Quota("tokens", 100, per="day"), Quota("files", 10))
        with record_sessions(tiers=[tier]):
            with sessions.start("chat", user="ada", tier="pro") as chat:
                chat.use("tokens", 50)
            assert "No quota is used to 75 %; the most, 50.0%, of tokens per day in pro" in drawn(Watch().look(), 120)
            chat.use("tokens", 50)
            chat.use("files", 8)
            text = drawn(Watch().look(), 120)
        assert re.search(r"tokens +pro +100.0% +- +1 +day +user", text)
        assert re.search(r"files +pro +80.0%", text)

    def test_ends(self) -> None:
        """How many crashed is said; a watch of a day says the day it began."""
        with record_sessions() as recorded:
            watch = Watch()
            watch.look()
            sessions.start("web").end("abandoned")
            recorded.clock.advance(86_400)
            text = drawn(watch.look(), 120)
        assert re.search(r"while watching +1 since 01-01 00:00, 0.0% errors, 1 crashed", text)

    def test_no_answer(self) -> None:
        """What the store says is escaped, as everything is."""
        with record_sessions():
            text = drawn(Watch().look(), 120, error="\x1b[31m [red]")
        assert "no answer       \\x1b[31m [red]; this is what was known before" in text
