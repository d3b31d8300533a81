"""How a session ends, and how it goes on under another id."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.trace import StatusCode

import otel_sessions
from otel_sessions import Session, current_session, session
from otel_sessions.testing import RecordedSessions

from . import portrait
from .calls import CALLS
from .outcome import raised_by


class TestEnd:
    @pytest.mark.parametrize(
        ("status", "reason", "expected"),
        [
            ("success", None, "completed"),
            ("error", None, "exception"),
            ("cancelled", None, "cancelled"),
            ("expired", None, "max_duration"),
            ("abandoned", None, "crashed"),
            ("success", "logout", "logout"),
            ("error", "shutdown", "shutdown"),
            ("expired", "idle_timeout", "idle_timeout"),
        ],
    )
    @pytest.mark.parametrize("start", [lambda: session("job"), lambda: otel_sessions.start("job")])
    def test_status(
        self, recorded_sessions: RecordedSessions, start: Callable[[], Any], status: Any, reason: Any, expected: str
    ) -> None:
        """A session ends as it is told to; each status has a usual reason. Only an error is one on the span."""
        with start() as handle:
            assert handle.end(status, reason=reason)

        (span,) = recorded_sessions.spans
        assert (status, expected, StatusCode.ERROR if status == "error" else StatusCode.UNSET) == (
            portrait.attributes(span)["app_session.status"],
            portrait.attributes(span)["app_session.end_reason"],
            span.status.status_code,
        )
        assert (status, expected) == (handle.status, handle.end_reason)
        assert 1 == recorded_sessions.metric(
            "app_session.duration", app_session__status=status, app_session__end_reason=expected
        )

    @pytest.mark.parametrize("start", [lambda: session("job"), lambda: otel_sessions.start("job")])
    def test_twice(self, recorded_sessions: RecordedSessions, start: Callable[[], Any]) -> None:
        """The first end counts; the second says that it did nothing."""
        with start() as handle:
            assert [True, False, False] == [handle.end("error"), handle.end("success"), handle.end("error")]

        assert ["error"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]
        assert ("error", 1) == (handle.status, len(recorded_sessions.events("session.end")))

    @pytest.mark.parametrize("start", [lambda: session("job").__enter__(), lambda: otel_sessions.start("job")])
    def test_by_many_threads(self, recorded_sessions: RecordedSessions, start: Callable[[], Session]) -> None:
        """Of many threads that end a session one does; it is said once."""
        handle = start()
        barrier = threading.Barrier(16)
        results: list[bool] = []

        def end() -> None:
            barrier.wait()
            results.append(handle.end())

        threads = [threading.Thread(target=end) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        handle.__exit__(None, None, None)

        assert (1, 16) == (sum(results), len(results))
        assert (1, 1) == (len(recorded_sessions.spans), len(recorded_sessions.events("session.end")))

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("start", [lambda: session("job"), lambda: otel_sessions.start("job")])
    def test_used_afterwards(
        self,
        recorded_sessions: RecordedSessions,
        caplog: pytest.LogCaptureFixture,
        start: Callable[[], Any],
        call: str,
    ) -> None:
        """On an ended session a call does nothing: it is counted as dropped, and said once a minute."""
        with start() as handle:
            handle.end()
        session_id = handle.id
        logs = len(recorded_sessions.logs)
        CALLS[call](handle)
        CALLS[call](handle)

        assert [
            (
                "otel_sessions",
                logging.WARNING,
                f"{call}() did nothing: the session {session_id} (job) has ended as success.",
            )
        ] == caplog.record_tuples
        assert 2 == recorded_sessions.metric("app_session.dropped", app_session__drop__reason="session_ended")
        assert (1, logs, session_id) == (len(recorded_sessions.spans), len(recorded_sessions.logs), handle.id)

    @pytest.mark.parametrize("start", [lambda: session("job"), lambda: otel_sessions.start("job")])
    def test_entered_afterwards(
        self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture, start: Callable[[], Any]
    ) -> None:
        """An ended session cannot become current again; the block runs without."""
        with start() as handle:
            handle.end()
        before = otel_context.get_current()
        with handle:
            assert before is otel_context.get_current()

        assert 0 == handle.concurrent_operations
        assert [f"with() did nothing: the session {handle.id} (job) has ended as success."] == caplog.messages

    def test_found_by_the_garbage_collector(self, recorded_sessions: RecordedSessions) -> None:
        """A session whose generator dies in a reference cycle has ended with the next round of background work."""

        @session("pages")
        def pages(me: list[Any]) -> Any:
            yield me
            yield me

        held: list[Any] = []
        held.append(pages(held))
        next(held[0])
        del held
        gc.collect()
        otel_sessions.sweep()

        assert ["cancelled"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    def test_events_after_the_block(self, recorded_sessions: RecordedSessions) -> None:
        """A task that outlives its session still sees it, ended; what it records is dropped, not misattributed."""
        seen: list[tuple[str, str | None]] = []

        async def late(ended: asyncio.Event) -> None:
            await ended.wait()
            current_session().progress("late")
            seen.append((current_session().id, current_session().status))

        async def main() -> str:
            ended = asyncio.Event()
            with session("job") as handle:
                task = asyncio.create_task(late(ended))
                await asyncio.sleep(0)
            ended.set()
            await task
            return handle.id

        assert [(asyncio.run(main()), "success")] == seen
        assert [] == portrait.events(recorded_sessions.spans[0])


class TestRotation:
    def test_scoped(self, recorded_sessions: RecordedSessions) -> None:
        """Rotating ends the session and begins its successor; the same handle and the block go on in that."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")
        with session("outer") as outer:
            with session("job", user="u1", tier="pro", platform="web", attributes={"tenant": "x"}) as handle:
                old = handle.id
                handle.progress("before")
                handle.set_attributes(only="old")
                recorded_sessions.clock.advance(1)
                handle.rotate("login")
                assert handle is current_session()
                with tracer.start_as_current_span("child"):
                    pass
                handle.progress("after")
            assert outer is current_session()

        spans = {span.name: span for span in recorded_sessions.spans}
        first, second = (span for span in recorded_sessions.session_spans if span.name == "session job")
        given: dict[str, object] = {
            "app_session.tier": "pro",
            "app_session.platform": "web",
            "app_session.parent.id": outer.id,
            "tenant": "x",
        }
        assert portrait.attributes(second) == portrait.scoped(handle, {**given, "session.previous_id": old}, events=1)
        assert portrait.attributes(first) == portrait.scoped(
            handle,
            {**given, "session.id": old, "only": "old", "app_session.rotation.reason": "login"},
            reason="rotated",
            events=1,
        )
        assert (portrait.span_id(second), [portrait.span_id(spans["session outer"])] * 2) == (
            portrait.parent_id(spans["child"]),
            [portrait.parent_id(first), portrait.parent_id(second)],
        )
        assert old == handle.previous_id
        assert (first.end_time, 0) == (second.start_time, handle.concurrent_operations)

    def test_durable(self, recorded_sessions: RecordedSessions) -> None:
        """A durable session is found under its own id after a rotation, and no longer shows it."""
        otel_sessions.start("chat", id="conv-42", user="u1")
        with otel_sessions.resume("conv-42") as handle:
            handle.rotate("login")
            assert handle is current_session()
        again = otel_sessions.resume("conv-42")

        assert (handle.id, "conv-42", "conv-42" != handle.id) == (again.id, again.previous_id, True)
        assert otel_sessions.end("conv-42")
        first, second = recorded_sessions.spans
        assert ["rotated", "completed"] == [
            portrait.attributes(span)["app_session.end_reason"] for span in (first, second)
        ]
        assert portrait.trace_id(first) != portrait.trace_id(second)
        assert 0 == handle.concurrent_operations

    def test_outside_of_a_block(self, recorded_sessions: RecordedSessions) -> None:
        """A handle that is in no block rotates its session and makes nothing current."""
        before = otel_context.get_current()
        handle = otel_sessions.start("chat", id="conv-42")
        handle.rotate("login")

        assert before is otel_context.get_current()
        assert ("conv-42", True) == (handle.previous_id, handle.is_active)

    def test_order_of_events(self, recorded_sessions: RecordedSessions) -> None:
        """The end of the old session is said before the start of the new one, which names it."""
        with session("job") as handle:
            handle.rotate()

        assert [
            ("session.start", handle.previous_id, None),
            ("session.end", handle.previous_id, None),
            ("session.start", handle.id, handle.previous_id),
            ("session.end", handle.id, None),
        ] == [
            (
                log.log_record.event_name,
                (log.log_record.attributes or {})["session.id"],
                (log.log_record.attributes or {}).get("session.previous_id"),
            )
            for log in recorded_sessions.logs
            if log.log_record.event_name in {"session.start", "session.end"}
        ]

    def test_twice(self, recorded_sessions: RecordedSessions) -> None:
        """Each rotation links to the one before."""
        ids = []
        with session("job") as handle:
            for _ in range(3):
                ids.append(handle.id)
                handle.rotate()
            ids.append(handle.id)

        assert [None, *ids[:3]] == [
            portrait.attributes(span).get("session.previous_id") for span in recorded_sessions.spans
        ]
        assert 4 == len(set(ids))

    def test_in_use_elsewhere(self, recorded_sessions: RecordedSessions) -> None:
        """A session that rotates while another block uses it goes on for both, and can still become idle."""
        otel_sessions.start("chat", id="conv-42", idle_timeout=60)
        with otel_sessions.resume("conv-42") as one:
            with otel_sessions.resume("conv-42") as other:
                one.rotate("login")
                other.progress("on")
            assert 1 == one.concurrent_operations
        assert (one.id, 0, 0) == (other.id, one.concurrent_operations, other.concurrent_operations)

        recorded_sessions.advance(60)
        recorded_sessions.advance(60)
        assert ([], "idle_timeout") == (otel_sessions.active(), one.end_reason)
        assert ["app_session.progress"] == [event.name for event in recorded_sessions.spans[1].events]

    def test_ended_elsewhere(self, recorded_sessions: RecordedSessions) -> None:
        """A handle follows its session through a rotation that somebody else asked for: it tells of it and ends it."""
        otel_sessions.start("chat", id="conv-42")
        one, other = otel_sessions.resume("conv-42"), otel_sessions.resume("conv-42")
        one.rotate("login")

        assert (one.id, "active", "conv-42") == (other.id, other.status, other.previous_id)
        assert (True, []) == (other.end(), otel_sessions.active())
        assert "success" == one.status

    def test_entered_after_it(self, recorded_sessions: RecordedSessions) -> None:
        """A handle from before such a rotation makes the new session current."""
        otel_sessions.start("chat", id="conv-42")
        one, other = otel_sessions.resume("conv-42"), otel_sessions.resume("conv-42")
        one.rotate("login")
        with other:
            assert (one.id, 1) == (current_session().id, one.concurrent_operations)
        assert 0 == one.concurrent_operations

    def test_failed_elsewhere(self, recorded_sessions: RecordedSessions) -> None:
        """An exception that leaves a block after such a rotation is the new session's."""
        otel_sessions.start("chat", id="conv-42")
        one = otel_sessions.resume("conv-42")

        def fail() -> None:
            with otel_sessions.resume("conv-42"):
                one.rotate("login")
                raise LookupError("x")

        assert isinstance(raised_by(fail), LookupError)
        one.end()

        assert [0, 1] == [portrait.attributes(s)["app_session.error.count"] for s in recorded_sessions.spans]
