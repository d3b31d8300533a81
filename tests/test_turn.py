"""A turn: from the user's message to the answer."""

from __future__ import annotations

import asyncio
import contextlib
import decimal
import threading
from collections.abc import Callable
from typing import Any

import pytest

import otel_sessions
from otel_sessions import InvalidValueError, Session, current_session, session
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait
from .outcome import raised_by

STARTS: list[Any] = [lambda: session("chat", user="u1"), lambda: otel_sessions.start("chat", user="u1")]


def points(recorded: RecordedSessions, name: str) -> dict[tuple[tuple[str, Any], ...], Any]:
    """The series of a metric, their attributes sorted and without the session type, which is `chat` in all of them."""
    found = recorded.metrics().get(name, {})
    assert all(("app_session.type", "chat") in key for key in found)
    return {tuple(sorted(key - {("app_session.type", "chat")})): value for key, value in found.items()}


class TestTurn:
    @pytest.mark.parametrize("start", STARTS)
    def test_summary(self, recorded_sessions: RecordedSessions, start: Callable[[], Any]) -> None:
        """Turns, their mean duration, messages, tokens and cost are on the session's span."""
        with start() as handle:
            for seconds in (1, 3):
                with handle.turn(model="gpt-4o") as turn:
                    recorded_sessions.clock.advance(seconds)
                    turn.tokens(input=1_500, output=2_000)
                    turn.cost(0.25, "USD")
                    turn.message("tool")
        handle.end()

        expected: dict[str, object] = {
            "app_session.turn.count": 2,
            "app_session.turn.mean_duration": 2.0,
            "app_session.message.count": 6,
            "app_session.usage.tokens": 7_000,
            "app_session.cost.amount": 0.5,
            "app_session.cost.currency": "USD",
        }
        found = portrait.attributes(recorded_sessions.spans[0])
        assert expected == {name: found.get(name) for name in expected}
        assert [type(value) for value in expected.values()] == [type(found[name]) for name in expected]

    def test_metrics(self, recorded_sessions: RecordedSessions) -> None:
        """The same as metrics: by model, kind of token, currency and role."""
        with session("chat") as handle, handle.turn(model="gpt-4o") as turn:
            recorded_sessions.clock.advance(2.5)
            turn.tokens(input=10, output=20, cache_read=5)
            turn.cost(0.25)
            turn.cost(3, "EUR")

        model = ("gen_ai.request.model", "gpt-4o")
        assert {
            "app_session.turn.duration": {(model,): (1, 2.5)},
            "app_session.token.usage": {
                (model, ("gen_ai.token.type", "input")): 10,
                (model, ("gen_ai.token.type", "output")): 20,
                (model, ("gen_ai.token.type", "cache_read")): 5,
            },
            "app_session.cost": {
                (("app_session.cost.currency", "USD"), model): 0.25,
                (("app_session.cost.currency", "EUR"), model): 3,
            },
            "app_session.messages": {
                (("app_session.message.role", "user"),): 1,
                (("app_session.message.role", "assistant"),): 1,
            },
        } == {
            name: points(recorded_sessions, name)
            for name in (
                "app_session.turn.duration",
                "app_session.token.usage",
                "app_session.cost",
                "app_session.messages",
            )
        }

    def test_without_model(self, recorded_sessions: RecordedSessions) -> None:
        """A turn needs no model: then there is none on the metrics."""
        with session("chat") as handle, handle.turn() as turn:
            turn.tokens(input=1)

        assert {(("gen_ai.token.type", "input"),): 1} == points(recorded_sessions, "app_session.token.usage")
        assert {(): (1, 0.0)} == points(recorded_sessions, "app_session.turn.duration")

    @pytest.mark.parametrize("exception", [ValueError("x"), asyncio.CancelledError(), KeyboardInterrupt()], ids=repr)
    def test_no_answer(self, recorded_sessions: RecordedSessions, exception: BaseException) -> None:
        """A turn that fails took its time and has the user's message, but no answer; the exception is the caller's."""

        def ask() -> None:
            with session("chat") as handle, handle.turn():
                recorded_sessions.clock.advance(4)
                raise exception

        assert exception is raised_by(ask)
        assert {(("app_session.message.role", "user"),): 1} == points(recorded_sessions, "app_session.messages")
        assert {(): (1, 4.0)} == points(recorded_sessions, "app_session.turn.duration")

    def test_async_with(self, recorded_sessions: RecordedSessions) -> None:
        """`async with` does the same, across awaits; turns of one session may overlap."""

        async def ask(handle: Session, seconds: float, asked: asyncio.Event, answered: asyncio.Event) -> None:
            async with handle.turn() as turn:
                recorded_sessions.clock.advance(seconds)
                asked.set()
                await answered.wait()
                turn.tokens(input=1)

        async def main() -> None:
            asked, answered = asyncio.Event(), asyncio.Event()
            with session("chat") as handle:
                one = asyncio.create_task(ask(handle, 1, asked, answered))
                await asked.wait()
                two = asyncio.create_task(ask(handle, 2, answered, answered))
                await asyncio.gather(one, two)

        asyncio.run(main())
        found = portrait.attributes(recorded_sessions.spans[0])
        assert (2, 2.5, 4, 2) == (
            found["app_session.turn.count"],
            found["app_session.turn.mean_duration"],
            found["app_session.message.count"],
            found["app_session.usage.tokens"],
        )

    def test_several_currencies(self, recorded_sessions: RecordedSessions) -> None:
        """Sums in different currencies are not added up: the span shows the largest."""
        with session("chat") as handle, handle.turn() as turn:
            turn.cost(0.5, "USD")
            turn.cost(2, "EUR")
            turn.cost(0.75, "USD")

        found = portrait.attributes(recorded_sessions.spans[0])
        assert (2.0, "EUR") == (found["app_session.cost.amount"], found["app_session.cost.currency"])

    def test_no_turns(self, recorded_sessions: RecordedSessions) -> None:
        """A session without turns says nothing of them."""
        with session("chat") as handle:
            pass

        assert portrait.scoped(handle) == portrait.attributes(recorded_sessions.spans[0])

    def test_many_threads(self, recorded_sessions: RecordedSessions) -> None:
        """No count is lost when many threads count at once."""

        def work() -> None:
            for _ in range(50):
                with handle.turn(model="m") as turn:
                    turn.tokens(input=1)
                    turn.cost(0.5)

        with session("chat") as handle:
            threads = [threading.Thread(target=work) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        found = portrait.attributes(recorded_sessions.spans[0])
        assert (500, 1_000, 500, 250.0) == (
            found["app_session.turn.count"],
            found["app_session.message.count"],
            found["app_session.usage.tokens"],
            found["app_session.cost.amount"],
        )
        assert 500 == recorded_sessions.metric("app_session.token.usage")

    def test_monotonic(self, recorded_sessions: RecordedSessions) -> None:
        """A wall clock that jumps does not change a response time."""
        with session("chat") as handle, handle.turn():
            recorded_sessions.clock.advance(1)
            recorded_sessions.clock.jump(-3600)

        assert 1.0 == portrait.attributes(recorded_sessions.spans[0])["app_session.turn.mean_duration"]


class TestMistakes:
    @pytest.mark.parametrize("count", [-1, float("nan"), float("inf"), "5", None, True, 10**400], ids=repr)
    def test_tokens(self, recorded_sessions: RecordedSessions, count: Any) -> None:
        """Tokens are counted by numbers; a wrong one is refused, and none of the call is counted."""
        with (
            session("chat") as handle,
            handle.turn() as turn,
            pytest.raises(InvalidValueError, match="cannot be a number of output tokens"),
        ):
            turn.tokens(input=1, output=count)
        assert 0 == recorded_sessions.metric("app_session.token.usage")

    def test_kinds_of_tokens(self, recorded_sessions: RecordedSessions) -> None:
        """A kind of token is a static name."""
        with (
            session("chat") as handle,
            handle.turn() as turn,
            pytest.raises(InvalidValueError, match="cannot be a type of token"),
        ):
            turn.tokens(**{"input tokens": 1})

    @pytest.mark.parametrize("amount", [-0.01, float("nan"), float("inf"), "1", None, True], ids=repr)
    def test_cost(self, recorded_sessions: RecordedSessions, amount: Any) -> None:
        """A cost is a number that is not negative."""
        with (
            session("chat") as handle,
            handle.turn() as turn,
            pytest.raises(InvalidValueError, match="cannot be a cost"),
        ):
            turn.cost(amount)
        assert 0 == recorded_sessions.metric("app_session.cost")

    @pytest.mark.parametrize("currency", ["usd", "$", "", None, "DOLLAR"], ids=repr)
    def test_currency(self, recorded_sessions: RecordedSessions, currency: Any) -> None:
        """A currency is an ISO 4217 code."""
        with (
            session("chat") as handle,
            handle.turn() as turn,
            pytest.raises(InvalidValueError, match="cannot be a currency"),
        ):
            turn.cost(1, currency)
        assert 0 == recorded_sessions.metric("app_session.cost")

    def test_role(self, recorded_sessions: RecordedSessions) -> None:
        """A role is a static name."""
        with (
            session("chat") as handle,
            handle.turn() as turn,
            pytest.raises(InvalidValueError, match="cannot be a role"),
        ):
            turn.message("the assistant")  # type: ignore[arg-type]

    def test_decimal_cost(self, recorded_sessions: RecordedSessions) -> None:
        """Money may be a decimal."""
        with session("chat") as handle, handle.turn() as turn:
            turn.cost(decimal.Decimal("0.031"))  # type: ignore[arg-type]  # given all the same
            turn.cost(0.5)

        amount = portrait.attributes(recorded_sessions.spans[0])["app_session.cost.amount"]
        assert pytest.approx(0.531) == amount
        assert isinstance(amount, float)


class TestEndedSession:
    @pytest.mark.parametrize("start", STARTS)
    def test_ended_inside(
        self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture, start: Callable[[], Any]
    ) -> None:
        """What a turn counts after its session has ended is not counted anywhere but as dropped."""
        with start() as handle, handle.turn(model="m") as turn:
            handle.end()
            turn.tokens(input=5)
            turn.cost(1)
            turn.message("tool")

        assert (0, 0, 1) == (
            recorded_sessions.metric("app_session.token.usage"),
            recorded_sessions.metric("app_session.cost"),
            recorded_sessions.metric("app_session.messages"),
        )
        assert [f"tokens() did nothing: the session {handle.id} (chat) has ended as success."] == caplog.messages
        assert recorded_sessions.metric("app_session.dropped", app_session__drop__reason="session_ended") >= 3

    @pytest.mark.parametrize("start", STARTS)
    def test_rotated_inside(self, recorded_sessions: RecordedSessions, start: Callable[[], Any]) -> None:
        """A turn in which the session rotates belongs to the session in which it ends."""
        with start() as handle, handle.turn(model="m") as turn:
            recorded_sessions.clock.advance(1)
            handle.rotate("login")
            recorded_sessions.clock.advance(1)
            turn.tokens(input=5)
        handle.end()

        old, new = (portrait.attributes(span) for span in recorded_sessions.spans)
        assert (1, None, None) == (
            old["app_session.message.count"],
            old.get("app_session.turn.count"),
            old.get("app_session.usage.tokens"),
        )
        assert (1, 1, 2.0, 5) == (
            new["app_session.message.count"],
            new["app_session.turn.count"],
            new["app_session.turn.mean_duration"],
            new["app_session.usage.tokens"],
        )

    def test_disabled(self) -> None:
        """With `enabled=False` a turn counts nothing and hides nothing."""
        with record_sessions(enabled=False) as recorded:
            with contextlib.suppress(ValueError), current_session().turn(model="m") as turn:
                turn.tokens(input=1)
                raise ValueError
            assert 0 == recorded.metric("app_session.token.usage")
