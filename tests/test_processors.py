"""`session.id` on everything made in a session, and the bridge from events to span events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, StaticSampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, Tracer

import otel_sessions
from otel_sessions import BoundExecutor, bind, session
from otel_sessions.processors import EventToSpanEventBridge, SessionLogRecordProcessor, SessionSpanProcessor
from otel_sessions.testing import RecordedSessions, record_sessions

from .shared_memory_store import SharedMemoryStore

REMOTE = SpanContext(0xAA, 0xBB, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def tracer_of(recorded: RecordedSessions) -> Tracer:
    return recorded.tracer_provider.get_tracer("application")


def named(recorded: RecordedSessions, name: str) -> ReadableSpan:
    (span,) = [span for span in recorded.spans if span.name == name]
    return span


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


class TestSpans:
    """`SessionSpanProcessor`: every span that starts in a session says in which."""

    def test_every_span_inside(self, recorded_sessions: RecordedSessions) -> None:
        """Children and grandchildren carry the id and nothing else of ours; spans outside do not."""
        tracer = tracer_of(recorded_sessions)
        tracer.start_span("before").end()
        with session("job") as s, tracer.start_as_current_span("child"):
            tracer.start_span("grandchild").end()
        tracer.start_span("after").end()
        assert {
            "before": {},
            "child": {"session.id": s.id},
            "grandchild": {"session.id": s.id},
            "after": {},
        } == {span.name: attributes(span) for span in recorded_sessions.spans if span.name != "session job"}

    def test_innermost_session_counts(self, recorded_sessions: RecordedSessions) -> None:
        """A span belongs to the session that is current when it starts."""
        tracer = tracer_of(recorded_sessions)
        with session("outer") as outer:
            with session("inner") as inner:
                tracer.start_span("in inner").end()
            tracer.start_span("in outer").end()
        assert [inner.id, outer.id] == [
            attributes(named(recorded_sessions, name))["session.id"] for name in ("in inner", "in outer")
        ]
        assert inner.id == attributes(named(recorded_sessions, "session inner"))["session.id"]

    def test_context_of_the_span_counts(self, recorded_sessions: RecordedSessions) -> None:
        """A span that is started for a context in a session belongs to that session, wherever it is started."""
        with session("job") as s:
            held = otel_context.get_current()
        tracer_of(recorded_sessions).start_span("late", context=held).end()
        with session("other"):
            tracer_of(recorded_sessions).start_span("elsewhere", context=held).end()
        assert [s.id, s.id] == [
            attributes(named(recorded_sessions, name))["session.id"] for name in ("late", "elsewhere")
        ]

    def test_in_tasks_and_threads(self, recorded_sessions: RecordedSessions) -> None:
        """Wherever the session travels, the stamp does."""
        tracer = tracer_of(recorded_sessions)

        async def main() -> None:
            async with session("job"):
                await asyncio.gather(asyncio.create_task(step("task")), asyncio.to_thread(start, "to_thread"))

        async def step(name: str) -> None:
            start(name)

        def start(name: str) -> None:
            tracer.start_span(name).end()

        asyncio.run(main())
        with ThreadPoolExecutor() as pool, session("job") as second:
            pool.submit(bind(start), "bound").result()
            BoundExecutor(pool).submit(start, "executor").result()
            pool.submit(start, "unbound").result()
        first = attributes(recorded_sessions.session_spans[0])["session.id"]
        found = {span.name: attributes(span).get("session.id") for span in recorded_sessions.spans}
        expected = {"task": first, "to_thread": first, "bound": second.id, "executor": second.id, "unbound": None}
        assert expected == {name: found[name] for name in expected}

    def test_an_id_that_is_there_already(self, recorded_sessions: RecordedSessions) -> None:
        """What another instrumentation has said is not replaced."""
        with session("job"):
            tracer_of(recorded_sessions).start_span("child", attributes={"session.id": "browser"}).end()
        assert {"session.id": "browser"} == attributes(named(recorded_sessions, "child"))

    def test_after_rotation(self, recorded_sessions: RecordedSessions) -> None:
        """From then on spans carry the new id."""
        with session("web") as s:
            s.rotate("login")
            tracer_of(recorded_sessions).start_span("child").end()
        assert s.id == attributes(named(recorded_sessions, "child"))["session.id"]
        assert 2 == len({attributes(span)["session.id"] for span in recorded_sessions.session_spans})

    @pytest.mark.parametrize("parent", [None, REMOTE], ids=["root", "remote-parent"])
    def test_local_root_in_a_durable_session(self, recorded_sessions: RecordedSessions, parent: Any) -> None:
        """The first span of a trace in this process is linked to the session's span; its children are not."""
        handle = otel_sessions.start("web")
        above = NonRecordingSpan(parent) if parent else trace.INVALID_SPAN
        tracer = tracer_of(recorded_sessions)
        with handle, trace.use_span(above), tracer.start_as_current_span("GET /", kind=SpanKind.SERVER):
            tracer.start_span("query").end()
        request, query = named(recorded_sessions, "GET /"), named(recorded_sessions, "query")
        assert {"session.id": handle.id, "app_session.type": "web"} == attributes(request)
        assert [handle.span_context] == [link.context for link in request.links]
        assert {"session.id": handle.id} == attributes(query)
        assert () == tuple(query.links)

    def test_local_root_in_a_scoped_session(self, recorded_sessions: RecordedSessions) -> None:
        """A job that begins traces of its own is found from each of them."""
        with session("job") as s, trace.use_span(trace.INVALID_SPAN):
            tracer_of(recorded_sessions).start_span("batch").end()
        batch = named(recorded_sessions, "batch")
        assert {"session.id": s.id, "app_session.type": "job"} == attributes(batch)
        assert [named(recorded_sessions, "session job").context] == [link.context for link in batch.links]

    def test_without_a_reserved_span(self) -> None:
        """Where the session has no span there is no link, but still the id."""
        exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SessionSpanProcessor())
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with record_sessions(tracer_provider=trace.NoOpTracerProvider()):
            handle = otel_sessions.start("web")
            with handle:
                provider.get_tracer("x").start_span("GET /").end()
        (span,) = exporter.get_finished_spans()
        assert {"session.id": handle.id, "app_session.type": "web"} == attributes(span)
        assert () == tuple(span.links)

    def test_in_a_process_that_only_resumes(self) -> None:
        """A worker in which no session starts stamps those that it resumes."""
        store = SharedMemoryStore()
        with record_sessions(store=store):
            otel_sessions.start("web", id="conv-42")
            with record_sessions(store=store) as worker, otel_sessions.resume("conv-42"):
                tracer_of(worker).start_span("query").end()
                worker.logger_provider.get_logger("application").emit(body="hello")
        assert {"session.id": "conv-42"} == attributes(named(worker, "query"))
        assert {"session.id": "conv-42"} == dict(worker.logs[-1].log_record.attributes or {})

    def test_unsampled_spans(self) -> None:
        """A span that is not recorded is left alone."""
        with record_sessions(sampler=ALWAYS_OFF) as recorded, session("job"):
            span = tracer_of(recorded).start_span("child")
            assert not span.is_recording()
            span.end()

    def test_failures_stay_here(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """A span that cannot be stamped costs a log message and a count, not the application."""

        class Unusable:
            parent = None

            @property
            def attributes(self) -> Any:
                raise RuntimeError("no attributes")

        with session("job"):
            SessionSpanProcessor().on_start(Unusable())  # type: ignore[arg-type]  # a vendor's span
        assert ["stamp a span"] == [record.args[0] for record in caplog.records if isinstance(record.args, tuple)]
        assert 1 == recorded_sessions.metric("app_session.dropped", app_session__drop__reason="internal_error")

    def test_can_be_flushed_and_shut_down(self) -> None:
        """It holds nothing back."""
        processor = SessionSpanProcessor()
        assert processor.force_flush()
        processor.shutdown()


@pytest.fixture(name="library")
def _library(recorded_sessions: RecordedSessions) -> Iterator[logging.Logger]:
    """A stdlib logger whose records go through OpenTelemetry's handler."""
    from opentelemetry.sdk._logs import LoggingHandler

    logger = logging.getLogger("tests.library")
    handler = LoggingHandler(logging.INFO, recorded_sessions.logger_provider)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield logger
    logger.removeHandler(handler)


class TestLogs:
    """`SessionLogRecordProcessor`: every log record that is emitted in a session says in which."""

    @pytest.mark.filterwarnings("ignore:.*LoggingHandler:DeprecationWarning")
    def test_of_the_standard_library(self, library: logging.Logger, recorded_sessions: RecordedSessions) -> None:
        """Records of `logging` carry the id beside their own attributes, and the session's trace."""
        with session("job") as s:
            library.warning("disk %s is full", "sda", extra={"share": 0.99})
        library.warning("outside")
        inside, outside = (log.log_record for log in recorded_sessions.logs if not log.log_record.event_name)
        assert ("disk sda is full", SeverityNumber.WARN) == (inside.body, inside.severity_number)
        found = dict(inside.attributes or {})
        assert (s.id, 0.99) == (found["session.id"], found["share"])
        assert named(recorded_sessions, "session job").context.span_id == inside.span_id
        assert "session.id" not in (outside.attributes or {})

    @pytest.mark.parametrize("given", [None, {}, {"a": 1}])
    def test_with_any_attributes(self, recorded_sessions: RecordedSessions, given: Any) -> None:
        """Also a record that has none."""
        logger = recorded_sessions.logger_provider.get_logger("x")
        with session("job") as s:
            logger.emit(body="hello", attributes=given)
        (record,) = [log.log_record for log in recorded_sessions.logs if log.log_record.body == "hello"]
        assert {**(given or {}), "session.id": s.id} == dict(record.attributes or {})

    def test_an_id_that_is_there_already(self, recorded_sessions: RecordedSessions) -> None:
        """What another instrumentation has said is not replaced."""
        with session("job"):
            recorded_sessions.logger_provider.get_logger("x").emit(body="hello", attributes={"session.id": "browser"})
        assert [{"session.id": "browser"}] == [
            dict(log.log_record.attributes or {}) for log in recorded_sessions.logs if log.log_record.body == "hello"
        ]

    def test_context_of_the_record_counts(self, recorded_sessions: RecordedSessions) -> None:
        """A record emitted later for a context in a session belongs to that session."""
        logger = recorded_sessions.logger_provider.get_logger("x")
        with session("job") as s:
            held = otel_context.get_current()
        logger.emit(body="hello", context=held)
        (record,) = [log.log_record for log in recorded_sessions.logs if log.log_record.body == "hello"]
        assert {"session.id": s.id} == dict(record.attributes or {})

    def test_in_a_sampled_out_session(self) -> None:
        """Logs are not sampled with their trace: they say all the same which session they belong to."""
        with record_sessions(sampler=ALWAYS_OFF) as recorded, session("job") as s:
            recorded.logger_provider.get_logger("x").emit(body="hello")
        assert {"session.id": s.id} == dict(recorded.logs[-2].log_record.attributes or {})

    def test_after_a_batching_processor(self) -> None:
        """A batch that is exported later has the stamp, though its processor was there first."""
        exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # upstream is untyped
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        with record_sessions(logger_provider=provider), session("job") as s:
            provider.get_logger("x").emit(body="hello")
        provider.force_flush()
        provider.shutdown()
        assert [s.id] == [
            (log.log_record.attributes or {}).get("session.id")
            for log in exporter.get_finished_logs()
            if log.log_record.body == "hello"
        ]

    def test_can_be_flushed_and_shut_down(self) -> None:
        """It holds nothing back."""
        processor = SessionLogRecordProcessor()
        assert processor.force_flush()
        processor.shutdown()


class Bridged:
    """A tracer and a logger with the bridge between them, and nothing else of this package."""

    def __init__(self, decision: Decision = Decision.RECORD_AND_SAMPLE) -> None:
        self.spans = InMemorySpanExporter()
        self.logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # upstream is untyped
        tracers = TracerProvider(sampler=ParentBased(StaticSampler(decision)), shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        loggers = LoggerProvider(shutdown_on_exit=False)
        loggers.add_log_record_processor(EventToSpanEventBridge())
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self.logs))
        self.tracer = tracers.get_tracer("application")
        self.logger = loggers.get_logger("application")

    def span_events(self) -> list[tuple[str, str, int, dict[str, Any]]]:
        """Every span event: the span's name, and the event."""
        return [
            (span.name, event.name, event.timestamp, dict(event.attributes or {}))
            for span in self.spans.get_finished_spans()
            for event in span.events
        ]

    def log_records(self) -> list[ReadableLogRecord]:
        return list(self.logs.get_finished_logs())


class TestBridge:
    """`EventToSpanEventBridge`, condition by condition.

    https://opentelemetry.io/docs/specs/otel/logs/sdk/#event-to-span-event-bridge
    """

    def test_bridges_an_event(self) -> None:
        """Name, timestamp and all attributes; the log record goes its own way all the same."""
        bridged = Bridged()
        given: dict[str, Any] = {"s": "x", "i": 1, "f": 0.5, "b": True, "many": ("a", "b")}
        with bridged.tracer.start_as_current_span("work"):
            bridged.logger.emit(event_name="cache.miss", timestamp=123, attributes=given, body="not copied")
        assert [("work", "cache.miss", 123, given)] == bridged.span_events()
        (log,) = bridged.log_records()
        assert ("cache.miss", 123, given) == (
            log.log_record.event_name,
            log.log_record.timestamp,
            dict(log.log_record.attributes or {}),
        )

    def test_observed_timestamp_stands_in(self) -> None:
        """Without a timestamp the observed timestamp is the span event's."""
        bridged = Bridged()
        with bridged.tracer.start_as_current_span("work"):
            bridged.logger.emit(event_name="cache.miss", observed_timestamp=456)
        assert [("work", "cache.miss", 456, {})] == bridged.span_events()

    def test_without_any_attributes(self) -> None:
        """An event without attributes is a span event without attributes."""
        bridged = Bridged()
        with bridged.tracer.start_as_current_span("work"):
            bridged.logger.emit(event_name="cache.miss", timestamp=1)
        assert [("work", "cache.miss", 1, {})] == bridged.span_events()

    @pytest.mark.parametrize("name", [None, ""])
    def test_not_without_an_event_name(self, name: str | None) -> None:
        """A log record is no event."""
        bridged = Bridged()
        with bridged.tracer.start_as_current_span("work"):
            bridged.logger.emit(event_name=name, body="hello")
        assert [] == bridged.span_events()
        assert 1 == len(bridged.log_records())

    def test_not_outside_of_a_span(self) -> None:
        """Without valid ids there is no span to write on."""
        bridged = Bridged()
        bridged.logger.emit(event_name="cache.miss")
        bridged.tracer.start_span("later").end()
        assert [] == bridged.span_events()
        assert 1 == len(bridged.log_records())

    @pytest.mark.parametrize("decision", list(Decision))
    def test_on_recording_spans_only(self, decision: Decision) -> None:
        """The current span must record; whether it is sampled does not matter."""
        bridged = Bridged(decision)
        with bridged.tracer.start_as_current_span("work") as span:
            bridged.logger.emit(event_name="cache.miss")
            names = [event.name for event in span.events] if isinstance(span, ReadableSpan) else []
        assert ([] if decision is Decision.DROP else ["cache.miss"]) == names

    def test_not_on_a_remote_parent(self) -> None:
        """A span of another process records nothing here."""
        bridged = Bridged()
        with trace.use_span(NonRecordingSpan(REMOTE)):
            bridged.logger.emit(event_name="cache.miss")
        (log,) = bridged.log_records()
        assert REMOTE.trace_id == log.log_record.trace_id
        assert [] == bridged.span_events()

    def test_not_on_a_span_that_has_ended(self) -> None:
        """What has ended records nothing."""
        bridged = Bridged()
        with bridged.tracer.start_as_current_span("work") as span:
            span.end()
            bridged.logger.emit(event_name="cache.miss")
        assert [] == bridged.span_events()

    @pytest.mark.parametrize("changed", ["trace_id", "span_id"])
    def test_not_for_the_ids_of_another_span(self, changed: str) -> None:
        """A record that names another span than the current one is not for the current one."""
        bridged = Bridged()
        with bridged.tracer.start_as_current_span("work"):
            record = LogRecord(event_name="cache.miss")
            setattr(record, changed, 0x77)
            bridged.logger.emit(record)
        assert [] == bridged.span_events()
        assert 1 == len(bridged.log_records())

    def test_context_of_the_record_counts(self) -> None:
        """The span is the one of the record's context, not the one that is current when it is emitted."""
        bridged = Bridged()
        meant = bridged.tracer.start_span("meant", context=Context())
        with bridged.tracer.start_as_current_span("current"):
            bridged.logger.emit(event_name="cache.miss", timestamp=1, context=trace.set_span_in_context(meant))
        meant.end()
        assert [("meant", "cache.miss", 1, {})] == bridged.span_events()

    def test_exactly_one_each(self) -> None:
        """Ten events are ten span events, in their order."""
        bridged = Bridged()
        with bridged.tracer.start_as_current_span("work"):
            for number in range(10):
                bridged.logger.emit(event_name="cache.miss", timestamp=number, attributes={"n": number})
        assert [("work", "cache.miss", number, {"n": number}) for number in range(10)] == bridged.span_events()

    def test_values_that_spans_do_not_take(self) -> None:
        """Log attributes may be nested; what a span event cannot hold costs only itself."""
        bridged = Bridged()
        with bridged.tracer.start_as_current_span("work"):
            bridged.logger.emit(event_name="cache.miss", timestamp=1, attributes={"nested": {"a": 1}, "plain": 2})
        ((_, name, _, found),) = bridged.span_events()
        assert ("cache.miss", 2) == (name, found["plain"])
        assert {"nested": {"a": 1}, "plain": 2} == dict(bridged.log_records()[0].log_record.attributes or {})

    def test_record_is_not_changed(self) -> None:
        """The span event's attributes are a copy: what later processors do to the record does not reach it."""
        bridged = Bridged()
        with bridged.tracer.start_as_current_span("work"):
            given = {"a": 1}
            bridged.logger.emit(event_name="cache.miss", timestamp=1, attributes=given)
            record = bridged.log_records()[0].log_record
            record.attributes["late"] = True  # type: ignore[index]  # the SDK's are mutable
        assert [("work", "cache.miss", 1, {"a": 1})] == bridged.span_events()
        assert {"a": 1} == given

    def test_can_be_flushed_and_shut_down(self) -> None:
        """It holds nothing back."""
        processor = EventToSpanEventBridge()
        assert processor.force_flush()
        processor.shutdown()
