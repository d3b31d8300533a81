"""What the README and the documentation say is true: snippets run, commands exist, links lead somewhere."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree as ET

import pytest

from otel_sessions import RateLimitedError
from otel_sessions._answers import answer as refused
from otel_sessions.demo._page import WIDTH
from otel_sessions.demo._program import Program, executable
from otel_sessions.demo._report import HEADS
from otel_sessions.limits.tiers import tiers
from otel_sessions.testing import OTLPReceiver
from otel_sessions.typing import EndReason, Status

from .docs_snippets import PAGES, ROOT, Snippet, client, run_as_program, run_as_tests, run_in_process, snippets

PYTHON = snippets("python")
IN_PROCESS = [snippet for snippet in PYTHON if not snippet.is_test and not snippet.sets_providers]
SHELL = [(snippet.name, line) for snippet in snippets("sh") for line in snippet.code.splitlines()]

PARTS = ("11 sessions", "What happened", "Metrics:", "Checks:")
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name_of(snippet: Snippet) -> str:
    return snippet.name


class TestSnippets:
    @pytest.mark.parametrize("snippet", IN_PROCESS, ids=name_of)
    def test_what_a_reader_types_does_what_the_page_says(self, snippet: Snippet) -> None:
        """A snippet runs as it stands and prints what its comments say; an application in it serves its routes."""
        assert snippet.shown == run_in_process(snippet)

    @pytest.mark.parametrize("snippet", [s for s in PYTHON if s.is_test], ids=name_of)
    def test_tests_on_the_pages_pass(self, snippet: Snippet, tmp_path: Path) -> None:
        """A test shown to readers passes under pytest, with the fixtures of the plugin."""
        assert "1 passed" in run_as_tests(snippet, tmp_path)

    @pytest.mark.parametrize("snippet", [s for s in PYTHON if s.sets_providers], ids=name_of)
    def test_setting_up_an_sdk_exports_the_session(self, snippet: Snippet, tmp_path: Path) -> None:
        """The set-up in code exports the span made in the session, then the session's own."""
        assert ["read", "session nightly_import"] == run_as_program(snippet, tmp_path).splitlines()

    @pytest.mark.parametrize("snippet", PYTHON, ids=name_of)
    def test_every_snippet_shows_a_result(self, snippet: Snippet) -> None:
        """No snippet only claims: it prints, asserts, serves or tests something."""
        assert snippet.shows_a_result

    def test_the_pages_have_snippets(self) -> None:
        """The extractor finds the snippets: a page without its fences would be a page without tests."""
        found = {snippet.page for snippet in PYTHON}
        assert {"README.md", "concepts.md", "configuration.md", "testing.md", "privacy.md", "limits.md"} <= found
        assert {page.name for page in PAGES if page.name.startswith("quickstart")} <= found


class TestShell:
    @pytest.mark.parametrize(("where", "line"), SHELL, ids=[f"{where}-{line[:30]}" for where, line in SHELL])
    def test_commands_exist(self, where: str, line: str) -> None:
        """Every command on a page can be run here, with what it names: an extra, a module, a file, a target."""
        words = [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z][A-Z0-9_]*=.*", word)]
        check_command(words)


def check_command(words: list[str]) -> None:
    command, *arguments = words
    if command == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in arguments)
    elif command == "pip":
        assert arguments[0] == "install"
        for requirement in arguments[1:]:
            check_requirement(requirement)
    elif command == "opentelemetry-instrument":
        assert executable(command)
        while arguments[0].startswith("--"):
            arguments = arguments[2:]
        check_command(arguments)
    else:
        assert executable(command) or shutil.which(command), f"no command {command}"
        assert all((ROOT / argument).exists() for argument in arguments if argument.endswith(".py"))


def check_requirement(requirement: str) -> None:
    name, _, extra = requirement.rstrip("]").partition("[")
    provided = importlib.metadata.metadata(name).get_all("Provides-Extra") or []
    assert not extra or extra in provided


class TestLinks:
    @pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
    def test_links_lead_somewhere(self, page: Path) -> None:
        """Every link to a file of the project finds it, and its heading."""
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                path, _, anchor = target.partition("#")
                found = (page.parent / path).resolve() if path else page
                assert found.exists(), target
                assert not anchor or anchor in anchors(found), target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made where it is read."""
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class TestGenerated:
    def test_the_committed_pages_are_up_to_date(self) -> None:
        """The table of settings and the catalogue of signals are those of the code."""
        assert (0, "") == generate(ROOT / "docs", "--check")

    def test_a_stale_page_is_named_and_left_alone(self, tmp_path: Path) -> None:
        """`--check` fails on a page that would change, and changes nothing."""
        docs = shutil.copytree(ROOT / "docs", tmp_path / "docs")
        page = docs / "signals.md"
        stale = page.read_text(encoding="utf-8").replace("app_session_starts_total", "sessions_total")
        page.write_text(stale, encoding="utf-8")

        assert (1, "out of date: signals.md\n") == generate(docs, "--check")
        assert stale == page.read_text(encoding="utf-8")

    def test_a_stale_page_is_written(self, tmp_path: Path) -> None:
        """Without `--check` the page is made anew, and only its generated parts."""
        docs = shutil.copytree(ROOT / "docs", tmp_path / "docs")
        page = docs / "configuration.md"
        fresh = page.read_text(encoding="utf-8")
        page.write_text(
            fresh.replace("OTEL_SESSIONS_ENABLED` | `bool`", "OTEL_SESSIONS_ON` | `bool`"), encoding="utf-8"
        )

        assert (0, "written: configuration.md\n") == generate(docs)
        assert fresh == page.read_text(encoding="utf-8")


def generate(docs: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, str(docs / "generate.py"), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


class TestPicture:
    def test_it_shows_what_the_demo_prints(self) -> None:
        """The picture in the README is of this demo: its parts, its columns, and checks that all hold."""
        drawing = ET.parse(ROOT / "docs" / "images" / "demo.svg")
        lines = ["".join(text.itertext()) for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
        parts = [line for line in lines if line.endswith(":") and not line.startswith(" ")]

        assert [True] * len(PARTS) == [shown.startswith(part) for part, shown in zip(PARTS, parts, strict=True)]
        assert list(HEADS) == re.split(r"  +", lines[lines.index(parts[0]) + 1].strip())
        assert [] == [line for line in lines if "FAIL" in line or len(line) > WIDTH]


class TestLimits:
    def test_tiers_of_a_file(self, tmp_path: Path) -> None:
        """The file of tiers on the page can be used as it stands."""
        [snippet] = [snippet for snippet in snippets("toml") if snippet.page == "limits.md"]
        file = tmp_path / "tiers.toml"
        file.write_text(snippet.code, encoding="utf-8")
        trial = tiers(file)["trial"]
        assert ["tokens", "tokens", "storage", "upload", "export"] == [limit.name for limit in trial.limits]

    def test_answer(self) -> None:
        """A refused client is told what the page says."""
        [snippet] = snippets("http")
        head, _, body = snippet.code.partition("\n\n")
        status, *fields = head.splitlines()
        answer = refused(
            RateLimitedError(
                "requests",
                amount=1,
                used=60,
                limit=60,
                window="60 s",
                window_seconds=60,
                scope="user",
                retry_after=39.5,
                reset_at=None,
            ),
            of_request=True,
        )
        assert f"HTTP/1.1 {answer.status} Too Many Requests" == status
        told = {name: value for name, value in answer.headers if name != "Content-Length"}
        assert told == dict(field.split(": ", 1) for field in fields)
        assert json.loads(body) == json.loads(answer.body)


class TestConcepts:
    @pytest.mark.parametrize("word", [*get_args(Status), *get_args(EndReason)])
    def test_every_status_and_end_reason_is_explained(self, word: str) -> None:
        """Whatever a session can show as its status or end reason stands on the page of concepts."""
        assert f"`{word}`" in (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")


class TestExamples:
    def test_the_batch_job_sends_its_session(self, otlp_receiver: OTLPReceiver) -> None:
        """`examples/batch.py` sends one session with its events and its handled error."""
        printed = run_example("batch.py", otlp_receiver)

        [span] = [span for span in otlp_receiver.spans if span.name == "session delivery_import"]
        assert "stored 15 articles\n" == printed
        assert ["app_session.progress", "exception", "app_session.progress"] == [name for name, _, _ in span.events]
        assert ("success", 1, "north") == tuple(
            span.attributes[name] for name in ("app_session.status", "app_session.error.count", "warehouse")
        )

    def test_the_conversation_sends_one_session(self, otlp_receiver: OTLPReceiver) -> None:
        """`examples/chat.py` counts the turns of a conversation on the one span of its session."""
        printed = run_example("chat.py", otlp_receiver, "Who is there?\nAnd why?\n\n")

        [span] = [span for span in otlp_receiver.spans if span.name == "session chat"]
        assert "I counted 3 words.\nI counted 2 words.\n" == printed
        assert ("conversation-42", 2, 13) == tuple(
            span.attributes[name] for name in ("session.id", "app_session.turn.count", "app_session.usage.tokens")
        )

    def test_batch_and_conversation_run_without_an_sdk(self) -> None:
        """Without an SDK the examples work just as well."""
        assert "stored 15 articles\n" == run_example("batch.py", None)
        assert "I counted 1 words.\n" == run_example("chat.py", None, "Why?\n")

    @pytest.mark.parametrize(
        "command",
        [
            pytest.param(["uvicorn", "--app-dir", "examples", "--port", "0", "fastapi_app:app"], id="fastapi"),
            pytest.param(["flask", "--app", "examples/flask_app.py", "run", "--port", "0"], id="flask"),
        ],
    )
    def test_the_web_applications_send_a_session_per_login(
        self, command: list[str], otlp_receiver: OTLPReceiver
    ) -> None:
        """The web examples end a client's session at its logout, and the requests link to its span."""
        environment = example_environment(otlp_receiver)
        with Program([str(executable("opentelemetry-instrument")), *command], environment) as program:
            address, visitor = program.address(20), client()
            for method, path in (("GET", "/"), ("POST", "/cart/lamp"), ("POST", "/logout")):
                visitor.open(urllib.request.Request(address + path, method=method), timeout=5).close()

        [span] = [span for span in otlp_receiver.spans if span.name == "session web"]
        servers = [other for other in otlp_receiver.spans if other.kind == 2]
        assert ("success", "logout") == (
            span.attributes["app_session.status"],
            span.attributes["app_session.end_reason"],
        )
        assert ["cart.article_added"] == [name for name, _, _ in span.events]
        assert [[(span.trace_id, span.span_id)]] * 3 == [other.links for other in servers]


def example_environment(receiver: OTLPReceiver | None) -> dict[str, str]:
    path = {"PATH": str(Path(sys.executable).parent)}
    return path if receiver is None else {**path, **receiver.environment}


def run_example(name: str, receiver: OTLPReceiver | None, typed: str = "") -> str:
    """Run an example, under `opentelemetry-instrument` if there is a receiver, and return what it printed."""
    command = [sys.executable, str(ROOT / "examples" / name)]
    if receiver is not None:
        command = [str(executable("opentelemetry-instrument")), *command]
    environment = example_environment(receiver)
    done = subprocess.run(
        command, check=False, env=environment, input=typed, capture_output=True, text=True, timeout=60
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout
