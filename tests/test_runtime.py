"""The one runtime of a process: how it comes about, is configured, forks and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_sessions
from otel_sessions import ConfigurationError, _runtime, session
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import ManualClock, OTLPReceiver, RecordedSessions, record_sessions

from . import interpreter, portrait
from .failing_store import FailingStore


class Exporters:
    """Providers of the SDK and what they exported."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # upstream is untyped
        self.logger_provider = LoggerProvider(shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self.logs))

    def configure(self, **settings: Any) -> None:
        """Configure the process with these providers."""
        otel_sessions.configure(tracer_provider=self.tracer_provider, logger_provider=self.logger_provider, **settings)

    def ended(self) -> list[tuple[object, object]]:
        """Session ids and end reasons of the spans."""
        found = [portrait.attributes(span) for span in self.spans.get_finished_spans()]
        return [(one["session.id"], one["app_session.end_reason"]) for one in found]

    def events(self, name: str) -> list[str | None]:
        """The session ids of the events called `name`."""
        records = [log.log_record for log in self.logs.get_finished_logs()]
        return [str((one.attributes or {}).get("session.id")) for one in records if one.event_name == name]


@pytest.fixture(name="exporters")
def _exporters() -> Exporters:
    return Exporters()


@pytest.fixture(name="unconfigured")
def _unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that nobody has configured, without a thread that could interfere."""
    monkeypatch.setenv("OTEL_SESSIONS_BACKGROUND", "false")


class TestImplicit:
    def test_first_use(self, unconfigured: None, monkeypatch: pytest.MonkeyPatch) -> None:
        """The first session takes its settings from the variables."""
        monkeypatch.setenv("OTEL_SESSIONS_IDLE_TIMEOUT", "77")
        assert _runtime.current is None
        record = otel_sessions.start("chat").snapshot()
        assert record is not None
        assert 77 * 10**9 == record.beginning.idle_timeout_ns

    def test_one_for_all(self, unconfigured: None) -> None:
        """Many threads that come first at once get the same one."""
        barrier = threading.Barrier(30)
        found: list[object] = []

        def come() -> None:
            barrier.wait()
            found.append(_runtime.get())

        threads = [threading.Thread(target=come) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 == len({id(one) for one in found})

    def test_one_start(self, exporters: Exporters) -> None:
        """Many threads that begin the first session at once start the library once."""
        exporters.configure(background=False)
        barrier = threading.Barrier(30)

        def come() -> None:
            barrier.wait()
            with session("job"):
                pass

        threads = [threading.Thread(target=come) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 == len(exporters.events("app_session.startup"))

    def test_again_after_shutdown(self, unconfigured: None) -> None:
        """After a shutdown the next session starts anew."""
        first = _runtime.get()
        otel_sessions.shutdown()
        assert otel_sessions.start("chat").is_active
        assert first is not _runtime.get()

    @pytest.mark.parametrize("switch", ["variable", "argument"])
    def test_switched_off(self, switch: str, monkeypatch: pytest.MonkeyPatch, exporters: Exporters) -> None:
        """Switched off, every session does nothing, and nothing starts."""
        if switch == "variable":
            monkeypatch.setenv("OTEL_SESSIONS_ENABLED", "false")
        else:
            exporters.configure(enabled=False)
        with session("job") as scoped, otel_sessions.start("chat", id="a") as durable:
            scoped.event("step")
            durable.event("step")
        assert [("", False), ("", False)] == [(one.id, one.is_active) for one in (scoped, durable)]
        assert (None, [], False) == (otel_sessions.get("a"), otel_sessions.active(), otel_sessions.end("a"))
        otel_sessions.sweep()
        assert [] == [thread for thread in threading.enumerate() if thread.name == "otel-sessions"]
        assert [] == exporters.ended()


class TestConfigureLater:
    """Something ran before anybody configured the process."""

    def test_durable_goes_on(self, unconfigured: None, exporters: Exporters) -> None:
        """An open durable session stays open; its end goes where the configuration says."""
        handle = otel_sessions.start("chat", id="a")
        handle.event("before")
        exporters.configure(background=False)
        assert ("active", "a") == (handle.status, otel_sessions.resume("a").id)
        handle.event("after")
        record = handle.snapshot()
        assert record is not None
        assert 2 == record.totals.events
        assert otel_sessions.end("a")
        assert ("success", ["a"]) == (handle.status, exporters.events("session.end"))

    def test_scoped_goes_on(self, unconfigured: None, exporters: Exporters) -> None:
        """So does a scoped one, in its block."""
        with session("job") as handle:
            exporters.configure(background=False)
            assert [handle.id] == [record.id for record in otel_sessions.active()]
        assert ("success", []) == (handle.status, otel_sessions.active())

    def test_settings_hold_from_then_on(self, unconfigured: None, exporters: Exporters) -> None:
        """New sessions have the new settings, open ones keep theirs."""
        first = otel_sessions.start("chat")
        exporters.configure(background=False, idle_timeout=5)
        records = [first.snapshot(), otel_sessions.start("chat").snapshot()]
        assert [1800 * 10**9, 5 * 10**9] == [record.beginning.idle_timeout_ns for record in records if record]

    def test_looked_after(self, exporters: Exporters) -> None:
        """The background work goes on for what was open, though no new session begins."""
        handle = otel_sessions.start("chat", idle_timeout=0.05)
        exporters.configure(flush_interval=0.01)
        pause = threading.Event()
        for _ in range(1_000):
            if not handle.is_active:
                break
            pause.wait(0.01)
        assert "idle_timeout" == handle.end_reason

    @pytest.mark.parametrize("settings", [{"store": MemoryStore()}, {"history": 5}])
    def test_another_store(self, settings: dict[str, Any], unconfigured: None, exporters: Exporters) -> None:
        """Told to keep sessions elsewhere, it ends those that are open."""
        handle = otel_sessions.start("chat", id="a")
        exporters.configure(background=False, **settings)
        assert ("cancelled", "shutdown", []) == (handle.status, handle.end_reason, otel_sessions.active())
        assert otel_sessions.start("chat", id="a").is_active

    @pytest.mark.parametrize("settings", [{"store": "nope://host"}, {"events": "all"}])
    def test_wrong(self, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        """A configuration that is refused changes nothing: what runs goes on running."""
        monkeypatch.setenv("OTEL_SESSIONS_FLUSH_INTERVAL", "0.01")
        handle = otel_sessions.start("chat", id="a", idle_timeout=0.05)
        with pytest.raises(ConfigurationError):
            otel_sessions.configure(**settings)
        assert handle.is_active
        pause = threading.Event()
        for _ in range(500):
            if not handle.is_active:
                break
            pause.wait(0.01)
        assert "idle_timeout" == handle.end_reason


class TestConfigureTwice:
    def test_same(self, exporters: Exporters) -> None:
        """The same configuration again is no mistake, and changes nothing."""
        clock = ManualClock()
        exporters.configure(background=False, clock=clock, idle_timeout=5)
        handle = otel_sessions.start("chat")
        exporters.configure(background=False, clock=clock, idle_timeout=5)
        assert handle.is_active

    def test_another(self, exporters: Exporters) -> None:
        """Another one is refused; the error names what differs, and shows no value."""
        exporters.configure(background=False, pseudonym_key="a secret of some length", idle_timeout=5)
        handle = otel_sessions.start("chat")
        with pytest.raises(ConfigurationError) as raised:
            exporters.configure(background=False, pseudonym_key="another secret of that length", events="log")
        assert (
            "otel-sessions is configured already, with another idle_timeout, events, pseudonym_key: configure it once, "
            "or call otel_sessions.shutdown() before" == str(raised.value)
        )
        assert handle.is_active

    def test_after_shutdown(self, exporters: Exporters) -> None:
        """After a shutdown the process can be configured anew."""
        exporters.configure(background=False, idle_timeout=5)
        otel_sessions.shutdown()
        exporters.configure(background=False, idle_timeout=6)
        record = otel_sessions.start("chat").snapshot()
        assert record is not None
        assert 6 * 10**9 == record.beginning.idle_timeout_ns


class TestShutdown:
    def test_private_store(self) -> None:
        """What cannot outlive the process ends as cancelled, by shutdown, with what happened until then."""
        with record_sessions() as recorded:
            durable = otel_sessions.start("chat")
            durable.event("step")
            scoped = session("job").begin()
            scoped.event("step")
            otel_sessions.shutdown()
            found = {portrait.attributes(span)["session.id"]: span for span in recorded.session_spans}
            assert portrait.durable(durable, status="cancelled", reason="shutdown", events=1) == portrait.attributes(
                found[durable.id]
            )
            assert portrait.scoped(scoped, status="cancelled", reason="shutdown", events=1) == portrait.attributes(
                found[scoped.id]
            )
            assert 2 == len(recorded.session_spans)

    def test_shared_store(self) -> None:
        """Durable sessions of a store that others see live on, with all that happened here; scoped ones end."""
        store = FailingStore(shared=True)
        with record_sessions(store=store) as recorded:
            durable = otel_sessions.start("chat", id="a")
            durable.event("step")
            scoped = session("job").begin()
            otel_sessions.shutdown()
            record = store.get("a")
            assert record is not None
            assert (True, 1) == (record.is_active, record.totals.events)
            assert [scoped.id] == [portrait.attributes(span)["session.id"] for span in recorded.session_spans]
        with record_sessions(store=store) as recorded:
            resumed = otel_sessions.resume("a")
            resumed.event("step")
            resumed.end()
            assert [2] == [portrait.attributes(span)["app_session.event.count"] for span in recorded.session_spans]

    def test_twice(self, recorded_sessions: RecordedSessions) -> None:
        """A second shutdown finds nothing to do."""
        otel_sessions.start("chat")
        otel_sessions.shutdown()
        otel_sessions.shutdown()
        assert 1 == len(recorded_sessions.session_spans)

    def test_handle_afterwards(self, recorded_sessions: RecordedSessions) -> None:
        """A handle that is left over has ended, and does no harm."""
        handle = otel_sessions.start("chat")
        with handle:
            otel_sessions.shutdown()
            handle.event("late")
        assert ("cancelled", False) == (handle.status, handle.end())
        assert 1 == len(recorded_sessions.session_spans)

    def test_resumed_only(self) -> None:
        """A process that began no session, but resumed one, merges what happened in it and stops its thread."""
        store = FailingStore(shared=True)
        with record_sessions(store=store):
            otel_sessions.start("chat", id="a")
            otel_sessions.shutdown()
        otel_sessions.configure(store=store, clock=ManualClock(), flush_interval=0.01)
        otel_sessions.resume("a").event("step")
        merged = threading.Event()
        for _ in range(1_000):
            if "merge" in store.calls:
                break
            merged.wait(0.01)
        otel_sessions.shutdown()
        record = store.get("a")
        assert record is not None
        assert 1 == record.totals.events


SDK = """
    import os, sys, json
    import otel_sessions
    from otel_sessions import current_session, session
    from opentelemetry import trace, _logs
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    def set_up_sdk():
        tracers, loggers = TracerProvider(), LoggerProvider()
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        trace.set_tracer_provider(tracers)
        _logs.set_logger_provider(loggers)
"""


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[OTLPReceiver]:
    with OTLPReceiver() as receiver:
        yield receiver


def ends(receiver: OTLPReceiver) -> list[tuple[str, str, str]]:
    """Id, status and end reason of the received spans of sessions."""
    return sorted(
        (
            span.attributes["session.id"],
            span.attributes["app_session.status"],
            span.attributes["app_session.end_reason"],
        )
        for span in receiver.spans
        if span.name.startswith("session ")
    )


def run(code: str, receiver: OTLPReceiver, *, status: int = 0, quiet: bool = True) -> str:
    """Run `code` after that of `SDK` to its end, and return what it printed."""
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(SDK) + dedent(code)],
        env=receiver.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert status == completed.returncode, completed.stderr
    if quiet:
        assert "" == completed.stderr
    return completed.stdout


class TestExit:
    """At the end of the process, with a real exporter to a real receiver."""

    @pytest.mark.parametrize(
        "code",
        [
            pytest.param("set_up_sdk(); s = otel_sessions.start('chat', id='a')", id="SDK before"),
            pytest.param(
                "otel_sessions.start('early'); set_up_sdk(); s = otel_sessions.start('chat', id='a')", id="SDK between"
            ),
            pytest.param(
                "otel_sessions.configure(); set_up_sdk(); otel_sessions.start('chat', id='a')", id="configured"
            ),
            pytest.param(
                "otel_sessions.configure(background=False); set_up_sdk(); otel_sessions.start('chat', id='a')",
                id="without thread",
            ),
            pytest.param(
                "otel_sessions.start('early'); otel_sessions.shutdown(); set_up_sdk(); "
                "otel_sessions.start('chat', id='a')",
                id="after a shutdown",
            ),
            pytest.param(
                "otel_sessions.start('early'); otel_sessions.configure(idle_timeout=5); set_up_sdk(); "
                "otel_sessions.start('chat', id='a')",
                id="configured later",
            ),
        ],
    )
    def test_durable(self, code: str, receiver: OTLPReceiver) -> None:
        """An open durable session of the memory store ends by shutdown, and its span is sent, whatever came first."""
        run(code, receiver)
        assert [("a", "cancelled", "shutdown")] == ends(receiver)
        assert "a" in [log.attributes["session.id"] for log in receiver.logs if log.event_name == "session.end"]

    def test_began_before_the_sdk(self, receiver: OTLPReceiver) -> None:
        """The end of a session that began without an SDK is told as an event, once a sweep has seen the SDK."""
        run("s = otel_sessions.start('chat', id='a'); set_up_sdk(); otel_sessions.sweep()", receiver)
        assert [] == ends(receiver)
        assert ["a"] == [log.attributes["session.id"] for log in receiver.logs if log.event_name == "session.end"]

    def test_scoped(self, receiver: OTLPReceiver) -> None:
        """A scoped session that nobody ended, because its thread is still in it, ends too."""
        run(
            """
            import threading
            set_up_sdk()
            began = threading.Event()
            def work():
                with session("job"):
                    began.set()
                    threading.Event().wait()
            threading.Thread(target=work, daemon=True).start()
            began.wait()
            """,
            receiver,
        )
        assert [("cancelled", "shutdown")] == [(status, reason) for _, status, reason in ends(receiver)]

    @pytest.mark.parametrize(
        ("last", "status"), [("sys.exit(3)", 3), ("raise RuntimeError('not ours')", 1), ("os.close(2); sys.exit(4)", 4)]
    )
    def test_exit_status(self, last: str, status: int, receiver: OTLPReceiver) -> None:
        """The process ends with its own status."""
        run(f"set_up_sdk(); s = otel_sessions.start('chat', id='a'); {last}", receiver, status=status, quiet=False)
        assert [("a", "cancelled", "shutdown")] == ends(receiver)

    def test_started_at_the_end(self, receiver: OTLPReceiver) -> None:
        """A session that another exit handler begins ends as well."""
        run(
            """
            import atexit
            set_up_sdk()
            otel_sessions.start("chat", id="a")
            atexit.register(lambda: otel_sessions.start("chat", id="b"))
            """,
            receiver,
        )
        assert [("a", "cancelled", "shutdown"), ("b", "cancelled", "shutdown")] == ends(receiver)

    def test_started_during_a_shutdown(self, receiver: OTLPReceiver) -> None:
        """A session that another thread begins while a shutdown is under way ends with the process."""
        run(
            """
            import threading
            from otel_sessions.stores import MemoryStore
            set_up_sdk()
            class Store(MemoryStore):
                def shutdown(self):
                    thread = threading.Thread(target=lambda: otel_sessions.start("chat", id="b"))
                    thread.start()
                    thread.join()
            otel_sessions.configure(store=Store())
            otel_sessions.start("chat", id="a")
            otel_sessions.shutdown()
            """,
            receiver,
        )
        assert [("a", "cancelled", "shutdown"), ("b", "cancelled", "shutdown")] == ends(receiver)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    @pytest.mark.parametrize(
        "pool",
        [
            "multiprocessing.get_context('fork').Pool(3, set_up_sdk, maxtasksperchild=1)",
            "concurrent.futures.ProcessPoolExecutor(3, multiprocessing.get_context('fork'), set_up_sdk)",
        ],
    )
    def test_process_of_a_pool(self, pool: str, tmp_path: Path, receiver: OTLPReceiver) -> None:
        """What the processes of a pool did is merged and sent: `multiprocessing` calls no exit handlers there."""
        printed = run(
            f"""
            import concurrent.futures
            import multiprocessing
            otel_sessions.configure(store="sqlite:///{tmp_path}/sessions.db", pseudonym_key="{"k" * 32}")
            def work(_):
                with otel_sessions.start("chat", id="a") as chat, session("job"):
                    chat.message("user")
            pool = {pool}
            list(pool.map(work, "one"))
            pool.shutdown() if hasattr(pool, "shutdown") else (pool.close(), pool.join())
            print(json.dumps([record.totals.messages for record in otel_sessions.active()]))
            """,
            receiver,
        )
        assert [{"user": 3}] == json.loads(printed)
        assert ["session job"] * 3 == [span.name for span in receiver.spans]

    def test_nothing_used(self, receiver: OTLPReceiver) -> None:
        """A process that only imports and configures ends without a word."""
        run("set_up_sdk(); otel_sessions.configure()", receiver)
        assert ([], []) == (receiver.spans, receiver.logs)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_signals_left_alone(self, number: signal.Signals, receiver: OTLPReceiver) -> None:
        """Signals do what they did before: no handler is set, and SIGTERM still kills at once."""
        before = signal.getsignal(number)
        otel_sessions.configure(background=False)
        with session("job"):
            assert before is signal.getsignal(number)
        otel_sessions.shutdown()
        run(
            f"""
            import signal
            set_up_sdk()
            before = signal.getsignal({int(number)})
            otel_sessions.start("chat", id="a")
            assert before is signal.getsignal({int(number)})
            signal.signal({int(number)}, signal.SIG_DFL)
            os.kill(os.getpid(), {int(number)})
            """,
            receiver,
            status=-number,
        )


FORK = """
    import faulthandler, json, os, signal, sys, threading
    import otel_sessions
    from otel_sessions import current_session, session
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    def line(span):
        found = span.attributes
        return json.dumps([os.getpid() == parent, found["app_session.type"], found["app_session.end_reason"]]) + "\\n"

    parent = os.getpid()
    tracers, reader = TracerProvider(), InMemoryMetricReader()
    tracers.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=line)))
    otel_sessions.configure(tracer_provider=tracers, meter_provider=MeterProvider([reader]), background=False)

    def say(**what):
        print(json.dumps(what), flush=True)

    def fork(work):
        child = os.fork()
        if child == 0:
            faulthandler.dump_traceback_later(30, exit=True)
            work()
            sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
"""


def forked(code: str) -> list[Any]:
    """What `code` and its children printed, line by line."""
    completed = interpreter.run(dedent(FORK) + dedent(code))
    return [json.loads(line) for line in completed.stdout.splitlines()]


class TestFork:
    """A child process begins with nothing of its parent's."""

    def test_starts_empty(self) -> None:
        """The child knows none of the parent's sessions, and its own ids are its own."""
        [child, parent] = forked("""
            otel_sessions.start("chat", id="a")
            def work():
                before = [record.id for record in otel_sessions.active()]
                mine = otel_sessions.start("chat")
                again = otel_sessions.start("chat", id="a")
                say(before=before, known=otel_sessions.get("b") is not None, id=mine.id, previous=again.previous_id)
            fork(work)
            say(id=otel_sessions.start("chat").id, open=len(otel_sessions.active()))
            otel_sessions.end("a")
            os._exit(0)
        """)[:2]
        assert ([], False, None) == (child["before"], child["known"], child["previous"])
        assert (2, True) == (parent["open"], parent["id"] != child["id"])

    def test_parents_session_ends_once(self) -> None:
        """Neither leaving the parent's block nor ending its session in the child ends it: the parent does, once."""
        assert [
            {"ended": [False, False]},
            [False, "child", "completed"],
            [True, "scoped", "completed"],
            [True, "durable", "completed"],
        ] == forked("""
            durable = otel_sessions.start("durable", id="a")
            with durable:
                with session("scoped") as scoped:
                    child = os.fork()
                    if child == 0:
                        say(ended=[durable.end(), scoped.end()])
                        with session("child"):
                            pass
                    else:
                        os.waitpid(child, 0)
            if child == 0:
                otel_sessions.sweep()
                otel_sessions.shutdown()
                sys.stdout.flush()
                os._exit(0)
            durable.end()
            os._exit(0)
        """)

    def test_exit_of_a_child(self) -> None:
        """A child that ends as a program does ends its own sessions, not the parent's."""
        assert [[False, "child", "shutdown"], [True, "parent", "shutdown"]] == forked("""
            otel_sessions.start("parent")
            child = os.fork()
            if child == 0:
                otel_sessions.start("child")
                sys.exit(0)
            os.waitpid(child, 0)
        """)

    def test_counts_from_zero(self) -> None:
        """The child's counters begin at zero: what was counted before is the parent's to report."""
        assert [{"child": 1}, {"parent": 3}] == forked("""
            def starts():
                scopes = [s for group in reader.get_metrics_data().resource_metrics for s in group.scope_metrics]
                found = [m for scope in scopes for m in scope.metrics if m.name == "app_session.starts"]
                return sum(point.value for metric in found for point in metric.data.data_points)
            def work():
                otel_sessions.start("chat")
                say(child=starts())
            for _ in range(3):
                otel_sessions.start("chat")
            fork(work)
            say(parent=starts())
            os._exit(0)
        """)

    def test_thread_of_its_own(self) -> None:
        """The child has no background thread until its first session, and then one of its own, which works."""
        [child] = forked("""
            otel_sessions.shutdown()
            otel_sessions.configure(flush_interval=0.01)
            otel_sessions.start("chat")
            def work():
                def count():
                    return sum(thread.name == "otel-sessions" for thread in threading.enumerate())
                before = count()
                handle = otel_sessions.start("chat", idle_timeout=0.05)
                after = count()
                while handle.is_active:
                    threading.Event().wait(0.01)
                say(before=before, after=after, reason=handle.end_reason)
            fork(work)
            os._exit(0)
        """)
        assert {"before": 0, "after": 1, "reason": "idle_timeout"} == child

    def test_while_threads_work(self) -> None:
        """A fork while other threads are in the middle of sessions leaves no lock of ours that the child waits for."""
        lines = forked("""
            # Without an SDK: its own locks are not renewed after a fork.
            otel_sessions.shutdown()
            otel_sessions.configure(background=False)
            with session("first"):
                otel_sessions.sweep()
            stop = threading.Event()
            def busy(number):
                while not stop.is_set():
                    with session("busy") as handle:
                        handle.event("step")
                    with otel_sessions.start("chat", id=f"s{number}") as handle:
                        handle.message()
                    otel_sessions.sweep()
            threads = [threading.Thread(target=busy, args=(number,), daemon=True) for number in range(4)]
            for thread in threads:
                thread.start()
            def work():
                with session("child") as handle:
                    handle.event("step")
                otel_sessions.start("chat", id="s0").end()
                otel_sessions.sweep()
                otel_sessions.shutdown()
                say(fine=True)
            for _ in range(25):
                fork(work)
            stop.set()
            for thread in threads:
                thread.join()
            os._exit(0)
        """)
        assert [{"fine": True}] * 25 == lines

    def test_inherited_handle(self) -> None:
        """A child leaves the blocks that it was forked in, though a thread of the parent was using their session."""
        lines = forked("""
            held, release = threading.Event(), threading.Event()
            def hold(live):
                with live.lock:
                    held.set()
                    release.wait()
            with otel_sessions.start("durable") as durable, session("scoped") as scoped:
                for handle in (durable, scoped):
                    held.clear()
                    threading.Thread(target=hold, args=(handle._live,)).start()
                    held.wait()
                child = os.fork()
                if child == 0:
                    signal.alarm(10)
                    current_session().event("step")
                    durable.event("step")
                else:
                    os.waitpid(child, 0)
                    release.set()
            if child == 0:
                say(child=True)
                os._exit(0)
            say(parent=durable.is_active)
            os._exit(0)
        """)
        assert [{"child": True}, {"parent": True}] == [line for line in lines if isinstance(line, dict)]

    def test_worker_processes(self) -> None:
        """Work that is sent to a pool of forked processes is a session there."""
        lines = forked("""
            import multiprocessing
            otel_sessions.start("parent")
            @session("work")
            def work(number):
                current_session().event("step")
                return number * 2
            with multiprocessing.get_context("fork").Pool(2) as pool:
                say(results=pool.map(work, range(4)))
            os._exit(0)
        """)
        assert [{"results": [0, 2, 4, 6]}] == [line for line in lines if isinstance(line, dict)]
        assert [[False, "work", "completed"]] * 4 == [line for line in lines if isinstance(line, list)]
