"""What holds for every verb: nobody who reads, any width, any text, its help, and how it is completed."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import otel_sessions as sessions
from otel_sessions import session
from otel_sessions._lifecycle import SystemClock
from otel_sessions.testing import record_sessions

from .command import MAIN, otel_sessions
from .stock import HOSTILE, HOSTILE_ID, KEY, TIERS, run, stocked
from .terminal import Terminal

LOOKING = {
    "list": 0, "show chat-1": 0, "stats": 0, "usage": 0, "usage grace": 0, "health": 2, "watch --once": 0, "report": 0,
    "export": 0, "cleanup --dry-run --days 1": 0, "doctor --offline": 0,
}  # fmt: skip
"""The verbs that look, and the code that each leaves with: two of five sessions in the store ended in an error."""

JSON = [verb for verb in LOOKING if verb not in {"report", "export"}]
ALL = [
    "list",
    "show",
    "stats",
    "usage",
    "health",
    "watch",
    "report",
    "export",
    "cleanup",
    "recover",
    "doctor",
    "assets",
]


@pytest.fixture(name="store", scope="module")
def _store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file in which something has happened."""
    return stocked("sqlite", tmp_path_factory.mktemp("store"))


def on_a_full_disk(verb: str, store: str) -> subprocess.CompletedProcess[str]:
    """What the command says where what it writes cannot be written."""
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        return subprocess.run(
            [sys.executable, "-c", MAIN, *verb.split(), "--store", store],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )


class TestNobodyReads:
    @pytest.mark.parametrize("verb", [*LOOKING, *(f"{verb} --json" for verb in JSON), "list --help", "--help"])
    def test_from_the_beginning(self, verb: str, store: str) -> None:
        """It leaves without a word, and with the code that it would have left with."""
        script = f'"$0" -c "$1" {verb} | :; echo "${{PIPESTATUS[0]}}"'
        done = subprocess.run(
            ["bash", "-c", script, sys.executable, MAIN],
            env={**os.environ, "OTEL_SESSIONS_STORE": store},
            check=True,
            capture_output=True,
            text=True,
        )
        code = LOOKING.get(verb.removesuffix(" --json"), 0)
        assert (f"{code}\n", "") == (done.stdout, done.stderr)

    @pytest.mark.parametrize("verb", ["list", "health --json", "doctor --offline", "stats"])
    def test_nor_hears_what_is_wrong(self, verb: str) -> None:
        """If nobody hears why it failed the code says that it did."""
        script = f'"$0" -c "$1" {verb} --store sqlite:///none.db --days x 2>&1 | :; echo "${{PIPESTATUS[0]}}"'
        done = subprocess.run(
            ["bash", "-c", script, sys.executable, MAIN],
            env=dict(os.environ),
            check=True,
            capture_output=True,
            text=True,
        )
        assert ("2\n", "") == (done.stdout, done.stderr)

    @pytest.mark.parametrize("verb", [*LOOKING, *(f"{verb} --json" for verb in JSON), "list --help"])
    def test_without_an_output(self, verb: str, store: str) -> None:
        """Nor does it say a word where there is no standard output at all."""
        done = subprocess.run(
            ["bash", "-c", f'"$0" -X dev -c "$1" {verb} >&-', sys.executable, MAIN],
            env={**os.environ, "OTEL_SESSIONS_STORE": store},
            check=False,
            capture_output=True,
            text=True,
        )
        assert (LOOKING.get(verb.removesuffix(" --json"), 0), "") == (done.returncode, done.stderr)

    @pytest.mark.parametrize(
        ("verb", "code"), [("list", 0), ("list --nope", 2), ("cleanup --days 0.000001", 1), ("show none", 1)]
    )
    def test_without_anything(self, verb: str, code: int, store: str) -> None:
        """Where there is nothing to read from, or to complain to, the code is what is left."""
        done = subprocess.run(
            ["bash", "-c", f'"$0" -c "$1" {verb} <&- >&- 2>&-', sys.executable, MAIN],
            env={**os.environ, "OTEL_SESSIONS_STORE": store},
            check=False,
        )
        assert code == done.returncode

    @pytest.mark.parametrize("verb", ["list", "list --json", "report"])
    def test_a_full_disk(self, verb: str, store: str) -> None:
        """What cannot be written for another reason is a failure, and is said."""
        done = on_a_full_disk(verb, store)
        said = "otel-sessions: what was found cannot be written: No space left on device\n"
        assert (1, said) == (done.returncode, done.stderr)

    @pytest.mark.parametrize("verb", ["health", "health --json"])
    def test_a_verdict_on_a_full_disk(self, verb: str, store: str) -> None:
        """What nobody could be told is no mere warning, which 1 would be."""
        done = on_a_full_disk(verb, store)
        assert (2, 1) == (done.returncode, done.stderr.count("\n"))
        assert "No space left on device" in done.stderr


class TestInterrupted:
    def test_while_it_works(self) -> None:
        """Ctrl-C ends what is not meant to be ended by it with 130, and without a traceback."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(30)
            store = f"redis://127.0.0.1:{server.getsockname()[1]}?timeout=30"
            with Terminal("list", "--store", store) as terminal:
                # It has asked, and waits for an answer that does not come.
                asked, _ = server.accept()
                assert asked.recv(1)
                terminal.interrupt()
                assert 130 == terminal.finish()
                asked.close()
        assert "Traceback" not in terminal.shown


def words(text: str) -> str:
    """What is told, however it is broken into lines."""
    return re.sub(r"\s", "", text)


class TestWidth:
    @pytest.mark.parametrize("columns", [40, 60, 80, 120])
    @pytest.mark.parametrize(
        "verb", [verb for verb in LOOKING if verb.split()[0] not in {"report", "export", "cleanup"}]
    )
    def test_nothing_is_lost(self, verb: str, columns: int, store: str) -> None:
        """It fits, and all that stands in a pipe stands there as well, whole."""
        piped = otel_sessions(*verb.split(), "--store", store).stdout
        with Terminal(*verb.split(), "--store", store, columns=columns) as terminal:
            assert LOOKING[verb] == terminal.finish()
        assert columns >= max(map(len, terminal.shown.splitlines()))
        shown = words(terminal.shown)
        # Headings of columns in which there is nothing, and what changes from one look to the next.
        told = [word for word in re.split(r"\s{2,}|\n", piped) if re.fullmatch(r"[\w.-]{3,}", word)]
        told = [word for word in told if word not in {"requests", "exhausted"}]
        assert [] == [word for word in told if word not in shown and not re.search(r"\d", word)]

    @pytest.mark.parametrize("columns", [40, 60])
    @pytest.mark.parametrize("verb", ["show chat-1", "health", "stats", "list", "usage"])
    def test_names_are_whole(self, verb: str, columns: int, store: str) -> None:
        """No name is broken in the middle: ids, pseudonyms, checks, types."""
        piped = otel_sessions(*verb.split(), "--store", store).stdout
        with Terminal(*verb.split(), "--store", store, columns=columns) as terminal:
            terminal.finish()
        names = re.findall(r"\b(?:[0-9a-f]{16}|[0-9a-f]{32}|Session[A-Z]\w+|chat-1|inference|api_calls)\b", piped)
        assert names
        assert [] == [name for name in names if not re.search(rf"\b{name}\b", terminal.shown)]

    @pytest.mark.parametrize("columns", [40, 60, 80])
    def test_whole_users(self, columns: int, store: str) -> None:
        """Where there is no room for a table a pseudonym is shown whole: it can be asked for."""
        found = json.loads(otel_sessions("list", "--json", "--store", store).stdout)["sessions"]
        with Terminal("list", "--store", store, columns=columns) as terminal:
            terminal.finish()
        assert all(each["user"] in terminal.shown and each["id"] in terminal.shown for each in found if each["user"])

    @pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
    @pytest.mark.parametrize("verb", ["list", "health", "watch --once"])
    def test_without_color(self, verb: str, variables: dict[str, Any], store: str) -> None:
        """NO_COLOR, and a terminal that knows none, get none; they are as wide as they are."""
        with Terminal(*verb.split(), "--store", store, columns=40, **variables) as terminal:
            assert LOOKING[verb] == terminal.finish()
        assert not re.search("\x1b\\[[0-9;]*3[0-9]m", terminal.written)
        assert 40 >= max(map(len, terminal.shown.splitlines()))


NASTY = [
    "\x1b[2J", "\x1b]0;title\x07", "[bold]", "[/]", "\n", "\r", "\u202e", "\u2066", "\ud800", "\x9b31m",
    "=cmd|' /C'!A0",
         "+1", "-1", "@SUM(1)", "\x00",
    "\t", "</script>", "\u200b", "é", "漢", "{trace_id}", "%s", "\\", "'", '"', ",",
]  # fmt: skip
TEXTS = (
    st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=3)), min_size=1, max_size=6).map("".join).filter(bool)
)
IDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys, or turns writing round."""


class TestAnyText:
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(text=TEXTS, session_id=IDS)
    @example(text=HOSTILE, session_id=HOSTILE_ID)
    @example(text="".join(NASTY), session_id="--help")
    def test_is_shown_and_obeyed_by_nobody(
        self, text: str, session_id: str, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Whatever users, ids, attributes, events and errors say: no verb fails, and no terminal obeys."""
        folder = tmp_path_factory.mktemp("hostile")
        store = f"sqlite:///{folder}/s.db"
        with record_sessions(store=store, clock=SystemClock(), pseudonym_key=KEY, tiers=TIERS, detect_user=False):
            web = sessions.start("web", id=session_id, user=text, tier="pro", attributes={"text": text, text: 1})
            with web:
                web.event("cart.added", text, note=text)
                web.error(ValueError(text))
                web.suspicious("burst", score=0.5, evidence=text)
                web.use("tokens", 950, operation="search")
            with contextlib.suppress(ValueError), session("job", attributes={"text": text}):
                raise ValueError(text)
        for verb in LOOKING:
            words_ = verb.replace("chat-1", "--ID--").split()
            arguments = [word for word in words_ if word != "--ID--"] + ["--store", store]
            arguments += ["--", session_id] if "--ID--" in words_ else []
            for options in ([], ["--json"]) if verb in JSON else ([],):
                done = run(capsys, *arguments[:1], *options, *arguments[1:])
                assert done.returncode in {0, 1, 2} if verb == "health" else done.returncode == 0, (verb, done)
                assert done.stderr == ""
                assert not OBEYED.search(done.stdout), (verb, options)
                if options:
                    json.loads(done.stdout)
        written = run(capsys, "export", "--format", "csv", "--active", "--store", store).stdout
        cells = [each for row in csv.reader(io.StringIO(written, newline="")) for each in row]
        assert [] == [each for each in cells if each.startswith(("=", "+", "@", "\t", "\r", "\n"))]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["list", "--type"], ["list", "--user"], ["list", "--tier"], ["list", "--status"], ["list", "--attribute"],
            ["list", "--since"], ["list", "--days"], ["list", "--limit"], ["list", "--after"], ["show"], ["usage"],
            ["list", "--store"], ["show", "x", "--trace-url"], ["watch", "--interval"], ["watch", "--count"],
            ["export", "--format"], ["health", "--threshold"], ["cleanup", "--days"], ["assets", "--only"], ["list"],
            [],
        ],
    )  # fmt: skip
    def test_of_an_argument(self, arguments: list[str], store: str) -> None:
        """Nor is anything obeyed that was typed, or that a script has typed from what somebody gave it."""
        text = b"\x1b[2J\xff\n[red]\xe2\x80\xae"
        named = ["--store", store] if arguments[:1] not in ([], ["assets"]) else []
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments[:1], *named, *arguments[1:], text],
            check=False,
            capture_output=True,
        )
        assert done.returncode in {0, 1, 2}
        told = (done.stdout + done.stderr).decode("utf-8")
        assert "Traceback" not in told
        assert not OBEYED.search(told)


class TestHelp:
    @pytest.mark.parametrize("verb", ALL)
    def test_has_an_example(self, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Each says what it does, its options, and shows how it is typed."""
        done = run(capsys, verb, "--help")
        assert (0, "") == (done.returncode, done.stderr)
        said = " ".join(done.stdout.split())
        assert re.search(rf"For example: (\w+=\S+ )*otel-sessions {verb} ", said)
        assert "--json" in said

    def test_without_a_verb(self, capsys: pytest.CaptureFixture[str]) -> None:
        """All verbs are shown."""
        done = run(capsys)
        assert (0, "") == (done.returncode, done.stderr)
        assert all(f" {verb} " in done.stdout for verb in ALL)


class TestCompletion:
    @pytest.mark.parametrize(
        ("typed", "expected"), [("otel-sessions he", {"health"}), ("otel-sessions list --st", {"--status", "--store"})]
    )
    def test_in_bash(self, typed: str, expected: set[str], tmp_path: Path) -> None:
        """What `--show-completion bash` prints completes verbs and options in a real bash."""
        command = tmp_path / "otel-sessions"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{MAIN}" "$@"\n', "utf-8")
        command.chmod(0o755)
        script = f"""
            eval "$(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION=1 otel-sessions --show-completion bash)"
            COMP_WORDS=({typed}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            "$(complete -p otel-sessions | sed 's/.*-F \\([^ ]*\\).*/\\1/')" otel-sessions
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        environment: dict[str, Any] = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
        bash = shutil.which("bash")
        assert bash is not None
        done = subprocess.run([bash, "-c", script], env=environment, check=True, capture_output=True, text=True)
        assert (expected, "") == (set(done.stdout.split()), done.stderr)
