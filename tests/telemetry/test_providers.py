"""Providers: none, too late, switched off, somebody else's; and never set by this package."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import _logs, metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, Span, SpanContext, TraceFlags, Tracer

import otel_sessions
from otel_sessions import current_session, session
from otel_sessions._models import Beginning, SessionRecord, Totals
from otel_sessions._telemetry import Telemetry
from otel_sessions.processors import GenAISpanProcessor, SessionSpanProcessor
from otel_sessions.testing import record_sessions

from ..interpreter import answer, run

LIFE = """
    import asyncio, json, logging, sys, threading
    import otel_sessions
    from otel_sessions import bind, current_session, session

    def life():
        '''One of everything.'''
        @session
        def plain():
            s = current_session()
            s.event("cart.checkout", "paid", amount=3)
            s.progress("half")
            s.error(ValueError("x"))
            s.record("own.metric", 1.5, unit="s")
            s.suspicious("probe")
            s.switch_platform("web", "mobile", duration=0.1)
            with s.turn(model="m") as turn:
                turn.tokens(input=1)
                turn.cost(1)
            s.rotate()
            return s.is_active

        @session("coroutine")
        async def coroutine():
            return current_session().type

        @session("generator")
        def generator():
            yield current_session().type

        handle = otel_sessions.start("chat", id="conv-42", user="ada")
        with otel_sessions.resume("conv-42") as resumed:
            inside = current_session().id
        return [
            plain(),
            asyncio.run(coroutine()),
            list(generator()),
            inside,
            resumed.snapshot().status,
            otel_sessions.end("conv-42"),
            otel_sessions.end("conv-42"),
            otel_sessions.get("conv-42").status,
        ]

    LIVED = [True, "coroutine", ["generator"], "conv-42", "active", True, False, "success"]
"""

SDK = """
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    records = []

    class Keep:
        '''Keeps log records as the exporter of a batching processor would see them: later.'''
        def on_emit(self, record): records.append(record)
        def enabled(self, **_): return True
        def shutdown(self): pass
        def force_flush(self, timeout_millis=0): return True

    def set_up():
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(spans))
        loggers = LoggerProvider()
        loggers.add_log_record_processor(Keep())
        trace.set_tracer_provider(tracers)
        _logs.set_logger_provider(loggers)
        metrics.set_meter_provider(MeterProvider([reader]))

    def inside_a_session():
        '''What a span and a log record made in a session carry.'''
        spans.clear()
        records.clear()
        with session("job") as s:
            trace.get_tracer("x").start_span("child").end()
            _logs.get_logger("x").emit(body="hello")
        ended = spans.get_finished_spans()
        children = [span.attributes.get("session.id") == s.id for span in ended if span.name == "child"]
        hellos = [r.log_record.attributes.get("session.id") == s.id for r in records if r.log_record.body == "hello"]
        return [children, hellos, sum(span.name == "session job" for span in ended)]

    def starts():
        '''How many sessions the metrics know.'''
        scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics
        found = [m for scope in scopes for m in scope.metrics if m.name == "app_session.starts"]
        return sum(point.value for metric in found for point in metric.data.data_points)
"""


class TestWithoutAnSdk:
    """The API alone: sessions work, nothing is emitted, nothing is loaded."""

    def test_everything_works(self) -> None:
        """Every call of a session's life, without a warning, without the SDK being there at all."""
        found = answer(
            LIFE
            + """
    sys.modules["opentelemetry.sdk"] = None
    print(json.dumps([life() == LIVED, sorted(name for name in sys.modules if name.startswith("opentelemetry.sdk"))]))
    """
        )
        assert [True, ["opentelemetry.sdk"]] == found

    def test_processes_end_in_peace(self) -> None:
        """With sessions open, the interpreter ends without a word."""
        completed = run(
            LIFE
            + """
    otel_sessions.start("chat", id="open")
    session("job").__enter__()
    """,
            options=("-W", "error"),
        )
        assert ("", "") == (completed.stdout, completed.stderr)


class TestGlobalSdk:
    """The SDK may be set up at any time; sessions are recorded from then on."""

    @pytest.mark.parametrize("events", ["both", "log", "span"])
    @pytest.mark.parametrize(
        "order",
        [
            pytest.param("set_up(); otel_sessions.configure(events=MODE)", id="sdk-before-configure"),
            pytest.param("otel_sessions.configure(events=MODE); set_up()", id="sdk-after-configure"),
            pytest.param(
                "otel_sessions.configure(events=MODE); inside_a_session(); set_up()", id="sdk-after-first-scoped"
            ),
            pytest.param(
                "otel_sessions.configure(events=MODE); otel_sessions.start('web'); set_up()", id="sdk-after-durable"
            ),
        ],
    )
    def test_in_any_order(self, order: str, events: str) -> None:
        """From the next session on its span is exported, and spans and logs inside carry its id."""
        code = f"""
    MODE = {events!r}
    {order.replace("; ", chr(10) + "    ")}
    print(json.dumps([inside_a_session(), starts()]))
    """
        earlier = 1 if "inside" in order or "start(" in order else 0
        assert [[[True], [True], 1], 1 + earlier] == answer(LIFE + SDK + code)

    def test_what_was_counted_before_is_not_lost(self) -> None:
        """Counters reach the metrics of an SDK that comes later."""
        code = """
    for _ in range(3):
        with session("job"):
            pass
    set_up()
    print(json.dumps(starts()))
    """
        assert 3 == answer(LIFE + SDK + code)

    def test_session_that_began_before(self) -> None:
        """A session begun without an SDK has no span to be emitted, but its end is an event; nothing breaks."""
        code = """
    handle = otel_sessions.start("chat", id="conv-42")
    with session("job"):
        set_up()
        with otel_sessions.resume("conv-42"):
            trace.get_tracer("x").start_span("child").end()
    handle.end()
    ended = sorted(
        r.log_record.attributes["app_session.type"] for r in records if r.log_record.event_name == "session.end"
    )
    print(json.dumps([ended, [[span.name, span.parent is None] for span in spans.get_finished_spans()]]))
    """
        assert [["chat", "job"], [["child", True]]] == answer(LIFE + SDK + code)

    def test_resumed_only(self) -> None:
        """A process that only resumes sessions stamps too: the SDK came after the session had begun."""
        code = """
    otel_sessions.start("chat", id="conv-42")
    set_up()
    with otel_sessions.resume("conv-42"):
        trace.get_tracer("x").start_span("child").end()
        _logs.get_logger("x").emit(body="hello")
    stamped = [span.attributes.get("session.id") for span in spans.get_finished_spans()]
    print(json.dumps([stamped, [r.log_record.attributes.get("session.id") for r in records]]))
    """
        assert [["conv-42"], ["conv-42"]] == answer(LIFE + SDK + code)

    def test_everything_works_with_it(self) -> None:
        """The same life with an SDK gives the same answers, and spans for its sessions."""
        code = """
    set_up()
    lived = life() == LIVED
    print(json.dumps([lived, sorted(span.name for span in spans.get_finished_spans())]))
    """
        names = ["session chat", "session coroutine", "session generator", "session plain", "session plain"]
        assert [True, names] == answer(LIFE + SDK + code)

    def test_stamping_can_be_turned_off(self) -> None:
        """With `stamp=False` the spans and logs of a session are left alone."""
        code = """
    set_up()
    otel_sessions.configure(stamp=False)
    print(json.dumps(inside_a_session()))
    """
        assert [[False], [False], 1] == answer(LIFE + SDK + code)

    @pytest.mark.parametrize("order", ["set_up(); begin()", "begin(); set_up(); begin()"])
    def test_sessions_open_at_exit_reach_the_exporter(self, order: str) -> None:
        """What is open when the interpreter ends is ended before the providers shut down."""
        code = f"""
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

    class Printing:
        def export(self, batch):
            for span in batch:
                print(span.name, span.attributes["app_session.end_reason"])
            return SpanExportResult.SUCCESS
        def shutdown(self): pass
        def force_flush(self, timeout_millis=0): return True

    def set_up():
        tracers = TracerProvider()
        tracers.add_span_processor(BatchSpanProcessor(Printing()))
        trace.set_tracer_provider(tracers)

    def begin():
        otel_sessions.start("chat")
        held.append(session("job"))
        held[-1].__enter__()

    held = []
    {order.replace("; ", chr(10) + "    ")}
    """
        completed = run(LIFE + SDK + code, options=("-W", "error"))
        assert "" == completed.stderr
        assert ["session chat shutdown", "session job shutdown"] == sorted(completed.stdout.splitlines())

    def test_globals_are_never_set(self) -> None:
        """With providers as arguments, and with none, the API's proxies stay in place."""
        code = """
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    otel_sessions.configure(
        tracer_provider=tracers, meter_provider=MeterProvider([reader]), logger_provider=LoggerProvider()
    )
    lived = life() == LIVED
    otel_sessions.shutdown()
    life()
    kinds = [trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()]
    print(json.dumps([lived, [type(kind).__name__ for kind in kinds], len(spans.get_finished_spans())]))
    """
        assert [
            True,
            ["ProxyTracerProvider", "_ProxyMeterProvider", "ProxyLoggerProvider"],
            5,
        ] == answer(LIFE + SDK + code)


class TestDisabledSdk:
    """`OTEL_SDK_DISABLED=true` makes everything a no-op."""

    def test_everything_works(self) -> None:
        """Sessions live as ever; no span, no metric, no log record."""
        code = """
    set_up()
    lived = life() == LIVED
    print(json.dumps([lived, len(spans.get_finished_spans()), len(records), reader.get_metrics_data() is None]))
    """
        assert [True, 0, 0, True] == answer(LIFE + SDK + code, env={"OTEL_SDK_DISABLED": "true"})

    def test_off_switch_of_this_package(self) -> None:
        """`OTEL_SESSIONS_ENABLED=false`: the application's telemetry goes on, sessions are no sessions."""
        code = """
    set_up()
    with session("job") as s:
        trace.get_tracer("x").start_span("child").end()
        s.event("cart.checkout")
    print(json.dumps([s.id, [dict(span.attributes) for span in spans.get_finished_spans()], len(records)]))
    """
        assert ["", [{}], 0] == answer(LIFE + SDK + code, env={"OTEL_SESSIONS_ENABLED": "false"})


class Audited(TracerProvider):
    """An SDK provider as vendors derive it."""

    def __init__(self) -> None:
        super().__init__(shutdown_on_exit=False)
        self.asked: list[str] = []

    def get_tracer(self, instrumenting_module_name: str, *args: Any, **kwargs: Any) -> Tracer:
        self.asked.append(instrumenting_module_name)
        return super().get_tracer(instrumenting_module_name, *args, **kwargs)


class ForeignTracer(NoOpTracer):
    """A tracer with spans of its own and none of the SDK's attributes."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start_span(self, name: str, context: Context | None = None, *args: Any, **kwargs: Any) -> Span:
        self.started.append(name)
        return NonRecordingSpan(SpanContext(1, len(self.started), is_remote=False, trace_flags=TraceFlags(1)))


class ForeignProvider(trace.TracerProvider):
    """A tracer provider that is not the SDK's, and takes no processors."""

    __slots__ = ("tracer",)

    def __init__(self) -> None:
        self.tracer = ForeignTracer()

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        return self.tracer


class TestForeignProviders:
    """Providers that are not exactly the SDK's."""

    def test_subclass_of_the_sdk(self) -> None:
        """A derived provider is as good: durable sessions get their reserved span from it."""
        provider, exporter = Audited(), InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with record_sessions(tracer_provider=provider):
            handle = otel_sessions.start("web")
            reserved = handle.span_context
            handle.end()
        assert [reserved] == [span.context for span in exporter.get_finished_spans()]
        assert {"otel_sessions"} == set(provider.asked)

    def test_tracer_that_cannot_reserve(self) -> None:
        """Durable sessions then are their start and end events; scoped ones have whatever span it makes."""
        provider = ForeignProvider()
        with record_sessions(tracer_provider=provider) as recorded:
            handle = otel_sessions.start("web", id="conv-42")
            assert not handle.span_context.is_valid
            with otel_sessions.resume("conv-42") as s:
                assert "conv-42" == current_session().id
                s.event("cart.checkout")
                assert trace.INVALID_SPAN == trace.get_current_span()
            handle.end()
            assert [] == provider.tracer.started
            with session("job"):
                assert 1 == trace.get_current_span().get_span_context().span_id
            assert ["session job"] == provider.tracer.started
            told = [(log.log_record.event_name, log.log_record.trace_id) for log in recorded.logs]
            assert 1 == recorded.metric("app_session.duration", app_session__type="web")
        assert [
            ("app_session.startup", 0),
            ("session.start", 0),
            ("cart.checkout", 0),
            ("session.end", 0),
            ("session.start", 1),
            ("session.end", 1),
        ] == told

    def test_tracer_that_breaks(self, caplog: pytest.LogCaptureFixture) -> None:
        """A provider that raises costs the telemetry, not the application."""

        class Broken(trace.TracerProvider):
            def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
                return BrokenTracer()

        class BrokenTracer(NoOpTracer):
            def start_span(self, *args: Any, **kwargs: Any) -> Span:
                raise RuntimeError("no span")

        with record_sessions(tracer_provider=Broken()) as recorded:
            with session("job") as s:
                s.event("cart.checkout")
            otel_sessions.start("web").end()
            assert 2 == recorded.metric("app_session.duration")
        assert ["start the span of a session"] == [
            record.args[0] for record in caplog.records if isinstance(record.args, tuple)
        ]


class SlowTracer(SdkTracer):
    """A tracer that takes its time over the first look at it."""

    looked_at = threading.Event()
    look_on = threading.Event()

    def __getattribute__(self, name: str) -> Any:
        if name == "id_generator" and not SlowTracer.looked_at.is_set():
            SlowTracer.looked_at.set()
            SlowTracer.look_on.wait(0.2)
        return super().__getattribute__(name)


class SlowProvider(TracerProvider):
    """A provider of such tracers."""

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        tracer = super().get_tracer(*args, **kwargs)
        tracer.__class__ = SlowTracer
        return tracer


class TestFirstUse:
    """Several threads may be the first at the same time, as in a server's first second."""

    def test_every_session_has_its_span(self) -> None:
        """A session that starts while another thread is still looking at the provider is not left without a span."""
        provider = SlowProvider(shutdown_on_exit=False)
        SlowTracer.looked_at.clear()
        SlowTracer.look_on.clear()
        with record_sessions(tracer_provider=provider):
            first = threading.Thread(target=otel_sessions.start, args=("web",))
            first.start()
            assert SlowTracer.looked_at.wait(5)
            second = otel_sessions.start("web")
            SlowTracer.look_on.set()
            first.join()
            assert second.span_context.is_valid

    def test_one_startup_event(self) -> None:
        """However many begin at once, the library starts once."""
        with record_sessions() as recorded:
            barrier = threading.Barrier(8)

            def begin() -> None:
                barrier.wait()
                with session("job"):
                    pass

            threads = [threading.Thread(target=begin) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert 1 == len(recorded.events("app_session.startup"))
            assert 8 == len(recorded.session_spans) == recorded.metric("app_session.starts")


class TestProvidersByArgument:
    """Providers may be given to `configure`."""

    @pytest.fixture(autouse=True)
    def _no_globals(self) -> Iterator[None]:
        yield
        assert "ProxyTracerProvider" == type(trace.get_tracer_provider()).__name__
        assert "ProxyLoggerProvider" == type(_logs.get_logger_provider()).__name__
        assert "_ProxyMeterProvider" == type(metrics.get_meter_provider()).__name__

    def test_are_used(self) -> None:
        """All three signals go to them."""
        with record_sessions() as recorded:
            with session("job"):
                pass
            assert (1, 3, 1) == (len(recorded.spans), len(recorded.logs), recorded.metric("app_session.starts"))

    def test_none_at_all(self) -> None:
        """Without any, in a process without an SDK, sessions live; when they end they are remembered."""
        with record_sessions(tracer_provider=None, meter_provider=None, logger_provider=None) as recorded:
            with session("job") as s:
                s.event("cart.checkout")
                assert trace.INVALID_SPAN == trace.get_current_span()
            handle = otel_sessions.start("web")
            handle.event("cart.checkout")
            handle.end()
            assert [1, 1] == [found.totals.events for found in map(otel_sessions.get, (s.id, handle.id)) if found]
            assert ([], [], {}) == (recorded.spans, recorded.logs, recorded.metrics())

    def test_emitter_by_itself(self) -> None:
        """The emitter needs nobody who prepares the providers."""
        with record_sessions() as recorded:
            telemetry = Telemetry(
                tracer_provider=recorded.tracer_provider, logger_provider=recorded.logger_provider, events="span"
            )
            telemetry.bind()
            telemetry.bind()
            beginning = telemetry.reserve(Beginning("s1", "web", "durable", 1_000))
            assert telemetry.reserved_context(beginning, 1_000) is not None
            telemetry.ended(SessionRecord(beginning, Totals(), "success", None, None), None, None)
            (span,) = recorded.session_spans
        # An incomplete record, as an older version may have stored it: the session then took no time.
        assert (1_000, 1_000) == (span.start_time, span.end_time)
        assert "completed" == (span.attributes or {})["app_session.end_reason"]

    def test_two_at_a_time_stay_apart(self) -> None:
        """What is recorded in one place is not recorded in the other."""
        with record_sessions() as outer:
            with session("before"):
                pass
            with record_sessions() as inner, session("inside"):
                pass
            with session("after"):
                pass
        assert ["session before", "session after"] == [span.name for span in outer.spans]
        assert ["session inside"] == [span.name for span in inner.spans]

    def test_processor_is_added_once(self) -> None:
        """However often the library is configured with one provider, it is given one processor of each kind."""
        provider = TracerProvider(shutdown_on_exit=False)
        for _ in range(3):
            with record_sessions(tracer_provider=provider), session("job"):
                pass
        processors = [type(each) for each in provider._active_span_processor._span_processors]
        assert [SessionSpanProcessor, GenAISpanProcessor] == processors
