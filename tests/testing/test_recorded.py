"""`record_sessions` and `RecordedSessions`: what users test their own sessions with."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_sessions
from otel_sessions import ConfigurationError, current_session, session
from otel_sessions.testing import RecordedSessions, record_sessions


class TestRecording:
    """Everything that sessions emit is there."""

    def test_spans(self) -> None:
        """All spans in the order in which they ended, and those of sessions among them."""
        with record_sessions() as recorded:
            with session("outer"), recorded.tracer_provider.get_tracer("x").start_as_current_span("step"):
                pass
            assert ["step", "session outer"] == [span.name for span in recorded.spans]
            assert ["session outer"] == [span.name for span in recorded.session_spans]

    def test_events(self) -> None:
        """The attributes of log events, all or those of one name; plain log records are not among them."""
        with record_sessions() as recorded:
            with session("job", user="ada") as s:
                s.event("cart.checkout", amount=3)
                recorded.logger_provider.get_logger("x").emit(body="hello")
            assert [{"session.id": s.id, "app_session.type": "job", "enduser.pseudo.id": s.user, "amount": 3}] == (
                recorded.events("cart.checkout")
            )
            assert 4 == len(recorded.events())
            assert 5 == len(recorded.logs)
            assert [] == recorded.events("nothing.of.the.kind")

    def test_metrics(self) -> None:
        """By name and attributes; a histogram is its count and sum."""
        with record_sessions() as recorded:
            with session("job", tier="pro"):
                recorded.clock.advance(2)
            metrics = recorded.metrics()
        job = ("app_session.type", "job")
        assert {frozenset({job, ("app_session.tier", "pro")}): 1} == metrics["app_session.starts"]
        ended = frozenset({job, ("app_session.status", "success"), ("app_session.end_reason", "completed")})
        assert {ended: (1, 2.0)} == metrics["app_session.duration"]

    def test_metric(self) -> None:
        """One number: the sum over the points that have the attributes; zero if there are none."""
        with record_sessions() as recorded:
            for kind in ("web", "web", "job"):
                with session(kind):
                    pass
            assert 3 == recorded.metric("app_session.starts")
            assert 2 == recorded.metric("app_session.starts", app_session__type="web")
            assert 2 == recorded.metric("app_session.duration", app_session__type="web")
            assert 0 == recorded.metric("app_session.starts", app_session__type="chat")
            assert 0 == recorded.metric("no.such.metric")

    def test_clear(self) -> None:
        """What was recorded is forgotten; metrics go on."""
        with record_sessions() as recorded:
            with session("job"):
                pass
            recorded.clear()
            assert ([], []) == (recorded.spans, recorded.logs)
            with session("job"):
                pass
            assert 1 == len(recorded.session_spans)
            assert 2 == recorded.metric("app_session.starts")

    def test_advance_expires(self) -> None:
        """Time passes and what the background thread would have done is done."""
        with record_sessions(idle_timeout=60) as recorded:
            handle = otel_sessions.start("web")
            recorded.advance(59)
            assert handle.is_active
            recorded.advance(2)
            assert ("expired", "idle_timeout") == (handle.status, handle.end_reason)
            assert ["session web"] == [span.name for span in recorded.spans]

    def test_sampler(self) -> None:
        """A sampler of the test's choice."""
        with record_sessions(sampler=ALWAYS_OFF) as recorded:
            with session("job"):
                pass
            assert [] == recorded.spans
            assert 2 == len([event for event in recorded.events() if "session.id" in event])

    def test_everything_remains_afterwards(self) -> None:
        """What was recorded can be looked at after the block, sessions that were open at its end included."""
        with record_sessions() as recorded:
            otel_sessions.start("web")
        assert ["shutdown"] == [(span.attributes or {})["app_session.end_reason"] for span in recorded.spans]


class TestIsolation:
    """A recording touches nothing around it, and nothing around touches it."""

    def test_settings_are_those_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Variables of the environment do not count."""
        monkeypatch.setenv("OTEL_SESSIONS_ENABLED", "false")
        monkeypatch.setenv("OTEL_SESSIONS_IDLE_TIMEOUT", "1")
        with record_sessions() as recorded:
            handle = otel_sessions.start("web")
            recorded.advance(5)
            assert handle.is_active

    def test_no_background_thread(self) -> None:
        """Only `advance` lets anything happen."""
        before = set(threading.enumerate())
        with record_sessions():
            otel_sessions.start("web")
            assert set() == set(threading.enumerate()) - before

    def test_stores_are_apart(self) -> None:
        """A session of one recording is not known in another."""
        with record_sessions():
            otel_sessions.start("web", id="conv-42")
        with record_sessions():
            assert otel_sessions.get("conv-42") is None

    def test_what_ran_before_goes_on(self) -> None:
        """Nested recordings: the outer one is put back with its sessions, also after an exception."""

        def fail() -> None:
            with record_sessions():
                otel_sessions.start("web", id="inner")
                raise ZeroDivisionError

        with record_sessions() as outer:
            otel_sessions.start("web", id="conv-42")
            with pytest.raises(ZeroDivisionError):
                fail()
            assert "conv-42" == otel_sessions.resume("conv-42").id
            assert otel_sessions.get("inner") is None
            assert 1 == outer.metric("app_session.starts")

    def test_drops_are_counted_where_they_happen(self) -> None:
        """A recording that has ended does not go on counting for those that come after it."""
        with record_sessions() as outer:
            with record_sessions() as inner, session("job"):
                pass
            with session("job") as s:
                s.event("cart.checkout", unusable=object())
            assert 1 == outer.metric("app_session.dropped")
            assert 0 == inner.metric("app_session.dropped")

    def test_wrong_settings_are_refused(self) -> None:
        """A setting that does not exist is a mistake in the test; what was configured stays."""
        with record_sessions() as outer:
            with pytest.raises(ConfigurationError, match="idle_time"), record_sessions(idle_time=3):
                pass
            with session("job"):
                pass
            assert 1 == len(outer.session_spans)

    def test_no_provider_becomes_global(self) -> None:
        """The API's own proxy stays."""
        with record_sessions(), session("job"):
            assert "ProxyTracerProvider" == type(trace.get_tracer_provider()).__name__

    def test_nothing_is_kept_alive(self) -> None:
        """A test suite with thousands of recordings does not hold on to them."""

        def record() -> list[weakref.ref[object]]:
            with record_sessions() as recorded:
                with session("job", user="ada") as s:
                    s.record("own.metric", 1)
                otel_sessions.start("web", user="ada").end()
            parts = (recorded, recorded.tracer_provider, recorded.meter_provider, recorded.logger_provider)
            return [weakref.ref(part) for part in parts]

        held = record()
        gc.collect()
        assert [None] * 4 == [part() for part in held]

    def test_outside_there_is_no_session(self, recorded_sessions: RecordedSessions) -> None:
        """The fixture begins with nothing current, and with nothing recorded."""
        assert "" == current_session().id
        assert ([], [], {}) == (
            recorded_sessions.spans,
            recorded_sessions.logs,
            {name: points for name, points in recorded_sessions.metrics().items() if name == "app_session.starts"},
        )
