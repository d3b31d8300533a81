"""The handle: what it tells, and how it makes its session the current one."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

import otel_sessions
from otel_sessions import InvalidValueError, Session, current_session, session
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait
from .calls import CALLS, MISTAKES
from .outcome import raised_by


class TestProperties:
    def test_scoped(self, recorded_sessions: RecordedSessions) -> None:
        """A handle tells what its session is, while it lasts and afterwards."""
        began = recorded_sessions.clock.time_ns()
        with session("job", user="u1", tier="pro", platform="api", attributes={"tenant": "contoso"}) as handle:
            recorded_sessions.clock.advance(3)
            handle.progress("half")
            recorded_sessions.clock.advance(2)
            active = portrayed(handle)
            record = handle.snapshot()
        recorded_sessions.clock.advance(10)

        assert active == {
            "id": handle.id,
            "type": "job",
            "previous_id": None,
            "parent_id": None,
            "user": handle.user,
            "tier": "pro",
            "platform": "api",
            "status": "active",
            "end_reason": None,
            "is_active": True,
            "age_seconds": 5.0,
            "idle_seconds": 2.0,
            "concurrent_operations": 1,
        }
        assert portrayed(handle) == {
            **active,
            "status": "success",
            "end_reason": "completed",
            "is_active": False,
            "age_seconds": 15.0,
            "idle_seconds": 12.0,
            "concurrent_operations": 0,
        }
        assert record is not None
        assert (handle.id, "active", 1, {"tenant": "contoso"}, None, began) == (
            record.id,
            record.status,
            record.totals.events,
            record.attributes,
            record.duration_seconds,
            record.beginning.started_ns,
        )
        assert uuid.UUID(hex=handle.id).hex == handle.id
        assert handle.user is not None
        assert "u1" not in handle.user

    def test_durable(self, recorded_sessions: RecordedSessions) -> None:
        """The same of a durable session."""
        with session("job") as outer:
            handle = otel_sessions.start("chat", id="conv-42", user="u1", tier="free", platform="web")
        recorded_sessions.clock.advance(3)
        with handle:
            recorded_sessions.clock.advance(1)
            active = portrayed(handle)
        handle.end("error", reason="logout")

        assert active == {
            "id": "conv-42",
            "type": "chat",
            "previous_id": None,
            "parent_id": outer.id,
            "user": handle.user,
            "tier": "free",
            "platform": "web",
            "status": "active",
            "end_reason": None,
            "is_active": True,
            "age_seconds": 4.0,
            "idle_seconds": 1.0,
            "concurrent_operations": 1,
        }
        assert portrayed(handle) == {
            **active,
            "status": "error",
            "end_reason": "logout",
            "is_active": False,
            "idle_seconds": 0.0,
            "concurrent_operations": 0,
        }

    def test_none(self, recorded_sessions: RecordedSessions) -> None:
        """Outside a session there is a session all the same, which is nothing."""
        handle = current_session()

        assert portrayed(handle) == {
            "id": "",
            "type": "",
            "previous_id": None,
            "parent_id": None,
            "user": None,
            "tier": None,
            "platform": None,
            "status": None,
            "end_reason": None,
            "is_active": False,
            "age_seconds": 0.0,
            "idle_seconds": 0.0,
            "concurrent_operations": 0,
        }
        assert (trace.INVALID_SPAN_CONTEXT, None) == (handle.span_context, handle.snapshot())

    def test_span_context(self, recorded_sessions: RecordedSessions) -> None:
        """The context of the session's span is known from the start, whether it exists already or not."""
        with session("job") as scoped:
            pass
        durable = otel_sessions.start("chat")
        before = durable.span_context
        durable.end()

        assert [scoped.span_context.span_id, before.span_id] == [
            portrait.span_id(span) for span in recorded_sessions.spans
        ]
        assert [scoped.span_context.trace_id, before.trace_id] == [
            portrait.trace_id(span) for span in recorded_sessions.spans
        ]

    def test_repr(self, recorded_sessions: RecordedSessions) -> None:
        """A handle shows its session's id, type and status, and nothing else."""
        with session("job", user="u1") as handle:
            shown = repr(handle)

        assert (f"<Session {handle.id} type=job status=active>", "<no session>") == (shown, repr(current_session()))

    def test_wall_clock_set_back(self, recorded_sessions: RecordedSessions) -> None:
        """A wall clock that is set back makes no negative ages, and no negative duration of the span."""
        with session("job") as handle:
            recorded_sessions.clock.jump(-3600)
            recorded_sessions.clock.advance(2)
            ages = (handle.age_seconds, handle.idle_seconds)

        (span,) = recorded_sessions.spans
        assert span.start_time is not None
        assert (0.0, 0.0) == ages
        assert span.start_time + 2_000_000_000 == span.end_time

    @pytest.mark.parametrize("history", [0, 1])
    def test_snapshot_of_an_ended_session(self, history: int) -> None:
        """The snapshot of an ended session says how it ended, also when its record is no longer in the store."""
        with record_sessions(history=history):
            with session("job") as handle:
                pass
            durable = otel_sessions.start("chat")
            durable.end("error")
            for _ in range(2):
                with session("other"):
                    pass
            records = [handle.snapshot(), durable.snapshot()]

        assert [("success", "completed"), ("error", "exception")] == [
            (record.status, record.end_reason) for record in records if record is not None
        ]


def portrayed(handle: Session) -> dict[str, object]:
    """All plain properties of a handle."""
    return {
        name: getattr(handle, name)
        for name in (
            "id",
            "type",
            "previous_id",
            "parent_id",
            "user",
            "tier",
            "platform",
            "status",
            "end_reason",
            "is_active",
            "age_seconds",
            "idle_seconds",
            "concurrent_operations",
        )
    }


class TestNoSession:
    @pytest.mark.parametrize("call", CALLS)
    def test_calls(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture, call: str) -> None:
        """Outside a session every call does nothing, and nobody is told."""
        CALLS[call](current_session())

        assert ([], [], [], "") == (
            recorded_sessions.spans,
            recorded_sessions.logs,
            caplog.records,
            current_session().id,
        )

    def test_with(self, recorded_sessions: RecordedSessions) -> None:
        """It can be entered, left and ended, and its turns count nothing."""
        before = otel_context.get_current()
        with current_session() as handle, handle.turn(model="m") as turn:
            turn.tokens(input=1)
            turn.cost(1.0)
            turn.message("tool")
            assert before is otel_context.get_current()

        assert (False, []) == (handle.end(), recorded_sessions.spans)

    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_mistakes(self, recorded_sessions: RecordedSessions, mistake: str) -> None:
        """A wrong call is wrong outside of a session too: it is found where it is tried first."""
        with pytest.raises(InvalidValueError):
            MISTAKES[mistake](current_session())


class TestMistakes:
    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_refused(self, recorded_sessions: RecordedSessions, mistake: str) -> None:
        """A wrong call raises at the call, says what may be given, and leaves the session as it was."""
        with session("job") as handle, pytest.raises(InvalidValueError, match=r"use |is taken"):
            MISTAKES[mistake](handle)

        assert [portrait.scoped(handle)] == [portrait.attributes(span) for span in recorded_sessions.spans]
        assert ["app_session.startup", "session.start", "session.end"] == [
            log.log_record.event_name for log in recorded_sessions.logs
        ]


class TestWith:
    def test_span(self, recorded_sessions: RecordedSessions) -> None:
        """A block is a session, current inside and only there."""
        before = otel_context.get_current()
        with session("import", user="u1") as handle:
            assert handle is current_session()
        after = otel_context.get_current()

        (span,) = recorded_sessions.spans
        assert (before, "session import", portrait.scoped(handle)) == (after, span.name, portrait.attributes(span))

    def test_async_with(self, recorded_sessions: RecordedSessions) -> None:
        """`async with` does the same."""

        async def main() -> Session:
            async with session("import") as handle:
                await asyncio.sleep(0)
                assert handle is current_session()
            assert "" == current_session().id
            return handle

        assert portrait.scoped(asyncio.run(main())) == portrait.attributes(recorded_sessions.spans[0])

    @pytest.mark.parametrize(
        ("exception", "status", "reason"),
        [
            (ValueError("x"), "error", "exception"),
            (SystemExit(3), "error", "exception"),
            (SystemExit(0), "success", "completed"),
            (KeyboardInterrupt(), "cancelled", "cancelled"),
            (asyncio.CancelledError(), "cancelled", "cancelled"),
            (GeneratorExit(), "cancelled", "cancelled"),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("asynchronous", [True, False])
    def test_left_by_exception(
        self,
        recorded_sessions: RecordedSessions,
        exception: BaseException,
        status: str,
        reason: str,
        *,
        asynchronous: bool,
    ) -> None:
        """The exception passes as it was, the status says how the block was left."""

        def block() -> None:
            with session("job"):
                raise exception

        async def async_block() -> None:
            async with session("job"):
                raise exception

        assert exception is raised_by(lambda: async_block().send(None) if asynchronous else block())
        assert None is exception.__context__
        assert [(status, reason)] == [
            (portrait.attributes(s)["app_session.status"], portrait.attributes(s)["app_session.end_reason"])
            for s in recorded_sessions.spans
        ]

    def test_nesting(self, recorded_sessions: RecordedSessions) -> None:
        """Inside is what was entered last; leaving gives back the one around it. The inner names its parent."""
        with session("a") as a:
            with session("b") as b:
                with session("c") as c:
                    assert c is current_session()
                assert b is current_session()
            assert a is current_session()
            with contextlib.suppress(ValueError), session("d"):
                raise ValueError
            assert a is current_session()
        assert "" == current_session().id

        assert (None, a.id, b.id) == (a.parent_id, b.parent_id, c.parent_id)
        spans = {span.name: span for span in recorded_sessions.spans}
        assert [b.id, a.id, a.id] == [
            portrait.attributes(spans[f"session {name}"])["app_session.parent.id"] for name in "cbd"
        ]
        assert [spans["session b"], spans["session a"], spans["session a"]] == [
            next(above for above in spans.values() if portrait.span_id(above) == portrait.parent_id(spans[name]))
            for name in ("session c", "session b", "session d")
        ]

    def test_ended_inside(self, recorded_sessions: RecordedSessions) -> None:
        """Ending inside the block counts; leaving it, even by an exception, changes nothing any more."""
        with contextlib.suppress(LookupError), session("job") as handle:
            assert handle.end("cancelled", reason="logout")
            recorded_sessions.clock.advance(5)
            assert handle is current_session()
            raise LookupError

        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.scoped(handle, status="cancelled", reason="logout")
        assert span.start_time == span.end_time
        assert "" == current_session().id

    def test_entered_twice(self, recorded_sessions: RecordedSessions) -> None:
        """One handle is in one block: entering it again is a mistake that harms neither."""
        with session("job") as handle:
            with pytest.raises(InvalidValueError, match="is entered already through this handle"), handle:
                raise AssertionError
            assert handle is current_session()

        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    def test_spans_inside(self, recorded_sessions: RecordedSessions) -> None:
        """Spans made inside, in whatever depth, are in the session's trace and carry its id, and no other's."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")
        with session("outer") as outer:
            with tracer.start_as_current_span("one"), session("inner") as inner, tracer.start_as_current_span("two"):
                pass
            with tracer.start_as_current_span("three"):
                pass

        ids = {span.name: portrait.attributes(span)["session.id"] for span in recorded_sessions.spans}
        assert {
            "one": outer.id,
            "two": inner.id,
            "three": outer.id,
            "session inner": inner.id,
            "session outer": outer.id,
        } == ids
        assert 1 == len({portrait.trace_id(span) for span in recorded_sessions.spans})


class TestBrokenTelemetry:
    """The application does not notice when telemetry fails."""

    def test_sampler(self, caplog: pytest.LogCaptureFixture) -> None:
        """A sampler that raises costs the span, not the work; the failure is counted and logged."""
        from opentelemetry.sdk.trace.sampling import Sampler

        class Broken(Sampler):
            def should_sample(self, *_: object, **__: object) -> Any:
                raise RuntimeError("sampler")

            def get_description(self) -> str:
                return "broken"

        with record_sessions(sampler=Broken()) as recorded:
            with session("job") as handle:
                handle.progress("on")
            durable = otel_sessions.start("chat")
            with durable:
                durable.progress("on")
            durable.end()

            assert ([], "success", "success") == (recorded.spans, handle.status, durable.status)
            assert [2, 2] == [recorded.metric("app_session.starts"), recorded.metric("app_session.duration")]
            assert ["session.start", "app_session.progress", "session.end"] * 2 == [
                log.log_record.event_name for log in recorded.logs if log.log_record.event_name != "app_session.startup"
            ]
            assert recorded.metric("app_session.dropped", app_session__drop__reason="internal_error") >= 2
        assert "RuntimeError: sampler" in caplog.text

    def test_span_processor(self, recorded_sessions: RecordedSessions) -> None:
        """A span processor that raises costs what it costs, not the work."""
        from opentelemetry.sdk.trace import SpanProcessor

        class Broken(SpanProcessor):
            def on_start(self, *_: object) -> None:
                raise RuntimeError("on_start")

            def on_end(self, *_: object) -> None:
                raise RuntimeError("on_end")

        recorded_sessions.tracer_provider.add_span_processor(Broken())
        with session("job") as handle:
            assert handle is current_session()
        durable = otel_sessions.start("chat")
        durable.end()

        assert ("success", "success", "") == (handle.status, durable.status, current_session().id)

    def test_log_processor(self, recorded_sessions: RecordedSessions) -> None:
        """A log processor that raises costs the log events; the spans have theirs."""
        from opentelemetry.sdk._logs import LogRecordProcessor

        class Broken(LogRecordProcessor):
            def on_emit(self, log_record: Any) -> None:
                raise RuntimeError("on_emit")

            def shutdown(self) -> None: ...

            def force_flush(self, timeout_millis: int = 0) -> bool:
                return True

        recorded_sessions.logger_provider.add_log_record_processor(Broken())
        with session("job") as handle:
            handle.progress("on")

        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]


class TestDisabled:
    def test_nothing(self) -> None:
        """With `enabled=False` every session is the one that is nothing."""
        with record_sessions(enabled=False) as recorded:
            before = otel_context.get_current()
            with session("job") as handle:
                assert before is otel_context.get_current()
                assert handle is current_session()
                for call in CALLS.values():
                    call(handle)
            assert (False, False) == (handle.end(), handle.is_active)

        assert ([], [], "<no session>") == (recorded.spans, recorded.logs, repr(handle))

    def test_block_after_the_switch(self) -> None:
        """An exception leaves a disabled block as it came."""
        error = ValueError("x")

        def block() -> None:
            with session("job"):
                raise error

        with record_sessions(enabled=False):
            assert error is raised_by(block)
