"""The contract between this package and the SDK's tracer, and the spans of sessions as a whole."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, Sampler, SamplingResult
from opentelemetry.trace import NoOpTracer, ProxyTracer, SpanKind, StatusCode, Tracer, TraceState

import otel_sessions
from otel_sessions import _semconv as sc
from otel_sessions import session
from otel_sessions._models import Attributes, Event, Reservation
from otel_sessions._telemetry import _spans
from otel_sessions.testing import RecordedSessions, record_sessions
from otel_sessions.version import __version__

from ..shared_memory_store import SharedMemoryStore

START = 1_767_225_600_000_000_000
SECOND = 1_000_000_000
NOTHING: Attributes = {}


class Answer(Sampler):
    """A sampler with one answer, which remembers what it was asked."""

    def __init__(self, decision: Decision, *, adds: Attributes = NOTHING, state: TraceState | None = None) -> None:
        self.decision = decision
        self.adds = adds
        self.state = state
        self.asked: list[tuple[Any, ...]] = []

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        self.asked.append((parent_context, trace_id, name, kind, attributes, links))
        return SamplingResult(self.decision, {**(attributes or {}), **self.adds}, self.state)

    def get_description(self) -> str:
        return "Answer"


class Counting(IdGenerator):
    """Ids that can be foretold, and are not random."""

    def __init__(self) -> None:
        self.last = 0

    def generate_trace_id(self) -> int:
        self.last += 1
        return 0xA000 + self.last

    def generate_span_id(self) -> int:
        self.last += 1
        return 0xB000 + self.last


class Witness(SpanProcessor):
    """Notes every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.calls.append(("start", dict(span.attributes or {})))

    def on_end(self, span: ReadableSpan) -> None:
        self.calls.append(("end", dict(span.attributes or {})))


class Pipeline:
    """A tracer provider, and what came out of it."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.witness = Witness()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(self.witness)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("scope", "1.2", "https://schema")

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


def live_spans(reader: InMemoryMetricReader) -> float:
    """What the SDK says of itself."""
    data = reader.get_metrics_data()
    metrics = (m for resource in (data.resource_metrics if data else ()) for m in resource.scope_metrics[0].metrics)
    points: list[Any] = [p for m in metrics if m.name == "otel.sdk.span.live" for p in m.data.data_points]
    values: list[float] = [point.value for point in points]
    return sum(values)


def reserve(tracer: Tracer, attributes: Attributes = NOTHING) -> Reservation:
    reservation = _spans.reserve(tracer, "session chat", attributes)
    assert reservation is not None
    return reservation


def emit(
    tracer: Tracer,
    reservation: Reservation,
    *,
    attributes: Attributes = NOTHING,
    events: tuple[Event, ...] = (),
    status: tuple[StatusCode, str | None] = (StatusCode.UNSET, None),
) -> None:
    _spans.emit_reserved(
        tracer,
        "session chat",
        reservation=reservation,
        start_ns=START,
        end_ns=START + SECOND,
        attributes=attributes,
        events=events,
        status=status,
    )


@pytest.fixture(name="pipeline")
def _pipeline() -> Iterator[Pipeline]:
    made = Pipeline(sampler=ALWAYS_ON)
    yield made
    made.provider.shutdown()


class TestReservedSpan:
    """What is emitted at the end is the span that was reserved at the start."""

    def test_has_the_reserved_identity(self, pipeline: Pipeline) -> None:
        """Trace id, span id, flags and tracestate are those that children and links were given."""
        reservation = reserve(pipeline.tracer)
        emit(pipeline.tracer, reservation)
        (span,) = pipeline.spans
        assert _spans.reserved_context(reservation) == span.context
        assert (reservation.trace_id, reservation.span_id) == (span.context.trace_id, span.context.span_id)
        assert not span.context.is_remote

    def test_has_the_times_of_the_session(self, pipeline: Pipeline) -> None:
        """It starts when the session started, however late it is emitted, and ends when the session ended."""
        emit(pipeline.tracer, reserve(pipeline.tracer))
        (span,) = pipeline.spans
        assert (START, START + SECOND) == (span.start_time, span.end_time)

    def test_is_an_internal_root_of_our_scope_and_resource(self) -> None:
        """Everything else of the tracer stays: its scope, its resource; there is no parent."""
        pipeline = Pipeline(resource=Resource({"service.name": "shop"}))
        with pipeline.tracer.start_as_current_span("request"):
            emit(pipeline.tracer, reserve(pipeline.tracer))
        span = pipeline.spans[0]
        assert span.parent is None
        assert span.kind is SpanKind.INTERNAL
        assert span.name == "session chat"
        assert dict(span.resource.attributes) == {"service.name": "shop"}
        scope = span.instrumentation_scope
        assert scope is not None
        assert ("scope", "1.2", "https://schema") == (scope.name, scope.version, scope.schema_url)

    def test_has_attributes_events_and_status(self, pipeline: Pipeline) -> None:
        """Events keep their own times, which lie before the moment of emission."""
        emit(
            pipeline.tracer,
            reserve(pipeline.tracer),
            attributes={"a": 1, "b": ("x", "y")},
            events=(Event("one", START + 1, {"n": 1}), Event("two", START + 2, {"f": 0.5})),
            status=(StatusCode.ERROR, "it broke"),
        )
        (span,) = pipeline.spans
        assert dict(span.attributes or {}) == {"a": 1, "b": ("x", "y")}
        assert [("one", START + 1, {"n": 1}), ("two", START + 2, {"f": 0.5})] == [
            (event.name, event.timestamp, dict(event.attributes or {})) for event in span.events
        ]
        assert (StatusCode.ERROR, "it broke") == (span.status.status_code, span.status.description)

    def test_survives_a_way_through_json(self, pipeline: Pipeline) -> None:
        """Another process emits the very same identity from what the store held."""
        sampler = Answer(Decision.RECORD_AND_SAMPLE, state=TraceState([("vendor", "7"), ("other", "x")]))
        here, there = Pipeline(sampler=sampler), Pipeline(sampler=ALWAYS_OFF)
        reservation = reserve(here.tracer)
        emit(there.tracer, Reservation.from_dict(json.loads(json.dumps(reservation.to_dict()))))
        (span,) = there.spans
        assert _spans.reserved_context(reservation) == span.context
        assert "vendor=7,other=x" == span.context.trace_state.to_header()

    def test_stays_within_the_limits_of_the_provider(self) -> None:
        """The SDK's limits hold: the last events are kept, long values cut, and the drops counted by the SDK."""
        pipeline = Pipeline(span_limits=SpanLimits(max_events=2, max_span_attributes=1, max_attribute_length=3))
        emit(
            pipeline.tracer,
            reserve(pipeline.tracer),
            attributes={"old": 1, "new": "abcdef"},
            events=tuple(Event(f"e{n}", START + n, {}) for n in range(5)),
        )
        (span,) = pipeline.spans
        assert ["e3", "e4"] == [event.name for event in span.events]
        assert (3, 1) == (span.dropped_events, span.dropped_attributes)
        assert dict(span.attributes or {}) == {"new": "abc"}

    def test_passes_all_processors(self, pipeline: Pipeline) -> None:
        """A processor sees it start, with its attributes, and end, like any span; and not before it is emitted."""
        reservation = reserve(pipeline.tracer)
        assert [] == pipeline.witness.calls
        emit(pipeline.tracer, reservation, attributes={"a": 1})
        assert [("start", {"a": 1}), ("end", {"a": 1})] == pipeline.witness.calls

    def test_many_threads_do_not_mix_identities(self, pipeline: Pipeline) -> None:
        """Each emission works on a tracer of its own."""
        reservations = [reserve(pipeline.tracer) for _ in range(400)]

        def emit_all(part: list[Reservation]) -> None:
            for reservation in part:
                emit(pipeline.tracer, reservation)

        threads = [threading.Thread(target=emit_all, args=(reservations[n::8],)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {(r.trace_id, r.span_id) for r in reservations} == {
            (span.context.trace_id, span.context.span_id) for span in pipeline.spans
        }
        assert 400 == len(pipeline.spans)


class TestDecision:
    """The sampler is asked once, at the start, and its answer holds at the end."""

    def test_asked_once_as_for_a_root(self) -> None:
        """It sees name, kind and attributes, and no parent, whatever request happens to be open."""
        sampler = Answer(Decision.RECORD_AND_SAMPLE)
        pipeline = Pipeline(sampler=sampler)
        with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=True))):
            reservation = reserve(pipeline.tracer, {"app_session.type": "chat"})
        sampler.decision = Decision.DROP
        emit(pipeline.tracer, reservation)
        ((parent, trace_id, name, kind, attributes, links),) = sampler.asked
        assert trace.INVALID_SPAN == trace.get_current_span(parent)
        assert (reservation.trace_id, "session chat", SpanKind.INTERNAL) == (trace_id, name, kind)
        assert {"app_session.type": "chat"} == attributes
        assert not links
        assert 1 == len(pipeline.spans)

    @pytest.mark.parametrize(
        ("decision", "processed", "exported"),
        [(Decision.DROP, 0, 0), (Decision.RECORD_ONLY, 2, 0), (Decision.RECORD_AND_SAMPLE, 2, 1)],
    )
    def test_replayed(self, decision: Decision, processed: int, exported: int) -> None:
        """Dropped spans reach no processor, recorded ones reach processors, sampled ones the exporter."""
        pipeline = Pipeline(sampler=Answer(decision))
        reservation = reserve(pipeline.tracer)
        pipeline.tracer.sampler = ALWAYS_OFF if exported else ALWAYS_ON  # type: ignore[attr-defined]
        emit(pipeline.tracer, reservation)
        assert processed == len(pipeline.witness.calls)
        assert exported == len(pipeline.spans)
        assert decision.value == reservation.decision

    @pytest.mark.parametrize("generator", [None, Counting()], ids=["random", "counting"])
    @pytest.mark.parametrize("decision", list(Decision))
    def test_flags_are_those_of_a_live_root(self, decision: Decision, generator: IdGenerator | None) -> None:
        """Sampled and random flags are what the SDK itself would give a root span at this moment."""
        pipeline = Pipeline(sampler=Answer(decision), id_generator=generator)
        live = pipeline.tracer.start_span("live", context=Context()).get_span_context()
        reserved = _spans.reserved_context(reserve(pipeline.tracer))
        assert live.trace_flags == reserved.trace_flags
        assert decision.is_sampled() == reserved.trace_flags.sampled  # type: ignore[no-untyped-call]  # upstream

    def test_sampler_may_add_attributes_and_state(self) -> None:
        """What the sampler adds is kept until the span is emitted, and stands on it."""
        sampler = Answer(Decision.RECORD_AND_SAMPLE, adds={"sampling.rate": 0.25}, state=TraceState([("k", "v")]))
        pipeline = Pipeline(sampler=sampler)
        reservation = reserve(pipeline.tracer, {"given": 1})
        assert {"sampling.rate": 0.25} == reservation.attributes
        assert "k=v" == reservation.trace_state
        emit(pipeline.tracer, reservation, attributes={"given": 1})
        assert {"given": 1, "sampling.rate": 0.25} == dict(pipeline.spans[0].attributes or {})

    def test_samplers_describe_themselves(self) -> None:
        """Whoever looks at a span's sampler, as processors may, reads where the decision came from."""
        sampler = Answer(Decision.DROP)
        reservation = reserve(Pipeline(sampler=sampler).tracer)
        assert "the decision of the session's start" in _spans._Replay(reservation).get_description()
        assert sampler.get_description() in _spans._Asked(sampler).get_description()


class TestIds:
    """Ids come from the provider's generator."""

    def test_custom_generator_is_honoured(self) -> None:
        """Services that need ids of their own form get them for sessions too."""
        pipeline = Pipeline(id_generator=Counting())
        emit(pipeline.tracer, reserve(pipeline.tracer))
        (span,) = pipeline.spans
        assert (0xA001, 0xB002) == (span.context.trace_id, span.context.span_id)

    def test_uniform_in_the_bits_that_samplers_read(self, pipeline: Pipeline) -> None:
        """Of 2,000 reservations, every one of the low 64 bits is set in about half."""
        ids = [reserve(pipeline.tracer).trace_id for _ in range(2_000)]
        assert 2_000 == len(set(ids))
        shares = [sum(trace_id >> bit & 1 for trace_id in ids) / 2_000 for bit in range(64)]
        assert all(0.4 < share < 0.6 for share in shares)


class TestTracerIsLeftAlone:
    """Reserving and emitting change nothing of the application's telemetry."""

    def test_cached_tracer_is_untouched(self, pipeline: Pipeline) -> None:
        """The provider's own tracer keeps generator and sampler, and goes on making spans of its own."""
        generator, sampler = pipeline.tracer.id_generator, pipeline.tracer.sampler  # type: ignore[attr-defined]
        reservation = reserve(pipeline.tracer)
        emit(pipeline.tracer, reservation)
        assert (generator, sampler) == (pipeline.tracer.id_generator, pipeline.tracer.sampler)  # type: ignore[attr-defined]
        later = pipeline.tracer.start_span("later").get_span_context()
        assert later.trace_id != reservation.trace_id
        assert later.span_id != reservation.span_id

    def test_current_span_is_untouched(self, pipeline: Pipeline) -> None:
        """The span that is current stays current and gains neither child nor link."""
        with pipeline.tracer.start_as_current_span("request") as request:
            emit(pipeline.tracer, reserve(pipeline.tracer))
            assert request is trace.get_current_span()
        emitted, request_span = pipeline.spans
        assert emitted.parent is None
        assert () == tuple(request_span.links)

    def test_no_live_span_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The SDK's own count of live spans stays zero while a session is open, and after it."""
        pytest.importorskip("opentelemetry.sdk.trace._tracer_metrics", reason="older SDKs do not count")
        monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
        reader = InMemoryMetricReader()
        pipeline = Pipeline(meter_provider=MeterProvider([reader], shutdown_on_exit=False))
        reservation = reserve(pipeline.tracer)
        assert 0 == live_spans(reader)
        emit(pipeline.tracer, reservation)
        assert 0 == live_spans(reader)
        held = pipeline.tracer.start_span("live")
        assert 1 == live_spans(reader)
        held.end()


class Foreign(NoOpTracer):
    """A tracer of somebody else's."""


class TestCapability:
    """What can be reserved is asked of the tracer in one place."""

    def test_sdk_tracer_can(self, pipeline: Pipeline) -> None:
        """The SDK's own tracer has all that is relied on."""
        assert _spans.can_reserve(pipeline.tracer)

    @pytest.mark.parametrize("tracer", [NoOpTracer(), ProxyTracer("scope"), Foreign()])
    def test_others_cannot(self, tracer: Tracer) -> None:
        """Without an SDK, and with somebody else's, sessions have no reserved span."""
        assert not _spans.can_reserve(tracer)


class TestSessionSpan:
    """One session, one span: all that it says."""

    def test_scoped(self, recorded_sessions: RecordedSessions) -> None:
        """A scoped session's span, whole: names, values and types."""
        with session("security_audit", user="admin", tier="pro", platform="api", attributes={"tenant": "contoso"}) as s:
            recorded_sessions.clock.advance(2.5)
            with s.turn(model="m") as turn:
                recorded_sessions.clock.advance(0.5)
                turn.tokens(input=1500, output=2000)
                turn.cost(0.25, "USD")
            s.event("cart.checkout")
            s.set_attributes(items=3)
        (span,) = recorded_sessions.session_spans
        expected = {
            "session.id": s.id,
            "enduser.pseudo.id": s.user,
            "app_session.type": "security_audit",
            "app_session.topology": "scoped",
            "app_session.tier": "pro",
            "app_session.platform": "api",
            "app_session.status": "success",
            "app_session.end_reason": "completed",
            "app_session.event.count": 1,
            "app_session.error.count": 0,
            "app_session.turn.count": 1,
            "app_session.turn.mean_duration": 0.5,
            "app_session.message.count": 2,
            "app_session.usage.tokens": 3500,
            "app_session.usage.cost": 0.25,
            "app_session.cost.amount": 0.25,
            "app_session.cost.currency": "USD",
            "tenant": "contoso",
            "items": 3,
        }
        found = dict(span.attributes or {})
        assert expected == found
        assert {key: type(value) for key, value in expected.items()} == {k: type(v) for k, v in found.items()}
        assert "session security_audit" == span.name
        assert 3 * SECOND == (span.end_time or 0) - (span.start_time or 0)
        assert (StatusCode.UNSET, None) == (span.status.status_code, span.status.description)
        assert ["cart.checkout"] == [event.name for event in span.events]

    def test_durable(self, recorded_sessions: RecordedSessions) -> None:
        """A durable session's span, whole: it names its predecessor, its parent session, and how it ended."""
        with session("job") as job:
            first = otel_sessions.start("chat", id="conv-42", user="u1", tier="free", attributes={"tenant": "a"})
        first.end()
        recorded_sessions.clear()
        handle = otel_sessions.start("chat", id="conv-42")
        recorded_sessions.clock.advance(4)
        handle.error("Timeout", "no answer")
        handle.message("user")
        handle.end("error")
        (span,) = recorded_sessions.session_spans
        expected = {
            "session.id": handle.id,
            "session.previous_id": "conv-42",
            "app_session.type": "chat",
            "app_session.topology": "durable",
            "app_session.status": "error",
            "app_session.end_reason": "exception",
            "app_session.request.count": 0,
            "app_session.event.count": 1,
            "app_session.error.count": 1,
            "app_session.message.count": 1,
            "error.type": "Timeout",
        }
        found = dict(span.attributes or {})
        assert expected == found
        assert {key: type(value) for key, value in expected.items()} == {k: type(v) for k, v in found.items()}
        assert (StatusCode.ERROR, "no answer") == (span.status.status_code, span.status.description)
        assert (sc.SCOPE_NAME, __version__, sc.SCHEMA_URL) == _scope(span)
        assert first.parent_id == job.id

    @pytest.mark.parametrize("kind", ["scoped", "durable"])
    def test_what_became_known_later(self, recorded_sessions: RecordedSessions, kind: str) -> None:
        """A user and a platform that change on the way are on the span as they were at the end; as a pseudonym."""
        with session("web") if kind == "scoped" else otel_sessions.start("web", user="guest") as handle:
            handle.identify("ada@example.com")
            handle.switch_platform("web", "mobile")
            handle.end()
        attributes = recorded_sessions.session_spans[0].attributes or {}
        assert (handle.user, "mobile") == (attributes["enduser.pseudo.id"], attributes["app_session.platform"])
        assert "ada@" not in str(attributes)

    def test_one_identity_per_start(self, recorded_sessions: RecordedSessions) -> None:
        """A session that starts under an id used before is another span in another trace."""
        for _ in range(3):
            otel_sessions.start("chat", id="conv-42").end()
        contexts = [span.context for span in recorded_sessions.session_spans]
        assert 3 == len({context.trace_id for context in contexts}) == len({context.span_id for context in contexts})

    def test_ended_by_a_process_that_did_nothing_else(self) -> None:
        """Whichever process ends a session emits its span, even if that is all it ever does."""
        store = SharedMemoryStore()
        with record_sessions(store=store) as here:
            handles = [otel_sessions.start("chat", id="a"), otel_sessions.start("chat", id="b", idle_timeout=60)]
            reserved = [handle.span_context for handle in handles]
            with record_sessions(store=store) as there:
                assert otel_sessions.end("a")
            with record_sessions(store=store) as elsewhere:
                elsewhere.advance(61)
            assert reserved == [span.context for span in (*there.session_spans, *elsewhere.session_spans)]
            assert [] == here.session_spans

    def test_ended_twice_emitted_once(self, recorded_sessions: RecordedSessions) -> None:
        """Of all who end a session one wins, and one span is emitted."""
        handles = [otel_sessions.start("chat", id="conv-42"), otel_sessions.resume("conv-42")]
        assert [True, False, False] == [*(handle.end() for handle in handles), otel_sessions.end("conv-42")]
        assert 1 == len(recorded_sessions.session_spans)

    def test_summary_currency_is_the_largest_and_a_float(self, recorded_sessions: RecordedSessions) -> None:
        """A cost is a double, also when it was given as an integer."""
        with session("job") as s, s.turn() as turn:
            turn.cost(2, "EUR")
            turn.cost(1, "USD")
        attributes = recorded_sessions.session_spans[0].attributes or {}
        assert ("EUR", 2.0, float) == (
            attributes[sc.COST_CURRENCY],
            attributes[sc.COST_AMOUNT],
            type(attributes[sc.COST_AMOUNT]),
        )

    @pytest.mark.parametrize("kind", ["scoped", "durable"])
    def test_user_attributes_do_not_replace_ours(self, recorded_sessions: RecordedSessions, kind: str) -> None:
        """What identifies and sums up a session cannot be overwritten by attributes of the application."""
        forged = {"session.id": "x", "app_session.type": "y", "app_session.status": "z", "app_session.event.count": -1}
        if kind == "scoped":
            with session("job", attributes=forged) as handle:
                handle.set_attributes(**forged)
        else:
            handle = otel_sessions.start("job", attributes=forged)
            handle.set_attributes(**forged)
            handle.end()
        (ended,) = recorded_sessions.events("session.end")
        for found in (recorded_sessions.session_spans[0].attributes or {}, ended):
            assert (handle.id, "job", "success", 0) == tuple(found[key] for key in forged)

    def test_parent_is_not_nested_for_durable(self, recorded_sessions: RecordedSessions) -> None:
        """A durable session begun in a request has a trace of its own; the request links to it."""
        tracer = recorded_sessions.tracer_provider.get_tracer("server")
        with tracer.start_as_current_span("GET /", kind=SpanKind.SERVER), otel_sessions.start("web") as handle:
            reserved = handle.span_context
        handle.end()
        request, span = recorded_sessions.spans
        assert reserved == span.context
        assert span.parent is None
        assert request.context.trace_id != span.context.trace_id
        assert [reserved] == [link.context for link in request.links]
        assert {"session.id": handle.id, "app_session.type": "web"} == dict(request.attributes or {})

    def test_children_outside_of_a_request_belong_to_it(self, recorded_sessions: RecordedSessions) -> None:
        """Where no trace is under way, what is done in a durable session is a child of its reserved span."""
        handle = otel_sessions.start("import", id="nightly")
        tracer = recorded_sessions.tracer_provider.get_tracer("worker")
        with otel_sessions.resume("nightly"), tracer.start_as_current_span("step"):
            pass
        handle.end()
        child, span = recorded_sessions.spans
        assert child.parent == span.context
        assert () == tuple(child.links)

    def test_sampler_attributes_are_on_the_span(self) -> None:
        """What a sampler adds to a span stands on the session's span too, anew for each span."""

        class Numbering(Answer):
            def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
                self.adds = {"sampling.number": len(self.asked) + 1}
                return super().should_sample(*args, **kwargs)

        with record_sessions(sampler=Numbering(Decision.RECORD_AND_SAMPLE)) as recorded:
            handle = otel_sessions.start("chat")
            handle.rotate()
            handle.end()
            numbers = [(span.attributes or {})["sampling.number"] for span in recorded.session_spans]
        assert [1, 2] == numbers

    def test_tracer_that_is_switched_off(self) -> None:
        """Where the provider's configuration disables this scope, nothing refers to a span that will not come."""

        def configurator(scope: Any) -> Any:
            from opentelemetry.sdk.trace import _TracerConfig

            return _TracerConfig(is_enabled=scope.name != sc.SCOPE_NAME)

        if "_tracer_configurator" not in inspect.signature(TracerProvider).parameters:
            pytest.skip("older SDKs cannot disable a scope")
        pipeline = Pipeline(_tracer_configurator=configurator)
        with record_sessions(tracer_provider=pipeline.provider):
            handle = otel_sessions.start("chat")
            with handle, pipeline.tracer.start_as_current_span("step"):
                pass
            handle.end()
        (step,) = pipeline.spans
        assert step.parent is None
        assert () == tuple(step.links)
        assert not handle.span_context.is_valid


class TestJoin:
    """A span of somebody else's is tied to a durable session: its id, and a link to its span."""

    def test_span_of_another_session_keeps_its_identity(self, recorded_sessions: RecordedSessions) -> None:
        """Resuming a session inside another one ties the two spans by a link; neither takes the other's id."""
        chat = otel_sessions.start("chat", id="conv-42")
        with session("job") as job, otel_sessions.resume("conv-42"):
            pass
        chat.end()
        found = {span.name: span for span in recorded_sessions.session_spans}
        assert {"session job": job.id, "session chat": "conv-42"} == {
            name: (span.attributes or {})["session.id"] for name, span in found.items()
        }
        assert "job" == (found["session job"].attributes or {})["app_session.type"]
        assert [chat.span_context] == [link.context for link in found["session job"].links]

    def test_once_however_often_entered(self, recorded_sessions: RecordedSessions) -> None:
        """Blocks within blocks of one session add one link."""
        tracer = recorded_sessions.tracer_provider.get_tracer("server")
        otel_sessions.start("chat", id="conv-42")
        with tracer.start_as_current_span("GET /"), otel_sessions.resume("conv-42"), otel_sessions.resume("conv-42"):
            pass
        assert 1 == len(recorded_sessions.spans[0].links)

    def test_session_without_a_span(self) -> None:
        """Where the session has no span, the request carries its id, and no link that leads nowhere."""
        pipeline = Pipeline()
        with record_sessions(tracer_provider=trace.NoOpTracerProvider()):
            otel_sessions.start("web", id="conv-42")
            with pipeline.tracer.start_as_current_span("GET /"), otel_sessions.resume("conv-42"):
                pass
        (request,) = pipeline.spans
        assert {"session.id": "conv-42", "app_session.type": "web"} == dict(request.attributes or {})
        assert () == tuple(request.links)

    def test_unsampled_request_is_left_alone(self) -> None:
        """A span that records nothing is not asked to."""
        with record_sessions(sampler=ALWAYS_OFF) as recorded:
            tracer = recorded.tracer_provider.get_tracer("server")
            with tracer.start_as_current_span("GET /"), otel_sessions.start("web") as handle:
                assert not handle.span_context.trace_flags.sampled
            assert [] == recorded.spans


def _scope(span: ReadableSpan) -> tuple[str, str | None, str | None]:
    scope = span.instrumentation_scope
    assert scope is not None
    return scope.name, scope.version, scope.schema_url
