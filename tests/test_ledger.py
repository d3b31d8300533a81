"""The books of one process: what it owes the store, and what happens when the store does not take it."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_sessions
from otel_sessions import Session, _runtime, reports
from otel_sessions._live import Live
from otel_sessions.security.pseudonyms import Pseudonyms
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import RecordedSessions, record_sessions
from otel_sessions.typing import Beginning, Totals

from . import portrait
from .failing_store import EVERYTHING, FailingStore


@pytest.fixture(name="store")
def _store() -> FailingStore:
    return FailingStore()


@pytest.fixture(name="recorded")
def _recorded(store: FailingStore) -> Iterator[RecordedSessions]:
    with record_sessions(store=store) as recorded:
        yield recorded


def in_thread(work: Any) -> None:
    """Let another thread do `work`, as another request would: for as long as it can without waiting for this one."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(0.2)


def only(spans: list[ReadableSpan]) -> dict[str, Any]:
    """The attributes of the one span there is."""
    [span] = spans
    return portrait.attributes(span)


def lives(session_type: str) -> int:
    """How many sessions of a type this process holds something of, beside the store."""
    gc.collect()
    return sum(isinstance(one, Live) and one.beginning.type == session_type for one in gc.get_objects())


def events_of(totals: Totals | None) -> int:
    return -1 if totals is None else totals.events


class TestMerge:
    def test_in_the_background(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """What happens in a session waits for no store: it is merged by the next sweep, all of it in one batch."""
        handles = [otel_sessions.start("chat", id=name) for name in "ab"]
        store.calls.clear()
        for handle in handles:
            for _ in range(3):
                handle.event("step")
        assert [] == store.calls
        otel_sessions.sweep()
        otel_sessions.sweep()
        assert 1 == store.calls.count("merge")
        found = [store.get(handle.id) for handle in handles]
        assert [3, 3] == [record.totals.events for record in found if record is not None]

    def test_visible_before(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """What is not merged yet is seen at once, by the handle, by id and in the list."""
        handle = otel_sessions.start("chat", id="a")
        handle.event("step")
        with handle.turn() as turn:
            turn.tokens(input=5)
        before = handle.snapshot()
        after = otel_sessions.get("a")
        [listed] = otel_sessions.active()
        assert before is not None
        assert before == after == listed
        assert (1, 1, {"input": 5}, {"user": 1, "assistant": 1}) == (
            before.totals.events,
            before.totals.turns,
            before.totals.tokens,
            before.totals.messages,
        )

    def test_scoped_stays_here(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A scoped session is seen too, and remembered, though a store in this process does not know it."""
        with otel_sessions.session("job") as handle:
            handle.event("step")
            otel_sessions.sweep()
            found = [handle.snapshot(), otel_sessions.get(handle.id), *otel_sessions.active()]
            assert [1, 1, 1] == [record.totals.events for record in found if record is not None]
        assert [] == otel_sessions.active()
        ended = otel_sessions.get(handle.id)
        assert ended is not None
        assert ended == handle.snapshot()
        assert (1, "success") == (ended.totals.events, ended.status)
        assert {"create", "merge", "close"}.isdisjoint(store.calls)

    def test_topologies_apart(self) -> None:
        """Scoped sessions, of which there may be many a second, do not push durable ones out of the history."""
        with record_sessions(history=2):
            otel_sessions.start("chat", id="a").end()
            names = []
            for _ in range(100):
                with otel_sessions.session("job") as handle:
                    names.append(handle.id)
            known = [name for name in ("a", *names) if otel_sessions.get(name) is not None]
            assert ["a", *names[-2:]] == known

    def test_scoped_in_shared_store(self) -> None:
        """A store that others see is told of a scoped session's counts on the way."""
        store = FailingStore(shared=True)
        with record_sessions(store=store), otel_sessions.session("job") as handle:
            handle.event("step")
            otel_sessions.sweep()
            record = store.get(handle.id)
            assert record is not None
            assert 1 == record.totals.events

    def test_ends_while_it_begins(self) -> None:
        """A session that the end of its process overtakes is ended in the store, too: nobody finds it there later."""
        store = FailingStore(shared=True)
        with record_sessions(store=store) as recorded:
            otel_sessions.start("chat").end()
            begins, stored = threading.Event(), threading.Event()

            def hold() -> None:
                begins.set()
                stored.wait(10)

            store.before["create"] = hold
            beginning = threading.Thread(target=otel_sessions.session("job").__enter__)
            beginning.start()
            assert begins.wait(10)
            ending = threading.Thread(target=otel_sessions.shutdown)
            ending.start()
            ending.join(0.2)
            stored.set()
            beginning.join()
            ending.join()
            [span] = [span for span in recorded.session_spans if span.name == "session job"]
            assert "shutdown" == portrait.attributes(span)["app_session.end_reason"]
            assert [] == store.active()

    def test_pending_is_counted(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """How many sessions have something unmerged is a metric."""
        handles = [otel_sessions.start("chat") for _ in range(3)]
        for handle in handles:
            handle.event("step")
        assert 3 == recorded.metric("app_session.store.pending", app_session__store__name="failing")
        otel_sessions.sweep()
        assert 0 == recorded.metric("app_session.store.pending")

    def test_events_while_merging(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """What happens while a merge is under way is in the next one."""
        handle = otel_sessions.start("chat")
        handle.event("before")
        store.before["merge"] = lambda: in_thread(lambda: handle.event("meanwhile"))
        otel_sessions.sweep()
        record = store.get(handle.id)
        assert record is not None
        assert 1 == record.totals.events
        otel_sessions.sweep()
        handle.end()
        assert 2 == only(recorded.session_spans)["app_session.event.count"]

    def test_snapshot_while_merging(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """Counts never go back: a look while a merge is under way shows all of them."""
        handle = otel_sessions.start("chat")
        handle.event("step")
        seen: list[int] = []

        def look() -> None:
            record = handle.snapshot()
            seen.append(-1 if record is None else record.totals.events)

        looker = threading.Thread(target=look)

        def begin_looking() -> None:
            looker.start()
            looker.join(0.2)

        store.before["merge"] = begin_looking
        otel_sessions.sweep()
        looker.join()
        assert [1] == seen

    def test_begins_while_the_store_hangs(self) -> None:
        """Who looks at a session waits for a store that hangs, and keeps nobody waiting who begins another one."""
        store = FailingStore(shared=True)
        with record_sessions(store=store), otel_sessions.session("job") as handle:
            asked, goes_on = threading.Event(), threading.Event()
            seen: list[reports.Timeline | None] = []

            def hang() -> None:
                asked.set()
                assert goes_on.wait(10)

            store.before["get"] = hang
            looker = threading.Thread(target=lambda: seen.append(reports.timeline(handle.id)))
            looker.start()
            assert asked.wait(10)
            beginner = threading.Thread(target=lambda: otel_sessions.start("chat"))
            beginner.start()
            beginner.join(10)
            is_waiting = beginner.is_alive()
            goes_on.set()
            looker.join()
            beginner.join()
            assert not is_waiting
            [found] = seen
            assert found is not None
            assert handle.id == found.record.id

    @pytest.mark.parametrize("times", [1, 9])
    def test_look_while_others_merge(self, times: int) -> None:
        """Counts never go back: what is merged while the store is asked is not missing, however often that is."""
        store = FailingStore(shared=True)
        with record_sessions(store=store), otel_sessions.session("job") as handle:
            left = times

            def merge() -> None:
                nonlocal left
                if left:
                    left -= 1
                    store.after["get"] = merge
                    handle.event("step")
                    in_thread(otel_sessions.sweep)

            store.after["get"] = merge
            found = reports.timeline(handle.id)
            assert found is not None
            assert times - left == found.record.totals.events

    def test_end_while_merging(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A session that ends while its counts are on the way ends with them."""
        handle = otel_sessions.start("chat")
        handle.event("step")
        ender = threading.Thread(target=handle.end)

        def begin_ending() -> None:
            ender.start()
            ender.join(0.2)

        store.before["merge"] = begin_ending
        otel_sessions.sweep()
        ender.join()
        assert (1, "success") == (
            only(recorded.session_spans)["app_session.event.count"],
            only(recorded.session_spans)["app_session.status"],
        )
        assert ("success", "completed") == (handle.status, handle.end_reason)
        assert 0 == recorded.metric("app_session.dropped")

    def test_ended_elsewhere(self, caplog: pytest.LogCaptureFixture) -> None:
        """When a session turns out to have ended elsewhere it has ended here too; what was lost of it is counted."""
        store = FailingStore(shared=True)
        with record_sessions(store=store) as recorded:
            handle = otel_sessions.start("chat", id="a")
            store.close(handle.id, status="success", reason="completed", ended_ns=recorded.clock.time_ns())
            handle.event("too.late")
            otel_sessions.sweep()
            assert not handle.is_active
            assert 1 == recorded.metric("app_session.dropped", app_session__drop__reason="session_ended")
            assert handle.id != otel_sessions.start("chat", id="a").id

    def test_nothing_to_lose(self) -> None:
        """A request that is left after its session has ended elsewhere has nothing that would be lost."""
        store = FailingStore(shared=True)
        with record_sessions(store=store) as recorded:
            handle = otel_sessions.start("chat", id="a")
            with handle:
                recorded.advance(1)
                store.close(handle.id, status="success", reason="completed", ended_ns=recorded.clock.time_ns())
                recorded.clock.advance(1)
            recorded.advance(1)
            assert not handle.is_active
            assert 0 == recorded.metric("app_session.dropped")


class TestManyHandles:
    """One session, several handles: taken at different times, by different requests."""

    @pytest.mark.parametrize("pause", [0, 300])
    def test_nothing_lost(self, pause: int, recorded: RecordedSessions) -> None:
        """What happens through each of them counts, however long the first was not used."""
        first = otel_sessions.start("chat", id="a")
        for _ in range(5):
            recorded.advance(pause / 5)
        second = otel_sessions.resume("a")
        first.event("one")
        second.event("two")
        otel_sessions.sweep()
        first.event("three")
        second.end()
        assert 3 == only(recorded.session_spans)["app_session.event.count"]
        assert ("success", False) == (first.status, first.end())

    def test_first_seen_by_many(self, recorded: RecordedSessions) -> None:
        """Threads that come across a session of the store at the same moment work with the same one."""
        interval = sys.getswitchinterval()
        for _ in range(5):
            name = otel_sessions.start("chat", idle_timeout=1_000).id
            for _ in range(4):
                recorded.advance(61)
            barrier = threading.Barrier(20)

            def come(name: str = name, meet: threading.Barrier = barrier) -> None:
                meet.wait()
                with otel_sessions.resume(name) as handle:
                    handle.event("step")

            threads = [threading.Thread(target=come) for _ in range(20)]
            sys.setswitchinterval(1e-6)
            try:
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            finally:
                sys.setswitchinterval(interval)
            otel_sessions.end(name)
            assert 20 == only(recorded.session_spans)["app_session.event.count"]
            recorded.clear()

    def test_gathered(self, recorded: RecordedSessions) -> None:
        """The process keeps no session that nobody uses: what nobody holds is gone after two minutes."""
        for _ in range(100):
            otel_sessions.start("gathered", idle_timeout=10_000)
        assert 100 == lives("gathered")
        for _ in range(4):
            recorded.advance(61)
        assert 0 == lives("gathered")
        assert 100 == len(otel_sessions.active())

    @pytest.mark.parametrize("jump", [-86_400, 86_400 * 365])
    def test_gathered_after_a_jump(self, jump: int, recorded: RecordedSessions) -> None:
        """Also after the wall clock was set back, or forward."""
        otel_sessions.sweep()
        recorded.clock.jump(jump)
        for _ in range(100):
            otel_sessions.start(f"after{abs(jump)}", idle_timeout=10_000)
        for _ in range(4):
            recorded.advance(61)
        assert 0 == lives(f"after{abs(jump)}")


class TestStoreFails:
    """The store is down: the application goes on, and as much as possible is made up for afterwards."""

    def test_application_goes_on(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """With every verb failing nothing raises, and nothing counts as dropped: the store may come back."""
        before = otel_sessions.start("chat", id="before")
        store.failing = EVERYTHING
        with otel_sessions.session("job") as scoped:
            scoped.event("step")
        with otel_sessions.start("chat", id="a", user="ann") as durable:
            durable.event("step")
            durable.snapshot()
            durable.rotate()
        before.event("step")
        assert otel_sessions.get("a") is None
        assert [] == otel_sessions.active()
        otel_sessions.sweep()
        with pytest.raises(otel_sessions.SessionNotFoundError):
            otel_sessions.resume("unknown")
        assert otel_sessions.end("unknown") is False
        recorded.metrics()
        assert 0 == recorded.metric("app_session.dropped")

    def test_logged_at_a_limited_rate(
        self, store: FailingStore, recorded: RecordedSessions, caplog: pytest.LogCaptureFixture
    ) -> None:
        """That a store is out of reach is one warning, whatever fails and how often; it says what and why."""
        handle = otel_sessions.start("chat")
        store.failing = {"merge", "due"}
        for _ in range(20):
            handle.event("step")
            recorded.advance(1)
        (said,) = caplog.messages
        assert said == (
            "otel-sessions could not merge in the failing store: merge: the line is cut. Sessions go on with what this "
            "process knows of them, and what it counts is merged later."
        )

    def test_key_of_the_pseudonyms(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A process that could not ask for the key has one of its own for now, and then that of all the others."""
        store.failing = {"secret"}
        pseudonyms = [_runtime.get().lifecycle.pseudonyms.user("ann")]
        recorded.advance(1)
        pseudonyms.append(_runtime.get().lifecycle.pseudonyms.user("ann"))
        assert pseudonyms[0] == pseudonyms[1]
        store.failing = set()
        recorded.advance(1)
        assert Pseudonyms(store.secret()).user("ann") == _runtime.get().lifecycle.pseudonyms.user("ann")

    def test_merged_afterwards(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """Counts that could not be merged are kept, and merged when the store is back."""
        handle = otel_sessions.start("chat", id="a")
        store.failing = {"merge"}
        for _ in range(3):
            handle.event("step")
            recorded.advance(1)
        assert 3 == events_of(snapshot.totals if (snapshot := handle.snapshot()) else None)
        assert 1 == recorded.metric("app_session.store.pending")
        store.failing = ()
        handle.event("step")
        otel_sessions.sweep()
        record = store.get("a")
        assert record is not None
        assert (4, recorded.clock.time_ns()) == (record.totals.events, record.totals.last_activity_ns)
        assert 0 == recorded.metric("app_session.store.pending")

    def test_latest_value_stays(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """What was set while a merge was failing is not undone by what that merge held."""
        handle = otel_sessions.start("chat")
        handle.set_attributes(step="old", old=1)

        def change() -> None:
            handle.set_attributes(step="new")
            store.failing = {"merge"}

        store.before["merge"] = change
        otel_sessions.sweep()
        store.failing = ()
        handle.end()
        found = only(recorded.session_spans)
        assert ("new", 1) == (found["step"], found["old"])

    def test_newest_events_stay(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """Of more events than can be kept while the store is down the newest reach the span, in order."""
        handle = otel_sessions.start("chat")
        store.failing = {"merge"}
        for number in range(150):
            handle.event("step", number=number)
            recorded.clock.advance(0.001)
            if number % 10 == 0:
                otel_sessions.sweep()
        store.failing = ()
        otel_sessions.sweep()
        handle.end()
        [span] = recorded.session_spans
        assert list(range(22, 150)) == [dict(event.attributes or {})["number"] for event in span.events]
        found = portrait.attributes(span)
        assert (150, 22) == (found["app_session.event.count"], found["app_session.event.dropped.count"])

    def test_start(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A session that starts while the store is down is a whole session: it has a start, an end and its span."""
        store.failing = EVERYTHING
        handle = otel_sessions.start("chat", id="a")
        handle.event("step")
        recorded.advance(1)
        assert handle.id == otel_sessions.start("chat", id="a").id
        store.failing = ()
        recorded.advance(1)
        assert handle.is_active
        assert handle.end()
        assert portrait.durable(handle, events=1) == only(recorded.session_spans)
        assert [handle.id] == [event["session.id"] for event in recorded.events("session.start")]
        assert [handle.id] == [event["session.id"] for event in recorded.events("session.end")]

    def test_start_and_end(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """One that starts and ends while the store is down too."""
        store.failing = EVERYTHING
        handle = otel_sessions.start("chat", id="a")
        handle.event("step")
        handle.end()
        store.failing = ()
        recorded.advance(1)
        assert portrait.durable(handle, events=1) == only(recorded.session_spans)

    @pytest.mark.parametrize("status", ["success", "error"])
    def test_end(self, status: Any, store: FailingStore, recorded: RecordedSessions) -> None:
        """A session that ends while the store is down has ended as it was told to, with its counts, once."""
        handle = otel_sessions.start("chat", id="a")
        handle.event("step")
        store.failing = {"close"}
        handle.end(status)
        recorded.advance(1)
        store.failing = ()
        recorded.advance(1)
        recorded.advance(100_000)
        found = only(recorded.session_spans)
        assert (status, 1) == (found["app_session.status"], found["app_session.event.count"])
        assert status == handle.status
        assert 1 == len(recorded.events("session.end"))
        assert [] == otel_sessions.active()

    def test_start_after_end(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """Whoever starts under the same id after such an end gets a session that goes on."""
        handle = otel_sessions.start("chat", id="a")
        store.failing = {"close"}
        handle.end()
        store.failing = ()
        successor = otel_sessions.start("chat", id="a")
        assert (True, "a") == (successor.is_active, successor.previous_id)
        recorded.advance(1)
        assert successor.end()
        assert [portrait.durable(handle), {**portrait.durable(successor), "session.previous_id": "a"}] == [
            portrait.attributes(span) for span in recorded.session_spans
        ]

    def test_one_of_many(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A session that the store never takes does not keep the others from being merged."""
        store.refused = {"poison"}
        otel_sessions.start("chat", id="poison").event("step")
        other = otel_sessions.start("chat", id="a")
        other.event("step")
        recorded.advance(1)
        record = store.get("a")
        assert record is not None
        assert 1 == record.totals.events

    def test_asked_once_a_round(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """However many wait to be stored: a store that does not take one is not asked for the next."""
        store.failing = EVERYTHING
        for _ in range(5):
            otel_sessions.start("chat")
        store.calls.clear()
        recorded.advance(1)
        assert 1 == store.calls.count("create")
        store.failing = ()
        recorded.advance(1)
        assert 6 == store.calls.count("create")
        assert 5 == len(store.active())

    def test_refused(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A session that the store never takes does not keep those from being stored that wait with it."""
        store.failing = EVERYTHING
        for name in ("poison", "a", "b"):
            otel_sessions.start("chat", id=name)
        store.failing, store.refused = (), {"poison"}
        recorded.advance(1)
        recorded.advance(1)
        assert {"a", "b"} == {record.id for record in store.active()}

    def test_known_elsewhere(self) -> None:
        """Who came to a process that could not ask for its session goes on in that one, once it can be asked for.

        Nothing that was counted meanwhile is lost: it is on the span of a session of its own.
        """
        store = FailingStore(shared=True)
        with record_sessions(store=store) as recorded:
            began = Beginning("elsewhere", "web", "durable", recorded.clock.time_ns(), "id:client")
            store.create(began)
            store.failing = EVERYTHING
            handle = otel_sessions.start("web", id="client")
            handle.event("page.view")
            otel_sessions.sweep()
            store.failing = ()
            with handle:
                otel_sessions.sweep()
                assert "elsewhere" == handle.id
                handle.event("page.view")
            otel_sessions.sweep()
            assert 0 == recorded.metric("app_session.store.pending", app_session__store__name="failing")
            assert [("rotated", 1)] == [
                (found["app_session.end_reason"], found["app_session.event.count"])
                for found in map(portrait.attributes, recorded.session_spans)
            ]
            assert [("elsewhere", 1)] == [(record.id, record.totals.events) for record in store.active()]

    def test_newcomer_waits_for_one(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """While many are stored late, a session that begins is stored in between."""
        store.failing = EVERYTHING
        for _ in range(500):
            otel_sessions.start("chat")
        store.failing = ()
        reached = threading.Event()
        store.before["create"] = reached.set

        def begin() -> None:
            reached.wait(10)
            otel_sessions.start("newcomer")

        newcomer = threading.Thread(target=begin)
        newcomer.start()
        recorded.advance(1)
        newcomer.join()
        assert isinstance(store._inner, MemoryStore)
        types = [record.type for record in map(store.get, store._inner._active) if record is not None]
        assert types.index("newcomer") < 400

    def test_process_ends_without_store(self) -> None:
        """What the store never heard of ends with the process, as far as it is known here."""
        store = FailingStore()
        with record_sessions(store=store) as recorded:
            store.failing = EVERYTHING
            handle = otel_sessions.start("chat", id="a")
            handle.event("step")
            otel_sessions.shutdown()
            assert portrait.durable(handle, status="cancelled", reason="shutdown", events=1) == only(
                recorded.session_spans
            )

    def test_scoped(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A scoped session needs no store for its span."""
        store.failing = EVERYTHING
        with otel_sessions.session("job") as handle:
            handle.event("step")
        assert portrait.scoped(handle, events=1) == only(recorded.session_spans)

    def test_expiry(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """What could not be expired is expired when the store is back, at the time at which it was last used."""
        handle = otel_sessions.start("chat", idle_timeout=10)
        used = recorded.clock.time_ns()
        store.failing = {"close"}
        for _ in range(3):
            recorded.advance(10)
        assert [] == recorded.session_spans
        store.failing = ()
        for _ in range(3):
            recorded.advance(1)
        [span] = recorded.session_spans
        assert ("expired", used) == (portrait.attributes(span)["app_session.status"], span.end_time)
        assert handle.status == "expired"

    @pytest.mark.parametrize(
        ("timeouts", "reason", "lasted"),
        [({"idle_timeout": 10}, "idle_timeout", 5), ({"idle_timeout": 100, "max_duration": 10}, "max_duration", 10)],
    )
    def test_expires_unknown(
        self, timeouts: Any, reason: str, lasted: int, store: FailingStore, recorded: RecordedSessions
    ) -> None:
        """A session that the store never heard of expires too, as any other does."""
        began = recorded.clock.time_ns()
        store.failing = EVERYTHING
        handle = otel_sessions.start("chat", **timeouts)
        recorded.advance(5)
        handle.event("step")
        for _ in range(15):
            recorded.advance(1)
        [span] = recorded.session_spans
        assert portrait.durable(handle, status="expired", reason=reason, events=1) == portrait.attributes(span)
        assert began + lasted * 10**9 == span.end_time

    def test_too_old(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """What happened before the maximum duration is not lost by a first attempt to end it that failed."""
        handle = otel_sessions.start("chat", max_duration=10)
        began = recorded.clock.time_ns()
        store.failing = {"close", "merge"}
        handle.event("step")
        recorded.advance(10)
        store.failing = ()
        recorded.advance(2)
        [span] = recorded.session_spans
        assert portrait.durable(handle, status="expired", reason="max_duration", events=1) == portrait.attributes(span)
        assert began + 10 * 10**9 == span.end_time

    def test_told_at_the_end(self) -> None:
        """An end that the store could not be told of to the last is told as far as it is known."""
        store = FailingStore()
        with record_sessions(store=store) as recorded:
            handle = otel_sessions.start("chat")
            handle.event("step")
            store.failing = EVERYTHING
            handle.end()
            otel_sessions.shutdown()
            assert portrait.durable(handle, events=1) == only(recorded.session_spans)

    @pytest.mark.parametrize("verb", ["create", "close"])
    def test_bounded(self, verb: str) -> None:
        """What a store that stays away for long is owed does not fill the memory; what is dropped is counted."""
        store = FailingStore()
        with record_sessions(store=store, events="span", sampler=ALWAYS_OFF) as recorded:
            store.failing = {verb}
            for _ in range(10_002):
                otel_sessions.start("chat").end() if verb == "close" else otel_sessions.start("chat")
            assert 2 == recorded.metric("app_session.dropped", app_session__drop__reason="store_unavailable")

    def test_still_in_use(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A session that could not be looked up goes on under its id where it is known."""
        handle = otel_sessions.start("chat", id="a")
        store.failing = EVERYTHING
        assert handle.id == otel_sessions.resume("a").id

    def test_failures_are_timed(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """Store operations are measured, those that fail apart from the others."""
        handle = otel_sessions.start("chat")
        handle.event("step")
        otel_sessions.sweep()
        store.failing = {"merge"}
        handle.event("step")
        otel_sessions.sweep()
        points = recorded.metrics()["app_session.store.operation.duration"]
        counted = {tuple(sorted(dict(key).items())): value[0] for key, value in points.items()}
        base = (("app_session.store.name", "failing"), ("app_session.store.operation.name", "merge"))
        assert (1, 1) == (counted[base], counted[(*base, ("error.type", "_OTHER"))])

    def test_process_ends(self, caplog: pytest.LogCaptureFixture) -> None:
        """A store that fails at the end does not keep the process from ending."""
        store = FailingStore()
        with record_sessions(store=store):
            otel_sessions.start("chat")
            store.failing = {*EVERYTHING, "shutdown"}
            otel_sessions.shutdown()
        assert "close the store" in caplog.text

    def test_what_a_user_of_a_dead_handle_sees(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A handle answers from what it knows."""
        handle: Session = otel_sessions.start("chat", id="a", tier="pro", platform="web")
        store.failing = EVERYTHING
        snapshot = handle.snapshot()
        assert ("a", "chat", "pro", "web", "active", True) == (
            handle.id,
            handle.type,
            handle.tier,
            handle.platform,
            handle.status,
            handle.is_active,
        )
        assert snapshot is not None
        assert ("a", True, 0) == (snapshot.id, snapshot.is_active, snapshot.totals.events)
