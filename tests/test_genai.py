"""`GenAISpanProcessor`: tokens and cost come from the spans of GenAI instrumentations, once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

import otel_sessions
from otel_sessions import session
from otel_sessions.limits import Quota, Tier
from otel_sessions.processors import GenAISpanProcessor
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait
from .calls_of_models import call, chat, tokens, tracer_of
from .interpreter import answer

INPUT = 0.0025
"""Dollars for a thousand tokens of input of `gpt-4o`."""
CURRENT = {
    "operation__name": "chat",
    "provider__name": "openai",
    "request__model": "gpt-4o",
    "response__model": "gpt-4o-2024-08-06",
    "usage__input_tokens": 1_000,
    "usage__output_tokens": 100,
}
OLD = {
    "system": "openai",
    "request__model": "gpt-4o",
    "usage__prompt_tokens": 1_000,
    "usage__completion_tokens": 100,
}


class TestCounted:
    @pytest.mark.parametrize("attributes", [CURRENT, OLD, {**OLD, **CURRENT}], ids=["current", "old", "both"])
    def test_spellings(self, recorded_sessions: RecordedSessions, attributes: dict[str, Any]) -> None:
        """A span counts by its current or old attributes, and once if it has both."""
        with session("chat") as s, call(recorded_sessions, **attributes):
            pass
        found = portrait.attributes(recorded_sessions.session_spans[0])
        assert (1_100, INPUT + 0.001, "USD") == tuple(
            found[f"app_session.{name}"] for name in ("usage.tokens", "cost.amount", "cost.currency")
        )
        assert {
            frozenset(
                {("app_session.type", "chat"), ("gen_ai.request.model", "gpt-4o"), ("gen_ai.token.type", kind)}
            ): count
            for kind, count in (("input", 1_000), ("output", 100))
        } == recorded_sessions.metrics()["app_session.token.usage"]
        assert s.id == found["session.id"]

    def test_all_types(self, recorded_sessions: RecordedSessions) -> None:
        """Cache and reasoning are counted by type, and the tokens of the session are counted once."""
        with (
            session("chat"),
            call(
                recorded_sessions,
                **CURRENT,
                usage__cache_read__input_tokens=400,
                usage__cache_write__input_tokens=300,
                usage__reasoning__output_tokens=90,
            ),
        ):
            pass
        expected = {"input": 1_000, "output": 100, "cache_read": 400, "cache_write": 300, "reasoning": 90}
        assert expected == tokens(recorded_sessions)
        found = portrait.attributes(recorded_sessions.session_spans[0])
        assert 1_100 == found["app_session.usage.tokens"]
        assert INPUT * 0.8 + 0.001 == pytest.approx(found["app_session.cost.amount"])

    def test_cache_creation(self, recorded_sessions: RecordedSessions) -> None:
        """Writing to the cache had another name before."""
        with session("chat"), call(recorded_sessions, usage__cache_creation__input_tokens=300):
            pass
        assert {"cache_write": 300} == tokens(recorded_sessions)

    @pytest.mark.parametrize(
        ("kind", "spelling"),
        [
            ("cache_read", "cache_read_input_tokens"),
            ("cache_write", "cache_creation_input_tokens"),
            ("cache_write", "cache_write_input_tokens"),
            ("reasoning", "reasoning_tokens"),
        ],
    )
    def test_spellings_of_others(self, recorded_sessions: RecordedSessions, kind: str, spelling: str) -> None:
        """OpenLLMetry and Strands Agents spell the parts of input and output in their own ways."""
        with session("chat"), call(recorded_sessions, **{f"usage__{spelling}": 300}):
            pass
        assert {kind: 300} == tokens(recorded_sessions)

    def test_price_of_cached_input(self, recorded_sessions: RecordedSessions) -> None:
        """What OpenLLMetry says was read from the cache has that price."""
        with session("chat"), call(recorded_sessions, **OLD, usage__cache_read_input_tokens=400):
            pass
        assert INPUT * 0.8 + 0.001 == pytest.approx(recorded_sessions.metric("app_session.cost"))

    @pytest.mark.parametrize("operation", ["chat", "text_completion", "generate_content", "embeddings", "rerank", None])
    def test_operations(self, recorded_sessions: RecordedSessions, operation: str | None) -> None:
        """Calls of models count, and what is not known to be anything else."""
        more = {} if operation is None else {"operation__name": operation}
        with session("chat"), call(recorded_sessions, usage__input_tokens=5, **more):
            pass
        assert {"input": 5} == tokens(recorded_sessions)

    def test_model_of_the_answer(self, recorded_sessions: RecordedSessions) -> None:
        """The price is that of the model that answered; metrics name the one that was asked for, if that is known."""
        with session("chat"):
            chat(recorded_sessions, model="our-deployment", response__model="gpt-4o-2024-08-06")
            with call(recorded_sessions, response__model="gpt-4o", usage__input_tokens=1_000):
                pass
        assert [INPUT, INPUT] == [
            recorded_sessions.metric("app_session.cost", gen_ai__request__model=model)
            for model in ("our-deployment", "gpt-4o")
        ]

    def test_service_tier(self, recorded_sessions: RecordedSessions) -> None:
        """A call that was served at another price is priced so: at that of its time."""
        began = 1_793_491_200 * 10**9  # 2026-11-01
        attributes: dict[str, Any] = {
            "gen_ai.request.model": "o3",
            "gen_ai.provider.name": "openai",
            "gen_ai.usage.input_tokens": 10**6,
        }
        costs = []
        for tier in ("flex", "default"):
            with session("chat") as s:
                span = tracer_of(recorded_sessions).start_span("chat", attributes=attributes, start_time=began)
                span.set_attribute("openai.response.service_tier", tier)
                span.end()
                record = s.snapshot()
            assert record is not None
            costs.append(record.totals.cost)
        assert [{"USD": 1.0}, {"USD": 2.0}] == costs

    def test_quotas(self) -> None:
        """It counts for the quotas of the session."""
        tier = Tier("trial", Quota("tokens", 5_000), Quota("cost", 1.0))
        with record_sessions(tiers=[tier]) as recorded, session("chat", tier="trial") as s:
            with call(recorded, **CURRENT, usage__cache_read__input_tokens=400):
                pass
            assert 1_100 == s.quota("tokens").used
            assert pytest.approx(INPUT * 0.8 + 0.001) == s.quota("cost").used

    def test_failed_call(self, recorded_sessions: RecordedSessions) -> None:
        """What a failed call consumed was consumed."""
        with session("chat"), call(recorded_sessions, **CURRENT) as span:
            span.set_status(trace.StatusCode.ERROR)
        assert {"input": 1_000, "output": 100} == tokens(recorded_sessions)


class TestOnce:
    """Of spans in spans that tell of the same tokens, the innermost counts."""

    @pytest.mark.parametrize("operation", ["invoke_agent", "create_agent", "invoke_workflow", "execute_tool"])
    def test_summaries(self, recorded_sessions: RecordedSessions, operation: str) -> None:
        """An agent sums up its calls: these count, and it does not; not even if nothing was counted in it."""
        with session("chat"):
            with call(recorded_sessions, operation__name=operation, usage__input_tokens=2_000):
                chat(recorded_sessions)
                chat(recorded_sessions)
            with call(recorded_sessions, operation__name=operation, usage__input_tokens=7):
                pass
        assert {"input": 2_000} == tokens(recorded_sessions)

    def test_chains(self, recorded_sessions: RecordedSessions) -> None:
        """So does a chain that says nothing of what it is, through spans of anything else in between."""
        tracer = tracer_of(recorded_sessions)
        with session("chat"), call(recorded_sessions, usage__input_tokens=2_000):
            with tracer.start_as_current_span("step"), tracer.start_as_current_span("POST"):
                chat(recorded_sessions)
            with call(recorded_sessions, usage__prompt_tokens=1_000):
                pass
        assert {"input": 2_000} == tokens(recorded_sessions)

    def test_two_instrumentations(self, recorded_sessions: RecordedSessions) -> None:
        """A framework's call and the client's in it are one call."""
        with session("chat"), call(recorded_sessions, **CURRENT):
            chat(recorded_sessions)
        assert {"input": 1_000} == tokens(recorded_sessions)

    def test_embeddings_in_a_call(self, recorded_sessions: RecordedSessions) -> None:
        """Embeddings and a call of a model are not the same, though one is made in the other."""
        with session("chat"):
            with (
                call(recorded_sessions, **CURRENT),
                call(recorded_sessions, operation__name="embeddings", usage__input_tokens=7),
            ):
                pass
            with (
                call(recorded_sessions, usage__input_tokens=7),
                call(recorded_sessions, operation__name="embeddings", usage__input_tokens=7),
            ):
                pass
        assert {"input": 1_014, "output": 100} == tokens(recorded_sessions)

    def test_embeddings_in_what_has_output(self, recorded_sessions: RecordedSessions) -> None:
        """What has output was a call of a model, even if it does not say so, and its embeddings count beside it."""
        with (
            session("chat"),
            call(recorded_sessions, usage__input_tokens=107, usage__output_tokens=11),
            call(recorded_sessions, operation__name="embeddings", usage__input_tokens=7),
        ):
            pass
        assert {"input": 114, "output": 11} == tokens(recorded_sessions)

    def test_embeddings_of_openllmetry(self, recorded_sessions: RecordedSessions) -> None:
        """OpenLLMetry has an attribute of its own for what was called."""
        tracer = tracer_of(recorded_sessions)
        with session("chat"), call(recorded_sessions, **CURRENT):
            attributes: dict[str, Any] = {"llm.request.type": "embedding", "gen_ai.usage.prompt_tokens": 7}
            tracer.start_span("openai.embeddings", attributes=attributes).end()
        assert {"input": 1_007, "output": 100} == tokens(recorded_sessions)

    @pytest.mark.parametrize(
        ("name", "attributes"),
        [
            ("tool", {"gen_ai.operation.name": "execute_tool"}),
            ("execute_tool search", {}),
            ("search.tool", {"traceloop.span.kind": "tool"}),
        ],
        ids=["conventions", "name", "OpenLLMetry"],
    )
    @pytest.mark.parametrize("operation", ["generate_content", None])
    def test_tools(
        self, recorded_sessions: RecordedSessions, name: str, attributes: dict[str, str], operation: str | None
    ) -> None:
        """A call that has a tool executed does not tell of the calls that the tool makes: all of them count."""
        more = {} if operation is None else {"operation__name": operation}
        with (
            session("chat"),
            call(recorded_sessions, **more, usage__input_tokens=1_000, usage__output_tokens=10),
            tracer_of(recorded_sessions).start_as_current_span(name, attributes=attributes),
        ):
            chat(recorded_sessions, 7)
            with call(recorded_sessions, **CURRENT):
                chat(recorded_sessions, 5)
        assert {"input": 1_012, "output": 10} == tokens(recorded_sessions)

    def test_tools_of_an_agent(self, recorded_sessions: RecordedSessions) -> None:
        """In an agent its calls count, and those of its tools."""
        tracer, tool = tracer_of(recorded_sessions), {"gen_ai.operation.name": "execute_tool"}
        with session("chat"), call(recorded_sessions, operation__name="invoke_agent", usage__input_tokens=1_000):
            chat(recorded_sessions)
            with (
                tracer.start_as_current_span("execute_tool ask", attributes=tool),
                call(recorded_sessions, operation__name="invoke_agent", usage__input_tokens=7),
            ):
                chat(recorded_sessions, 7)
        assert {"input": 1_007} == tokens(recorded_sessions)

    def test_a_tool_that_outlives_its_call(self, recorded_sessions: RecordedSessions) -> None:
        """What a tool calls counts, too, when the call that had it executed is over, and was counted."""
        tracer = tracer_of(recorded_sessions)
        with session("chat"):
            outer = tracer.start_span("chat", attributes={"gen_ai.usage.input_tokens": 10})
            tool = tracer.start_span("execute_tool search", trace.set_span_in_context(outer))
            outer.end()
            with trace.use_span(tool, end_on_exit=True):
                chat(recorded_sessions, 7)
        assert {"input": 17} == tokens(recorded_sessions)

    @pytest.mark.parametrize("between", [False, True])
    def test_the_outer_one_ends_first(self, recorded_sessions: RecordedSessions, between: bool) -> None:
        """Nor does a span count that ends after the one around it, which counted."""
        tracer = tracer_of(recorded_sessions)
        with session("chat"):
            outer = tracer.start_span("chat", attributes={"gen_ai.usage.input_tokens": 10})
            above = trace.set_span_in_context(outer)
            if between:
                above = trace.set_span_in_context(tracer.start_span("POST", above))
            inner = tracer.start_span("chat", above, attributes={"gen_ai.usage.input_tokens": 10})
            outer.end()
            inner.end()
        assert {"input": 10} == tokens(recorded_sessions)

    def test_one_after_the_other(self, recorded_sessions: RecordedSessions) -> None:
        """Calls beside each other all count, in one trace and in several."""
        with session("chat"):
            with tracer_of(recorded_sessions).start_as_current_span("GET /"):
                chat(recorded_sessions)
                chat(recorded_sessions)
            with trace.use_span(trace.INVALID_SPAN):
                chat(recorded_sessions)
        assert {"input": 3_000} == tokens(recorded_sessions)

    def test_two_processors(self, recorded_sessions: RecordedSessions) -> None:
        """A processor that was added by hand, too, counts nothing twice."""
        recorded_sessions.tracer_provider.add_span_processor(GenAISpanProcessor())
        with session("chat"):
            chat(recorded_sessions)
        assert {"input": 1_000} == tokens(recorded_sessions)

    def test_many_calls(self, recorded_sessions: RecordedSessions) -> None:
        """What is remembered of calls that counted is bounded, and is enough."""
        with session("chat"), call(recorded_sessions, usage__input_tokens=1_100):
            for _ in range(1_100):
                chat(recorded_sessions, 1)
        assert {"input": 1_100} == tokens(recorded_sessions)

    def test_many_threads(self, recorded_sessions: RecordedSessions) -> None:
        """No call is lost when many threads make them at once."""

        def work() -> None:
            for _ in range(50):
                chat(recorded_sessions, 1)

        with session("chat"):
            threads = [threading.Thread(target=otel_sessions.bind(work)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert {"input": 400} == tokens(recorded_sessions)


class TestWhichSession:
    def test_outside(self, recorded_sessions: RecordedSessions) -> None:
        """A call outside of any session counts nowhere."""
        with session("chat"):
            pass
        chat(recorded_sessions)
        assert {} == tokens(recorded_sessions)

    def test_the_one_in_which_it_starts(self, recorded_sessions: RecordedSessions) -> None:
        """A stream counts in the session in which it was begun, wherever it ends."""
        attributes = {"gen_ai.usage.input_tokens": 10}
        with session("outer") as outer:
            span = tracer_of(recorded_sessions).start_span("chat", attributes=attributes)
            with session("inner"):
                span.end()
            thread = threading.Thread(target=tracer_of(recorded_sessions).start_span("chat", attributes=attributes).end)
            thread.start()
            thread.join()
        assert {"outer": 20} == {
            str(found["app_session.type"]): found["app_session.usage.tokens"]
            for found in map(portrait.attributes, recorded_sessions.session_spans)
            if "app_session.usage.tokens" in found
        }
        assert outer.type == "outer"

    @pytest.mark.parametrize("stamp", [True, False])
    def test_durable(self, stamp: bool) -> None:
        """A durable session counts the calls of all of its requests, whether its spans are stamped or not."""
        with record_sessions(stamp=stamp) as recorded:
            handle = otel_sessions.start("chat")
            for _ in range(2):
                with tracer_of(recorded).start_as_current_span("POST /", kind=SpanKind.SERVER), handle:
                    chat(recorded)
            handle.end()
            found = portrait.attributes(recorded.session_spans[0])
        assert (2_000, 2 * INPUT) == (found["app_session.usage.tokens"], found["app_session.cost.amount"])

    def test_rotated_meanwhile(self, recorded_sessions: RecordedSessions) -> None:
        """A call that is under way when its session is rotated counts in the one that goes on."""
        with session("chat") as s, call(recorded_sessions, usage__input_tokens=10):
            s.rotate("login")
        old, new = map(portrait.attributes, recorded_sessions.session_spans)
        assert (None, 10) == (old.get("app_session.usage.tokens"), new["app_session.usage.tokens"])

    def test_ended_meanwhile(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """A call that ends after its session is counted as dropped, and the log says so."""
        with session("chat") as s:
            span = tracer_of(recorded_sessions).start_span("chat", attributes={"gen_ai.usage.input_tokens": 10})
        span.end()
        assert {} == tokens(recorded_sessions)
        assert 1 == recorded_sessions.metric("app_session.dropped", app_session__drop__reason="session_ended")
        assert [
            f"The span of a call of a model was not counted: the session {s.id} (chat) has ended as success."
        ] == caplog.messages

    def test_turned_off(self) -> None:
        """`genai=False`: spans count nothing; a processor that is added by hand still does."""
        with record_sessions(genai=False) as recorded:
            with session("chat"):
                chat(recorded)
            assert {} == tokens(recorded)
            recorded.tracer_provider.add_span_processor(GenAISpanProcessor())
            with session("chat"):
                chat(recorded)
            assert {"input": 1_000} == tokens(recorded)

    def test_sampled_out(self) -> None:
        """A span that is not recorded tells nobody anything."""
        with record_sessions(sampler=ALWAYS_OFF) as recorded, session("chat"):
            chat(recorded)
        assert {} == tokens(recorded)


class TestBadInput:
    @pytest.mark.parametrize("value", [-1, 0, float("nan"), float("inf"), "5", True, [5], 2**70], ids=repr)
    def test_counts(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture, value: Any) -> None:
        """What is no number of tokens is left alone."""
        with session("chat"), call(recorded_sessions, usage__input_tokens=value, usage__output_tokens=5):
            pass
        assert {"output": 5} == tokens(recorded_sessions)
        assert [] == [record.getMessage() for record in caplog.records if record.name == "otel_sessions"]

    def test_nothing(self, recorded_sessions: RecordedSessions) -> None:
        """The zeros of a stream whose usage was not asked for are no usage."""
        with session("chat"):
            chat(recorded_sessions, 0, usage__output_tokens=0)
        assert ({}, {}) == (tokens(recorded_sessions), recorded_sessions.metrics().get("app_session.cost", {}))

    @pytest.mark.parametrize("wrong", ["many", -1, 0, 0.0])
    def test_a_wrong_one_beside_a_right_one(self, recorded_sessions: RecordedSessions, wrong: Any) -> None:
        """Of two spellings the one counts that can."""
        with session("chat"), call(recorded_sessions, usage__input_tokens=wrong, usage__prompt_tokens=5):
            pass
        assert {"input": 5} == tokens(recorded_sessions)

    @pytest.mark.parametrize("value", ["", 5, ["gpt-4o"], {"a": "b"}, "a model\nwith a story", "m" * 1_000])
    def test_models(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture, value: Any) -> None:
        """What is no name of a model does not become one on a metric."""
        with session("chat"):
            chat(recorded_sessions, model=value, provider__name=value, operation__name=value)
        [key] = recorded_sessions.metrics()["app_session.token.usage"]
        assert dict(key).get("gen_ai.request.model") in {None, "_OTHER"}
        assert [] == [record.getMessage() for record in caplog.records if record.name == "otel_sessions"]

    def test_spans_that_never_end(self, recorded_sessions: RecordedSessions) -> None:
        """They are forgotten at some time, and calls count as before."""
        tracer = tracer_of(recorded_sessions)
        with session("chat"):
            first = tracer.start_span("chat", attributes={"gen_ai.usage.input_tokens": 5})
            with trace.use_span(first):
                chat(recorded_sessions)
            for _ in range(10_001):
                tracer.start_span("forgotten")
            first.end()
            chat(recorded_sessions)
        assert {"input": 2_000} == tokens(recorded_sessions)

    @pytest.mark.parametrize("method", ["on_start", "on_end"])
    def test_failures_stay_here(
        self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture, method: str
    ) -> None:
        """A span that cannot be read costs a log message and a count, not the application."""

        class Unusable:
            def get_span_context(self) -> Any:
                raise RuntimeError("no context")

        with session("chat"):
            getattr(GenAISpanProcessor(), method)(Unusable())
        [message] = caplog.messages
        assert message.startswith("otel-sessions could not ")
        assert 1 == recorded_sessions.metric("app_session.dropped", app_session__drop__reason="internal_error")

    def test_can_be_flushed_and_shut_down(self) -> None:
        """It holds nothing back."""
        processor = GenAISpanProcessor()
        assert processor.force_flush()
        processor.shutdown()


class TestLoadingThePrices:
    def test_event_loop_goes_on(self) -> None:
        """In async code the price list is loaded in another thread while the model is being asked."""
        code = """
        import asyncio, json, sys, threading
        import otel_sessions
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        loaders = []
        class Finder:
            def find_spec(self, name, *_):
                if name == "genai_prices":
                    loaders.append(threading.current_thread() is threading.main_thread())
        sys.meta_path.insert(0, Finder())
        trace.set_tracer_provider(TracerProvider())
        tracer = trace.get_tracer("instrumentation")
        async def main():
            async with otel_sessions.session("chat") as s:
                for _ in range(2):
                    attributes = {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 1000}
                    with tracer.start_as_current_span("chat", kind=trace.SpanKind.CLIENT, attributes=attributes):
                        await asyncio.sleep(0)
                return s.snapshot().totals.cost
        print(json.dumps([asyncio.run(main()), loaders]))
        """
        assert [{"USD": 0.005}, [False]] == answer(code)


def test_concurrent_steps(recorded_sessions: RecordedSessions) -> None:
    """The steps of an agent that run at the same time do not take each other's calls for their own."""

    async def step(number: int) -> None:
        with call(recorded_sessions, usage__input_tokens=1 << number):
            await asyncio.sleep(0)
            chat(recorded_sessions, 1 << number)
            await asyncio.sleep(0)

    async def agent() -> None:
        with session("chat"), call(recorded_sessions, operation__name="invoke_agent", usage__input_tokens=15):
            await asyncio.gather(*(step(number) for number in range(4)))

    asyncio.run(agent())
    assert {"input": 15} == tokens(recorded_sessions)
