"""Durable sessions in a block: their spans, links and events."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.trace import StatusCode

import otel_sessions
from otel_sessions import current_session, session
from otel_sessions.testing import RecordedSessions

from . import portrait
from .outcome import raised_by


class TestDurable:
    def test_children_of_the_reserved_span(self, recorded_sessions: RecordedSessions) -> None:
        """Where no trace is under way, spans made in the session are children of its span, before that exists."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")
        otel_sessions.start("chat", id="conv-42")
        with otel_sessions.resume("conv-42"), tracer.start_as_current_span("one"), tracer.start_as_current_span("two"):
            pass
        otel_sessions.end("conv-42")

        two, one, own = recorded_sessions.spans
        assert [portrait.span_id(one), portrait.span_id(own), None] == [
            portrait.parent_id(span) for span in (two, one, own)
        ]
        assert 1 == len({portrait.trace_id(span) for span in (one, two, own)})
        assert [{"session.id": "conv-42"}] * 2 == [portrait.attributes(span) for span in (one, two)]

    def test_link_of_the_current_span(self, recorded_sessions: RecordedSessions) -> None:
        """A trace that is under way goes on: its span gets the session's id, type and a link to the session's span."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")
        otel_sessions.start("chat", id="conv-42")
        with tracer.start_as_current_span("request"):
            with otel_sessions.resume("conv-42") as handle, tracer.start_as_current_span("query"):
                pass
            with otel_sessions.resume("conv-42"):
                pass
        otel_sessions.end("conv-42")

        query, request, own = recorded_sessions.spans
        assert (portrait.span_id(request), None, None) == (
            portrait.parent_id(query),
            portrait.parent_id(request),
            portrait.parent_id(own),
        )
        assert ({"session.id": "conv-42", "app_session.type": "chat"}, {"session.id": "conv-42"}) == (
            portrait.attributes(request),
            portrait.attributes(query),
        )
        assert {(portrait.trace_id(own), portrait.span_id(own))} == {
            (link.context.trace_id, link.context.span_id) for link in request.links
        }
        assert portrait.trace_id(own) != portrait.trace_id(request)
        assert portrait.span_id(own) == handle.span_context.span_id

    def test_linked_once(self, recorded_sessions: RecordedSessions) -> None:
        """Entering the session inside itself does not link again."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")
        otel_sessions.start("chat", id="conv-42")
        with (
            tracer.start_as_current_span("request"),
            otel_sessions.resume("conv-42"),
            otel_sessions.resume("conv-42") as inner,
        ):
            assert 2 == inner.concurrent_operations

        assert [1] == [len(span.links) for span in recorded_sessions.spans]

    def test_exception_goes_on(self, recorded_sessions: RecordedSessions) -> None:
        """An exception that leaves the block is an error of the session, which goes on; a cancellation is none."""
        otel_sessions.start("chat", id="conv-42")
        error = ValueError("x")

        def fail(exception: BaseException) -> None:
            with otel_sessions.resume("conv-42"):
                raise exception

        assert error is raised_by(lambda: fail(error))
        assert isinstance(raised_by(lambda: fail(KeyboardInterrupt())), KeyboardInterrupt)
        handle = otel_sessions.resume("conv-42")
        assert handle.is_active
        handle.end()

        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.durable(handle, events=1, errors=1)
        assert (["exception"], StatusCode.UNSET) == ([e.name for e in span.events], span.status.status_code)

    def test_errors_again_and_again(self, recorded_sessions: RecordedSessions) -> None:
        """Each exception that leaves a block counts, however alike they are."""
        handle = otel_sessions.start("chat")
        for _ in range(5):
            with pytest.raises(ValueError, match="x"), handle:
                raise ValueError("x")
        handle.end()

        assert portrait.durable(handle, events=5, errors=5) == portrait.attributes(recorded_sessions.spans[0])

    def test_start_is_not_entered(self, recorded_sessions: RecordedSessions) -> None:
        """Starting a session does not make it current; its handle does, in a block."""
        handle = otel_sessions.start("chat")
        assert "" == current_session().id
        with handle:
            assert handle is current_session()
        assert handle.is_active

    def test_async_with(self, recorded_sessions: RecordedSessions) -> None:
        """`async with` does the same."""
        otel_sessions.start("chat", id="conv-42")

        async def main() -> None:
            async with otel_sessions.resume("conv-42") as handle:
                await asyncio.sleep(0)
                assert (handle, 1) == (current_session(), handle.concurrent_operations)
            assert ("", 0) == (current_session().id, handle.concurrent_operations)

        asyncio.run(main())
        assert otel_sessions.resume("conv-42").is_active

    def test_events_are_replayed(self, recorded_sessions: RecordedSessions) -> None:
        """Events of all blocks are on the one span, with their own times, in their order."""
        times = []
        otel_sessions.start("chat", id="conv-42")
        for step in range(3):
            recorded_sessions.clock.advance(10)
            with otel_sessions.resume("conv-42") as handle:
                times.append(recorded_sessions.clock.time_ns())
                handle.progress("on", step=step)
            otel_sessions.sweep()
        otel_sessions.end("conv-42")

        (span,) = recorded_sessions.spans
        assert [(time, step) for step, time in enumerate(times)] == [
            (event.timestamp, (event.attributes or {})["step"]) for event in span.events
        ]

    def test_session_inside(self, recorded_sessions: RecordedSessions) -> None:
        """A scoped session inside a durable one is its own session, with the durable one as parent."""
        otel_sessions.start("chat", id="conv-42")
        with otel_sessions.resume("conv-42") as handle:
            with session("job") as job:
                assert job is current_session()
            assert handle is current_session()
        handle.end()

        inner, outer = recorded_sessions.spans
        assert ("conv-42", portrait.span_id(outer)) == (job.parent_id, portrait.parent_id(inner))
