"""A session goes on in another process."""

from __future__ import annotations

import base64
import json
import re

import pytest
from opentelemetry import trace

import otel_sessions
from otel_sessions import InvalidValueError, SessionNotFoundError, current_session, session
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait
from .shared_memory_store import SharedMemoryStore


def encoded(data: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


class TestHandoff:
    def test_goes_on_elsewhere(self) -> None:
        """What happens in the other process is in the session, whose span is emitted once."""
        store = SharedMemoryStore()
        with record_sessions(store=store) as here:
            handle = otel_sessions.start("chat", id="conv-42")
            token = handle.handoff()
            with record_sessions(store=store) as there:
                with otel_sessions.resume(handoff=token) as job:
                    job.event("step")
                    assert handle.id == current_session().id
                job.end()
                [span] = there.session_spans
            assert portrait.durable(handle, events=1) == portrait.attributes(span)
            assert [] == here.session_spans

    def test_continues_the_trace(self, recorded_sessions: RecordedSessions) -> None:
        """The job's spans stand in the trace of whoever handed it over."""
        tracer = recorded_sessions.tracer_provider.get_tracer("shop")
        handle = otel_sessions.start("chat")
        with tracer.start_as_current_span("POST /jobs") as request:
            token = handle.handoff()
        with otel_sessions.resume(handoff=token), tracer.start_as_current_span("job"):
            pass
        [job] = [span for span in recorded_sessions.spans if span.name == "job"]
        context = request.get_span_context()
        assert (context.trace_id, context.span_id) == (portrait.trace_id(job), portrait.parent_id(job))
        assert handle.id == portrait.attributes(job)["session.id"]

    def test_has_a_trace_already(self, recorded_sessions: RecordedSessions) -> None:
        """A worker that has a trace of its own keeps it."""
        tracer = recorded_sessions.tracer_provider.get_tracer("shop")
        with tracer.start_as_current_span("POST /jobs"):
            token = otel_sessions.start("chat").handoff()
        with tracer.start_as_current_span("worker") as worker, otel_sessions.resume(handoff=token):
            assert worker.get_span_context() == trace.get_current_span().get_span_context()

    def test_outside_of_a_trace(self, recorded_sessions: RecordedSessions) -> None:
        """Handed over outside of a trace, what is done in it stands in the session's own."""
        handle = otel_sessions.start("chat")
        with otel_sessions.resume(handoff=handle.handoff()):
            assert handle.span_context == trace.get_current_span().get_span_context()

    def test_rotated_meanwhile(self, recorded_sessions: RecordedSessions) -> None:
        """A session that was rotated meanwhile goes on as its successor."""
        handle = otel_sessions.start("chat")
        token = handle.handoff()
        handle.rotate()
        assert handle.id == otel_sessions.resume(handoff=token).id

    @pytest.mark.usefixtures("recorded_sessions")
    def test_fits_anywhere(self) -> None:
        """A token is plain text without anything that a header or a shell would take for itself."""
        token = otel_sessions.start("chat", id="'$x\"~{}").handoff()
        assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
        assert "'$x\"~{}" == otel_sessions.resume(handoff=token).id

    @pytest.mark.usefixtures("recorded_sessions")
    def test_nothing_to_hand_over(self) -> None:
        """Outside a session, and when it has ended, the token is empty."""
        handle = otel_sessions.start("chat")
        handle.end()
        assert ["", ""] == [current_session().handoff(), handle.handoff()]


class TestWrong:
    @pytest.mark.usefixtures("recorded_sessions")
    def test_scoped(self) -> None:
        """A scoped session lives in one process, and says what to do."""
        with session("job") as handle, pytest.raises(InvalidValueError, match=rf"{handle.id} \(job\).*start\(\.\.\.\)"):
            handle.handoff()

    @pytest.mark.parametrize(
        "token",
        [
            "",
            "x",
            "ä",
            "!" * 40,
            encoded([1]),
            encoded({"v": 1}),
            encoded({"v": 1, "key": ""}),
            encoded({"v": 1, "key": 5}),
            encoded({"v": 1, "key": "k", "traceparent": 1}),
            "A" * 10_000,
            5,
            b"x",
        ],
        ids=lambda token: repr(token)[:20],
    )
    @pytest.mark.usefixtures("recorded_sessions")
    def test_no_token(self, token: object) -> None:
        """What is no token is refused, and not shown: it may be a secret in the wrong place."""
        with pytest.raises(InvalidValueError) as raised:
            otel_sessions.resume(handoff=token)  # type: ignore[call-overload]  # as a caller without types would
        assert not isinstance(token, str) or not token or token not in str(raised.value) or token == "x"

    @pytest.mark.usefixtures("recorded_sessions")
    def test_later_version(self) -> None:
        """A token of a later version is refused with both versions."""
        with pytest.raises(InvalidValueError, match=r"of version 2 .* knows 1"):
            otel_sessions.resume(handoff=encoded({"v": 2, "key": "k"}))

    @pytest.mark.usefixtures("recorded_sessions")
    def test_has_ended(self) -> None:
        """A session that is over is not found."""
        handle = otel_sessions.start("chat")
        token = handle.handoff()
        handle.end()
        with pytest.raises(SessionNotFoundError, match="handed over by this token"):
            otel_sessions.resume(handoff=token)

    @pytest.mark.usefixtures("recorded_sessions")
    def test_both(self) -> None:
        """A session is resumed by its id or by a token."""
        handle = otel_sessions.start("chat")
        with pytest.raises(InvalidValueError, match="give the id or the token, not both"):
            otel_sessions.resume(handle.id, handoff=handle.handoff())  # type: ignore[call-overload]  # as above
