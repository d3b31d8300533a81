"""Tokens and cost come by themselves: the real client of OpenAI, with its real instrumentation, asks a stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from openai import AsyncOpenAI, OpenAI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

import otel_sessions
from otel_sessions import current_session, session
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.limits import Quota, Tier
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait
from .docs_snippets import client as visitor
from .docs_snippets import served
from .interpreter import answer
from .model_server import INPUT, OUTPUT, model_server

COST = INPUT * 2.5e-6 + OUTPUT * 10e-6
"""Of one call, in dollars."""
ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is six by seven?"}]}
STREAMED: dict[str, Any] = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture(name="address")
def _address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with model_server() as address:
        yield address


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    with record_sessions(tiers=[Tier("trial", Quota("tokens", 10_000), Quota("cost", 1.0))]) as recorded:
        instrumentor = OpenAIInstrumentor()  # type: ignore[no-untyped-call]  # upstream is untyped
        instrumentor.instrument(
            tracer_provider=recorded.tracer_provider,
            meter_provider=recorded.meter_provider,
            logger_provider=recorded.logger_provider,
        )
        yield recorded
        instrumentor.uninstrument()


@pytest.fixture(name="ask")
def _ask(address: str) -> Iterator[Callable[..., None]]:
    """Asks a question, as the parameters say."""
    with OpenAI(base_url=address, api_key="none") as model:

        def ask(**asked: Any) -> None:
            answered = model.chat.completions.create(**asked)
            if asked.get("stream"):
                assert 3 == len(list(answered))

        yield ask


async def ask_async(address: str, **asked: Any) -> None:
    """The same in async code."""
    async with AsyncOpenAI(base_url=address, api_key="none") as model:
        answered = await model.chat.completions.create(**asked)
        if asked.get("stream"):
            assert 3 == len([chunk async for chunk in answered])


def consumed(recorded: RecordedSessions) -> list[tuple[Any, ...]]:
    """What the spans of sessions say of tokens and cost."""
    names = ("usage.tokens", "cost.amount", "cost.currency")
    return [
        tuple(portrait.attributes(span).get(f"app_session.{name}") for name in names) for span in recorded.session_spans
    ]


def check_metrics(recorded: RecordedSessions, calls: int) -> None:
    """The metrics say the same, by type and model."""
    named = {"app_session__type": "chat", "gen_ai__request__model": "gpt-4o"}
    assert (calls * INPUT, calls * OUTPUT, calls * (INPUT + OUTPUT)) == (
        recorded.metric("app_session.token.usage", gen_ai__token__type="input", **named),
        recorded.metric("app_session.token.usage", gen_ai__token__type="output", **named),
        recorded.metric("app_session.token.usage"),
    )
    assert pytest.approx(calls * COST) == recorded.metric("app_session.cost", **named)


@pytest.mark.parametrize("asked", [ASKED, STREAMED], ids=["answer", "stream"])
class TestSession:
    def test_scoped(self, recorded: RecordedSessions, ask: Callable[..., None], asked: dict[str, Any]) -> None:
        """Calls in a session are on its span, and in the metrics, once."""
        with session("chat"):
            ask(**asked)
            ask(**asked)
        assert [(2 * (INPUT + OUTPUT), pytest.approx(2 * COST), "USD")] == consumed(recorded)
        check_metrics(recorded, 2)

    def test_async(self, recorded: RecordedSessions, address: str, asked: dict[str, Any]) -> None:
        """The same in async code, at the same time."""

        async def main() -> None:
            async with session("chat"):
                await asyncio.gather(ask_async(address, **asked), ask_async(address, **asked))

        asyncio.run(main())
        assert [(2 * (INPUT + OUTPUT), pytest.approx(2 * COST), "USD")] == consumed(recorded)
        check_metrics(recorded, 2)

    def test_turns(self, recorded: RecordedSessions, ask: Callable[..., None], asked: dict[str, Any]) -> None:
        """In turns they count when these are over; what the application tells of itself goes before."""
        with session("chat", tier="trial") as s:
            with s.turn():
                ask(**asked)
            assert INPUT + OUTPUT == s.quota("tokens").used
            assert pytest.approx(COST) == s.quota("cost").used
            with s.turn(model="gpt-4o") as turn:
                ask(**asked)
                turn.tokens(input=INPUT, output=OUTPUT)
        assert [(2 * (INPUT + OUTPUT), pytest.approx(2 * COST), "USD")] == consumed(recorded)
        check_metrics(recorded, 2)

    def test_requests(
        self, recorded: RecordedSessions, address: str, ask: Callable[..., None], asked: dict[str, Any]
    ) -> None:
        """A conversation counts the calls of all requests that enter it, in threads and on the event loop."""
        app = FastAPI()

        @app.get("/sync")
        def sync() -> None:
            with otel_sessions.start("chat", id="conv-42"):
                ask(**asked)

        @app.get("/async")
        async def on_the_loop() -> None:
            async with otel_sessions.start("chat", id="conv-42"):
                await ask_async(address, **asked)

        FastAPIInstrumentor().instrument_app(app, tracer_provider=recorded.tracer_provider)
        with served(app) as site:
            for path in ("/sync", "/async"):
                visitor().open(site + path).close()
        otel_sessions.end("conv-42")
        assert [(2 * (INPUT + OUTPUT), pytest.approx(2 * COST), "USD")] == consumed(recorded)
        check_metrics(recorded, 2)


class TestWebSession:
    def test_of_the_middleware(self, recorded: RecordedSessions, ask: Callable[..., None]) -> None:
        """Nothing but the middleware is needed: the calls of a client's requests count in its session."""
        app = FastAPI()
        app.add_middleware(SessionMiddleware, type="chat")

        @app.get("/")
        def home() -> str:
            ask(**ASKED)
            return current_session().id

        with served(app) as site:
            one = visitor()
            one.open(site).close()
            one.open(site).close()
            visitor().open(site).close()
        # The middleware has ended what was kept in memory.
        assert [INPUT + OUTPUT, 2 * (INPUT + OUTPUT)] == sorted(tokens for tokens, _, _ in consumed(recorded))
        check_metrics(recorded, 3)


class TestOtherCalls:
    def test_stream_without_usage(self, recorded: RecordedSessions, address: str) -> None:
        """A stream whose usage was not asked for consumes nothing that anybody knows."""
        with session("chat"), OpenAI(base_url=address, api_key="none") as model:
            assert 2 == len(list(model.chat.completions.create(**ASKED, stream=True)))
        assert [(None, None, None)] == consumed(recorded)

    def test_embeddings(self, recorded: RecordedSessions, address: str) -> None:
        """Embeddings have but input."""
        with session("chat"), OpenAI(base_url=address, api_key="none") as model:
            model.embeddings.create(model="text-embedding-3-small", input="six by seven", encoding_format="float")
        assert [(INPUT, pytest.approx(INPUT * 2e-8), "USD")] == consumed(recorded)

    def test_refused(self, recorded: RecordedSessions, ask: Callable[..., None]) -> None:
        """When the budget is used up, the application is told so by whatever it asks for next."""
        with session("chat") as s:
            s.limit(Quota("tokens", INPUT + OUTPUT))
            ask(**ASKED)
            with pytest.raises(otel_sessions.QuotaExceededError):
                s.use("tokens", 1)


class TestCurrentSpelling:
    def test_opted_in(self, address: str) -> None:
        """The same with the attributes of the current conventions, which an environment variable chooses."""
        code = f"""
        import json
        from openai import OpenAI
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
        from otel_sessions import session
        from otel_sessions.testing import record_sessions
        with record_sessions() as recorded:
            OpenAIInstrumentor().instrument(tracer_provider=recorded.tracer_provider)
            with session("chat"), OpenAI(base_url={address!r}, api_key="none") as model:
                for streamed in ({{}}, {{"stream": True, "stream_options": {{"include_usage": True}}}}):
                    answered = model.chat.completions.create(**{ASKED!r}, **streamed)
                    list(answered)
            names = ("gen_ai.provider.name", "app_session.usage.tokens", "app_session.cost.amount")
            print(json.dumps([[span.attributes.get(name) for name in names] for span in recorded.spans]))
        """
        found = answer(code, env={"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"})
        expected = [
            ["openai", None, None],
            ["openai", None, None],
            [None, 2 * (INPUT + OUTPUT), pytest.approx(2 * COST)],
        ]
        assert expected == found
