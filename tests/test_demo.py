"""The demo shows what was really received, says what is missing, and leaves nothing running."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otel_sessions import _semconv as sc
from otel_sessions.demo import main, run
from otel_sessions.demo._checks import checks
from otel_sessions.demo._harvest import Harvest, Series
from otel_sessions.demo._page import WIDTH, Page
from otel_sessions.demo._program import Program, ProgramError, executable
from otel_sessions.demo._scenarios import BATCH, FASTAPI, SCENARIOS, Scenario
from otel_sessions.demo._visitor import Visitor
from otel_sessions.testing import OTLPReceiver, ReceivedLog, ReceivedPoint, ReceivedSpan

from .cli.stock import checked

ESCAPE = "\033["
ROW = re.compile(
    r"^  (?P<program>\w+) +(?P<type>\w+) +\S+ +(?P<status>\w+) +(?P<reason>\w+) +[\d.]+ s +\S+  [0-9a-f]{8}$",
    re.MULTILINE,
)


class TestDemo:
    def test_it_shows_the_sessions_of_four_programs(self) -> None:
        """It ends with 0 and shows each session that had to come, a timeline, the metrics, and checks that all hold."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "FORCE_"))}
        command = [sys.executable, "-m", "otel_sessions.demo"]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=90)

        shown = Counter(
            (row["program"], row["type"], row["status"], row["reason"]) for row in ROW.finditer(done.stdout)
        )
        expected = Counter(
            {(scenario.name, *outcome): count for scenario in SCENARIOS for outcome, count in scenario.outcomes.items()}
        )
        assert (0, "") == (done.returncode, done.stderr)
        assert expected == shown
        assert "FAIL" not in done.stdout
        assert "fastapi: 6 of 6 requests link to the span of their session" in done.stdout
        assert "flask: 5 of 5 requests link to the span of their session" in done.stdout
        assert re.search(r"^What happened in the chat session conversation-42:$", done.stdout, re.MULTILINE)
        assert re.search(r"^  app_session.starts +chat/free 1, chat/pro 1, hash_files 2, ", done.stdout, re.MULTILINE)
        assert done.stdout.isascii()
        assert ESCAPE not in done.stdout
        assert WIDTH >= max(map(len, done.stdout.splitlines()))

    def test_programs_whose_packages_are_missing_are_left_out(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What cannot run is named with the command that installs it, and the rest is shown; that is no failure."""
        absent = replace(FASTAPI, needs={"absent_package.module": "otel-sessions[fastapi]", "absent": "uvicorn"})
        code = main([absent, BATCH])

        printed = capsys.readouterr().out
        assert code == 0
        assert "fastapi is left out. To see it: pip install 'otel-sessions[fastapi]' uvicorn" in printed
        assert "batch: all 5 sessions arrived" in printed

    def test_a_session_that_does_not_come_fails_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        """When a session is missing, the message says which, and the exit code is 1."""
        silent = scenario("silent", "pass", Counter({("import", "success", "completed"): 2}))
        code = main([silent], timeout=0.5)

        assert code == 1
        assert "FAIL  silent: missing: 2 x import success completed" in capsys.readouterr().out

    def test_a_program_that_fails_fails_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        """When a program fails, the end of its output is shown, and the exit code is 1."""
        code = main([scenario("broken", "print('the disk is full'); raise SystemExit(3)", Counter())])

        printed = capsys.readouterr().out
        assert code == 1
        # Where a line breaks depends on how long the interpreter's path is.
        words = " ".join(printed.split())
        assert "ended with the code 3." in words
        assert "the disk is full" in words

    def test_a_server_that_goes_away_fails_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        """When a web application does not answer, the exit code is 1, and nothing is raised."""
        gone = replace(scenario("gone", "print('http://127.0.0.1:1')", Counter()), visits=(("/",),))

        assert main([gone]) == 1
        assert "did not answer" in capsys.readouterr().out

    def test_it_sends_to_the_endpoint_that_the_user_names(
        self, otlp_receiver: OTLPReceiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With `OTEL_EXPORTER_OTLP_ENDPOINT` everything goes there, and it says where to look."""
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlp_receiver.endpoint)
        code = main([BATCH])

        received = Harvest(otlp_receiver.spans, otlp_receiver.logs, otlp_receiver.points)
        assert code == 0
        assert BATCH.outcomes == received.outcomes("demo-batch")
        assert "Look there for the services demo-batch" in capsys.readouterr().out

    def test_to_programs(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The same as one JSON object, and nothing else; what is missing, or fails, is in it."""
        assert run(["--json"]) == 0
        written, said = capsys.readouterr()
        shown = checked("demo", written)
        outcomes = Counter(
            (each["program"], each["type"], each["status"], each["end_reason"]) for each in shown["sessions"]
        )
        assert outcomes == {
            (one.service, *outcome): count for one in SCENARIOS for outcome, count in one.outcomes.items()
        }
        assert (said, shown["failures"], shown["left_out"], shown["sent_to"]) == ("", [], {}, None)
        assert all(check["holds"] for check in shown["checks"])
        assert {sc.STARTS.name, sc.DURATION.name} <= {point["name"] for point in shown["metrics"]}

        broken = scenario("broken", "raise SystemExit('the disk is full')", Counter({("import", "success", "x"): 1}))
        absent = replace(FASTAPI, needs={"absent": "uvicorn"})
        assert main([broken, absent], timeout=5, as_json=True) == 1
        shown = checked("demo", capsys.readouterr().out)
        assert shown["left_out"] == {"fastapi": "pip install uvicorn"}
        assert "the disk is full" in shown["failures"][0]
        assert not all(check["holds"] for check in shown["checks"])

    def test_to_programs_from_elsewhere(
        self, otlp_receiver: OTLPReceiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Of what goes to somebody else's endpoint nothing is known but that."""
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlp_receiver.endpoint)
        assert main([BATCH], as_json=True) == 0
        shown = checked("demo", capsys.readouterr().out)
        assert ("sessions" in shown, shown["sent_to"]) == (False, otlp_receiver.endpoint)

    def test_variables_of_the_surroundings_do_not_disturb_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A shell in which OpenTelemetry is turned off still gets its demo."""
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        monkeypatch.setenv("OTEL_SESSIONS_ENABLED", "false")
        assert main([BATCH]) == 0


def scenario(name: str, code: str, outcomes: Counter[tuple[str, str, str]]) -> Scenario:
    return Scenario(name=name, about="one of a test", command=("python", "-c", code), outcomes=outcomes)


class TestSignals:
    def test_active_returns_to_zero(self, otlp_receiver: OTLPReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
        """After its last session has ended, a program reports no active sessions; the series does not stand still."""
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlp_receiver.endpoint)
        conversation = SCENARIOS[1]
        main([conversation])

        received = Harvest(otlp_receiver.spans, otlp_receiver.logs, otlp_receiver.points)
        active = {series.labels: series.value for series in received.series(sc.ACTIVE)}
        assert ("chat", "free") in active
        assert {0} == set(active.values())


class TestProgram:
    def test_it_does_not_outlive_its_block(self) -> None:
        """A program that would run on is stopped, as Ctrl-C would stop it."""
        with program("import time; print('http://127.0.0.1:5', flush=True); time.sleep(60)") as running:
            running.address(20)
        assert running._process.returncode is not None

    def test_one_that_ignores_being_asked_is_killed(self) -> None:
        """Not even a program that ignores both interruption and termination is left running."""
        deaf = """
import signal, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
print("http://127.0.0.1:5", flush=True)
time.sleep(60)
"""
        with program(deaf, grace=0.1) as running:
            running.address(20)
        assert running._process.returncode == -9

    def test_one_that_never_serves_is_reported(self) -> None:
        """A server that ends before it listens is an error, with what it wrote."""
        with program("print('no port is free')") as running, pytest.raises(ProgramError, match="no port is free"):
            running.address(20)

    def test_one_that_does_not_end_is_reported(self) -> None:
        """A job that takes too long is an error."""
        with (
            program("import time; time.sleep(60)") as running,
            pytest.raises(ProgramError, match="not ended within 0 s"),
        ):
            running.finish(0.01)

    def test_commands_are_found_beside_the_interpreter(self) -> None:
        """`opentelemetry-instrument` is the one of this environment; what is not installed is None."""
        found = executable("opentelemetry-instrument")
        assert found is not None
        assert Path(sys.executable).parent == Path(found).parent
        assert executable("no-such-command") is None


def program(code: str, *, grace: float = 5.0) -> Program:
    return Program([sys.executable, "-c", code], dict(os.environ), grace=grace)


class TestVisitor:
    def test_it_keeps_cookies_and_takes_refusals(self) -> None:
        """A visitor sends back the cookies it was given, and a refused request is a status, not an exception."""
        server = """
from flask import Flask, session, abort
app = Flask(__name__)
app.secret_key = "k"
@app.get("/")
def index():
    session["n"] = session.get("n", 0) + 1
    return "" if session["n"] == 1 else abort(403)
app.run(port=0)
"""
        first, second = Visitor(), Visitor()
        with program(server) as running:
            url = running.address(20)
            assert [200, 403, 200] == [first.get(url), first.get(url), second.get(url)]


class TestPage:
    def test_it_is_plain_where_nobody_reads_colours(self) -> None:
        """Into a file or a pipe goes text alone."""
        assert "  ok    all\n" == write(lambda page: page.line("all", mark="  ok    ", mark_style="good"))

    def test_it_is_coloured_when_told_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`FORCE_COLOR` colours it wherever it goes."""
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert "\033[1mChecks\033[0m\n" == write(lambda page: page.line("Checks", style="bold"))

    @pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX's")
    @pytest.mark.parametrize(("unwanted", "coloured"), [("", True), ("1", False)])
    def test_a_terminal_is_coloured_unless_unwanted(
        self, unwanted: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A terminal gets colours, unless `NO_COLOR` is set."""
        monkeypatch.setenv("NO_COLOR", unwanted)
        leader, follower = os.openpty()
        with os.fdopen(follower, "w") as out:
            Page(out).line("Checks", style="bold")
            shown = os.read(leader, 100).decode()
        os.close(leader)
        assert coloured == (ESCAPE in shown)

    def test_no_line_is_too_long(self) -> None:
        """Lines are cut and paragraphs wrapped at 100 columns; what belongs together stays on one line."""

        def fill(page: Page) -> None:
            page.line("x" * 200, mark="mark ")
            page.paragraph(" ".join(["word"] * 80), indent=2, hang=4)
            page.table(("name", "amount"), [("a" * 98, "1"), ("b", "200")], right=frozenset({"amount"}))

        assert WIDTH == max(map(len, write(fill).splitlines()))

    def test_a_table_is_aligned(self) -> None:
        """Columns are as wide as their widest cell, numbers are flush right."""
        table = write(
            lambda page: page.table(("name", "amount"), [("lamp", "3"), ("chair", "12")], right=frozenset({"amount"}))
        )
        assert "  name   amount\n  lamp        3\n  chair      12\n" == table


def write(fill: Callable[[Page], None]) -> str:
    out = io.StringIO()
    fill(Page(out))
    return out.getvalue()


RESOURCE = {"service.name": "demo-batch"}


def session_span(session_id: str = "s1", **changes: Any) -> ReceivedSpan:
    told = {
        sc.SESSION_ID: session_id,
        sc.TYPE: "import",
        sc.TOPOLOGY: "scoped",
        sc.STATUS: "success",
        sc.END_REASON: "completed",
    }
    span = ReceivedSpan("session import", "a" * 32, f"{session_id:0>16}", "", 1, 10, 20, 0, told, [], [], RESOURCE, "")
    return replace(span, **changes)


def request_span(links: list[tuple[str, str]], session_id: str = "s1") -> ReceivedSpan:
    told = {sc.SESSION_ID: session_id}
    return ReceivedSpan("GET /", "b" * 32, "c" * 16, "", 2, 12, 15, 0, told, [], links, RESOURCE, "")


def event(name: str, time_ns: int = 10, session_id: str = "s1") -> ReceivedLog:
    return ReceivedLog(name, None, time_ns, 9, "", "", {sc.SESSION_ID: session_id}, RESOURCE, "")


def point(name: str, value: float, service: str = "demo-batch", **attributes: str) -> ReceivedPoint:
    resource = {"service.name": service, "service.instance.id": "1"}
    named = {key.replace("__", "."): attribute for key, attribute in attributes.items()}
    return ReceivedPoint(name, "", "sum", value, 1, named, resource, "")


ENDS = [event(sc.EVENT_SESSION_START), event(sc.EVENT_SESSION_END, 20)]
STARTED = [point(sc.STARTS.name, 1, app_session__type="import")]
WANTED = replace(scenario("batch", "", Counter({("import", "success", "completed"): 1})), visits=(("/",),))


def failing(
    spans: Iterable[ReceivedSpan], logs: Iterable[ReceivedLog] = ENDS, points: Iterable[ReceivedPoint] = STARTED
) -> list[str]:
    harvest = Harvest(list(spans), list(logs), list(points))
    return [check.statement for check in checks(harvest, [WANTED]) if not check.holds]


class TestChecks:
    SPAN = session_span()
    REQUEST = request_span([(SPAN.trace_id, SPAN.span_id)])

    def test_they_hold_when_all_is_there(self) -> None:
        """A session with its span, events, request and metric passes every check."""
        assert [] == failing([self.SPAN, self.REQUEST])

    @pytest.mark.parametrize(
        ("spans", "complaint"),
        [
            pytest.param(
                [SPAN, session_span(span_id="d" * 16), REQUEST], "sessions with more than one span: s1", id="two"
            ),
            pytest.param([SPAN], "batch: 0 of 1 requests link to the span of their session", id="no request"),
            pytest.param(
                [SPAN, request_span([])], "batch: 0 of 1 requests link to the span of their session", id="no link"
            ),
            pytest.param(
                [SPAN, request_span([(SPAN.trace_id, SPAN.span_id)], "s2")],
                "batch: 0 of 1 requests link to the span of their session",
                id="a link to another session",
            ),
            pytest.param([REQUEST], "batch: missing: 1 x import success completed", id="no session"),
        ],
    )
    def test_they_see_what_is_wrong_with_spans(self, spans: list[ReceivedSpan], complaint: str) -> None:
        """A span too many, too few, or with a wrong link is said."""
        assert complaint in failing(spans)

    def test_they_see_a_session_without_its_events(self) -> None:
        """A session that never said that it started is said."""
        complaint = "sessions without a session.start or session.end event: s1"
        assert [complaint] == failing([self.SPAN, self.REQUEST], ENDS[1:])

    def test_they_see_a_wrong_count(self) -> None:
        """The metric of starts must agree with the spans."""
        complaint = "the metric app_session.starts counts 0 sessions, and 1 spans of sessions came"
        assert [complaint] == failing([self.SPAN, self.REQUEST], points=[])

    def test_a_count_of_processes_that_are_not_told_apart(self) -> None:
        """Older SDKs do not say which worker counts: then nothing can be said of the sum, and that is said."""
        several = [point(sc.STARTS.name, 2, app_session__type="import")]
        complaint = "the metric app_session.starts counts 2 sessions, and 1 spans of sessions came"
        assert [complaint] == failing([self.SPAN, self.REQUEST], points=several)
        unnamed = [replace(each, resource={"service.name": "demo-batch"}) for each in several]
        assert [] == failing([self.SPAN, self.REQUEST], points=unnamed)

    def test_they_see_an_id_on_a_metric(self) -> None:
        """A metric with a session's id is said."""
        telling = point("app_session.requests", 1, session__id="s1")
        complaint = "metrics with the id of a session or a user: app_session.requests"
        assert [complaint] == failing([self.SPAN, self.REQUEST], points=[*STARTED, telling])


class TestHarvest:
    def test_series_are_summed_over_programs(self) -> None:
        """Of each program the last point counts, because series are cumulative; over programs they add up."""
        points = [
            point(sc.STARTS.name, 1, app_session__type="web"),
            point(sc.STARTS.name, 3, app_session__type="web"),
            point(sc.STARTS.name, 2, "demo-flask", app_session__type="web"),
        ]
        assert [Series(("web",), 5, 2)] == Harvest([], [], points).series(sc.STARTS)

    def test_a_timeline_is_in_order(self) -> None:
        """What a session says of its start and end stands around what happened at the same instants."""
        child = ReceivedSpan("read", "a" * 32, "e" * 16, "", 1, 10, 12, 0, {}, [], [], RESOURCE, "")
        harvest = Harvest([session_span(), child], [*reversed(ENDS), event("rows.read", 20)], [])

        [session] = harvest.sessions
        happened = [moment.what for moment in harvest.timeline(session)]
        assert ["session.start", "span read", "rows.read", "session.end"] == happened
