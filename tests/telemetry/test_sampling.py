"""Sampling: no orphan, no session without its children, and what must survive does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanKind

import otel_sessions
from otel_sessions import current_session, session
from otel_sessions.testing import RecordedSessions, record_sessions

SESSIONS = 2_000


def parent_based(rate: float) -> Sampler:
    return ParentBased(TraceIdRatioBased(rate))


class Changeable(Sampler):
    """A sampler that an operator can change while sessions are open, as remote configuration does."""

    def __init__(self, chosen: Sampler) -> None:
        self.chosen = chosen

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return self.chosen.should_sample(*args, **kwargs)

    def get_description(self) -> str:
        return f"Changeable({self.chosen.get_description()})"


def orphans(spans: list[ReadableSpan]) -> list[ReadableSpan]:
    """The exported spans whose parent, of this process, was not exported."""
    exported = {span.context.span_id for span in spans}
    return [
        span
        for span in spans
        if span.parent is not None and not span.parent.is_remote and span.parent.span_id not in exported
    ]


def complete_sessions(recorded: RecordedSessions, *, children: int) -> int:
    """How many sessions were exported; each with all of its children, no child without its session."""
    spans = recorded.spans
    assert [] == orphans(spans)
    sizes = Counter(span.context.trace_id for span in spans)
    sampled = {span.context.trace_id for span in recorded.session_spans}
    assert sampled == set(sizes)
    assert {children + 1} >= set(sizes.values())
    return len(sampled)


UNCHANGED = [
    pytest.param(parent_based(0.1), 120, 300, id="parent-based-0.1"),
    pytest.param(parent_based(0.5), 850, 1_150, id="parent-based-0.5"),
    pytest.param(TraceIdRatioBased(0.5), 850, 1_150, id="bare-0.5"),
    pytest.param(ALWAYS_ON, SESSIONS, SESSIONS, id="always-on"),
    pytest.param(ALWAYS_OFF, 0, 0, id="always-off"),
    pytest.param(ParentBased(StaticSampler(Decision.RECORD_ONLY)), 0, 0, id="record-only"),
]
CHANGED = [
    pytest.param(parent_based(0.5), parent_based(0.1), 850, 1_150, id="0.5-to-0.1"),
    pytest.param(parent_based(0.1), parent_based(0.5), 120, 300, id="0.1-to-0.5"),
    pytest.param(ALWAYS_ON, ParentBased(ALWAYS_OFF), SESSIONS, SESSIONS, id="on-to-off"),
    pytest.param(ParentBased(ALWAYS_OFF), ParentBased(ALWAYS_ON), 0, 0, id="off-to-on"),
    pytest.param(
        ParentBased(StaticSampler(Decision.RECORD_ONLY)), ParentBased(ALWAYS_ON), 0, 0, id="record-only-to-on"
    ),
]


def run_scoped(recorded: RecordedSessions, change: Callable[[], None]) -> None:
    """Sessions of one call each, with a child and a grandchild; the sampler changes while each is open."""
    tracer = recorded.tracer_provider.get_tracer("worker")
    for _ in range(SESSIONS):
        with session("job"):
            change()
            with tracer.start_as_current_span("step"), tracer.start_as_current_span("detail"):
                pass


def run_durable(recorded: RecordedSessions, change: Callable[[], None]) -> None:
    """Sessions that are all started, then all worked in, then all ended."""
    tracer = recorded.tracer_provider.get_tracer("worker")
    for number in range(SESSIONS):
        otel_sessions.start("import", id=f"n{number}")
    change()
    for number in range(SESSIONS):
        with otel_sessions.resume(f"n{number}"), tracer.start_as_current_span("step"):
            tracer.start_span("detail").end()
    for number in range(SESSIONS):
        assert otel_sessions.end(f"n{number}")


class TestScoped:
    """The span of a scoped session is an ordinary one."""

    @pytest.mark.parametrize(("sampler", "least", "most"), UNCHANGED)
    def test_whole_or_not_at_all(self, sampler: Sampler, least: int, most: int) -> None:
        """A session is exported with all its children, or not at all."""
        with record_sessions(sampler=sampler, detect_user=False) as recorded:
            run_scoped(recorded, lambda: None)
            assert least <= complete_sessions(recorded, children=2) <= most

    @pytest.mark.parametrize(("first", "then", "least", "most"), CHANGED)
    def test_sampler_changed_while_open(self, first: Sampler, then: Sampler, least: int, most: int) -> None:
        """The decision of the start holds for everything inside."""
        sampler = Changeable(first)
        with record_sessions(sampler=sampler, detect_user=False) as recorded:
            tracer = recorded.tracer_provider.get_tracer("worker")
            for _ in range(SESSIONS):
                sampler.chosen = first
                with session("job"):
                    sampler.chosen = then
                    with tracer.start_as_current_span("step"), tracer.start_as_current_span("detail"):
                        pass
            assert least <= complete_sessions(recorded, children=2) <= most

    def test_inside_a_sampled_out_request(self) -> None:
        """A job inside a request that is sampled out is sampled out with it."""
        remote = trace.SpanContext(7, 8, is_remote=True, trace_flags=trace.TraceFlags(0))
        with record_sessions(sampler=ParentBased(ALWAYS_ON)) as recorded:
            token = otel_context.attach(trace.set_span_in_context(trace.NonRecordingSpan(remote)))
            try:
                with session("job"):
                    pass
            finally:
                otel_context.detach(token)
            assert [] == recorded.spans


class TestDurable:
    """The span of a durable session is emitted long after its children, by what was decided before them."""

    @pytest.mark.parametrize(("sampler", "least", "most"), UNCHANGED)
    def test_whole_or_not_at_all(self, sampler: Sampler, least: int, most: int) -> None:
        """A session is exported with all its children, or not at all."""
        with record_sessions(sampler=sampler) as recorded:
            run_durable(recorded, lambda: None)
            assert least <= complete_sessions(recorded, children=2) <= most

    @pytest.mark.parametrize(("first", "then", "least", "most"), CHANGED)
    def test_sampler_changed_while_open(self, first: Sampler, then: Sampler, least: int, most: int) -> None:
        """The decision of the start is replayed at the end, whatever the sampler would say by then."""
        sampler = Changeable(first)

        def change() -> None:
            sampler.chosen = then

        with record_sessions(sampler=sampler) as recorded:
            run_durable(recorded, change)
            assert least <= complete_sessions(recorded, children=2) <= most

    def test_provider_given_another_sampler(self) -> None:
        """Setting the provider's sampler, as agents do, changes nothing for sessions that are open."""
        with record_sessions(sampler=parent_based(0.5)) as recorded:

            def change() -> None:
                recorded.tracer_provider.sampler = ParentBased(ALWAYS_OFF)
                # Older SDKs do not keep their tracers.
                for tracer in getattr(recorded.tracer_provider, "_tracers", {}).values():
                    tracer.sampler = ParentBased(ALWAYS_OFF)

            run_durable(recorded, change)
            assert 850 <= complete_sessions(recorded, children=2) <= 1_150

    def test_expired_as_decided_at_the_start(self) -> None:
        """A session that nobody ends keeps its decision too."""
        sampler = Changeable(ALWAYS_ON)
        with record_sessions(sampler=sampler) as recorded:
            tracer = recorded.tracer_provider.get_tracer("worker")
            with otel_sessions.start("web", idle_timeout=60), tracer.start_as_current_span("step"):
                pass
            sampler.chosen = ALWAYS_OFF
            recorded.advance(61)
            assert 1 == complete_sessions(recorded, children=1)

    def test_rotation_decides_anew(self) -> None:
        """The successor is another span in another trace: the sampler is asked about it."""
        sampler = Changeable(ALWAYS_OFF)
        with record_sessions(sampler=sampler) as recorded:
            handle = otel_sessions.start("web")
            sampler.chosen = ALWAYS_ON
            handle.rotate("login")
            handle.end()
            (span,) = recorded.session_spans
            assert handle.id == (span.attributes or {})["session.id"]


class TestLinkedRequests:
    """Requests keep their own traces and their own decisions, and say by a link which session they belong to."""

    @pytest.mark.parametrize(
        ("first", "then"),
        [
            pytest.param(parent_based(0.5), parent_based(0.5), id="unchanged"),
            pytest.param(parent_based(0.5), parent_based(0.1), id="0.5-to-0.1"),
            pytest.param(ParentBased(ALWAYS_OFF), ParentBased(ALWAYS_ON), id="off-to-on"),
            pytest.param(ParentBased(ALWAYS_ON), parent_based(0.5), id="on-to-0.5"),
        ],
    )
    def test_no_orphans_and_honest_links(self, first: Sampler, then: Sampler) -> None:
        """A request is whole or absent, and its link is flagged as sampled exactly if the session's span comes."""
        sampler = Changeable(first)
        with record_sessions(sampler=sampler) as recorded:
            tracer = recorded.tracer_provider.get_tracer("server")
            for number in range(SESSIONS):
                otel_sessions.start("web", id=f"n{number}")
            sampler.chosen = then
            for number in range(SESSIONS):
                with (
                    tracer.start_as_current_span("GET /", context=Context(), kind=SpanKind.SERVER),
                    otel_sessions.resume(f"n{number}"),
                ):
                    tracer.start_span("query").end()
            for number in range(SESSIONS):
                otel_sessions.end(f"n{number}")
            spans = recorded.spans
            assert [] == orphans(spans)
            sessions = {span.context.span_id for span in recorded.session_spans}
            requests = [span for span in spans if span.kind is SpanKind.SERVER]
            links = [link.context for span in requests for link in span.links]
            assert len(requests) == len(links) == sum(span.name == "query" for span in spans) > 0
            assert [link.span_id in sessions for link in links] == [link.trace_flags.sampled for link in links]
            assert all((span.attributes or {})["session.id"] for span in requests)

    def test_sampled_out_by_its_caller(self) -> None:
        """A request whose caller sampled it out drops itself, not the session."""
        remote = trace.set_span_in_context(
            trace.NonRecordingSpan(trace.SpanContext(7, 8, is_remote=True, trace_flags=trace.TraceFlags(0))), Context()
        )
        with record_sessions(sampler=ParentBased(ALWAYS_ON)) as recorded:
            tracer = recorded.tracer_provider.get_tracer("server")
            with (
                tracer.start_as_current_span("GET /", context=remote, kind=SpanKind.SERVER),
                otel_sessions.start("web") as handle,
            ):
                assert current_session().id == handle.id
            handle.end()
            assert ["session web"] == [span.name for span in recorded.spans]


class TestWhatSurvives:
    """Refusals and findings are heard even when every trace is dropped."""

    @pytest.mark.parametrize("events", ["both", "log", "span"])
    def test_finding_of_a_scoped_session(self, events: str) -> None:
        """The log event is there; the span is not; the log says that its trace was not sampled."""
        with record_sessions(sampler=ALWAYS_OFF, events=events) as recorded:
            with session("job") as s:
                s.suspicious("device_change", score=0.9)
            assert [] == recorded.spans
            (log,) = [log for log in recorded.logs if log.log_record.event_name == "app_session.finding"]
            assert s.id == (log.log_record.attributes or {})["session.id"]
            assert log.log_record.trace_flags is not None
            assert not log.log_record.trace_flags.sampled

    @pytest.mark.parametrize("events", ["both", "log", "span"])
    def test_finding_of_a_durable_session(self, events: str) -> None:
        """In and outside of a request."""
        with record_sessions(sampler=ALWAYS_OFF, events=events) as recorded:
            handle = otel_sessions.start("web")
            handle.suspicious("device_change", score=0.9)
            tracer = recorded.tracer_provider.get_tracer("server")
            with tracer.start_as_current_span("GET /"), handle:
                handle.suspicious("login_failure_rate", score=0.4)
            handle.end()
            assert [] == recorded.spans
            assert ["device_change", "login_failure_rate"] == [
                found["app_session.finding.kind"] for found in recorded.events("app_session.finding")
            ]

    def test_counted_though_not_sampled(self) -> None:
        """Metrics do not depend on sampling."""
        with record_sessions(sampler=ALWAYS_OFF) as recorded:
            with session("job") as s:
                s.event("cart.checkout")
            otel_sessions.start("web").end()
            assert 2 == recorded.metric("app_session.starts") == recorded.metric("app_session.duration")
            assert 1 == recorded.metric("app_session.events")
