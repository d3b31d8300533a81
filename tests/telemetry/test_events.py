"""Events: where they go in each mode, what they say, and that nothing is written twice."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
)
from opentelemetry.sdk.trace import ReadableSpan

import otel_sessions
from otel_sessions import InvalidValueError, Session, session
from otel_sessions import _semconv as sc
from otel_sessions.processors import EventToSpanEventBridge
from otel_sessions.testing import RecordedSessions, record_sessions
from otel_sessions.version import __version__

MODES = ["both", "log", "span"]
NAME = "cart.checkout"


def logged(recorded: RecordedSessions, name: str) -> list[ReadableLogRecord]:
    """The log events called `name`."""
    return [log for log in recorded.logs if log.log_record.event_name == name]


def on_spans(recorded: RecordedSessions, name: str) -> list[tuple[str, str, int, dict[str, Any]]]:
    """The span events called `name` on any span: the span's name, and the event."""
    return [
        (span.name, event.name, event.timestamp, dict(event.attributes or {}))
        for span in recorded.spans
        for event in span.events
        if event.name == name
    ]


def names(span: ReadableSpan) -> list[str]:
    return [event.name for event in span.events]


class TestModes:
    """`both`, `log` and `span` say where an event goes."""

    @pytest.mark.parametrize(("events", "logs", "spans"), [("both", 1, 1), ("log", 1, 0), ("span", 0, 1)])
    def test_scoped(self, events: str, logs: int, spans: int) -> None:
        """Once as a log event, once as a span event, or one of the two."""
        with record_sessions(events=events) as recorded:
            with session("job") as s:
                s.event(NAME, "paid", amount=3)
            assert logs == len(logged(recorded, NAME))
            assert spans == len(on_spans(recorded, NAME))

    @pytest.mark.parametrize(("events", "logs", "spans"), [("both", 1, 1), ("log", 1, 0), ("span", 0, 1)])
    def test_durable(self, events: str, logs: int, spans: int) -> None:
        """The same for a durable session, whose span comes later."""
        with record_sessions(events=events) as recorded:
            handle = otel_sessions.start("web")
            handle.event(NAME, "paid", amount=3)
            assert logs == len(logged(recorded, NAME))
            assert [] == on_spans(recorded, NAME)
            recorded.clock.advance(5)
            handle.end()
            assert logs == len(logged(recorded, NAME))
            assert spans == len(on_spans(recorded, NAME))

    @pytest.mark.parametrize(("events", "expected"), [("both", 1), ("log", 1), ("span", 0)])
    def test_start_and_end(self, events: str, expected: int) -> None:
        """A session's start and end are log events; on a span they are its own start and end."""
        with record_sessions(events=events) as recorded:
            with session("job"):
                pass
            otel_sessions.start("web").end()
            assert 2 * expected == len(logged(recorded, "session.start")) == len(logged(recorded, "session.end"))
            assert [[], []] == [names(span) for span in recorded.session_spans]

    @pytest.mark.parametrize("events", MODES)
    def test_counted_alike(self, events: str) -> None:
        """The count on the span and the metric do not depend on the mode."""
        with record_sessions(events=events) as recorded:
            with session("job") as s:
                s.event(NAME)
                s.progress("half")
            assert 2 == (recorded.session_spans[0].attributes or {})["app_session.event.count"]
            assert 1 == recorded.metric("app_session.events", app_session__event__name="app_session.progress")
            assert 1 == recorded.metric("app_session.events", app_session__event__name="_OTHER")


class TestLogEvent:
    """A log event, whole."""

    def test_of_a_scoped_session(self, recorded_sessions: RecordedSessions) -> None:
        """It names the session, carries the message as its body, and belongs to the session's span."""
        with session("job", user="admin") as s:
            recorded_sessions.clock.advance(1)
            at = recorded_sessions.clock.time_ns()
            with recorded_sessions.tracer_provider.get_tracer("x").start_as_current_span("step"):
                s.event(NAME, "Paid in full", amount=3, items=("a", "b"), paid=True, share=0.5)
        (log,) = logged(recorded_sessions, NAME)
        record, span = log.log_record, recorded_sessions.session_spans[0]
        expected = {
            "session.id": s.id,
            "app_session.type": "job",
            "enduser.pseudo.id": s.user,
            "app_session.event.message": "Paid in full",
            "amount": 3,
            "items": ("a", "b"),
            "paid": True,
            "share": 0.5,
        }
        assert expected == dict(record.attributes or {})
        assert ("Paid in full", at, SeverityNumber.INFO) == (record.body, record.timestamp, record.severity_number)
        assert (span.context.trace_id, span.context.span_id) == (record.trace_id, record.span_id)
        scope = log.instrumentation_scope
        assert scope is not None
        assert (sc.SCOPE_NAME, __version__, sc.SCHEMA_URL) == (scope.name, scope.version, scope.schema_url)
        assert [("session job", NAME, at)] == [event[:3] for event in on_spans(recorded_sessions, NAME)]

    def test_span_event_leaves_identity_to_its_span(self, recorded_sessions: RecordedSessions) -> None:
        """The span knows whose it is: the event on it says only what happened."""
        with session("job") as s:
            s.event(NAME, "Paid", amount=3)
        ((_, _, _, attributes),) = on_spans(recorded_sessions, NAME)
        assert {"app_session.event.message": "Paid", "amount": 3} == attributes

    def test_of_a_durable_session_in_a_request(self, recorded_sessions: RecordedSessions) -> None:
        """It belongs to the request's trace, where it happened."""
        handle = otel_sessions.start("web")
        tracer = recorded_sessions.tracer_provider.get_tracer("server")
        with tracer.start_as_current_span("GET /") as request, handle:
            handle.event(NAME)
        (log,) = logged(recorded_sessions, NAME)
        context = request.get_span_context()
        assert (context.trace_id, context.span_id) == (log.log_record.trace_id, log.log_record.span_id)

    def test_of_a_durable_session_outside_of_requests(self, recorded_sessions: RecordedSessions) -> None:
        """It belongs to the session's own, reserved span."""
        handle = otel_sessions.start("web")
        handle.event(NAME)
        (log,) = logged(recorded_sessions, NAME)
        context = handle.span_context
        assert (context.trace_id, context.span_id) == (log.log_record.trace_id, log.log_record.span_id)

    def test_attributes_do_not_replace_the_session(self, recorded_sessions: RecordedSessions) -> None:
        """Which session an event belongs to is not for its attributes to say."""
        forged = {"session.id": "x", "app_session.type": "y"}
        with session("job") as s:
            s.event(NAME, None, **forged)
            s.suspicious("probe", score=0.1, **forged)
            s.error("Broken", None, **forged)
        expected = {("job", s.id)}
        found = {(e["app_session.type"], e["session.id"]) for e in recorded_sessions.events() if "session.id" in e}
        assert expected == found

    @pytest.mark.parametrize(
        ("score", "number", "word"),
        [
            (0.0, SeverityNumber.INFO, "info"),
            (0.49, SeverityNumber.INFO, "info"),
            (0.5, SeverityNumber.WARN, "warn"),
            (0.79, SeverityNumber.WARN, "warn"),
            (0.8, SeverityNumber.ERROR, "error"),
            (1, SeverityNumber.ERROR, "error"),
        ],
    )
    def test_finding(self, recorded_sessions: RecordedSessions, score: float, number: Any, word: str) -> None:
        """The severity follows the score; kind, score (a double) and evidence are attributes."""
        with session("job") as s:
            s.suspicious("device_change", score=score, devices=2)
        (log,) = logged(recorded_sessions, "app_session.finding")
        assert number == log.log_record.severity_number
        attributes = dict(log.log_record.attributes or {})
        expected = {
            "session.id": s.id,
            "app_session.type": "job",
            "enduser.pseudo.id": s.user,
            "app_session.finding.kind": "device_change",
            "app_session.finding.score": float(score),
            "app_session.finding.severity": word,
            "devices": 2,
        }
        assert expected == attributes
        assert isinstance(attributes["app_session.finding.score"], float)

    def test_platform_switch(self, recorded_sessions: RecordedSessions) -> None:
        """From where to where."""
        with session("job") as s:
            s.switch_platform("web", "mobile", duration=0.4)
        ((_, _, _, attributes),) = on_spans(recorded_sessions, "app_session.platform_switch")
        assert {"app_session.platform_switch.from": "web", "app_session.platform_switch.to": "mobile"} == attributes
        assert "mobile" == (recorded_sessions.session_spans[0].attributes or {})["app_session.platform"]

    def test_severity_is_always_set(self, recorded_sessions: RecordedSessions) -> None:
        """Each kind of event has a severity number; errors that of errors."""
        with session("job") as s:
            s.event(NAME)
            s.progress("half")
            s.error("Broken")
            s.switch_platform("web", "mobile")
            s.suspicious("probe")
        numbers = {log.log_record.event_name: log.log_record.severity_number for log in recorded_sessions.logs}
        info, error = SeverityNumber.INFO, SeverityNumber.ERROR
        assert {
            "app_session.startup": info,
            "session.start": info,
            NAME: info,
            "app_session.progress": info,
            "exception": error,
            "app_session.platform_switch": info,
            "app_session.finding": error,
            "session.end": info,
        } == numbers

    @pytest.mark.parametrize("name", ["session.start", "session.end", "app_session.finding", "app_session.mine"])
    def test_reserved_names_are_not_for_users(self, recorded_sessions: RecordedSessions, name: str) -> None:
        """What OpenTelemetry and this package define cannot be forged."""
        with session("job") as s, pytest.raises(InvalidValueError, match=name):
            s.event(name)

    def test_startup_says_how_it_is_configured(self) -> None:
        """The first use of the library in a process is an event, with the settings and nothing secret."""
        with record_sessions(idle_timeout=None, pseudonym_key="a secret of a deployment") as recorded:
            with session("job"):
                pass
            otel_sessions.start("web")
            (log,) = logged(recorded, "app_session.startup")
        expected = {
            "app_session.config.idle_timeout": "none",
            "app_session.config.max_duration": 86400.0,
            "app_session.config.max_span_duration": "none",
            "app_session.config.events": "both",
            "app_session.config.stamp": True,
            "app_session.config.web_type": "web",
            "app_session.config.history": 10_000,
            "app_session.config.flush_interval": 1.0,
        }
        assert expected == dict(log.log_record.attributes or {})


class TestException:
    """An error is the event `exception` of the semantic conventions."""

    def test_of_an_exception(self, recorded_sessions: RecordedSessions) -> None:
        """Type, message and stack trace, under OpenTelemetry's own names, on the log and on the span."""
        with session("job") as s:
            try:
                s.event("Not A Name")
            except InvalidValueError as error:
                s.error(error, step=2)
        (log,) = logged(recorded_sessions, "exception")
        attributes = dict(log.log_record.attributes or {})
        stack, message = attributes.pop("exception.stacktrace"), attributes.pop("exception.message")
        assert {
            "session.id": s.id,
            "app_session.type": "job",
            "enduser.pseudo.id": s.user,
            "exception.type": "otel_sessions.exceptions.InvalidValueError",
            "step": 2,
        } == attributes
        assert isinstance(stack, str)
        assert isinstance(message, str)
        assert message.startswith("'Not A Name' cannot name an event")
        assert stack.startswith("Traceback (most recent call last)")
        assert "test_of_an_exception" in stack
        ((_, _, _, on_span),) = on_spans(recorded_sessions, "exception")
        assert {"exception.type", "exception.message", "exception.stacktrace", "step"} == set(on_span)

    def test_that_ends_the_session(self, recorded_sessions: RecordedSessions) -> None:
        """What leaves the block is recorded once, and re-raised unchanged."""
        failure = ZeroDivisionError("division by zero")

        def fail() -> None:
            with session("job"):
                raise failure

        with pytest.raises(ZeroDivisionError) as caught:
            fail()
        assert failure is caught.value
        (log,) = logged(recorded_sessions, "exception")
        assert "ZeroDivisionError" == (log.log_record.attributes or {})["exception.type"]
        assert 1 == len(on_spans(recorded_sessions, "exception"))

    def test_by_name(self, recorded_sessions: RecordedSessions) -> None:
        """An error without an exception has a name and perhaps a message, and no stack trace."""
        with session("job") as s:
            s.error("Timeout", "no answer from ada@example.com")
        (log,) = logged(recorded_sessions, "exception")
        assert {
            "session.id": s.id,
            "app_session.type": "job",
            "enduser.pseudo.id": s.user,
            "exception.type": "Timeout",
            "exception.message": "no answer from [email]",
        } == dict(log.log_record.attributes or {})

    def test_that_cannot_be_shown(self, recorded_sessions: RecordedSessions) -> None:
        """An exception whose text cannot be had is an error all the same, and the application does not notice."""

        class MuteError(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no text")

        with session("job") as s:
            s.error(MuteError())
        assert 1 == (recorded_sessions.session_spans[0].attributes or {})["app_session.error.count"]
        assert 1 == recorded_sessions.metric("app_session.errors")


class TestStartAndEnd:
    """`session.start` and `session.end` as OpenTelemetry's semantic conventions define them."""

    def test_start_of_a_scoped_session(self, recorded_sessions: RecordedSessions) -> None:
        """With `session.id`, at the moment of the start, in the session's trace, without a body."""
        at = recorded_sessions.clock.time_ns()
        with session("job", user="admin") as s:
            recorded_sessions.clock.advance(1)
        (log,) = logged(recorded_sessions, "session.start")
        record, span = log.log_record, recorded_sessions.session_spans[0]
        assert {"session.id": s.id, "app_session.type": "job", "enduser.pseudo.id": s.user} == dict(
            record.attributes or {}
        )
        assert (at, None, SeverityNumber.INFO) == (record.timestamp, record.body, record.severity_number)
        assert (span.context.trace_id, span.context.span_id) == (record.trace_id, record.span_id)

    def test_end_of_a_durable_session(self, recorded_sessions: RecordedSessions) -> None:
        """With `session.id` and the summary, at the moment of the end, in the session's trace."""
        handle = otel_sessions.start("web", id="conv-42", user="u1")
        recorded_sessions.clock.advance(2)
        handle.event(NAME)
        handle.end()
        (log,) = logged(recorded_sessions, "session.end")
        record, span = log.log_record, recorded_sessions.session_spans[0]
        assert {
            "session.id": "conv-42",
            "app_session.type": "web",
            "enduser.pseudo.id": handle.user,
            "app_session.status": "success",
            "app_session.end_reason": "completed",
            "app_session.event.count": 1,
            "app_session.error.count": 0,
            "app_session.request.count": 0,
        } == dict(record.attributes or {})
        assert (span.end_time, None, SeverityNumber.INFO) == (record.timestamp, record.body, record.severity_number)
        assert (span.context.trace_id, span.context.span_id) == (record.trace_id, record.span_id)

    def test_one_of_each_for_every_session(self, recorded_sessions: RecordedSessions) -> None:
        """However sessions begin and end, each has one start and one end."""
        with session("job"):
            pass
        otel_sessions.start("chat", id="a").end("cancelled")
        otel_sessions.start("chat", id="b", idle_timeout=60)
        recorded_sessions.advance(61)
        otel_sessions.start("chat", id="b").rotate()
        otel_sessions.shutdown()
        started = [event["session.id"] for event in recorded_sessions.events("session.start")]
        ended = [event["session.id"] for event in recorded_sessions.events("session.end")]
        assert 5 == len(started) == len(set(started))
        assert sorted(started) == sorted(ended)

    def test_a_start_without_a_predecessor_has_no_previous_id(self, recorded_sessions: RecordedSessions) -> None:
        """`session.previous_id` stands there only when there was one."""
        otel_sessions.start("chat", id="conv-42")
        (event,) = recorded_sessions.events("session.start")
        assert "session.previous_id" not in event

    @pytest.mark.parametrize("kind", ["scoped", "durable"])
    def test_rotation(self, recorded_sessions: RecordedSessions, kind: str) -> None:
        """The end of the old session comes before the start of the one that continues it, which names it."""

        def rotate(handle: Session) -> tuple[str, str]:
            old = handle.id
            handle.rotate("login")
            return old, handle.id

        if kind == "scoped":
            with session("web") as handle:
                old, new = rotate(handle)
        else:
            handle = otel_sessions.start("web")
            old, new = rotate(handle)
            handle.end()
        told = [
            (log.log_record.event_name, a["session.id"], a.get("session.previous_id"))
            for log in recorded_sessions.logs
            if (a := dict(log.log_record.attributes or {})).get("session.id")
        ]
        assert [
            ("session.start", old, None),
            ("session.end", old, None),
            ("session.start", new, old),
            ("session.end", new, None),
        ] == told
        assert old != new
        rotated, _ = recorded_sessions.session_spans
        attributes = rotated.attributes or {}
        assert ("rotated", "login") == (
            attributes["app_session.end_reason"],
            attributes["app_session.rotation.reason"],
        )

    def test_same_id_again(self, recorded_sessions: RecordedSessions) -> None:
        """The next session under an id that has ended names its predecessor, whose end was said before."""
        otel_sessions.start("chat", id="conv-42").end()
        again = otel_sessions.start("chat", id="conv-42")
        _, first_end, second = (
            log.log_record for log in recorded_sessions.logs if str(log.log_record.event_name).startswith("session.")
        )
        assert ("session.end", "session.start") == (first_end.event_name, second.event_name)
        assert ("conv-42", again.id) == (again.previous_id, (second.attributes or {})["session.id"])
        assert "conv-42" == (second.attributes or {})["session.previous_id"] != again.id

    def test_expired(self, recorded_sessions: RecordedSessions) -> None:
        """An end that nobody asked for is dated when the session was last used."""
        otel_sessions.start("chat", idle_timeout=60)
        last = recorded_sessions.clock.time_ns()
        recorded_sessions.advance(200)
        (log,) = logged(recorded_sessions, "session.end")
        assert last == log.log_record.timestamp
        assert "idle_timeout" == (log.log_record.attributes or {})["app_session.end_reason"]


class TestFailingPipeline:
    """Somebody else's log processor that fails costs log events and nothing more."""

    def test_span_and_metrics_remain(self, caplog: pytest.LogCaptureFixture) -> None:
        """The session has its span with its events, its metrics, and the block goes on."""

        class Failing(LogRecordProcessor):
            def on_emit(self, log_record: ReadWriteLogRecord) -> None:
                raise RuntimeError("no disk")

            def shutdown(self) -> None:
                pass

            def force_flush(self, timeout_millis: int = 0) -> bool:
                return True

        with record_sessions() as recorded:
            recorded.logger_provider.add_log_record_processor(Failing())
            with session("job") as s:
                s.event(NAME)
            handle = otel_sessions.start("web")
            handle.event(NAME)
            handle.end()
            assert [[NAME], [NAME]] == [names(span) for span in recorded.session_spans]
            assert 2 == recorded.metric("app_session.duration") == recorded.metric("app_session.starts")
            assert recorded.metric("app_session.dropped", app_session__drop__reason="internal_error") > 0
        assert {"otel_sessions"} == {record.name for record in caplog.records}


class TestReplay:
    """A durable session's events wait in its record for its span."""

    def test_with_their_own_times(self, recorded_sessions: RecordedSessions) -> None:
        """In the order in which they happened, each at its time, from all requests of the session."""
        handle = otel_sessions.start("web", id="conv-42")
        times = []
        for number in range(3):
            recorded_sessions.advance(10)
            times.append(recorded_sessions.clock.time_ns())
            with otel_sessions.resume("conv-42") as s:
                s.event(NAME, number=number)
        recorded_sessions.advance(10)
        handle.end()
        (span,) = recorded_sessions.session_spans
        assert [(NAME, time, {"number": number}) for number, time in enumerate(times)] == [
            (event.name, event.timestamp, dict(event.attributes or {})) for event in span.events
        ]

    @pytest.mark.parametrize("flushed", [False, True], ids=["in-one-batch", "in-many-batches"])
    def test_keeps_the_last_and_counts_the_rest(self, recorded_sessions: RecordedSessions, *, flushed: bool) -> None:
        """Of 300 events the last 128 stand on the span, which says that 172 do not; all 300 are log events."""
        handle = otel_sessions.start("web")
        for number in range(300):
            handle.event(NAME, number=number)
            if flushed and number % 7 == 0:
                recorded_sessions.advance(1)
        handle.end()
        (span,) = recorded_sessions.session_spans
        assert list(range(172, 300)) == [(event.attributes or {})["number"] for event in span.events]
        attributes = span.attributes or {}
        assert (300, 172) == (attributes["app_session.event.count"], attributes["app_session.event.dropped.count"])
        assert 300 == len(logged(recorded_sessions, NAME))
        (ended,) = recorded_sessions.events("session.end")
        assert 172 == ended["app_session.event.dropped.count"]

    def test_of_exactly_as_many_as_are_kept(self, recorded_sessions: RecordedSessions) -> None:
        """128 events are all there, and nothing is said of drops."""
        handle = otel_sessions.start("web")
        for number in range(128):
            handle.event(NAME, number=number)
        handle.end()
        (span,) = recorded_sessions.session_spans
        assert 128 == len(span.events)
        assert "app_session.event.dropped.count" not in (span.attributes or {})

    def test_mode_log_keeps_none(self) -> None:
        """Where spans get no events, none are stored for them, and none count as dropped."""
        with record_sessions(events="log") as recorded:
            handle = otel_sessions.start("web")
            for _ in range(200):
                handle.event(NAME)
            snapshot = handle.snapshot()
            handle.end()
            assert snapshot is not None
            assert snapshot.totals.recent is None
            assert "app_session.event.dropped.count" not in (recorded.session_spans[0].attributes or {})


class TestAlwaysLogged:
    """What must survive trace sampling is a log event in every mode."""

    @pytest.mark.parametrize("events", MODES)
    @pytest.mark.parametrize("durable", [False, True])
    def test_finding(self, events: str, *, durable: bool) -> None:
        """Once as a log event; once as a span event where those are wanted."""
        with record_sessions(events=events) as recorded:
            if durable:
                handle = otel_sessions.start("web")
                handle.suspicious("probe")
                handle.end()
            else:
                with session("job") as s:
                    s.suspicious("probe")
            assert 1 == len(logged(recorded, "app_session.finding"))
            assert (events != "log") == len(on_spans(recorded, "app_session.finding"))

    def test_only_that(self) -> None:
        """In the mode `span` no other event of a session becomes a log event."""
        with record_sessions(events="span") as recorded:
            with session("job") as s:
                s.event(NAME)
                s.error("Broken")
                s.suspicious("probe")
            own = [
                log.log_record.event_name for log in recorded.logs if "session.id" in (log.log_record.attributes or {})
            ]
            assert ["app_session.finding"] == own


class TestWithTheBridge:
    """Where the bridge makes span events of log events, this package does not do it again."""

    @pytest.mark.parametrize("events", MODES)
    @pytest.mark.parametrize("where", ["scoped", "durable", "durable in a request", "scoped in a durable"])
    def test_nothing_is_written_twice(self, events: str, where: str) -> None:
        """One span event and at most one log event of each kind, on whichever span it belongs to."""
        with record_sessions(events=events) as recorded:
            recorded.logger_provider.add_log_record_processor(EventToSpanEventBridge())
            tracer = recorded.tracer_provider.get_tracer("server")
            with contextlib.ExitStack() as stack:
                if where == "durable in a request":
                    stack.enter_context(tracer.start_as_current_span("GET /"))
                if where != "scoped":
                    handle = otel_sessions.start("web")
                    stack.callback(handle.end)
                    stack.enter_context(handle)
                if where.startswith("scoped"):
                    handle = stack.enter_context(session("job"))
                handle.event(NAME)
                handle.error("Broken")
                handle.suspicious("probe")
            # Without a recording span the bridge has nothing to write on, and in the mode `log` nobody else writes.
            on_a_span = 0 if (events, where) == ("log", "durable") else 1
            for name in (NAME, "exception", "app_session.finding"):
                is_logged = 0 if events == "span" and name != "app_session.finding" else 1
                assert (is_logged, on_a_span) == (len(logged(recorded, name)), len(on_spans(recorded, name)))

    def test_after_a_batching_processor(self) -> None:
        """A batching processor before the bridge takes the context out of its own copy only."""
        exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # upstream is untyped
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        provider.add_log_record_processor(EventToSpanEventBridge())
        with record_sessions(logger_provider=provider) as recorded, session("job") as s:
            s.event(NAME)
        provider.shutdown()
        assert 1 == len(on_spans(recorded, NAME))
        assert 1 == [log.log_record.event_name for log in exporter.get_finished_logs()].count(NAME)

    def test_bridged_event_is_whole(self, recorded_sessions: RecordedSessions) -> None:
        """The bridge's span event has the log event's name, time and attributes, identity included."""
        recorded_sessions.logger_provider.add_log_record_processor(EventToSpanEventBridge())
        with session("job") as s:
            at = recorded_sessions.clock.time_ns()
            s.event(NAME, amount=3)
        expected = {
            "session.id": s.id,
            "app_session.type": "job",
            "enduser.pseudo.id": s.user,
            "amount": 3,
        }
        assert [("session job", NAME, at, expected)] == on_spans(recorded_sessions, NAME)

    def test_start_and_end_are_bridged_too(self, recorded_sessions: RecordedSessions) -> None:
        """The bridge is for all events: a live session span shows its own start and end, once each."""
        recorded_sessions.logger_provider.add_log_record_processor(EventToSpanEventBridge())
        with session("job") as s:
            s.event(NAME)
        assert ["session.start", NAME, "session.end"] == names(recorded_sessions.session_spans[0])
