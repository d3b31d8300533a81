"""`otel-sessions show`: one session, and what happened in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import otel_sessions as sessions
from otel_sessions.limits import Quota, Tier
from otel_sessions.testing import record_sessions

from .command import otel_sessions
from .stock import HOSTILE, HOSTILE_ID, checked, empty, run, stocked, url
from .terminal import Terminal

TRACE_URL = "http://localhost:16686/trace/{trace_id}?span={span_id}"


@pytest.fixture(name="store", scope="module", params=["sqlite", "redis"])
def _store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of each kind in which something has happened."""
    return stocked(request.param, tmp_path_factory.mktemp("store"))


def shown(capsys: pytest.CaptureFixture[str], store: str, session_id: str, *options: str) -> Any:
    """What the command says of a session to other programs."""
    done = run(capsys, "show", session_id, "--store", store, "--json", *options)
    assert (0, "") == (done.returncode, done.stderr)
    return checked("show", done.stdout)


def some(capsys: pytest.CaptureFixture[str], store: str, session_type: str) -> str:
    """The id of a session of that type."""
    found = checked("list", run(capsys, "list", "--store", store, "--type", session_type, "--json").stdout)
    return str(found["sessions"][0]["id"])


class TestActive:
    def test_to_people(self, store: str) -> None:
        """What is known of it, and what happened in it in order; a pipe gets no color."""
        done = otel_sessions("show", "chat-1", OTEL_SESSIONS_STORE=store, OTEL_SESSIONS_TRACE_URL=TRACE_URL)
        assert (0, "") == (done.returncode, done.stderr)
        known = done.stdout.partition("\nquota ")[0]
        told = {line.split("  ")[0]: line.partition("  ")[2].strip() for line in known.splitlines()}
        assert ("active", "mobile", "700 input, 150 output", "0.50 USD", "1 user, 1 assistant") == tuple(
            told[name] for name in ("status", "platform", "tokens", "cost", "messages")
        )
        assert "0.50 USD cost" in told["used"]
        assert "1, the last: ZeroDivisionError: division by zero" == told["errors"]
        assert told["trace"].startswith("http://localhost:16686/trace/")
        assert "{" not in told["trace"]
        happened = ["session.start", "platform_switch.from=web", "finding.kind=device_change", "used api_calls 95"]
        places = [done.stdout.index(each) for each in happened]
        assert places == sorted(places)
        assert "exception.stacktrace=(1 lines, see --json)" in done.stdout
        assert "upload     rate  5/minute\n" in done.stdout
        assert "\x1b" not in done.stdout

    def test_to_programs(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """The same, with what its quotas are, as far as the command knows the tier; and its own limits."""
        found = shown(capsys, store, "chat-1")
        assert ("active", None, 0, 0) == (
            found["session"]["status"], found["trace_url"], found["missing_events"], found["missing_uses"],
        )  # fmt: skip
        assert ["exports", "upload"] == [limit["name"] for limit in found["limits"]]
        quotas = {quota["name"]: quota["used"] for quota in found["quotas"]}
        assert (880, 95, 0) == tuple(quotas[name] for name in ("tokens", "api_calls", "exports"))
        assert found["timeline"][0]["kind"] == "start"
        assert "use" in {each["kind"] for each in found["timeline"]}
        assert "id:chat-1" not in str(found)

    def test_hostile(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """What somebody wrote into an attribute is shown, and obeyed by nothing."""
        done = run(capsys, "show", HOSTILE_ID, "--store", store)
        assert f"Session {HOSTILE_ID}" in done.stdout
        assert "[red]x[/red] \\x1b[31m \\x07 \\u202e <script>" in done.stdout
        assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout)
        assert {HOSTILE: HOSTILE} == shown(capsys, store, HOSTILE_ID)["session"]["attributes"]

    @pytest.mark.parametrize("kind", ["sqlite", "redis"])
    def test_of_a_tier_that_is_not_known_here(
        self, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It is said where its quotas are, and what to do to see them."""
        where = url(kind, tmp_path)
        with record_sessions(store=where, tiers=[Tier("gold", Quota("tokens", 100, per="day"))]):
            sessions.start("chat", id="c1", tier="gold", user="grace")
        assert shown(capsys, where, "c1")["quotas"] is None
        done = run(capsys, "show", "c1", "--store", where)
        assert (
            "How its quotas stand is not known here: no tier gold is configured. Set OTEL_SESSIONS_TIERS to the "
            "application's tiers.\n"
        ) in done.stdout


class TestEnded:
    def test_durable(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A durable session's events are there after its end."""
        found = shown(capsys, store, "ended")
        assert ["session.start", "cart.article_added", "session.end"] == [each["name"] for each in found["timeline"]]
        assert {"app_session.status": "success", "app_session.end_reason": "logout"} == (
            found["timeline"][-1]["attributes"]
        )
        assert (None, 0) == (found["quotas"], found["missing_events"])

    def test_scoped(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A scoped session's events are on its span only: that is said, and where to look."""
        session_id = some(capsys, store, "audit")
        found = shown(capsys, store, session_id)
        assert (["start", "use", "end"], 1) == ([each["kind"] for each in found["timeline"]], found["missing_events"])
        said = run(capsys, "show", session_id, "--store", store).stdout
        assert "1 more of its events are not in the store: see the span, and the log" in said
        assert "used tokens 15 operation.name=inference" in said

    def test_more_than_is_kept(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Of many uses the last are there, of a long text its beginning; it is said what is missing."""
        where = url("sqlite", tmp_path)
        with record_sessions(store=where):
            job = sessions.start("job", id="j", tier="pro")
            job.event("job.begun", "y" * 400)
            for _ in range(52):
                job.use("tokens", 0.5)
        said = run(capsys, "show", "j", "--store", where).stdout
        assert 50 == said.count("used tokens 0.5")
        assert "2 more of its uses are not in the store, but for their sums" in said
        assert f" {'y' * 300}... (400 characters, see --json)\n" in re.sub(" +\n", "\n", said)

    def test_attributes_can_be_asked_for(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """They are shown as `--attribute` takes them, and each finds its session, and no other one."""
        where = url("sqlite", tmp_path)
        values: dict[str, Any] = {
            "true": True, "1": 1, '"1"': "1", '"true"': "true", "[true, false]": [True, False], "[1, 0]": [1, 0],
            '["ä", "b"]': ["ä", "b"], "north": "north", "2.5": 2.5,
        }  # fmt: skip
        with record_sessions(store=where):
            for number, value in enumerate(values.values()):
                sessions.start("job", attributes={"held": value}, id=f"job-{number}").end()
        for number, text in enumerate(values):
            assert f"held       {text}" in run(capsys, "show", f"job-{number}", "--store", where).stdout
            found = run(capsys, "list", "--store", where, "--attribute", f"held={text}", "--json").stdout
            assert [f"job-{number}"] == [each["id"] for each in checked("list", found)["sessions"]]

    def test_clock_behind(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What happened where the clock was behind the start's is shown so."""
        where = url("sqlite", tmp_path)
        with record_sessions(store=where) as recorded:
            job = sessions.start("job", id="j")
            recorded.clock.jump(-90)
            job.event("job.begun")
        assert "-1 min 30 s" in run(capsys, "show", "j", "--store", where).stdout


class TestTrace:
    def test_of_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Who asks for the trace of a session that has none is told so; nobody else is."""
        where = url("sqlite", tmp_path)
        sessions.configure(store=where, background=False)
        sessions.start("web", id="w")
        sessions.shutdown()
        done = run(capsys, "show", "w", "--store", where, "--trace-url", TRACE_URL)
        assert "trace          none: it began where no OpenTelemetry SDK was set up\n" in re.sub(
            " +\n", "\n", done.stdout
        )
        assert "trace" not in run(capsys, "show", "w", "--store", where).stdout
        assert shown(capsys, where, "w", "--trace-url", TRACE_URL)["trace_url"] is None

    def test_of_an_active_session(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """What is not there before its end is not promised."""
        said = "(the session's own span is sent when it ends)"
        assert said in run(capsys, "show", "chat-1", "--store", store, "--trace-url", TRACE_URL).stdout
        assert said not in run(capsys, "show", "ended", "--store", store, "--trace-url", TRACE_URL).stdout


class TestBeginningOfAnId:
    @pytest.fixture(name="several")
    def _several(self, tmp_path: Path) -> str:
        """A store with ids that begin in the same way."""
        where = url("sqlite", tmp_path)
        with record_sessions(store=where):
            for session_id in (
                "conversation-1",
                "conversation-10",
                *(f"numbered-{at:02d}" for at in range(12)),
                "short",
            ):
                sessions.start("chat", id=session_id)
            sessions.end("numbered-11")
        return where

    def test_of_one(self, several: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Eight characters stand for an id, active or ended, if no other begins with them; a whole one goes before."""
        for typed, found in (("numbered-11", "numbered-11"), ("conversation-10", "conversation-10")):
            assert found == shown(capsys, several, typed)["session"]["id"]
        assert "conversation-1" == shown(capsys, several, "conversation-1")["session"]["id"]
        assert run(capsys, "show", "numbered-1", "--store", several).returncode == 1
        sessions.configure(store=several, background=False)
        [ended] = sessions.history()
        sessions.shutdown()
        assert "numbered-11" == ended.id

    def test_of_several(self, several: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Those that are meant are named; of many the first."""
        done = run(capsys, "show", "conversation", "--store", several)
        assert (1, "") == (done.returncode, done.stdout)
        assert done.stderr == (
            "otel-sessions: 2 sessions have ids that begin with conversation: conversation-10 (chat), conversation-1 "
            "(chat); write more of it\n"
        )
        done = run(capsys, "show", "numbered", "--store", several)
        assert done.stderr.startswith("otel-sessions: 12 sessions have ids that begin with numbered: ")
        assert done.stderr.endswith(" and 2 more; write more of it\n")

    @pytest.mark.parametrize("typed", ["shor", "nothing-at-all"])
    def test_of_none(self, several: str, typed: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Less than eight characters stand for nothing."""
        done = run(capsys, "show", typed, "--store", several)
        assert done.stderr.startswith(f"otel-sessions: nothing is known of a session {typed}: ")

    def test_as_it_is_minted(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        """The beginning of an id that was made finds the session."""
        session_id = some(capsys, store, "audit")
        assert session_id == shown(capsys, store, session_id[:8])["session"]["id"]


class TestTerminal:
    def test_width(self, tmp_path: Path) -> None:
        """It fits into 40 columns, in color."""
        with Terminal("show", "chat-1", "--store", stocked("sqlite", tmp_path), columns=80, COLUMNS="40") as terminal:
            assert 0 == terminal.finish()
        assert 40 >= max(map(len, terminal.shown.splitlines()))
        assert "\x1b[36mactive" in terminal.written


class TestRefused:
    @pytest.mark.parametrize(("session_id", "shown"), [("nobody", "nobody"), ("\x1b[31m", r"\x1b[31m"), ("", "")])
    def test_unknown(self, session_id: str, shown: str, store: str) -> None:
        """Of an id that nobody knows, or can have, it is said what to do."""
        done = otel_sessions("show", session_id, OTEL_SESSIONS_STORE=store)
        assert (1, "") == (done.returncode, done.stdout)
        assert done.stderr.startswith(
            f"otel-sessions: nothing is known of a session {shown}: `otel-sessions list` says"
        )
        assert 1 == done.stderr.count("\n")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["x", "--trace-url", "javascript:{trace_id}"], "otel-sessions: --trace-url javascript:{trace_id}: use an"),
            (
                ["x", "--trace-url", "file:///{trace_id}"],
                "otel-sessions: --trace-url file:///{trace_id}: use an address",
            ),
            (["x", "--trace-url", "http://u:secret@h/"], "otel-sessions: --trace-url http://[redacted]@h/: write"),
        ],
    )
    def test_bad_arguments(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
    ) -> None:
        """They are refused in a line that says the value, without what is secret in it."""
        done = run(capsys, "show", "--store", empty("sqlite", tmp_path), *arguments)
        assert (2, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
        assert done.stderr.startswith(said)
