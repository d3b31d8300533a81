"""Long sessions in parts: each has a span of its own, and together they are one session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_sessions
from otel_sessions import ConfigurationError, Session, SessionNotFoundError, configure
from otel_sessions._models import Beginning, Reservation
from otel_sessions.testing import RecordedSessions, record_sessions

from . import interpreter, portrait
from .failing_store import FailingStore
from .shared_memory_store import SharedMemoryStore
from .test_recovery import TIMEOUT, Process

HOUR = 3600
PART: dict[str, Any] = {"max_span_duration": HOUR, "idle_timeout": 100 * HOUR, "max_duration": None}


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    with record_sessions(**PART) as recorded:
        yield recorded


def numbers(spans: list[ReadableSpan]) -> list[Any]:
    return [(span.attributes or {})["app_session.part.number"] for span in spans]


def seconds(handle: Session, span: ReadableSpan) -> tuple[float, float]:
    """When a span begins and ends, from the start of the session."""
    assert span.start_time is not None
    assert span.end_time is not None
    record = handle.snapshot()
    assert record is not None
    began = record.beginning.started_ns
    return (span.start_time - began) / 1e9, (span.end_time - began) / 1e9


class TestSpans:
    def test_one_after_the_other(self, recorded: RecordedSessions) -> None:
        """A part's span is emitted once the session goes on after it; the parts follow each other without a gap."""
        handle = otel_sessions.start("chat")
        recorded.advance(HOUR - 1)
        handle.event("step")
        recorded.advance(HOUR)
        assert [] == recorded.session_spans
        handle.event("step")
        recorded.advance(0)
        [first] = recorded.session_spans
        recorded.advance(HOUR / 2)
        handle.end()
        assert [first.context] == [span.context for span in recorded.session_spans[:1]]
        second, third = recorded.session_spans[1:]
        assert [1, 2, 3] == numbers(recorded.session_spans)
        assert [(0, HOUR), (HOUR, 2 * HOUR), (2 * HOUR, 2.5 * HOUR - 1)] == [
            seconds(handle, span) for span in (first, second, third)
        ]

    def test_attributes(self, recorded: RecordedSessions) -> None:
        """A part says what was known of the session when it was over; only the last one says how that ended."""
        handle = otel_sessions.start("chat")
        handle.event("step")
        recorded.advance(HOUR)
        handle.event("step")
        recorded.advance(0)
        handle.end()
        first, last = recorded.session_spans
        part = portrait.durable(handle, {"app_session.part.number": 1}, status="active", events=2)
        del part["app_session.end_reason"]
        assert part == portrait.attributes(first)
        assert portrait.durable(handle, {"app_session.part.number": 2}, events=2) == portrait.attributes(last)

    def test_events_are_on_their_part(self, recorded: RecordedSessions) -> None:
        """Each event is on the span of the part in which it happened, and on no other."""
        handle = otel_sessions.start("chat")
        for name in ("a", "b", "c"):
            handle.event(name)
            recorded.advance(HOUR)
        handle.event("d")
        handle.event("e")
        handle.end()
        assert [["a"], ["b"], ["c"], ["d", "e"]] == [
            [event.name for event in span.events] for span in recorded.session_spans
        ]

    def test_one_trace(self, recorded: RecordedSessions) -> None:
        """All parts are in one trace: the later ones are children of the first."""
        handle = otel_sessions.start("chat")
        for _ in range(3):
            recorded.advance(HOUR)
            handle.event("step")
        handle.end()
        first, *later = recorded.session_spans
        assert 4 == len({portrait.span_id(span) for span in recorded.session_spans})
        assert [portrait.trace_id(first)] * 3 == [portrait.trace_id(span) for span in later]
        assert [portrait.span_id(first)] * 3 == [portrait.parent_id(span) for span in later]

    def test_what_refers_to_it(self, recorded: RecordedSessions) -> None:
        """Links, children and log events refer to the part in which they happened."""
        tracer = recorded.tracer_provider.get_tracer("app")
        handle = otel_sessions.start("chat")
        for _ in range(2):
            with tracer.start_as_current_span("request"), handle:
                pass
            with handle, tracer.start_as_current_span("child"):
                handle.event("step")
            recorded.advance(HOUR)
        with handle:
            pass
        handle.end()
        spans = {name: [s for s in recorded.spans if s.name == name] for name in ("request", "child", "session chat")}
        parts = [portrait.span_id(span) for span in spans["session chat"]]
        assert parts[:2] == [link.context.span_id for span in spans["request"] for link in span.links]
        assert parts[:2] == [portrait.parent_id(span) for span in spans["child"]]
        [end] = [log.log_record for log in recorded.logs if log.log_record.event_name == "session.end"]
        assert parts[2] == end.span_id

    def test_pause(self, recorded: RecordedSessions) -> None:
        """A part in which nothing happened has no span: a session that pauses for a week has no hundreds of them."""
        handle = otel_sessions.start("chat")
        recorded.advance(20.5 * HOUR)
        handle.event("step")
        recorded.advance(0)
        handle.end()
        assert [1, 21] == numbers(recorded.session_spans)

    def test_swept_too_late(self, recorded: RecordedSessions) -> None:
        """What happened in several parts is told when there is a round at last; no event is lost."""
        handle = otel_sessions.start("chat")
        for name in ("a", "b", "c"):
            handle.event(name)
            recorded.clock.advance(HOUR)
        handle.end()
        assert [1, 2, 3, 4] == numbers(recorded.session_spans)
        assert [["a"], ["b"], ["c"], []] == [[event.name for event in span.events] for span in recorded.session_spans]

    def test_idle_end(self) -> None:
        """A session that expires ended when it was last used: in its last part, and there is none after that."""
        with record_sessions(max_span_duration=HOUR, idle_timeout=2 * HOUR) as recorded:
            handle = otel_sessions.start("chat")
            recorded.advance(1.25 * HOUR)
            handle.event("step")
            recorded.advance(5 * HOUR)
            assert [(0, HOUR), (HOUR, 1.25 * HOUR)] == [seconds(handle, span) for span in recorded.session_spans]
            assert "idle_timeout" == handle.end_reason

    def test_maximum_duration(self) -> None:
        """A session that becomes too old ends there, in the part that is then."""
        with record_sessions(max_span_duration=HOUR, max_duration=2.5 * HOUR, idle_timeout=None) as recorded:
            handle = otel_sessions.start("chat")
            recorded.advance(HOUR / 2)
            handle.event("step")
            recorded.advance(5 * HOUR)
            assert [(0, HOUR), (2 * HOUR, 2.5 * HOUR)] == [seconds(handle, span) for span in recorded.session_spans]

    def test_under_way(self, recorded: RecordedSessions) -> None:
        """While a request or a block is under way, the session is in use: no part passes without a span."""
        with otel_sessions.start("chat") as handle:
            for _ in range(3):
                recorded.advance(HOUR)
        handle.end()
        assert [1, 2, 3, 4] == numbers(recorded.session_spans)

    def test_rotation(self, recorded: RecordedSessions) -> None:
        """A rotated session begins with a first part."""
        handle = otel_sessions.start("chat")
        recorded.advance(1.5 * HOUR)
        handle.rotate()
        handle.end()
        assert [1, 2, 1] == numbers(recorded.session_spans)
        assert 2 == len({portrait.trace_id(span) for span in recorded.session_spans})

    def test_counts_once(self, recorded: RecordedSessions) -> None:
        """It is one session: one start, one end, one duration."""
        handle = otel_sessions.start("chat")
        for _ in range(3):
            recorded.advance(HOUR)
            handle.event("step")
        recorded.advance(0)
        handle.end()
        assert (1, 1, 1) == (
            recorded.metric("app_session.starts"),
            len(recorded.events("session.start")),
            len(recorded.events("session.end")),
        )
        assert 1 == recorded.metric("app_session.duration", app_session__status="success")

    def test_clock_goes_back(self, recorded: RecordedSessions) -> None:
        """A clock that is set back brings no part twice."""
        handle = otel_sessions.start("chat")
        recorded.advance(1.5 * HOUR)
        handle.event("step")
        recorded.advance(0)
        recorded.clock.jump(-HOUR)
        handle.event("step")
        recorded.advance(0)
        recorded.clock.jump(HOUR)
        handle.event("step")
        recorded.advance(0)
        handle.end()
        assert [1, 2] == numbers(recorded.session_spans)

    def test_not_sampled(self) -> None:
        """A session that is not sampled has no span in any part."""
        with record_sessions(sampler=ALWAYS_OFF, **PART) as recorded:
            handle = otel_sessions.start("chat")
            recorded.advance(HOUR)
            handle.event("step")
            recorded.advance(0)
            handle.end()
            assert [] == recorded.spans

    def test_off(self) -> None:
        """Without the setting a session has one span, which does not speak of parts."""
        with record_sessions(idle_timeout=None, max_duration=None) as recorded:
            handle = otel_sessions.start("chat")
            recorded.advance(1000 * HOUR)
            handle.event("step")
            handle.end()
            [span] = recorded.session_spans
            assert portrait.durable(handle, events=1) == portrait.attributes(span)

    def test_scoped(self, recorded: RecordedSessions) -> None:
        """A scoped session has a live span, which covers all of it."""
        with otel_sessions.session("import") as handle:
            recorded.advance(3 * HOUR)
            handle.event("step")
            recorded.advance(3 * HOUR)
        [span] = recorded.session_spans
        assert portrait.scoped(handle, events=1) == portrait.attributes(span)

    def test_wrong(self) -> None:
        """A length that is none is refused."""
        for wrong in (0, -1, "1", True):
            with pytest.raises(ConfigurationError, match="max_span_duration"):
                configure(max_span_duration=wrong)  # type: ignore[arg-type]


class TestSeveralProcesses:
    def test_one_emits(self) -> None:
        """Whichever processes use a session, each part has one span, of the same identity for all of them."""
        store = SharedMemoryStore()
        with Process(store, **PART) as one, ExitStack() as both:
            mine = otel_sessions.start("chat", id="a")
            two = both.enter_context(Process(store, **PART))
            theirs = otel_sessions.start("chat", id="a")
            for _ in range(3):
                for process, handle in ((one, mine), (two, theirs)):
                    handle.event("step")
                    process.clock.advance(HOUR)
            for process, handle in ((one, mine), (two, theirs)):
                handle.event("step")
                process.advance(0)
            mine.end()
            spans = [*one.session_spans, *two.session_spans]
            assert [1, 2, 3, 4] == sorted(numbers(spans))
            assert 4 == len({portrait.span_id(span) for span in spans})
            assert 1 == len({portrait.trace_id(span) for span in spans})

    def test_crash_before_the_export(self) -> None:
        """A part whose process died before it was exported is sent again, with the same identity, as it was."""
        store = SharedMemoryStore()
        with Process(store, **PART) as dead:
            handle = otel_sessions.start("chat", id="a")
            handle.event("step")
            dead.advance(HOUR)
            handle.event("later")
            # Emitted, and the next export would have been in five seconds.
            otel_sessions.sweep()
            with Process(store, **PART) as other:
                other.clock.advance(HOUR)
                other.advance(0)
                other.advance(TIMEOUT)
                [sent], [again] = dead.session_spans, other.session_spans
                assert json.loads(sent.to_json()) == json.loads(again.to_json())
                assert ["step"] == [event.name for event in again.events]
                other.advance(TIMEOUT)
                assert {} == store._owed

    def test_crash_before_the_part(self) -> None:
        """A part that its process did not come to is emitted by whoever uses the session next, or ends it."""
        store = SharedMemoryStore()
        with Process(store, **PART) as dead:
            handle = otel_sessions.start("chat", id="a")
            dead.advance(1.5 * HOUR)
            handle.event("step")
            dead.advance(0)
            with Process(store, **PART) as other:
                other.clock.advance(2.5 * HOUR)
                otel_sessions.end("a")
                assert [1] == numbers(dead.session_spans)
                assert [2, 3] == numbers(other.session_spans)

    def test_record(self) -> None:
        """The record of a part does not look like a session: nobody finds, counts or resumes it."""
        store = SharedMemoryStore()
        with Process(store, **PART) as process:
            handle = otel_sessions.start("chat", id="a")
            process.clock.advance(HOUR)
            handle.event("step")
            process.advance(0)
            part = store.get("a#part=1")
            assert part is not None
            assert not part.is_active
            assert [handle.id] == [record.id for record in otel_sessions.active()]
            assert 1 == process.metric("app_session.active")
            with pytest.raises(SessionNotFoundError):
                otel_sessions.resume(part.id)
            assert store.previous("a") is None


class TestFailingStore:
    @pytest.mark.parametrize("verb", ["get", "owe"])
    def test_out_of_reach(self, verb: str) -> None:
        """While the store cannot be asked whose a part is, nothing is emitted; afterwards it is, once."""
        store = FailingStore(shared=True)
        with Process(store, **PART) as process:
            handle = otel_sessions.start("chat", id="a")
            handle.event("a")
            process.advance(HOUR)
            handle.event("b")
            store.failing = {verb}
            process.advance(1)
            process.advance(1)
            assert [] == process.session_spans
            store.failing = ()
            process.advance(1)
            process.advance(1)
            handle.end()
            assert [1, 2] == numbers(process.session_spans)
            assert [["a"], ["b"]] == [[event.name for event in span.events] for span in process.session_spans]

    def test_end_out_of_reach(self) -> None:
        """An end waits for the parts before it."""
        store = FailingStore(shared=True)
        with Process(store, **PART) as process:
            handle = otel_sessions.start("chat", id="a")
            handle.event("a")
            process.clock.advance(HOUR)
            store.failing = {"owe"}
            assert handle.end()
            assert [] == process.session_spans
            store.failing = ()
            process.advance(1)
            assert [1, 2] == numbers(process.session_spans)

    @pytest.mark.parametrize("expires", [False, True])
    def test_never_stored(self, expires: bool) -> None:
        """A session that the store never heard of has its parts all the same."""
        store = FailingStore(shared=True)
        store.failing = {"create"}
        with Process(store, **{**PART, "idle_timeout": 2 * HOUR}) as process:
            handle = otel_sessions.start("chat", id="a")
            handle.event("a")
            process.advance(HOUR)
            handle.event("b")
            process.advance(1)
            assert [1] == numbers(process.session_spans)
            if expires:
                process.advance(3 * HOUR)
            else:
                handle.end()
            assert [1, 2] == numbers(process.session_spans)


class TestIdentity:
    FIRST = Reservation(trace_id=1, span_id=2, trace_flags=1, trace_state="", decision=2)

    def test_same_everywhere(self) -> None:
        """The identity of a part is the same in every interpreter, whatever its hash seed."""
        here = [self.FIRST.of_part(number).span_id for number in range(1, 4)]
        there = interpreter.answer("""
            import json
            from otel_sessions._models import Reservation
            first = Reservation(trace_id=1, span_id=2, trace_flags=1, trace_state="", decision=2)
            print(json.dumps([first.of_part(number).span_id for number in range(1, 4)]))
        """)
        assert here == there
        assert 3 == len(set(here))
        assert all(0 < span_id < 2**64 for span_id in here)

    def test_first(self) -> None:
        """The first part has the identity that was reserved."""
        assert self.FIRST is self.FIRST.of_part(1)

    def test_as_part(self) -> None:
        """The record of a part knows its session, whatever that one's id is."""
        began = Beginning("a#part=1", "chat", "durable", 5, key="k", max_span_ns=10)
        part = began.as_part(3)
        assert (3, None) == (part.part, part.key)
        assert began._replace(key=None) == part.of_session()
        assert part == Beginning.from_dict(json.loads(json.dumps(part.to_dict())))

    def test_times(self) -> None:
        """Parts begin where the ones before end; a time before the start falls into the first."""
        began = Beginning("a", "chat", "durable", 5, max_span_ns=10)
        assert [1, 1, 1, 2, 2, 3] == [began.part_at(time_ns) for time_ns in (0, 5, 14, 15, 24, 25)]
        assert [5, 15, 25] == [began.part_started_ns(number) for number in (1, 2, 3)]
        assert 1 == began._replace(max_span_ns=None).part_at(10**20)


def test_no_sdk() -> None:
    """Without an SDK there is no span, and no part of one."""
    found = interpreter.answer("""
        import json
        import otel_sessions
        from otel_sessions.testing import ManualClock
        clock = ManualClock()
        otel_sessions.configure(max_span_duration=10, clock=clock, background=False, detect_user=False)
        handle = otel_sessions.start("chat")
        clock.advance(25)
        handle.event("step")
        otel_sessions.sweep()
        print(json.dumps([handle.is_active, handle.span_context.is_valid]))
    """)
    assert [True, False] == found
    assert not trace.INVALID_SPAN_CONTEXT.is_valid
