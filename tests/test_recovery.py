"""Processes that share a store finish what those leave that are gone."""

from __future__ import annotations

import contextlib
import contextvars
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler, SamplingResult
from opentelemetry.trace import NoOpTracerProvider

import otel_sessions
from otel_sessions import ConfigurationError, Session, _process, _runtime
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import ManualClock, record_sessions
from otel_sessions.typing import SharedStore

from . import interpreter, portrait
from .failing_store import EVERYTHING, FailingStore
from .shared_memory_store import SharedMemoryStore

SECOND = 1_000_000_000
TIMEOUT = 30


@pytest.fixture(name="store")
def _store() -> SharedMemoryStore:
    return SharedMemoryStore()


class Process:
    """One of several processes, for the length of a block; the one that was opened last is the current one."""

    def __init__(self, store: SharedStore, **settings: Any) -> None:
        self._open = record_sessions(**{"store": store, "crash_timeout": TIMEOUT, **settings})

    def __enter__(self) -> Process:
        self.recorded = self._open.__enter__()
        self._runtime = _runtime.current
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.__exit__(None, None, None)

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """What is done in this block is done here."""
        before = _runtime.swap(self._runtime)
        yield
        _runtime.swap(before)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass here, then do what the background thread of this process would have done."""
        with self.current():
            self.recorded.advance(seconds)

    @property
    def clock(self) -> ManualClock:
        return self.recorded.clock

    @property
    def session_spans(self) -> list[ReadableSpan]:
        return self.recorded.session_spans

    def events(self, name: str) -> list[dict[str, Any]]:
        return self.recorded.events(name)

    def metric(self, name: str, /, **attributes: Any) -> Any:
        return self.recorded.metric(name, **attributes)


@pytest.fixture(name="dead")
def _dead(store: SharedMemoryStore) -> Iterator[Process]:
    """A process that does nothing by itself any more: its heartbeat stands still."""
    with Process(store) as process:
        yield process


def begin(kind: str = "job") -> Session:
    """Begin a scoped session that its process does not come to ending."""
    # Not attached here: nobody leaves it.
    return contextvars.copy_context().run(otel_sessions.session(kind).__enter__)


def owner() -> str:
    """What the store calls the current process."""
    assert _runtime.current is not None
    name = _runtime.current.lifecycle.ledger.owner
    assert name is not None
    return name


def only(spans: list[ReadableSpan]) -> ReadableSpan:
    [span] = spans
    return span


class TestCrash:
    def test_scoped_session(self, store: SharedMemoryStore, dead: Process) -> None:
        """The session of a process that went silent ends as abandoned, with the ids that its children refer to."""
        handle = begin()
        context = handle.span_context
        with Process(store) as other:
            other.advance(0)
            other.advance(TIMEOUT - 1)
            assert [] == other.session_spans
            other.advance(6)
            span = only(other.session_spans)
        assert (context.trace_id, context.span_id) == (portrait.trace_id(span), portrait.span_id(span))
        assert portrait.scoped(handle, status="abandoned", reason="crashed") == portrait.attributes(span)
        assert trace.StatusCode.UNSET == span.status.status_code
        assert [] == dead.session_spans

    def test_is_as_it_was_known(self, store: SharedMemoryStore, dead: Process) -> None:
        """What the store had been told of it is in its span; it ends at the last sign of life."""
        handle = begin()
        dead.clock.advance(2)
        handle.event("step")
        dead.advance(5)
        last = dead.clock.time_ns()
        dead.clock.advance(3)
        with Process(store, clock=dead.clock) as other:
            otel_sessions.sweep()
            dead.clock.advance(TIMEOUT + 5)
            otel_sessions.sweep()
            span = only(other.session_spans)
            assert portrait.scoped(handle, status="abandoned", reason="crashed", events=1) == portrait.attributes(span)
            assert last == span.end_time
            record = otel_sessions.get(handle.id)
        assert record is not None
        assert ("abandoned", "crashed", last) == (record.status, record.end_reason, record.ended_ns)

    def test_child_of_a_request(self, store: SharedMemoryStore, dead: Process) -> None:
        """Its place in the trace remains."""
        with dead.recorded.tracer_provider.get_tracer("app").start_as_current_span("GET /") as request:
            handle = begin()
        with Process(store) as other:
            other.advance(0)
            other.advance(TIMEOUT)
            span = only(other.session_spans)
        assert request.get_span_context().span_id == portrait.parent_id(span)
        assert request.get_span_context().trace_id == portrait.trace_id(span) == handle.span_context.trace_id

    def test_what_the_sampler_said(self, store: SharedMemoryStore) -> None:
        """The sampler's attributes are on the span, as they would have been."""

        class Marking(Sampler):
            def should_sample(self, *args: object, **_: object) -> SamplingResult:
                from opentelemetry.sdk.trace.sampling import Decision

                del args
                return SamplingResult(Decision.RECORD_AND_SAMPLE, {"sampler.rule": "all"})

            def get_description(self) -> str:
                return "marking"

        with Process(store, sampler=Marking()):
            handle = begin()
            with Process(store) as other:
                other.advance(0)
                other.advance(TIMEOUT)
                span = only(other.session_spans)
            assert {
                **portrait.scoped(handle, status="abandoned", reason="crashed"),
                "sampler.rule": "all",
            } == portrait.attributes(span)

    def test_not_sampled(self, store: SharedMemoryStore) -> None:
        """A session whose trace is not sampled has no span afterwards either; its end is known all the same."""
        with Process(store, sampler=ALWAYS_OFF):
            handle = begin()
            with Process(store) as other:
                other.advance(0)
                other.advance(TIMEOUT)
                assert [] == other.session_spans
                [event] = other.events("session.end")
            assert ("abandoned", handle.id) == (event["app_session.status"], event["session.id"])

    def test_measured_once(self, store: SharedMemoryStore, dead: Process) -> None:
        """Whoever finishes a session measures it."""
        begin()
        with Process(store) as other:
            other.advance(0)
            other.advance(TIMEOUT)
            other.advance(TIMEOUT)
            assert 1 == other.metric("app_session.duration", app_session__status="abandoned")
            assert 0 == other.metric("app_session.starts")
        assert 1 == dead.metric("app_session.starts")

    def test_durable_goes_on(self, store: SharedMemoryStore, dead: Process) -> None:
        """A durable session belongs to no process: another one resumes it."""
        otel_sessions.start("chat", id="conv-42")
        with Process(store) as other:
            other.advance(0)
            other.advance(TIMEOUT)
            found = otel_sessions.resume("conv-42")
            assert found.is_active
        assert [] == dead.session_spans

    def test_said(self, store: SharedMemoryStore, dead: Process, caplog: pytest.LogCaptureFixture) -> None:
        """That a process has crashed is worth a warning."""
        begin()
        with Process(store) as other, caplog.at_level(logging.WARNING):
            other.advance(0)
            other.advance(TIMEOUT)
        expected = (
            "A process that shared the shared memory store has ended without finishing its sessions: "
            "1 were finished for it."
        )
        assert expected in caplog.messages
        assert [] == dead.session_spans


class TestOneOfAll:
    def test_once(self, store: SharedMemoryStore, dead: Process) -> None:
        """However many processes look, a session ends once."""
        handles = [begin() for _ in range(3)]
        with Process(store) as first, Process(store) as second:
            for seconds in (0, TIMEOUT, TIMEOUT):
                first.advance(seconds)
                second.advance(seconds)
            spans = [*first.session_spans, *second.session_spans]
        assert {handle.id for handle in handles} == {portrait.attributes(span)["session.id"] for span in spans}
        assert 3 == len(spans)
        assert [] == dead.session_spans

    def test_only_while_silent(self, store: SharedMemoryStore, dead: Process) -> None:
        """A process whose heartbeat goes on is left alone, however far its clock is off."""
        handle = begin()
        with Process(store) as other:
            for _ in range(5):
                dead.advance(TIMEOUT / 4)
                other.advance(TIMEOUT - 1)
            assert [] == other.session_spans
            assert handle.is_active

    def test_long_ago(self, store: SharedMemoryStore, dead: Process) -> None:
        """A heartbeat from long ago is not waited for: after a night's standstill all is finished at once."""
        begin()
        with Process(store) as other:
            other.clock.advance(3600)
            assert 1 == otel_sessions.recover()
            assert 1 == len(other.session_spans)
        assert [] == dead.session_spans

    @pytest.mark.parametrize("seconds", [TIMEOUT, 3_600])
    def test_store_was_out_of_reach(self, seconds: int) -> None:
        """After an outage of the store nobody counts as gone because of that, however long it was."""
        store = FailingStore(shared=True)
        with Process(store) as one:
            handle = begin()
            with Process(store) as other:
                other.advance(0)
                store.failing = EVERYTHING
                for process in (one, other):
                    for _ in range(2):
                        process.advance(seconds / 2)
                store.failing = ()
                # Whoever comes first sees only heartbeats from before.
                other.advance(6)
                one.advance(6)
                other.advance(TIMEOUT)
                assert [] == other.session_spans
            assert handle.is_active

    def test_gone_from_this_machine(self, store: SharedMemoryStore, dead: Process) -> None:
        """A process of this machine that does not exist is not waited for either."""
        leading = owner()
        store.beat(interpreter.run("from otel_sessions import _process; print(_process.mint())").stdout.strip(), 1)
        store.beat(alive := _process.mint(), dead.clock.time_ns())
        otel_sessions.sweep()
        assert {leading, alive} == set(store.owners())

    def test_has_one_name(self, store: SharedMemoryStore) -> None:
        """Whatever is done first, also looking after others: it leaves nobody behind when it ends."""
        for first in (otel_sessions.recover, otel_sessions.sweep, lambda: None):
            with Process(store):
                first()
                otel_sessions.start("chat").end()
                otel_sessions.sweep()
                assert {owner()} == store.owners().keys()
            assert {} == store.owners()

    def test_was_only_held_up(self, store: SharedMemoryStore, dead: Process) -> None:
        """A process that was suspended finds its session ended, and says nothing that contradicts it."""
        handle = begin()
        with Process(store) as other:
            other.advance(0)
            other.advance(TIMEOUT)
        handle.end()
        assert ([], []) == (dead.session_spans, dead.events("session.end"))
        assert 1 == len(other.session_spans)

    def test_not_itself(self, dead: Process) -> None:
        """A process does not take itself for dead, whatever its clock does."""
        handle = begin()
        dead.advance(10_000)
        assert handle.is_active
        assert 0 == otel_sessions.recover()
        handle.end()


class TestWithoutSdk:
    """A script or a shell beside a service: it cannot emit what the service has promised."""

    @staticmethod
    def process(store: SharedStore) -> Process:
        return Process(store, tracer_provider=NoOpTracerProvider())

    def test_leaves_it_to_those_who_can(self, store: SharedMemoryStore, dead: Process) -> None:
        """However old it is, it does not lead as long as there is one with an SDK."""
        with self.process(store) as script:
            otel_sessions.start("script").end()
            with dead.current():
                handle = begin()
            with Process(store) as other:
                otel_sessions.start("chat").end()
                for process in (script, other, script, other):
                    process.advance(TIMEOUT / 2)
                script.advance(TIMEOUT)
                assert [handle.id] == [record.id for record in store.active()]
                other.advance(TIMEOUT)
                assert ["job"] == [portrait.attributes(span)["app_session.type"] for span in other.session_spans[1:]]
        assert {} == store.owners()

    def test_finishes_and_keeps_what_it_owes(self, store: SharedMemoryStore, dead: Process) -> None:
        """Alone it ends what a crash has left; who comes after it emits that, and what was its own needs nobody."""
        handle = begin()
        conversation = otel_sessions.start("chat", id="a")
        with self.process(store) as script:
            otel_sessions.start("script").end()
            script.advance(0)
            script.advance(TIMEOUT)
            assert [("job", "abandoned")] == [
                (each.type, each.status) for each in store.ended(9) if each.id == handle.id
            ]
            otel_sessions.resume("a").end()
            script.advance(6)
        assert {handle.id, conversation.id} == set(store._owed)
        with Process(store) as other:
            other.advance(0)
            other.advance(TIMEOUT)
            assert {"chat", "job"} == {portrait.attributes(span)["app_session.type"] for span in other.session_spans}
            other.advance(6)
            assert {} == store._owed


class TestOutbox:
    def test_emitted_again(self, store: SharedMemoryStore, dead: Process) -> None:
        """What a process has ended, and may not have exported, is emitted again: the same span, counted once."""
        with otel_sessions.session("job"):
            pass
        otel_sessions.start("chat").end()
        with Process(store) as other:
            other.advance(0)
            other.advance(TIMEOUT)
            again = other.session_spans
            assert 0 == other.metric("app_session.duration")
            assert 2 == len(other.events("session.end"))
        assert sorted(map(whole, dead.session_spans)) == sorted(map(whole, again))

    def test_exported(self, store: SharedMemoryStore, dead: Process) -> None:
        """What has been exported is not emitted again."""
        with otel_sessions.session("job"):
            pass
        dead.advance(6)
        with Process(store) as other:
            other.advance(0)
            other.advance(TIMEOUT)
            assert [] == other.session_spans

    def test_exporter_fails(self, store: SharedMemoryStore) -> None:
        """As long as the SDK says that it could not export, it is owed."""

        class Stuck(SimpleSpanProcessor):
            def force_flush(self, timeout_millis: int = 30_000) -> bool:
                return bool(timeout_millis < 0)

        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(Stuck(InMemorySpanExporter()))
        with Process(store, tracer_provider=provider) as dead:
            with otel_sessions.session("job"):
                pass
            dead.advance(6)
        # It has ended in order, and could not export; so somebody else has to.
        with Process(store) as other:
            other.advance(0)
            other.advance(TIMEOUT)
            assert 1 == len(other.session_spans)

    def test_ends_while_others_are_exported(self, store: SharedMemoryStore) -> None:
        """However many end meanwhile, what is owed is what has not been exported, and not for ever."""

        class Busy(SimpleSpanProcessor):
            more = 7

            def force_flush(self, timeout_millis: int = 30_000) -> bool:
                more, self.more = self.more, 0
                for _ in range(more):
                    otel_sessions.start("chat").end()
                return True

        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(Busy(InMemorySpanExporter()))
        with Process(store, tracer_provider=provider) as process:
            assert _runtime.current is not None
            _runtime.current.lifecycle.ledger.unexported = deque(maxlen=9)
            for _ in range(5):
                otel_sessions.start("chat").end()
            process.advance(6)
            assert 7 == len(store._owed)
            process.advance(6)
            assert {} == store._owed

    def test_orderly_end(self, store: SharedMemoryStore) -> None:
        """A process that ends in order owes nothing, and is forgotten."""
        with Process(store):
            handle = begin()
            otel_sessions.start("chat", id="conv-42")
        assert {} == store.owners()
        record = store.get(handle.id)
        assert record is not None
        assert ("cancelled", "shutdown") == (record.status, record.end_reason)
        assert ["conv-42"] == [record.id for record in store.active()]

    def test_more_than_the_queue_holds(self, store: SharedMemoryStore, dead: Process) -> None:
        """Of what a process has left nothing is dropped because it is more than the SDK's queue takes."""
        for _ in range(500):
            otel_sessions.start("chat").end()
        exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        # The queue is not emptied by itself before it is full.
        provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=250, max_export_batch_size=250, schedule_delay_millis=60_000)
        )
        with Process(store, tracer_provider=provider) as other:
            other.clock.advance(3600)
            assert 500 == otel_sessions.recover()
        provider.shutdown()
        assert 500 == len({portrait.span_id(span) for span in exporter.get_finished_spans()})

    def test_end_during_export(self, store: SharedMemoryStore) -> None:
        """A process that ends while its background exports waits for that, and then owes nothing."""
        exporting, go_on = threading.Event(), threading.Event()

        class Slow(SimpleSpanProcessor):
            def force_flush(self, timeout_millis: int = 30_000) -> bool:
                exporting.set()
                return go_on.wait(20)

        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(Slow(InMemorySpanExporter()))
        with Process(store, tracer_provider=provider):
            otel_sessions.start("chat").end()
            assert _runtime.current is not None
            background = threading.Thread(target=_runtime.current.lifecycle.recovery.export)
            background.start()
            assert exporting.wait(20)
            threading.Timer(0.05, go_on.set).start()
        background.join()
        assert {} == store.owners()

    def test_end_during_recovery(self, store: SharedMemoryStore, dead: Process) -> None:
        """A process that ends while it finishes what another has left does not finish it all: that remains owed."""
        for _ in range(500):
            otel_sessions.start("chat").end()
        exporting, go_on = threading.Event(), threading.Event()

        class Slow(SimpleSpanProcessor):
            def force_flush(self, timeout_millis: int = 30_000) -> bool:
                exporting.set()
                return go_on.wait(20)

        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(Slow(InMemorySpanExporter()))
        with Process(store, tracer_provider=provider) as other:
            other.clock.advance(3600)
            heir = owner()
            recovery = threading.Thread(target=otel_sessions.recover)
            recovery.start()
            assert exporting.wait(20)
            threading.Timer(0.05, go_on.set).start()
        recovery.join()
        assert heir in store.owners()
        with Process(store) as third:
            third.clock.advance(7200)
            assert 300 == otel_sessions.recover()
            assert 300 == len(third.session_spans)


class TestFork:
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_child_is_another(self) -> None:
        """A forked child is a process of its own, and does not finish what is its parent's."""
        found = interpreter.answer("""
            import json, os, tempfile
            import otel_sessions
            from otel_sessions import _runtime
            otel_sessions.configure(store=f"sqlite:///{tempfile.mkdtemp()}/s.db", background=False, detect_user=False)
            handle = otel_sessions.session("job").__enter__()
            parent = _runtime.current.lifecycle.ledger.owner
            reader, writer = os.pipe()
            if os.fork() == 0:
                os.write(writer, json.dumps([_runtime.current.lifecycle.ledger.owner, handle.id]).encode())
                os._exit(0)
            os.wait()
            child, session_id = json.loads(os.read(reader, 1000))
            print(json.dumps([parent == child, session_id == handle.id, handle.is_active]))
        """)
        assert [False, True, True] == found

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_inherited_handle_counts_once(self) -> None:
        """What a handle has counted and not merged yet is the parent's to merge; the child adds what it counts."""
        found = interpreter.answer("""
            import json, os, tempfile
            import otel_sessions
            from otel_sessions.stores import from_url
            url = f"sqlite:///{tempfile.mkdtemp()}/s.db"
            otel_sessions.configure(store=url, background=False, detect_user=False)
            handle = otel_sessions.start("chat", id="a")
            for _ in range(3):
                handle.message()
            if os.fork() == 0:
                handle.message()
                otel_sessions.start("chat", id="a").message()
                otel_sessions.sweep()
                os._exit(0)
            os.wait()
            otel_sessions.sweep()
            print(json.dumps(from_url(url).get("a").totals.messages))
        """)
        assert {"user": 5} == found


class TestActive:
    def test_one_reports(self, store: SharedMemoryStore, dead: Process) -> None:
        """Of all processes one reports what the store holds: together their figures are right, also after a crash."""
        otel_sessions.start("chat")
        otel_sessions.sweep()
        with Process(store) as first, Process(store) as second:
            everybody = (dead, first, second)
            for process in everybody:
                process.advance(6)
            assert 1 == sum(process.metric("app_session.active") for process in everybody)
            survivors = (first, second)
            for seconds in (6, TIMEOUT, 6):
                for process in survivors:
                    process.advance(seconds)
            assert 1 == sum(process.metric("app_session.active") for process in survivors)

    def test_one_reports_of_users(self, store: SharedMemoryStore) -> None:
        """One says how many sessions the user has who has most, wherever they were started, and the others 0."""
        with Process(store) as first, Process(store) as second:
            for process in (first, second):
                process.advance(0)
                otel_sessions.start("chat", user="ada")
            otel_sessions.sweep()
            assert [0, 2] == sorted(process.metric("app_session.user.active") for process in (first, second))


class TestStoreOutOfReach:
    @pytest.mark.parametrize("verb", ["beat", "owners", "take_over", "exported"])
    def test_goes_on(self, verb: str, caplog: pytest.LogCaptureFixture) -> None:
        """A verb that fails costs nothing but time: it is done at the next round."""
        store = FailingStore(shared=True)
        with Process(store):
            handle = begin()
            with Process(store) as other:
                store.failing = {verb}
                other.advance(0)
                other.advance(TIMEOUT)
                store.failing = ()
                other.advance(TIMEOUT)
                other.advance(TIMEOUT)
                assert [handle.id] == [portrait.attributes(span)["session.id"] for span in other.session_spans]
        assert any(f"could not {verb} in the failing store" in text for text in caplog.messages)

    def test_abandon_fails(self) -> None:
        """A session of a dead process is finished later, if the store could not be told that it has ended."""
        store = FailingStore(shared=True)
        with Process(store):
            handle = begin()
            with Process(store) as other:
                other.advance(0)
                store.failing = {"close"}
                other.advance(TIMEOUT)
                assert ([], ["active"]) == (other.session_spans, [record.status for record in store.active()])
                store.failing = ()
                other.advance(6)
                assert [handle.id] == [portrait.attributes(span)["session.id"] for span in other.session_spans]
                assert [] == store.active()

    def test_abandon_fails_to_the_last(self) -> None:
        """If that remains so until the end of the process that took it over, the next one finishes it."""
        store = FailingStore(shared=True)
        with Process(store):
            handle = begin()
            with Process(store) as other:
                other.advance(0)
                store.failing = {"close"}
                other.advance(TIMEOUT)
            store.failing = ()
            with Process(store) as third:
                third.clock.advance(3600)
                assert 1 == otel_sessions.recover()
                assert [handle.id] == [portrait.attributes(span)["session.id"] for span in third.session_spans]

    def test_answer_lost(self) -> None:
        """What a store may have handed over is asked for again: nobody else knows that it was."""
        store = FailingStore(shared=True)
        with Process(store):
            handle = begin()
            with Process(store) as other:
                other.advance(0)
                store.silent = True
                other.advance(TIMEOUT)
                assert [] == other.session_spans
                store.silent = False
                other.advance(6)
                assert [handle.id] == [portrait.attributes(span)["session.id"] for span in other.session_spans]

    def test_close_fails(self) -> None:
        """A scoped session whose end the store could not be told of does not stay active there."""
        store = FailingStore(shared=True)
        with Process(store) as recorded:
            handle = begin()
            store.failing = {"close"}
            handle.end()
            assert ["active"] == [record.status for record in store.active()]
            store.failing = ()
            recorded.advance(1)
            assert [] == store.active()
            assert 1 == len(recorded.session_spans)

    def test_create_fails(self) -> None:
        """One that the store did not hear of when it began is there at its next chance."""
        store = FailingStore(shared=True)
        with Process(store) as recorded:
            store.failing = {"create"}
            handle = begin()
            store.failing = ()
            recorded.advance(1)
            assert [handle.id] == [record.id for record in store.active()]
            handle.end()
            assert [] == store.active()
            assert 1 == len(recorded.session_spans)

    @pytest.mark.parametrize("topology", ["scoped", "durable"])
    def test_outage(self, topology: str) -> None:
        """What begins and ends while the store is away is said at once, and in the history when the store is back."""
        store = FailingStore(shared=True)
        with Process(store) as recorded:
            store.failing = EVERYTHING
            handle = begin() if topology == "scoped" else otel_sessions.start("chat", id="a")
            handle.event("step")
            assert handle.end("error")
            for _ in range(2):
                recorded.advance(6)
            assert (1, 0) == (len(recorded.session_spans), recorded.metric("app_session.dropped"))
            store.failing = ()
            for _ in range(2):
                recorded.advance(6)
            assert [(handle.id, "error", 1)] == [(each.id, each.status, each.totals.events) for each in store.ended(9)]
            assert 1 == len(recorded.session_spans) == len(recorded.events("session.end"))
            assert ({}, []) == (store._together._owed, store.active())
        assert {} == store.owners()

    def test_outage_that_began_with_a_lost_answer(self) -> None:
        """The store knew of it: its end is told, and nobody takes the session for one that goes on."""
        store = FailingStore(shared=True)
        with Process(store) as recorded:
            store.lost = {"create"}
            handle = begin()
            store.lost, store.failing = (), EVERYTHING
            handle.end("error")
            store.failing = ()
            for _ in range(2):
                recorded.advance(6)
            assert [(handle.id, "error")] == [(each.id, each.status) for each in store.ended(9)]
            assert (1, []) == (len(recorded.session_spans), store.active())
        assert {} == store.owners()

    def test_outage_without_end(self, caplog: pytest.LogCaptureFixture) -> None:
        """If the store is not back when the process ends, it never hears of it: that is counted as dropped."""
        store = FailingStore(shared=True)
        with Process(store) as recorded:
            store.failing = EVERYTHING
            begin().end()
            otel_sessions.shutdown()
            assert 1 == recorded.metric("app_session.dropped", app_session__drop__reason="store_unavailable")
            assert 1 == len(recorded.session_spans)

    def test_alone_in_an_outage(self) -> None:
        """A store that is of one process only is told of it in the same way."""
        store = FailingStore()
        with record_sessions(store=store) as recorded:
            store.failing = EVERYTHING
            otel_sessions.start("chat", id="a").end()
            store.failing = ()
            recorded.advance(1)
            assert (["a"], []) == ([each.id for each in store.ended(9)], store.active())
            assert 1 == len(recorded.session_spans)


class TestProtocol:
    def test_lacking_verbs(self) -> None:
        """A store that claims to be shared and cannot be is refused, with what it lacks."""

        class Claims(MemoryStore):
            shared = True

        with pytest.raises(ConfigurationError, match=r"lacks .*beat.* of SharedStore"):
            otel_sessions.configure(store=Claims())


def whole(span: ReadableSpan) -> str:
    """All that a span says."""
    return json.dumps(
        [
            span.name,
            portrait.trace_id(span),
            portrait.span_id(span),
            span.start_time,
            span.end_time,
            portrait.attributes(span),
        ]
    )
