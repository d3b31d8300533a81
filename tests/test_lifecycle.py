"""The life of durable sessions: how they expire, what keeps them alive, who ends them, and what that costs."""

from __future__ import annotations

import functools
import gc
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor

import otel_sessions
from otel_sessions import Session, SessionNotFoundError, session
from otel_sessions._live import Live
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import RecordedSessions, record_sessions
from otel_sessions.typing import Beginning, EndReason, Status, Totals

from . import interpreter, portrait
from .failing_store import FailingStore

SECOND = 1_000_000_000
STATUSES: tuple[Status, ...] = ("success", "error", "cancelled")


@pytest.fixture(name="restless")
def _restless() -> Iterator[None]:
    """Threads take turns every few instructions, so that a race shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def endings(recorded: RecordedSessions) -> list[tuple[str, float]]:
    """End reason and duration of each session's span, in the order in which they ended."""
    return [
        (portrait.attributes(span)["app_session.end_reason"], ((span.end_time or 0) - (span.start_time or 0)) / SECOND)
        for span in recorded.session_spans
    ]


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(number)` returned in each of `count` threads that began at the same moment."""
    barrier = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(number: int) -> None:
        barrier.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def end_one_of(handles: list[Session], number: int) -> bool:
    """End one of the handles, each thread in its own way."""
    return handles[number % len(handles)].end(STATUSES[number % 3])


def end_or_sweep(handle: Session, number: int) -> bool | None:
    """End the session, or let it expire."""
    if number % 2:
        return handle.end()
    otel_sessions.sweep()
    return None


def note(handles: list[Session], number: int) -> None:
    """Record an event through one of the handles."""
    handles[number].event("step")


class TestExpiry:
    @pytest.mark.parametrize(
        ("idle", "longest", "uses", "expected"),
        [
            pytest.param(10, None, [], ("idle_timeout", 0), id="never used"),
            pytest.param(10, None, [5, 9], ("idle_timeout", 14), id="idle after use"),
            pytest.param(None, 20, [5, 5, 5], ("max_duration", 20), id="too old though used"),
            pytest.param(10, 20, [9, 9], ("max_duration", 20), id="old before idle"),
            pytest.param(10, 20, [9], ("idle_timeout", 9), id="idle before old"),
            pytest.param(10, 10, [], ("max_duration", 10), id="both at once"),
            pytest.param(10, 15, [5], ("max_duration", 15), id="both at once after use"),
            pytest.param(0.5, None, [0.25, 0.25], ("idle_timeout", 0.5), id="parts of a second"),
        ],
    )
    @pytest.mark.parametrize("pause", [0.25, 1, 1000])
    def test_which_wins(
        self,
        idle: float | None,
        longest: float | None,
        uses: list[float],
        expected: tuple[EndReason, float],
        pause: float,
    ) -> None:
        """What comes first wins. Idle: the end is the last activity; too old: the limit. However late one looks."""
        with record_sessions(idle_timeout=idle, max_duration=longest) as recorded:
            handle = otel_sessions.start("chat")
            for seconds in uses:
                recorded.advance(seconds)
                handle.event("used")
            for _ in range(200):
                recorded.advance(pause)
                if recorded.session_spans:
                    break
            assert [expected] == endings(recorded)
            assert ("expired", expected[0]) == (handle.status, handle.end_reason)
            assert portrait.durable(
                handle, status="expired", reason=expected[0], events=len(uses)
            ) == portrait.attributes(recorded.session_spans[0])

    @pytest.mark.parametrize(
        ("setting", "reason"), [("idle_timeout", "idle_timeout"), ("max_duration", "max_duration")]
    )
    def test_not_a_moment_early(self, setting: str, reason: str) -> None:
        """A session lives until its time is over, and is gone at most a second afterwards."""
        settings: dict[str, Any] = {"idle_timeout": None, "max_duration": None, setting: 10}
        with record_sessions(**settings) as recorded:
            handle = otel_sessions.start("chat")
            recorded.advance(10 - 1e-9)
            assert handle.is_active
            recorded.advance(1 + 1e-9)
            assert reason == handle.end_reason

    def test_never(self) -> None:
        """Without timeouts a session lives on."""
        with record_sessions(idle_timeout=None, max_duration=None) as recorded:
            handle = otel_sessions.start("chat")
            recorded.advance(10 * 365 * 86_400)
            assert handle.is_active

    def test_each_its_own(self, recorded_sessions: RecordedSessions) -> None:
        """A session's own timeouts go before the settings'."""
        quick = otel_sessions.start("chat", idle_timeout=5)
        short = otel_sessions.start("chat", max_duration=8)
        usual = otel_sessions.start("chat")
        for _ in range(10):
            recorded_sessions.advance(1)
            short.event("used")
        assert ["idle_timeout", "max_duration", None] == [quick.end_reason, short.end_reason, usual.end_reason]

    def test_scoped_never(self, recorded_sessions: RecordedSessions) -> None:
        """A scoped session ends with its block, however long that takes."""
        with session("job") as handle:
            recorded_sessions.advance(365 * 86_400)
            assert handle.is_active
        assert [("completed", 365 * 86_400.0)] == endings(recorded_sessions)

    def test_no_error(self, recorded_sessions: RecordedSessions) -> None:
        """Expiry is no error."""
        otel_sessions.start("chat", idle_timeout=1)
        recorded_sessions.advance(2)
        [span] = recorded_sessions.session_spans
        assert ("UNSET", None) == (span.status.status_code.name, span.status.description)

    def test_noticed_on_resume(self, recorded_sessions: RecordedSessions) -> None:
        """Nobody resumes an expired session, though nothing has swept it up yet: it ends then and there."""
        otel_sessions.start("chat", id="a", idle_timeout=10)
        recorded_sessions.clock.advance(10)
        with pytest.raises(SessionNotFoundError):
            otel_sessions.resume("a")
        assert [("idle_timeout", 0)] == endings(recorded_sessions)

    def test_noticed_on_start(self, recorded_sessions: RecordedSessions) -> None:
        """The next start after an expiry begins a session of its own, which knows its predecessor."""
        first = otel_sessions.start("chat", id="a", idle_timeout=10)
        recorded_sessions.clock.advance(10)
        second = otel_sessions.start("chat", id="a")
        assert ("a", False, True) == (first.id, first.is_active, second.is_active)
        assert ("a", True) == (second.previous_id, second.id not in {"", "a"})
        assert second.id == otel_sessions.resume("a").id == otel_sessions.resume(second.id).id
        recorded_sessions.advance(1)
        assert [("idle_timeout", 0)] == endings(recorded_sessions)

    def test_start_meanwhile(self) -> None:
        """Whoever starts under a key just when its session is expiring gets one that goes on."""
        store = FailingStore()
        found: list[Session] = []
        with record_sessions(store=store, idle_timeout=10) as recorded:
            first = otel_sessions.start("chat", id="a")
            visitor = threading.Thread(target=lambda: found.append(otel_sessions.start("chat", id="a")))

            def come() -> None:
                visitor.start()
                visitor.join(0.2)

            recorded.clock.advance(10)
            store.before["close"] = come
            otel_sessions.sweep()
            visitor.join()
            assert (False, True, "a") == (first.is_active, found[0].is_active, found[0].previous_id)

    def test_many(self, recorded_sessions: RecordedSessions) -> None:
        """Every session that expires yields one span, one start and one end."""
        handles = [otel_sessions.start("chat", idle_timeout=1 + number % 7) for number in range(200)]
        for _ in range(12):
            recorded_sessions.advance(1)
        expected = sorted(handle.id for handle in handles)
        assert expected == sorted(portrait.attributes(span)["session.id"] for span in recorded_sessions.session_spans)
        for name in ("session.start", "session.end"):
            assert expected == sorted(event["session.id"] for event in recorded_sessions.events(name))
        assert 0 == recorded_sessions.metric("app_session.active")


class TestActivity:
    @pytest.mark.parametrize(
        "use",
        [
            pytest.param(lambda handle: handle.event("used"), id="event"),
            pytest.param(lambda handle: handle.progress("used"), id="progress"),
            pytest.param(lambda handle: handle.error("used"), id="error"),
            pytest.param(lambda handle: handle.message(), id="message"),
            pytest.param(lambda handle: handle.turn().__enter__(), id="turn"),
            pytest.param(lambda handle: handle.turn().tokens(input=1), id="tokens"),
            pytest.param(lambda handle: handle.turn().cost(1), id="cost"),
            pytest.param(lambda handle: handle.switch_platform("web", "mobile"), id="switch"),
            pytest.param(lambda handle: handle.suspicious("odd"), id="finding"),
            pytest.param(lambda handle: handle.identify("ann"), id="identify"),
            pytest.param(lambda handle: handle.set_attributes(a=1), id="attributes"),
            pytest.param(lambda handle: handle.__enter__().__exit__(None, None, None), id="with"),
        ],
    )
    def test_keeps_alive(self, use: Callable[[Any], object], recorded_sessions: RecordedSessions) -> None:
        """Whatever is done in a session keeps it alive."""
        handle = otel_sessions.start("chat", idle_timeout=10)
        recorded_sessions.advance(9)
        use(handle)
        assert 0 == handle.idle_seconds
        recorded_sessions.advance(9)
        assert handle.is_active
        recorded_sessions.advance(2)
        assert [("idle_timeout", 9)] == endings(recorded_sessions)

    @pytest.mark.parametrize(
        "look",
        [
            pytest.param(lambda handle: otel_sessions.resume(handle.id), id="resume"),
            pytest.param(lambda handle: otel_sessions.start("chat", id=handle.id), id="start again"),
            pytest.param(lambda handle: handle.snapshot(), id="snapshot"),
            pytest.param(lambda handle: otel_sessions.get(handle.id), id="get"),
            pytest.param(lambda handle: otel_sessions.active(), id="active"),
        ],
    )
    def test_looking_does_not(self, look: Callable[[Any], object], recorded_sessions: RecordedSessions) -> None:
        """To look at a session is not to use it."""
        handle = otel_sessions.start("chat", id="a", idle_timeout=10)
        recorded_sessions.advance(9)
        look(handle)
        recorded_sessions.advance(2)
        assert [("idle_timeout", 0)] == endings(recorded_sessions)

    @pytest.mark.parametrize("pause", [0, 300])
    def test_in_flight(self, pause: int, recorded_sessions: RecordedSessions) -> None:
        """Inside a block a session is in use for as long as that takes; also through a handle that lay unused long."""
        handle = otel_sessions.start("chat", idle_timeout=301)
        for _ in range(5):
            recorded_sessions.advance(pause / 5)
        with handle:
            for _ in range(100):
                recorded_sessions.advance(10)
            assert 1 == handle.concurrent_operations
        assert handle.is_active
        for _ in range(31):
            recorded_sessions.advance(10)
        assert [("idle_timeout", pause + 1000)] == endings(recorded_sessions)

    def test_in_flight_elsewhere(self, recorded_sessions: RecordedSessions) -> None:
        """Blocks that other threads are in count as well, each until it is left."""
        handle = otel_sessions.start("chat", id="a", idle_timeout=10)
        entered, leave = threading.Semaphore(0), threading.Semaphore(0)

        def work() -> None:
            with otel_sessions.resume("a"):
                entered.release()
                leave.acquire()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
            entered.acquire()
        for number, thread in enumerate(threads):
            assert 3 - number == handle.concurrent_operations
            for _ in range(3):
                recorded_sessions.advance(9)
            leave.release()
            while handle.concurrent_operations == 3 - number:
                thread.join(0.01)
        assert handle.is_active
        recorded_sessions.advance(11)
        assert [("idle_timeout", 81)] == endings(recorded_sessions)

    def test_in_flight_too_old(self, recorded_sessions: RecordedSessions) -> None:
        """The maximum duration ends a session even inside a block, and the block is left in peace."""
        handle = otel_sessions.start("chat", max_duration=100)
        with handle:
            for _ in range(11):
                recorded_sessions.advance(10)
            assert "max_duration" == handle.end_reason
            handle.event("too.late")
        recorded_sessions.advance(10)
        assert [("max_duration", 100)] == endings(recorded_sessions)

    def test_between_the_looks(self) -> None:
        """A request that arrives while a sweep is under way saves its session, and is counted."""
        store = FailingStore()
        with record_sessions(store=store, idle_timeout=10) as recorded:
            handle = otel_sessions.start("chat")
            recorded.clock.advance(10)
            store.before["due"] = lambda: handle.event("used")
            otel_sessions.sweep()
            assert handle.is_active
            recorded.advance(9)
            handle.end()
            assert portrait.durable(handle, events=1) == portrait.attributes(recorded.session_spans[0])

    def test_at_the_last_moment(self) -> None:
        """What happened before the maximum duration ended a session is in its span, though no sweep had merged it."""
        store = FailingStore()
        with record_sessions(store=store, max_duration=10) as recorded:
            handle = otel_sessions.start("chat")
            recorded.clock.advance(10)
            store.before["due"] = lambda: handle.event("used")
            otel_sessions.sweep()
            assert portrait.durable(handle, status="expired", reason="max_duration", events=1) == portrait.attributes(
                recorded.session_spans[0]
            )

    def test_used_elsewhere(self) -> None:
        """A session that another process used just now is not expired by this one; its handle goes on."""
        store = FailingStore(shared=True)
        with record_sessions(store=store, idle_timeout=10) as recorded:
            handle = otel_sessions.start("chat")
            recorded.clock.advance(10)

            def elsewhere() -> None:
                store.merge({handle.id: Totals(recorded.clock.time_ns())})

            store.before["close"] = elsewhere
            otel_sessions.sweep()
            assert handle.is_active
            handle.event("used")
            recorded.advance(9)
            assert handle.end()
            assert 1 == portrait.attributes(recorded.session_spans[0])["app_session.event.count"]


class TestClock:
    def test_set_back(self, recorded_sessions: RecordedSessions) -> None:
        """When the wall clock is set back no session ends early, no duration is negative, and all end in the end."""
        before = otel_sessions.start("chat", idle_timeout=100)
        recorded_sessions.advance(10)
        recorded_sessions.clock.jump(-3_600)
        after = otel_sessions.start("chat", idle_timeout=100)
        recorded_sessions.advance(50)
        assert [True, True] == [before.is_active, after.is_active]
        assert [0, 50] == [before.age_seconds, after.age_seconds]
        recorded_sessions.advance(51)
        assert [True, False] == [before.is_active, after.is_active]
        for _ in range(5):
            recorded_sessions.advance(1_000)
        assert [("idle_timeout", 0), ("idle_timeout", 0)] == endings(recorded_sessions)

    def test_end_after_set_back(self, recorded_sessions: RecordedSessions) -> None:
        """A session that ends before it began, by the clock, has lasted no time."""
        handle = otel_sessions.start("chat")
        recorded_sessions.clock.jump(-3_600)
        handle.end()
        assert [("completed", 0)] == endings(recorded_sessions)

    @pytest.mark.parametrize("jump", [-3_600, 3_600])
    def test_scoped(self, jump: float, recorded_sessions: RecordedSessions) -> None:
        """The duration of a scoped session is measured by the clock that does not jump."""
        with session("job"):
            recorded_sessions.clock.advance(2.5)
            recorded_sessions.clock.jump(jump)
        assert [("completed", 2.5)] == endings(recorded_sessions)

    @pytest.mark.parametrize("jump", [-3_600, 3_600])
    def test_turn(self, jump: float, recorded_sessions: RecordedSessions) -> None:
        """So is the response time of a turn."""
        handle = otel_sessions.start("chat", idle_timeout=10_000)
        with handle.turn():
            recorded_sessions.clock.advance(2.5)
            recorded_sessions.clock.jump(jump)
        handle.end()
        assert 2.5 == portrait.attributes(recorded_sessions.session_spans[0])["app_session.turn.mean_duration"]

    def test_set_forward(self, recorded_sessions: RecordedSessions) -> None:
        """When the wall clock is set forward what is idle by it expires; what is in use does not."""
        idle = otel_sessions.start("chat", idle_timeout=100)
        used = otel_sessions.start("chat", idle_timeout=100)
        with used:
            recorded_sessions.clock.jump(3_600)
            otel_sessions.sweep()
            assert [False, True] == [idle.is_active, used.is_active]
        recorded_sessions.advance(99)
        assert used.is_active

    def test_back_and_forward(self, recorded_sessions: RecordedSessions) -> None:
        """A clock that wavers ends no session twice and loses none."""
        handles = []
        for number in range(60):
            handles.append(otel_sessions.start("chat", idle_timeout=5))
            recorded_sessions.clock.jump((-1) ** number * 7.3)
            recorded_sessions.advance(1)
        for _ in range(20):
            recorded_sessions.advance(1)
        assert sorted(handle.id for handle in handles) == sorted(
            portrait.attributes(span)["session.id"] for span in recorded_sessions.session_spans
        )
        assert all(seconds >= 0 for _, seconds in endings(recorded_sessions))


class TestEnd:
    def test_once(self, recorded_sessions: RecordedSessions) -> None:
        """Only the first end counts, whoever asks for the second."""
        handle = otel_sessions.start("chat", id="a")
        other = otel_sessions.resume("a")
        assert [True, False, False, False] == [
            handle.end(),
            handle.end("error"),
            other.end("error"),
            otel_sessions.end("a"),
        ]
        assert [("success", "completed")] * 2 == [(one.status, one.end_reason) for one in (handle, other)]
        assert [portrait.durable(handle)] == [portrait.attributes(span) for span in recorded_sessions.session_spans]

    @pytest.mark.usefixtures("restless")
    def test_races(self) -> None:
        """Of 50 threads that end a session one does; its span is emitted once, with all that happened before."""
        for _ in range(5):
            with record_sessions() as recorded:
                handle = otel_sessions.start("chat", id="a")
                other = otel_sessions.resume("a")
                for _ in range(3):
                    handle.event("step")
                results = together(50, functools.partial(end_one_of, [handle, other]))
                assert 1 == results.count(True)
                status = STATUSES[results.index(True) % 3]
                reason = {"success": "completed", "error": "exception", "cancelled": "cancelled"}[status]
                assert [portrait.durable(handle, status=status, reason=reason, events=3)] == [
                    portrait.attributes(span) for span in recorded.session_spans
                ]
                assert 1 == len(recorded.events("session.end"))
                assert status == handle.status

    @pytest.mark.usefixtures("restless")
    def test_scoped_races(self, recorded_sessions: RecordedSessions) -> None:
        """So it is with a scoped session that other threads end."""
        with session("job") as handle:
            results = together(50, lambda _: handle.end("cancelled"))
        assert 1 == results.count(True)
        assert [portrait.scoped(handle, status="cancelled", reason="cancelled")] == [
            portrait.attributes(span) for span in recorded_sessions.session_spans
        ]

    @pytest.mark.usefixtures("restless")
    def test_races_with_expiry(self) -> None:
        """An end and the expiry at the same moment make one end."""
        for _ in range(20):
            with record_sessions() as recorded:
                handle = otel_sessions.start("chat", idle_timeout=5)
                recorded.clock.advance(6)
                results = together(8, functools.partial(end_or_sweep, handle))
                assert 1 == len(recorded.session_spans) == len(recorded.events("session.end"))
                ended_here = results.count(True)
                assert portrait.attributes(recorded.session_spans[0])["app_session.status"] == handle.status
                assert ("success" if ended_here else "expired") == handle.status

    @pytest.mark.usefixtures("restless")
    def test_counts_until_the_end(self) -> None:
        """What many threads did in a session before it ended is in its span to the last event, sweeping meanwhile."""
        with record_sessions() as recorded:
            handle = otel_sessions.start("chat")

            def work(number: int) -> None:
                for step in range(100):
                    if number == 0 and step % 10 == 0:
                        otel_sessions.sweep()
                    handle.event("step")
                    handle.turn().tokens(input=2)

            together(8, work)
            handle.end()
            found = portrait.attributes(recorded.session_spans[0])
            assert (800, 1600) == (found["app_session.event.count"], found["app_session.usage.tokens"])


class Broken(SpanProcessor):
    """A processor of the application's that fails when a span begins, or when it ends."""

    def __init__(self, failing: str) -> None:
        self.failing = failing

    def on_start(self, span: object, parent_context: object = None) -> None:
        if self.failing == "start":
            raise RuntimeError("no start")

    def on_end(self, span: object) -> None:
        if self.failing == "end":
            raise RuntimeError("no end")


class TestSdkFails:
    @pytest.mark.parametrize("failing", ["start", "end"])
    def test_goes_on(self, failing: str, recorded_sessions: RecordedSessions) -> None:
        """A span processor that fails disturbs neither the application nor the session's other signals."""
        recorded_sessions.tracer_provider.add_span_processor(Broken(failing))
        with session("job") as scoped:
            scoped.event("step")
        with otel_sessions.start("chat") as durable:
            durable.event("step")
        durable.end()
        assert [("success", "completed")] * 2 == [(one.status, one.end_reason) for one in (scoped, durable)]
        for name in ("session.start", "session.end"):
            assert {scoped.id, durable.id} == {event["session.id"] for event in recorded_sessions.events(name)}
        assert 2 == recorded_sessions.metric("app_session.duration")
        assert 2 == recorded_sessions.metric("app_session.dropped", app_session__drop__reason="internal_error")
        assert [] == otel_sessions.active()


class TestStart:
    def test_same_key(self, recorded_sessions: RecordedSessions) -> None:
        """A key has one session at a time, whoever starts it, in whatever order."""
        first, second = otel_sessions.start("chat", id="a"), otel_sessions.start("chat", id="a")
        assert ("a", "a") == (first.id, second.id)
        assert 1 == len(recorded_sessions.events("session.start"))

    @pytest.mark.usefixtures("restless")
    def test_races(self) -> None:
        """50 threads that start the same session get one: one id, one start, one span."""
        for _ in range(5):
            with record_sessions() as recorded:
                handles = together(50, lambda _: otel_sessions.start("chat", id="a"))
                contexts = {handle.span_context.span_id for handle in handles}
                assert ({"a"}, 1) == ({handle.id for handle in handles}, len(contexts))
                assert [{"session.id": "a", "app_session.type": "chat"}] == recorded.events("session.start")
                assert 1 == recorded.metric("app_session.starts")
                together(50, functools.partial(note, handles))
                assert 1 == together(50, functools.partial(end_one_of, handles)).count(True)
                [span] = recorded.session_spans
                assert contexts == {portrait.span_id(span)}
                assert (50, "a") == (
                    portrait.attributes(span)["app_session.event.count"],
                    portrait.attributes(span)["session.id"],
                )

    @pytest.mark.usefixtures("restless")
    def test_races_of_a_known_key(self) -> None:
        """Also when the key has a predecessor, so that each thread minted an id of its own."""
        with record_sessions() as recorded:
            otel_sessions.start("chat", id="a").end()
            recorded.clear()
            handles = together(50, lambda _: otel_sessions.start("chat", id="a"))
            assert 1 == len({handle.id for handle in handles})
            assert ["a"] == [event["session.previous_id"] for event in recorded.events("session.start")]

    @pytest.mark.usefixtures("restless")
    def test_races_with_the_end(self) -> None:
        """Threads that start and end under one key leave as many spans as starts, each with its own identity."""
        with record_sessions() as recorded:

            def work(number: int) -> None:
                for _ in range(20):
                    handle = otel_sessions.start("chat", id="a")
                    handle.event("step")
                    handle.end()

            together(8, work)
            started = [event["session.id"] for event in recorded.events("session.start")]
            ended = [portrait.attributes(span)["session.id"] for span in recorded.session_spans]
            assert sorted(started) == sorted(ended)
            assert len(set(started)) == len(started)
            assert len(ended) == len({portrait.span_id(span) for span in recorded.session_spans})
            assert [] == otel_sessions.active()

    def test_after_the_end(self, recorded_sessions: RecordedSessions) -> None:
        """An id that was used before begins a session with a new id; only its own handle remembers the old one."""
        ids = []
        for _ in range(3):
            handle = otel_sessions.start("chat", id="a")
            ids.append((handle.previous_id, handle.id))
            handle.end()
        assert [None, "a", ids[1][1]] == [previous for previous, _ in ids]
        assert 3 == len({one for _, one in ids})
        assert [None, "a", ids[1][1]] == [
            portrait.attributes(span).get("session.previous_id") for span in recorded_sessions.session_spans
        ]

    def test_seeded_random(self, recorded_sessions: RecordedSessions) -> None:
        """An application that seeds its random numbers does not make ids repeat."""
        ids = set()
        for _ in range(5):
            random.seed(1)
            ids.add(otel_sessions.start("chat").id)
        assert 5 == len(ids)

    def test_spans_differ(self, recorded_sessions: RecordedSessions) -> None:
        """Two processes with memory stores of their own that serve one client make two identities, not one twice."""
        first = otel_sessions.start("chat", id="a").span_context
        with record_sessions():
            second = otel_sessions.start("chat", id="a").span_context
        assert first.is_valid
        assert second.is_valid
        assert {first.trace_id, first.span_id}.isdisjoint({second.trace_id, second.span_id})


def act(key: str, action: int) -> None:
    """Do one of the things that requests do."""
    if action == 0:
        otel_sessions.end(key)
    elif action == 1:
        otel_sessions.get(key)
        otel_sessions.active()
    elif action == 2:
        otel_sessions.start("chat", id=key).rotate()
    elif action == 3:
        otel_sessions.start("chat", id=key).end("error")
    elif action == 4:
        with session("job") as scoped:
            scoped.event("step")
    else:
        with otel_sessions.start("chat", id=key) as handle:
            handle.event("step")
            handle.snapshot()


class TestEverythingAtOnce:
    @pytest.mark.usefixtures("restless")
    def test_nothing_lost(self, caplog: pytest.LogCaptureFixture) -> None:
        """Whatever threads do at once under few keys: nothing raises, and every start has its one end and span."""
        with record_sessions(idle_timeout=20) as recorded:

            def work(number: int) -> None:
                choose = random.Random(number)
                for _ in range(60):
                    if number == 0:
                        recorded.advance(choose.choice([0.1, 1, 7]))
                    else:
                        act(f"k{choose.randrange(4)}", choose.randrange(8))

            together(8, work)
            for _ in range(60):
                recorded.advance(1)
            starts = [event["session.id"] for event in recorded.events("session.start")]
            ended = [event["session.id"] for event in recorded.events("session.end")]
            spans = [portrait.attributes(span)["session.id"] for span in recorded.session_spans]
            assert sorted(starts) == sorted(ended) == sorted(spans)
            assert len(set(starts)) == len(starts)
            assert len(spans) == len({portrait.span_id(span) for span in recorded.session_spans})
            assert [] == otel_sessions.active()
        assert "ERROR" not in {entry.levelname for entry in caplog.records}


class TestRotate:
    def test_durable(self, recorded_sessions: RecordedSessions) -> None:
        """The old session ends as rotated; its successor goes on under the same key with what was known."""
        handle = otel_sessions.start(
            "chat", id="a", user="ann", tier="pro", platform="web", attributes={"tenant": "t"}, idle_timeout=50
        )
        handle.event("before")
        user, old_context = handle.user, handle.span_context
        recorded_sessions.advance(5)
        handle.rotate("login")
        assert ("a", "active", user, "pro", "web") == (
            handle.previous_id,
            handle.status,
            handle.user,
            handle.tier,
            handle.platform,
        )
        assert handle.id != "a"
        assert handle.id == otel_sessions.resume("a").id
        assert handle.span_context.trace_id != old_context.trace_id
        handle.event("after")
        handle.event("after")
        recorded_sessions.advance(5)
        handle.end()
        old, new = recorded_sessions.session_spans
        base = {"app_session.tier": "pro", "app_session.platform": "web", "tenant": "t", "enduser.pseudo.id": user}
        assert [("rotated", 5), ("completed", 5)] == endings(recorded_sessions)
        assert {
            "session.id": "a",
            "app_session.type": "chat",
            "app_session.topology": "durable",
            "app_session.status": "success",
            "app_session.end_reason": "rotated",
            "app_session.rotation.reason": "login",
            "app_session.request.count": 0,
            "app_session.event.count": 1,
            "app_session.error.count": 0,
            **base,
        } == portrait.attributes(old)
        assert {**portrait.durable(handle, base, events=2), "session.previous_id": "a"} == portrait.attributes(new)

    def test_timeouts_go_on(self, recorded_sessions: RecordedSessions) -> None:
        """The successor has the timeouts of the session that it continues, from its own start on."""
        handle = otel_sessions.start("chat", id="a", idle_timeout=50, max_duration=60)
        recorded_sessions.advance(40)
        handle.rotate()
        recorded_sessions.advance(49)
        assert handle.is_active
        recorded_sessions.advance(2)
        assert "idle_timeout" == handle.end_reason

    def test_other_handles(self, recorded_sessions: RecordedSessions) -> None:
        """What another handle does goes to the session that the client now has."""
        first = otel_sessions.start("chat", id="a")
        first.rotate()
        assert first.id == otel_sessions.start("chat", id="a").id
        assert first.id == otel_sessions.resume(first.id).id

    @pytest.mark.usefixtures("restless")
    def test_races(self) -> None:
        """50 threads that rotate one client's session leave one open; every other has ended and is a predecessor."""
        with record_sessions() as recorded:
            otel_sessions.start("chat", id="a")
            together(50, lambda _: otel_sessions.start("chat", id="a").rotate())
            [last] = otel_sessions.active()
            starts = recorded.events("session.start")
            ended = [portrait.attributes(span)["session.id"] for span in recorded.session_spans]
            assert sorted(event["session.id"] for event in starts) == sorted([*ended, last.id])
            assert [None] == [event.get("session.previous_id") for event in starts if event["session.id"] == "a"]
            assert {event["session.previous_id"] for event in starts if event["session.id"] != "a"} <= set(ended)

    @pytest.mark.parametrize("verb", ["create", "close"])
    def test_no_gap(self, verb: str) -> None:
        """Whoever comes while a session is rotated finds the old one or the new one, never nothing."""
        store = FailingStore()
        found: list[str] = []

        def come() -> None:
            try:
                found.append(otel_sessions.resume("a").id)
            except SessionNotFoundError:
                found.append("nothing")

        with record_sessions(store=store):
            handle = otel_sessions.start("chat", id="a")
            visitor = threading.Thread(target=come)

            def begin() -> None:
                visitor.start()
                visitor.join(0.2)

            store.before[verb] = begin
            handle.rotate()
            visitor.join()
            assert found in (["a"], [handle.id])

    def test_scoped(self, recorded_sessions: RecordedSessions) -> None:
        """A scoped session goes on in its block under a new id."""
        with session("job", tier="pro", attributes={"tenant": "t"}) as handle:
            first = handle.id
            recorded_sessions.advance(5)
            handle.rotate("retry")
            recorded_sessions.advance(7)
        more = {"app_session.tier": "pro", "tenant": "t"}
        assert [("rotated", 5), ("completed", 7)] == endings(recorded_sessions)
        old, new = recorded_sessions.session_spans
        assert (first, "retry") == (
            portrait.attributes(old)["session.id"],
            portrait.attributes(old)["app_session.rotation.reason"],
        )
        assert {**portrait.scoped(handle, more), "session.previous_id": first} == portrait.attributes(new)


class TestMemory:
    @pytest.mark.parametrize("end", ["expire", "end", "scoped"])
    def test_nothing_left(self, end: str) -> None:
        """Sessions leave nothing behind but the history, however they end."""
        with record_sessions(history=10, idle_timeout=20) as recorded:
            for number in range(2_000):
                if end == "scoped":
                    with session("left"):
                        pass
                elif number % 2:
                    otel_sessions.start("left", id=f"s{number}").event("step")
                else:
                    otel_sessions.start("left")
                if end == "end":
                    otel_sessions.end(f"s{number}")
                if number % 200 == 0:
                    recorded.advance(1)
            recorded.clear()
            for _ in range(30):
                recorded.advance(1)
            recorded.clear()
            assert [] == otel_sessions.active()
            gc.collect()
            held = [one for one in gc.get_objects() if type(one) is Live and one.beginning.type == "left"]
            assert [] == held
            began = [one for one in gc.get_objects() if isinstance(one, Beginning) and one.type == "left"]
            assert len(began) <= 10


def best(work: Callable[[], object], rounds: int) -> float:
    """The shortest time that `work` took in several rounds."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def look(store: MemoryStore, seconds: Iterator[int]) -> None:
    """Look for what is due, a second later each time."""
    list(store.due(next(seconds) * SECOND))


class TestCost:
    """Ratios of times, the best of several rounds, with generous margins."""

    def test_sweep(self) -> None:
        """A sweep looks at what is due, not at what is open, used lately or held: 40 times the sessions, equal cost."""
        times: dict[str, list[float]] = {}
        for count in (250, 10_000):
            with record_sessions(events="span") as recorded:
                handles = [otel_sessions.start("chat") for _ in range(count)]
                otel_sessions.sweep()
                times.setdefault("used lately", []).append(best(functools.partial(recorded.advance, 1), 30))
                for _ in range(3):
                    recorded.advance(61)
                times.setdefault("held", []).append(best(functools.partial(recorded.advance, 1), 30))
                handles.clear()
                times.setdefault("open", []).append(best(functools.partial(recorded.advance, 1), 30))
        assert {} == {state: (few, many) for state, (few, many) in times.items() if many > 5 * few + 0.0002}

    def test_store(self) -> None:
        """A look for what is due takes as long with 100,000 open sessions as with 1,000."""
        times = []
        for count in (1_000, 100_000):
            store = MemoryStore()
            for number in range(count):
                store.create(
                    Beginning(f"s{number}", "chat", "durable", 0, idle_timeout_ns=(1_000 + number % 900) * SECOND)
                )
            seconds = iter(range(1, 900))
            times.append(best(functools.partial(look, store, seconds), 200))
        assert times[1] < 5 * times[0] + 0.0002

    def test_touch(self) -> None:
        """Touching a session costs the same however many are open, and never moves anything in the store."""
        store = FailingStore()
        with record_sessions(store=store, events="span"):
            handle = otel_sessions.start("chat")
            store.calls.clear()
            for _ in range(100):
                handle.message()
            assert [] == store.calls


class TestCollector:
    """Sessions that the cyclic garbage collector ends, which may run while any lock is held."""

    def test_inside_the_sdk(self) -> None:
        """A session that is collected while the SDK holds a lock ends afterwards, and is not waited for."""
        completed = interpreter.run("""
            import faulthandler, gc
            faulthandler.dump_traceback_later(30, exit=True)
            import otel_sessions
            from opentelemetry.sdk.metrics import (
                AlignedHistogramBucketExemplarReservoir, AlwaysOnExemplarFilter, MeterProvider
            )
            from opentelemetry.sdk.metrics.export import InMemoryMetricReader
            from opentelemetry.sdk.metrics.view import View

            class Collecting(AlignedHistogramBucketExemplarReservoir):
                def collect(self, *args):
                    gc.collect()
                    return super().collect(*args)

            reader = InMemoryMetricReader()
            view = View(instrument_name="app_session.duration", exemplar_reservoir_factory=lambda _: Collecting)
            meters = MeterProvider([reader], exemplar_filter=AlwaysOnExemplarFilter(), views=[view])
            otel_sessions.configure(meter_provider=meters, background=False)

            def ended():
                scopes = [one for group in reader.get_metrics_data().resource_metrics for one in group.scope_metrics]
                durations = [one for scope in scopes for one in scope.metrics if one.name == "app_session.duration"]
                return sum(point.count for one in durations for point in one.data.data_points)

            @otel_sessions.session("object")
            class Job:
                def __init__(self):
                    self.me = self
                def close(self): ...

            gc.disable()
            Job()
            gc.collect()
            otel_sessions.sweep()
            before = ended()
            Job()
            during = ended()
            otel_sessions.sweep()
            print(before, during, ended())
        """)
        assert "1 1 2\n" == completed.stdout

    def test_no_deadlock(self) -> None:
        """No lock of ours or of the SDK is waited for, no dictionary changes under an iteration, no session is lost."""
        completed = interpreter.run("""
            import faulthandler, gc, logging, threading
            faulthandler.dump_traceback_later(50, exit=True)
            logging.basicConfig()
            import otel_sessions
            from otel_sessions import session
            from opentelemetry.sdk._logs import LoggerProvider
            from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
            from opentelemetry.sdk.metrics import MeterProvider
            from opentelemetry.sdk.metrics.export import InMemoryMetricReader
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

            spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
            tracers, loggers = TracerProvider(), LoggerProvider()
            tracers.add_span_processor(BatchSpanProcessor(spans, max_queue_size=100_000))
            loggers.add_log_record_processor(BatchLogRecordProcessor(InMemoryLogRecordExporter()))
            otel_sessions.configure(
                tracer_provider=tracers, logger_provider=loggers, meter_provider=MeterProvider([reader]),
                flush_interval=0.01, history=10,
            )

            @session("object")
            class Job:
                def __init__(self):
                    self.me = self
                def close(self): ...

            @session("generator")
            def steps(held):
                held.append(held)
                yield 1
                yield 2

            def abandon():
                held = []
                held.append(steps(held))
                next(held[0])

            stop = threading.Event()
            def churn(number):
                for turn in range(150):
                    Job()
                    abandon()
                    with session("block") as handle:
                        handle.event("step", values=[1, 2, 3])
                    otel_sessions.start("chat", id=f"{number}-{turn}").end()

            def read():
                while not stop.is_set():
                    otel_sessions.active()
                    reader.get_metrics_data()

            gc.set_threshold(1, 1, 1)
            threads = [threading.Thread(target=churn, args=(number,)) for number in range(3)]
            reading = threading.Thread(target=read)
            for thread in (reading, *threads):
                thread.start()
            for thread in threads:
                thread.join()
            stop.set()
            reading.join()
            gc.set_threshold(700, 10, 10)
            gc.collect()
            otel_sessions.shutdown()
            tracers.force_flush()
            counted = {}
            for span in spans.get_finished_spans():
                key = span.attributes["app_session.type"], span.attributes["app_session.status"]
                counted[key] = counted.get(key, 0) + 1
            print(*sorted(counted.items()), sep="\\n")
        """)
        assert [
            "(('block', 'success'), 450)",
            "(('chat', 'success'), 450)",
            "(('generator', 'cancelled'), 450)",
            "(('object', 'cancelled'), 450)",
        ] == completed.stdout.splitlines()
        assert "" == completed.stderr
