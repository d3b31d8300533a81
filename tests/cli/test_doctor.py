"""`otel-sessions doctor`: what is wrong, and what to do."""

from __future__ import annotations

import base64
import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest
from packaging.requirements import Requirement

from otel_sessions.cli._checkup import (
    Finding,
    Reached,
    _packages,
    consistency,
    exporting,
    instrumentations,
    packages,
    store,
    variables,
)
from otel_sessions.cli._checkup._instrumentations import framework, restriction
from otel_sessions.cli._checkup._store import _looked_at, clock, round_trip
from otel_sessions.stores import MemoryStore, from_url
from otel_sessions.stores._facts import Facts
from otel_sessions.stores.sqlite import SQLiteStore
from otel_sessions.testing import OTLPReceiver, record_sessions
from otel_sessions.typing import Beginning, Store, Totals

from .. import redis_server
from ..contract.test_history import run
from ..e2e.store_urls import store_url
from .command import invoke, otel_sessions
from .endpoints import Traces, answering, taking_grpc
from .stock import checked
from .test_recover import killed

SECOND = 1_000_000_000
KEY = {"OTEL_SESSIONS_PSEUDONYM_KEY": "a secret of our own"}
SECRET = "Bearer hunter2-token"
STORES = ["sqlite", "redis"]


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def verdicts(findings: Iterator[Finding]) -> dict[str, str]:
    return {each.check: each.verdict for each in findings}


def only(findings: Iterator[Finding], check: str) -> Finding:
    [found] = [each for each in findings if each.check == check]
    return found


@contextlib.contextmanager
def looked_at(url: str) -> Iterator[tuple[dict[str, Finding], Any]]:
    """What is found in a store, and the store."""
    reached = Reached()
    found = list(store(url, reached))
    assert reached.store is not None
    try:
        yield {each.check: each for each in [*found, *consistency(reached.store, reached.facts)]}, reached.store
    finally:
        reached.store.shutdown()


class TestProcess:
    @pytest.mark.parametrize("name", STORES)
    def test_all_is_well(self, name: str, tmp_path: Path, otlp_receiver: OTLPReceiver) -> None:
        """Nothing to complain of is exit code 0; a span of a session has arrived."""
        url = store_url(name, tmp_path)
        with record_sessions(store=url):
            pass
        done = otel_sessions("doctor", "--store", url, "--json", **otlp_receiver.environment, **KEY)
        found = checked("doctor", done.stdout)
        assert [each for each in found["findings"] if each["verdict"] != "ok"] == []
        assert (done.returncode, done.stderr, found["verdict"]) == (0, "", "ok")
        assert [span.name for span in otlp_receiver.spans] == ["session doctor"]
        assert otlp_receiver.refused == []
        assert [each["check"] for each in found["findings"]] == [
            *("python", "packages", "variables", "pseudonyms", "instrumentation", "distro"),
            *("flask", "fastapi", "starlette", "exporter", "endpoint", "test span"),
            *("store", "round trip", "clock", "crashed processes", "owed exports", "sums"),
        ]

    def test_for_people(self, tmp_path: Path) -> None:
        """A line for each, below it what to do; a problem is exit code 1; no output has a credential."""
        done = otel_sessions(
            *("doctor", "--store", "redis://user:hunter2@127.0.0.1:1/0"),
            OTEL_EXPORTER_OTLP_ENDPOINT="http://user:hunter2@127.0.0.1:1",
            OTEL_EXPORTER_OTLP_HEADERS=f"authorization={SECRET}",
            OTEL_SESSIONS_PSEUDONYM_KEY="hunter2",
        )
        lines = done.stdout.splitlines()
        assert (done.returncode, done.stderr) == (1, "")
        assert "problem  endpoint: nothing answers at 127.0.0.1:1: Connection refused" in lines
        assert "         -> start the collector, or correct the endpoint; the test span was not sent" in lines
        assert any(line.startswith("problem  store: redis: ") for line in lines)
        assert "ok       exporter: otlp, grpc to 127.0.0.1:1, with the headers authorization" in lines
        assert "hunter2" not in done.stdout

    def test_offline(self, tmp_path: Path) -> None:
        """Nothing is sent, so nothing that does not answer is a problem; warnings are none either."""
        done = invoke("doctor", "--offline", "--json", env={"OTEL_SESSIONS_STORE": ""})
        found = checked("doctor", done.stdout)
        assert (done.exit_code, found["verdict"]) == (0, "warning")
        assert not {"endpoint", "test span"} & {each["check"] for each in found["findings"]}


class TestPackages:
    def test_here(self) -> None:
        """What is installed here goes together."""
        assert verdicts(packages()) == {"python": "ok", "packages": "ok"}

    def test_versions_that_do_not_go_together(self) -> None:
        """What is too old, and what is missing, is said with what is needed."""
        old, none = Requirement("packaging<1"), Requirement("no-such-package>=1")
        here = version("packaging")
        assert _packages._fault(old) == ("packaging<1", f"packaging {here} is installed, and <1 is needed")
        assert _packages._fault(none) == ("no-such-package>=1", "no-such-package is not installed")

    def test_extras(self) -> None:
        """What an extra needs is known."""
        assert "flask" in {each.name for each in _packages.requirements("flask") or []}
        assert "flask" not in {each.name for each in _packages.requirements() or []}

    def test_no_distribution(self) -> None:
        """A name of which there is no distribution needs nothing that is known."""
        assert _packages.requirements(of="no-such-package") is None
        assert verdicts(packages(of="no-such-package")) == {"python": "ok", "packages": "warning"}

    def test_another_python(self) -> None:
        """A package for other versions of Python is a problem."""
        [found] = _packages._python(">=99")
        assert (found.verdict, ">=99 is needed" in found.found) == ("problem", True)

    def test_missing_ones(self) -> None:
        """What is wrong is said with the command that puts it right."""
        [found] = _packages._needed([Requirement("no-such-package>=1")])
        assert (found.verdict, found.advice) == ("problem", "run: pip install 'no-such-package>=1'")


class TestVariables:
    def test_none(self) -> None:
        """Without variables there is nothing wrong, but that no key is set."""
        assert verdicts(variables({})) == {"variables": "ok", "pseudonyms": "warning"}
        assert verdicts(variables({"OTEL_SESSIONS_PSEUDONYM_KEY": "short"}))["pseudonyms"] == "warning"
        assert verdicts(variables({**KEY, "OTEL_SESSIONS_STORE": "memory://"}))["pseudonyms"] == "ok"

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("OTEL_SESSIONS_STOER", "do you mean OTEL_SESSIONS_STORE?"),
            ("OTEL_SESSION_STORE", "do you mean OTEL_SESSIONS_STORE?"),
            ("otel_sessions_store", "do you mean OTEL_SESSIONS_STORE?"),
            ("OTEL_SESSIONS_IDLE_TIMEOUTS", "do you mean OTEL_SESSIONS_IDLE_TIMEOUT?"),
            ("OTEL_SESSIONS_\x1b[31m", "see docs/configuration.md for those that there are"),
        ],
    )
    def test_unknown(self, name: str, meant: str) -> None:
        """A name that is none is a warning, with the one that is meant; its value is not shown."""
        found = only(variables({name: "hunter2"}), "variables")
        assert (found.verdict, found.advice) == ("warning", meant)
        assert "hunter2" not in found.found
        assert found.found.isprintable()

    def test_values(self) -> None:
        """A value that cannot be used is a problem; a secret is not shown."""
        found = list(variables({"OTEL_SESSIONS_PSEUDONYM_KEY": "hunter2", "OTEL_SESSIONS_EVENTS": "all"}))
        problems = [each.found for each in found if each.verdict == "problem"]
        assert len(problems) == 2
        assert "hunter2" not in str(found)


class TestInstrumentations:
    def test_here(self) -> None:
        """All of it is installed here."""
        assert set(verdicts(instrumentations({})).values()) == {"ok"}

    @pytest.mark.parametrize("names", ["otel_sessions", "flask, otel_sessions", "*"])
    def test_switched_off(self, names: str) -> None:
        """That it is switched off may be meant."""
        found = verdicts(instrumentations({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": names}))
        assert found["instrumentation"] == "warning"

    @pytest.mark.parametrize(
        ("here", "told"), [("0.60b1", True), ("0.62b1", True), ("0.63b0", False), ("0.66b2", False), (None, False)]
    )
    def test_workers_that_are_not_reached(self, here: str | None, told: bool) -> None:
        """Which version reaches the workers of uvicorn is said where it is not there; that is nothing wrong."""
        assert ("takes opentelemetry-instrumentation 0.63b0" in restriction(here)) is told
        assert only(instrumentations({}), "instrumentation").found == (
            "opentelemetry-instrument loads it" + restriction(version("opentelemetry-instrumentation"))
        )

    def test_frameworks(self) -> None:
        """One that is not there is no fault, one of a wrong version is."""
        assert framework("no-such-package").verdict == "ok"
        found = framework("flask", [Requirement("flask<1")])
        assert (found.verdict, found.advice) == ("problem", "run: pip install 'flask<1'")

    def test_nothing_installed(self) -> None:
        """Without our entry point, or a distro, no code does nothing."""
        assert verdicts(instrumentations({}, ours="none", distro="none")) == {
            **dict.fromkeys(("flask", "fastapi", "starlette"), "ok"),
            "instrumentation": "problem",
            "distro": "warning",
        }


class TestExporting:
    def test_grpc(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """By default OTLP is spoken by gRPC, with the headers."""
        traces = Traces()
        with taking_grpc(traces) as endpoint:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=shop")
            found = list(exporting(offline=False))
        assert [each.verdict for each in found] == ["ok", "ok", "ok"]
        assert (traces.spans, traces.headers["x-tenant"]) == (["session doctor"], "shop")

    def test_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is answered is said, but for what the headers hold, in whatever form it comes back."""
        credential = base64.b64encode(b"ada:hunter2").decode()
        headers = f"authorization=Basic%20{credential},x-key=hunter2-key"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        with answering(lambda _, got: (401, f"{got['authorization']} {got['x-key']}".encode())) as endpoint:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            found = list(exporting(offline=False))
        assert [each.verdict for each in found] == ["ok", "problem"]
        assert "401" in found[1].found
        assert "grpc, usually port 4317" in str(found[1].advice)
        assert credential not in str(found)
        assert "hunter2" not in str(found)

    def test_no_span_arrives(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An endpoint that takes an empty request, and no span, is a problem."""
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        with answering(lambda body, _: (400, b"too much") if body else (200, b"")) as endpoint:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            found = list(exporting(offline=False))
        assert [each.verdict for each in found] == ["ok", "ok", "problem"]
        assert "it did not arrive: otlp: " in found[2].found

    def test_sampler(self, monkeypatch: pytest.MonkeyPatch, otlp_receiver: OTLPReceiver) -> None:
        """A sampler that wants no spans is a warning."""
        for name, value in {**otlp_receiver.environment, "OTEL_TRACES_SAMPLER": "always_off"}.items():
            monkeypatch.setenv(name, value)
        assert verdicts(exporting(offline=False))["test span"] == "warning"

    def test_console(self, monkeypatch: pytest.MonkeyPatch, otlp_receiver: OTLPReceiver) -> None:
        """What writes to the terminal is not tried, for that is where findings go; others are."""
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
        assert verdicts(exporting(offline=False)) == {"exporter": "ok"}
        for name, value in {**otlp_receiver.environment, "OTEL_TRACES_EXPORTER": "console,otlp"}.items():
            monkeypatch.setenv(name, value)
        assert verdicts(exporting(offline=False)) == {"exporter": "ok", "endpoint": "ok", "test span": "ok"}

    def test_a_proxy(self, monkeypatch: pytest.MonkeyPatch, otlp_receiver: OTLPReceiver) -> None:
        """What goes by a proxy is not looked for without it."""
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        there = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.test"}
        for name, value in {**otlp_receiver.environment, **there}.items():
            monkeypatch.setenv(name, value)
        found = only(exporting(offline=False), "endpoint")
        assert "refuses an empty request" in found.found

    @pytest.mark.parametrize(
        ("variables_", "verdict", "said"),
        [
            ({"OTEL_TRACES_EXPORTER": "none"}, "warning", "none for spans"),
            ({"OTEL_SDK_DISABLED": "True"}, "warning", "none for spans"),
            ({"OTEL_TRACES_EXPORTER": "zipkin\x1b"}, "problem", "OTEL_TRACES_EXPORTER=zipkin\\x1b: no such exporter"),
            ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "problem", "no such exporter is installed"),
            ({}, "warning", "grpc to localhost:4317, because none is set"),
            ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "warning", "http/protobuf to localhost:4318"),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "ok", "grpc to collector:4317"),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://u:hunter2@collector"}, "ok", "grpc to collector:443"),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://host:port"}, "problem", "the endpoint is no address"),
        ],
    )
    def test_what_is_configured(
        self, variables_: dict[str, str], verdict: str, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Which exporter there is, and where it sends to; of the address nothing that may be a credential."""
        for name, value in variables_.items():
            monkeypatch.setenv(name, value)
        [found] = exporting(offline=True)
        assert (found.verdict, said in found.found) == (verdict, True), found
        assert "hunter2" not in str(found)


class TestStore:
    def test_memory(self) -> None:
        """The default has nothing to look at."""
        for url in (None, "memory://"):
            assert verdicts(store(url, Reached())) == {"store": "ok"}

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("sqlite:///none.db", "there is no file"),
            ("user:hunter2@host", "it is no URL"),
            ("nosql://user:hunter2@host", "no store answers to a URL"),
            ("redis://:hunter2@127.0.0.1:1/0", "redis: "),
        ],
    )
    def test_out_of_reach(self, url: str, said: str) -> None:
        """What is wrong is said, without a credential."""
        [found] = store(url, Reached())
        assert (found.verdict, said in found.found, "hunter2" in found.found) == ("problem", True, False)

    def test_another_application_s(self, tmp_path: Path) -> None:
        """A file of another kind is none."""
        (tmp_path / "a.db").write_text("not a database, but long enough to be looked at" * 20, "utf-8")
        [found] = store(f"sqlite:///{tmp_path}/a.db", Reached())
        assert (found.verdict, "not a database" in found.found) == ("problem", True)

    def test_of_another_version(self, tmp_path: Path) -> None:
        """A file of a later version is not touched."""
        url = store_url("sqlite", tmp_path)
        from_url(url).shutdown()
        with contextlib.closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
            connection.execute("PRAGMA user_version = 99")
        [found] = store(url, Reached())
        assert (found.verdict, "has the schema version 99" in found.found) == ("problem", True)

    def test_one_that_does_not_answer(self) -> None:
        """It is waited for as long as a call may take, once, and is not looked into any further."""
        server = redis_server.RedisServer()
        server.pause()
        try:
            began = time.monotonic()
            done = invoke("doctor", "--offline", "--json", "--store", f"{server.url}?timeout=0.2")
            found = checked("doctor", done.stdout)["findings"]
            assert (done.exit_code, found[-1]["check"], found[-1]["verdict"]) == (1, "store", "problem")
            assert time.monotonic() - began < 10
        finally:
            server.resume()
            server.stop()

    def test_locked(self, tmp_path: Path) -> None:
        """A file that somebody else keeps to himself is said, after the time that a call may take."""
        url = f"sqlite:///{tmp_path}/sessions.db?timeout=0.1"
        from_url(url).shutdown()
        with contextlib.closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            found = list(store(url, Reached()))
        assert ("store", "problem") in [(each.check, each.verdict) for each in found]

    @pytest.mark.parametrize("name", STORES)
    def test_what_is_in_it(self, name: str, tmp_path: Path) -> None:
        """How large it is, and how many sessions there are."""
        url = store_url(name, tmp_path)
        made = from_url(url)
        assert made.create(Beginning("a", "chat", "durable", time.time_ns())) is None
        run(made, "b", ended_ns=time.time_ns())  # type: ignore[arg-type]  # it has a history
        made.shutdown()
        with looked_at(url) as (found, _):
            assert {each.verdict for each in found.values()} == {"ok"}
            assert "1 active session, 1 ended" in found["store"].found
            assert " MiB, " in found["store"].found
            assert found["store"].found.startswith(f"{name} at ")

    @pytest.mark.parametrize("name", STORES)
    def test_clocks(self, name: str, tmp_path: Path) -> None:
        """What is in the future was written by a clock that is wrong, or is read by one."""
        url = store_url(name, tmp_path)
        made = from_url(url)
        run(made, "b", ended_ns=time.time_ns() + 90 * SECOND)  # type: ignore[arg-type]  # it has a history
        made.beat("p", time.time_ns() + 60 * SECOND)  # type: ignore[attr-defined]  # it is shared
        made.shutdown()
        if name == "sqlite":
            later = time.time() + 30
            os.utime(tmp_path / "sessions.db", (later, later))
        with looked_at(url) as (found, _):
            assert found["clock"].verdict == "warning"
            told = found["clock"].found
            assert "a process showed a heartbeat 60 s in the future; a session ended 90 s in the future" in told
            assert ("the store was written 30 s in the future" in told) == (name == "sqlite")

    def test_the_server_s_clock(self) -> None:
        """The clock of a server is compared with ours."""
        now = time.time_ns()
        facts = Facts(1, None, now - 3600 * SECOND, None, evicts=False, owed=0, oldest_owed_ns=None)
        [found] = clock(MemoryStore(), facts)
        assert (found.verdict, "the server's differs by -3,600 s" in found.found) == ("warning", True)
        [right] = clock(MemoryStore(), facts._replace(clock_ns=now))
        assert (right.verdict, right.found) == ("ok", "as the server's")

    def test_a_redis_that_evicts(self) -> None:
        """One that lets go of sessions is a warning."""
        server = redis_server.RedisServer("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
        try:
            with looked_at(server.url) as (found, _):
                assert found["eviction"].verdict == "warning"
        finally:
            server.stop()

    def test_a_slow_store(self) -> None:
        """A store that takes long keeps requests waiting."""
        assert (round_trip(0.2).verdict, round_trip(0.002).verdict) == ("warning", "ok")

    def test_a_store_of_ones_own(self) -> None:
        """One that says less is looked at as far as it goes."""
        bare = cast("Store", _Bare())
        assert verdicts(consistency(bare, None)) == {}
        assert verdicts(_looked_at(bare, "mine://host", Reached())) == dict.fromkeys(
            ("store", "round trip", "clock"), "ok"
        )


class TestConsistency:
    @pytest.mark.parametrize("name", STORES)
    def test_crashed(self, name: str, tmp_path: Path) -> None:
        """Active sessions of a process that was killed are said, with what finishes them."""
        url = store_url(name, tmp_path)
        killed(url)
        with looked_at(url) as (found, _):
            assert found["crashed processes"].verdict == "warning"
            assert found["crashed processes"].found.startswith("1 active session of processes that are gone")
            assert "otel-sessions recover" in str(found["crashed processes"].advice)
            assert "1 ended session waiting to be exported" in found["owed exports"].found

    def test_long_silent(self, tmp_path: Path) -> None:
        """A process of another machine is gone when its heartbeat is old; one that shows them is not."""
        with contextlib.closing(_Closing(SQLiteStore(str(tmp_path / "a.db")))) as held:
            now = time.time_ns()
            for owner, beat_ns in (("far", now - 700 * SECOND), ("near", now)):
                held.store.create(Beginning(owner, "job", "scoped", now, owner=owner))
                held.store.beat(owner, beat_ns)
            found = only(consistency(held.store, None), "crashed processes")
            assert found.found.startswith("1 active session of processes that are gone")

    def test_owed_for_long(self) -> None:
        """Ends that nobody exports are said."""
        facts = Facts(1, None, None, None, evicts=False, owed=2, oldest_owed_ns=time.time_ns() - 700 * SECOND)
        found = only(consistency(MemoryStore(), facts), "owed exports")
        assert (found.verdict, found.found) == (
            "warning",
            "2 ended sessions waiting to be exported, the first for 700 s",
        )

    def test_sums(self, tmp_path: Path) -> None:
        """Sums that are not those of the records are said, as long as the records are there."""
        with contextlib.closing(_Closing(SQLiteStore(str(tmp_path / "a.db")))) as held:
            hour_ago = (time.time_ns() // (3600 * SECOND) - 1) * 3600 * SECOND
            run(held.store, "earlier", ended_ns=hour_ago - 1)
            for number in range(502):
                delta = Totals(hour_ago)
                delta.requests = 2
                run(held.store, f"s{number}", ended_ns=hour_ago + number, delta=delta)
            assert only(consistency(held.store, None), "sums").found.endswith("are right: 503 sessions")
            held.store._database.write(lambda cursor: cursor.execute("DELETE FROM session WHERE id = 's7'"))
            found = only(consistency(held.store, None), "sums")
            assert found.verdict == "warning"
            assert found.found.endswith("chat, success, completed: sessions 502 kept, 501 counted")

    def test_many(self, tmp_path: Path) -> None:
        """Of more sessions than can be gone through, none is."""
        with contextlib.closing(_Closing(SQLiteStore(str(tmp_path / "a.db")))) as held:
            hour_ago = (time.time_ns() // (3600 * SECOND) - 1) * 3600 * SECOND
            for number in range(3):
                run(held.store, f"s{number}", ended_ns=hour_ago + number)
                held.store.create(Beginning(f"a{number}", "job", "durable", hour_ago))
            found = verdicts(consistency(held.store, None, most=2))
            assert found == {"crashed processes": "ok", "sums": "ok"}
            assert "not compared" in only(consistency(held.store, None, most=2), "sums").found

    def test_a_store_that_goes_away(self, tmp_path: Path) -> None:
        """If it cannot be asked any more that is a problem, and no crash."""
        held = SQLiteStore(str(tmp_path / "a.db"))
        held.shutdown()
        (tmp_path / "a.db").write_text("gone" * 100, "utf-8")
        [found] = consistency(held, None)
        assert found.verdict == "problem"


class _Bare:
    """The least that a store may be asked."""

    name = "mine"

    def secret(self) -> bytes:
        return bytes(32)

    def counts(self) -> dict[tuple[str, str | None], int]:
        return {}


class _Closing:
    """A store that is shut down at the end of a block."""

    def __init__(self, held: SQLiteStore) -> None:
        self.store = held
        self.close = held.shutdown
