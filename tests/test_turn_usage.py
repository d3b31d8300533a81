"""What a turn consumed: priced when it is over, and counted once, whoever tells of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

import otel_sessions
from otel_sessions import BoundExecutor, InvalidValueError, bind, current_session, session
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait
from .calls_of_models import call, chat, cost, tokens, tracer_of
from .docs_snippets import client, served

INPUT = 0.0025
"""Dollars for a thousand tokens of input of `gpt-4o`; ten thousandths for one of output."""


class TestPrice:
    def test_by_itself(self, recorded_sessions: RecordedSessions) -> None:
        """The tokens of a known model have a price, in the session and in the metrics, by model."""
        with session("chat") as s, s.turn(model="gpt-4o") as turn:
            turn.tokens(input=1_000, output=100)
        found = portrait.attributes(recorded_sessions.spans[0])
        assert (INPUT + 0.001, "USD") == (found["app_session.cost.amount"], found["app_session.cost.currency"])
        assert INPUT + 0.001 == recorded_sessions.metric("app_session.cost", gen_ai__request__model="gpt-4o")

    def test_of_all_tokens(self, recorded_sessions: RecordedSessions) -> None:
        """The price is that of the whole turn, however many calls tell of its tokens: half of them from the cache."""
        with session("chat") as s, s.turn(model="gpt-4o") as turn:
            turn.tokens(input=600)
            turn.tokens(input=400, cache_read=500)
            assert 0 == cost(recorded_sessions)
        assert INPUT * 0.75 == cost(recorded_sessions)

    @pytest.mark.parametrize(("amount", "currency"), [(0.5, "USD"), (0, "USD"), (3, "EUR")])
    def test_given(self, recorded_sessions: RecordedSessions, amount: float, currency: str) -> None:
        """A cost that is given goes before the list, in any currency; also that there was none."""
        with session("chat") as s, s.turn(model="gpt-4o") as turn:
            turn.cost(amount, currency)
            turn.tokens(input=1_000)
        assert {currency: amount} == snapshot_cost(s)

    @pytest.mark.parametrize("model", ["my-model", None])
    def test_unknown(self, recorded_sessions: RecordedSessions, model: str | None) -> None:
        """A model that the list does not know costs nothing that is known: nothing is said of a cost."""
        with session("chat") as s, s.turn(model=model) as turn:
            turn.tokens(input=1_000)
        assert {} == recorded_sessions.metrics().get("app_session.cost", {})
        assert "app_session.cost.amount" not in portrait.attributes(recorded_sessions.spans[0])

    def test_provider(self, recorded_sessions: RecordedSessions) -> None:
        """Who serves a model can be said; one that the list does not know has no prices."""
        with session("chat") as s:
            for provider in ("groq", "ollama", None):
                with s.turn(model="llama-3.3-70b-versatile", provider=provider) as turn:
                    turn.tokens(input=10_000)
        assert 0.0059 == cost(recorded_sessions)
        with session("chat") as s, pytest.raises(InvalidValueError, match="cannot be a provider"):
            s.turn(model="m", provider="my provider")

    def test_no_answer(self, recorded_sessions: RecordedSessions) -> None:
        """What a turn consumed before it failed is priced, too."""
        with contextlib.suppress(ValueError), session("chat") as s, s.turn(model="gpt-4o") as turn:
            turn.tokens(input=1_000)
            raise ValueError
        assert INPUT == cost(recorded_sessions)

    def test_disabled(self) -> None:
        """`prices=False`: only costs that are given count."""
        with record_sessions(prices=False) as recorded, session("chat") as s, s.turn(model="gpt-4o") as turn:
            turn.tokens(input=1_000)
        assert 0 == cost(recorded)

    def test_told_after_the_turn(self, recorded_sessions: RecordedSessions) -> None:
        """Tokens that are told when the turn is over are counted and priced there and then."""
        with session("chat") as s:
            with s.turn(model="gpt-4o") as turn:
                pass
            turn.tokens(input=1_000)
            turn.tokens(input=1_000)
            with s.turn(model="gpt-4o") as given:
                given.cost(1.0)
            given.tokens(input=1_000)
        assert (3_000, 1.0 + 2 * INPUT) == (tokens(recorded_sessions)["input"], cost(recorded_sessions))

    def test_cost_after_the_price(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """A cost that comes after the turn, when it has been priced, is not added to its price."""
        with session("chat") as s:
            with s.turn(model="gpt-4o") as turn:
                turn.tokens(input=1_000)
            turn.cost(1.0)
        assert INPUT == cost(recorded_sessions)
        assert ["cost() did nothing: the turn is over, and its tokens were priced by the list."] == caplog.messages

    def test_entered_again(self, recorded_sessions: RecordedSessions) -> None:
        """Each time is a turn of its own."""
        with session("chat") as s:
            turn = s.turn(model="gpt-4o")
            for given in (True, False):
                with turn:
                    turn.tokens(input=1_000)
                    if given:
                        turn.cost(1.0)
        assert 1.0 + INPUT == cost(recorded_sessions)

    def test_nothing_told(self, recorded_sessions: RecordedSessions) -> None:
        """A turn without tokens has no price, and outside a session none of it does anything."""
        with session("chat") as s, s.turn(model="gpt-4o") as turn:
            turn.tokens()
        with current_session().turn(model="gpt-4o") as turn:
            turn.tokens(input=1_000)
        turn.tokens(input=1_000)
        assert {} == recorded_sessions.metrics().get("app_session.cost", {})

    def test_closed_coroutine(self, recorded_sessions: RecordedSessions) -> None:
        """A coroutine that is closed in the middle of a turn has its tokens priced without waiting."""

        async def ask() -> None:
            async with session("chat") as s, s.turn(model="gpt-4o") as turn:
                turn.tokens(input=1_000)
                await asyncio.Future()

        coroutine = ask()
        loop = asyncio.new_event_loop()
        try:
            asyncio.set_event_loop(loop)
            coroutine.send(None)
        finally:
            coroutine.close()
            asyncio.set_event_loop(None)
            loop.close()
        assert INPUT == cost(recorded_sessions)


class TestSpans:
    """Spans of a GenAI instrumentation that are made in a turn."""

    def test_counted_when_it_is_over(self, recorded_sessions: RecordedSessions) -> None:
        """Where the application tells of nothing, the spans do."""
        with session("chat") as s, s.turn():
            chat(recorded_sessions)
            chat(recorded_sessions)
            assert {} == tokens(recorded_sessions)
        assert ({"input": 2_000}, 2 * INPUT) == (tokens(recorded_sessions), cost(recorded_sessions))

    def test_by_hand_goes_before(self, recorded_sessions: RecordedSessions) -> None:
        """What the application tells of counts, and nothing of what the spans say."""
        with session("chat") as s, s.turn(model="gpt-4o") as turn:
            chat(recorded_sessions, 700)
            turn.tokens(input=1_000)
            chat(recorded_sessions, 700)
        assert ({"input": 1_000}, INPUT) == (tokens(recorded_sessions), cost(recorded_sessions))

    def test_cost_by_hand(self, recorded_sessions: RecordedSessions) -> None:
        """A cost that is given goes before that of the spans, whose tokens count."""
        with session("chat") as s, s.turn() as turn:
            chat(recorded_sessions)
            turn.cost(0.5)
        assert ({"input": 1_000}, 0.5) == (tokens(recorded_sessions), cost(recorded_sessions))

    def test_too_late_by_hand(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """When the turn is over and the spans have counted, they are not told of again."""
        with session("chat") as s:
            with s.turn(model="gpt-4o") as turn:
                chat(recorded_sessions)
            turn.tokens(input=1_000)
        assert {"input": 1_000} == tokens(recorded_sessions)
        assert ["tokens() did nothing: the spans made in the turn have been counted already."] == caplog.messages

    def test_very_many(self, recorded_sessions: RecordedSessions) -> None:
        """What is held of a turn is bounded; what comes then is counted while it goes on, once."""
        with session("chat") as s, s.turn() as turn:
            for _ in range(1_005):
                chat(recorded_sessions, 1)
            assert {"input": 5} == tokens(recorded_sessions)
            turn.tokens(input=7)
        assert {"input": 1_005} == tokens(recorded_sessions)

    @pytest.mark.parametrize(("by_hand", "expected"), [(True, 10), (False, 500)])
    def test_stream_that_outlives_the_turn(
        self, recorded_sessions: RecordedSessions, by_hand: bool, expected: int
    ) -> None:
        """A span that ends after its turn counts, unless the application has told of the turn's tokens."""
        with session("chat") as s:
            with s.turn() as turn:
                span = tracer_of(recorded_sessions).start_span("stream")
                if by_hand:
                    turn.tokens(input=10)
            span.set_attribute("gen_ai.usage.input_tokens", 500)
            span.end()
        assert {"input": expected} == tokens(recorded_sessions)

    def test_model_of_the_turn(self, recorded_sessions: RecordedSessions) -> None:
        """A span that does not say which model it was has that of the turn."""
        with session("chat") as s, s.turn(model="gpt-4o"), call(recorded_sessions, usage__input_tokens=1_000):
            pass
        assert INPUT == recorded_sessions.metric("app_session.cost", gen_ai__request__model="gpt-4o")

    def test_in_the_innermost_turn(self, recorded_sessions: RecordedSessions) -> None:
        """Of turns in turns the innermost one counts the span."""
        with session("chat") as s, s.turn() as outer:
            with s.turn():
                chat(recorded_sessions, 300)
            chat(recorded_sessions, 5)
            outer.tokens(input=20)
        assert {"input": 320} == tokens(recorded_sessions)

    def test_of_another_session(self, recorded_sessions: RecordedSessions) -> None:
        """A session in a turn of another counts for itself."""
        with session("chat") as s, s.turn() as turn:
            turn.tokens(input=20)
            with session("research"):
                chat(recorded_sessions, 300)
        assert [300, 20] == [
            portrait.attributes(span)["app_session.usage.tokens"] for span in recorded_sessions.session_spans
        ]

    def test_turns_at_the_same_time(self, recorded_sessions: RecordedSessions) -> None:
        """Turns that overlap count each its own spans."""

        async def ask(handle: otel_sessions.Session, number: int) -> None:
            async with handle.turn() as turn:
                await asyncio.sleep(0)
                chat(recorded_sessions, 1 << number)
                await asyncio.sleep(0)
                if number % 2:
                    turn.tokens(input=100)

        async def main() -> None:
            async with session("chat") as s:
                await asyncio.gather(*(ask(s, number) for number in range(4)))

        asyncio.run(main())
        assert {"input": 1 + 4 + 200} == tokens(recorded_sessions)

    def test_in_threads_and_tasks(self, recorded_sessions: RecordedSessions) -> None:
        """A turn travels as its session does."""

        async def main() -> None:
            async with session("chat") as s, s.turn() as turn:
                await asyncio.gather(asyncio.to_thread(chat, recorded_sessions), asyncio.create_task(later()))
                turn.tokens(input=1)

        async def later() -> None:
            chat(recorded_sessions)

        asyncio.run(main())
        with ThreadPoolExecutor() as pool, session("chat") as s, s.turn() as turn:
            pool.submit(bind(chat), recorded_sessions).result()
            BoundExecutor(pool).submit(chat, recorded_sessions).result()
            turn.tokens(input=1)
        assert {"input": 2} == tokens(recorded_sessions)

    def test_in_a_generator(self, recorded_sessions: RecordedSessions) -> None:
        """A turn in a generator catches what is called in it, and leaves nothing behind when it is over."""

        def stream(handle: otel_sessions.Session) -> Iterator[str]:
            with handle.turn() as turn:
                yield "one"
                chat(recorded_sessions, 300)
                turn.tokens(input=20)
                yield "two"

        with session("chat") as s:
            for _ in stream(s):
                pass
            chat(recorded_sessions, 1_000)
        assert {"input": 1_020} == tokens(recorded_sessions)

    def test_in_a_streamed_response(self) -> None:
        """Every step of a stream runs in a context of its own: the turn is the request's, as the session is."""

        def stream() -> Iterator[str]:
            with current_session().turn() as turn:
                yield "one"
                chat(recorded, 300)
                yield "two"
                turn.tokens(input=20)
            chat(recorded, 1_000)

        def respond(_request: Request) -> StreamingResponse:
            return StreamingResponse(stream())

        with record_sessions() as recorded:
            app = SessionMiddleware(Starlette(routes=[Route("/", respond)]))
            with served(app) as address, client().open(address) as response:
                assert b"onetwo" == response.read()
            assert {"input": 1_020} == tokens(recorded)

    def test_left_behind(self, recorded_sessions: RecordedSessions) -> None:
        """A turn that ended elsewhere than it began does not catch what comes after it, nor hide the one around it."""

        async def begin(turn: otel_sessions.Turn) -> None:
            turn.__enter__()

        async def end(turn: otel_sessions.Turn) -> None:
            turn.tokens(input=1)
            turn.__exit__(None, None, None)

        async def main() -> None:
            with session("chat") as s, s.turn():
                inner = s.turn()
                await begin(inner)
                await asyncio.create_task(end(inner))
                chat(recorded_sessions, 300)

        asyncio.run(main())
        assert {"input": 301} == tokens(recorded_sessions)

    def test_ended_inside(self, recorded_sessions: RecordedSessions) -> None:
        """When the session has ended in the turn, what spans said is counted nowhere; later ones are on their own."""
        with session("chat") as s, s.turn():
            chat(recorded_sessions)
            s.end()
        with session("chat"):
            chat(recorded_sessions, 5)
        assert {"input": 5} == tokens(recorded_sessions)


def snapshot_cost(handle: otel_sessions.Session) -> dict[str, float] | None:
    record = handle.snapshot()
    assert record is not None
    return record.totals.cost
