"""What a session adds up to, at once and at any time."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import Session, SessionStatistics, current_session, session
from otel_sessions.limits import Quota, Tier
from otel_sessions.stores import MemoryStore
from otel_sessions.stores.sqlite import SQLiteStore
from otel_sessions.testing import RecordedSessions, record_sessions
from otel_sessions.typing import Totals

from . import portrait
from .failing_store import FailingStore

STARTS: list[Any] = [
    pytest.param(lambda: session("chat", user="u1"), id="scoped"),
    pytest.param(lambda: otel_sessions.start("chat", user="u1"), id="durable"),
]
NOON = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
"""When the clock of the tests starts."""


def talk(handle: Session, recorded: RecordedSessions, seconds: float) -> None:
    """One exchange that takes so long."""
    with handle.turn(model="m") as turn:
        recorded.clock.advance(seconds)
        turn.tokens(input=100, output=50)
        turn.cost(0.25)


class TestUsage:
    @pytest.mark.parametrize("tier", [None, "small", "endless"])
    def test_limited_or_not(self, tier: str | None) -> None:
        """What was used is the same number everywhere, whichever tier the session has: what was asked for and counted,
        and the tokens and the cost of turns.
        """
        tiers = [Tier("small", Quota("tokens", 10_000), Quota("cost", 10)), Tier("endless", Quota("tokens", None))]
        with record_sessions(tiers=tiers) as recorded:
            with session("chat", tier=tier) as handle:
                talk(handle, recorded, 1)
                handle.use("tokens", 10)
                handle.count("tokens", -4)
                talk(handle, recorded, 1)
                found = handle.statistics().usage
                assert 306 == handle.quota("tokens").used
            assert {"tokens": 306, "cost": 0.5} == found == otel_sessions.system_analytics().usage
            attributes = portrait.attributes(recorded.session_spans[0])
            assert (306, 0.5) == (attributes["app_session.usage.tokens"], attributes["app_session.usage.cost"])

    def test_limited_late(self, recorded_sessions: RecordedSessions) -> None:
        """What was used before a session was given a limit remains used."""
        with session("chat") as handle:
            talk(handle, recorded_sessions, 1)
            handle.limit(Quota("tokens", 5_000))
            talk(handle, recorded_sessions, 1)
            assert {"tokens": 300, "cost": 0.5} == handle.statistics().usage
        assert 300 == portrait.attributes(recorded_sessions.session_spans[0])["app_session.usage.tokens"]

    def test_at_once(self, tmp_path: Path) -> None:
        """It is up to this moment, though the quotas in a store that others see are told of turns later, and within a
        turn as well.
        """
        with record_sessions(store=f"sqlite:///{tmp_path}/s.db", tiers=[Tier("pro", Quota("tokens", 10_000))]):
            handle = otel_sessions.start("chat", tier="pro")
            with handle.turn() as turn:
                turn.tokens(input=1000)
                turn.tokens(output=200, cache_read=400)
                assert {"tokens": 1200} == handle.statistics().usage
            assert {"tokens": 1200} == handle.statistics().usage
            assert 1200 == handle.quota("tokens").used
            assert {"tokens": 1200} == handle.statistics().usage

    def test_parts_told_before_the_whole(self, recorded_sessions: RecordedSessions) -> None:
        """Each token counts once, in whichever order a turn is told of the parts and the whole."""
        with session("chat") as handle, handle.turn() as turn:
            turn.tokens(cache_read=400)
            turn.tokens(input=1000)
            assert {"tokens": 1000} == handle.statistics().usage

    def test_other_currencies(self, recorded_sessions: RecordedSessions) -> None:
        """What was used of `cost` is in US dollars, as quotas are; other currencies are among the costs only."""
        with session("chat") as handle, handle.turn() as turn:
            turn.cost(2, "EUR")
            assert {} == handle.statistics().usage


class TestStatistics:
    @pytest.mark.parametrize("start", STARTS)
    @pytest.mark.parametrize("merged", [False, True])
    def test_the_eight(self, recorded_sessions: RecordedSessions, start: Callable[[], Any], *, merged: bool) -> None:
        """Messages, of the user and of the assistant, the last one's time, the conversation's duration, the mean
        response time, tokens and cost: of an open session, whether the store knows them yet or not.
        """
        with start() as handle:
            recorded_sessions.clock.advance(5)
            talk(handle, recorded_sessions, 1)
            if merged:
                recorded_sessions.advance(0)
            recorded_sessions.clock.advance(10)
            talk(handle, recorded_sessions, 3)
            found = handle.statistics()
        assert {
            "message_count": 4,
            "user_messages": 2,
            "assistant_messages": 2,
            "last_message_at": NOON + dt.timedelta(seconds=19),
            "conversation_duration": 14.0,
            "average_response_time": 2.0,
            "total_tokens": 300,
            "total_cost": 0.5,
        } == {name: getattr(found, name) for name in EIGHT}

    def test_the_rest(self) -> None:
        """Everything else that is counted is there, too: requests, events, errors, turns, roles, tokens, usage."""
        with record_sessions(tiers=[Tier("pro", Quota("storage", 100))]) as recorded:
            handle = otel_sessions.start("chat", tier="pro")
            handle._lifecycle.enter(handle._live, requests=1)
            talk(handle, recorded, 1)
            handle.message("tool")
            handle.event("cart.checkout")
            handle.error("OutOfStock")
            handle.use("storage", 30)
            assert (
                SessionStatistics(
                    session_id=handle.id,
                    requests=1,
                    events=2,
                    errors=1,
                    turns=1,
                    average_response_time=1.0,
                    messages={"user": 1, "assistant": 1, "tool": 1},
                    last_message_at=NOON + dt.timedelta(seconds=1),
                    conversation_duration=1.0,
                    tokens={"input": 100, "output": 50},
                    cost={"USD": 0.25},
                    usage={"tokens": 150, "cost": 0.25, "storage": 30},
                    duration=1.0,
                    active_time=1.0,
                )
                == handle.statistics()
            )
            assert 50 == handle.statistics().tokens_per_message

    def test_each_token_once(self, recorded_sessions: RecordedSessions) -> None:
        """Cached tokens are part of the input and those of reasoning part of the output: the totals have them once."""
        with session("chat") as handle:
            with handle.turn() as turn:
                turn.tokens(input=1000, output=200, cache_read=400, reasoning=100)
            found = handle.statistics()
        assert (1200, 600.0) == (found.total_tokens, found.tokens_per_message)

    def test_engagement(self, recorded_sessions: RecordedSessions) -> None:
        """What lies between activities that are close to each other is active time, the rest is idle."""
        handle = otel_sessions.start("chat")
        for seconds in (30, 30, 240):
            recorded_sessions.clock.advance(seconds)
            handle.message()
        recorded_sessions.clock.advance(100)
        found = handle.statistics()
        assert (400.0, 60.0, 340.0, 0.15) == (
            found.duration, found.active_time, found.idle_time, found.engagement_ratio,
        )  # fmt: skip

    def test_long_block(self, recorded_sessions: RecordedSessions) -> None:
        """A scoped session is under way from its beginning to its end, however long nothing else happens in it."""
        with session("job") as handle:
            recorded_sessions.advance(200)
            assert (200.0, 1.0) == (handle.statistics().active_time, handle.statistics().engagement_ratio)
            handle.message()
            recorded_sessions.advance(100)
            assert 300.0 == handle.statistics().active_time
            recorded_sessions.advance(100)
        assert (400.0, 0.0) == (handle.statistics().active_time, handle.statistics().idle_time)

    def test_long_block_elsewhere(self, tmp_path: Path) -> None:
        """Other processes, which read of it in the store, see that too."""
        path = tmp_path / "sessions.db"
        with record_sessions(store=SQLiteStore(str(path))) as recorded:
            with session("job") as handle:
                recorded.advance(200)
                [record] = SQLiteStore(str(path)).active()
                assert 200.0 == record.statistics(recorded.clock.time_ns()).active_time
                recorded.advance(100)
            assert 300.0 == handle.statistics().active_time

    def test_long_turn(self, recorded_sessions: RecordedSessions) -> None:
        """A turn is active time from the user's message to the answer, or the failure; the pauses between are not."""
        handle = otel_sessions.start("chat")
        with handle.turn():
            recorded_sessions.advance(100)
        recorded_sessions.advance(200)
        with contextlib.suppress(TimeoutError), handle.turn():
            recorded_sessions.advance(70)
            handle.event("retry")
            recorded_sessions.advance(80)
            assert 250.0 == handle.statistics().active_time
            raise TimeoutError
        assert (450.0, 250.0) == (handle.statistics().duration, handle.statistics().active_time)

    def test_rotated_amid_a_turn(self, recorded_sessions: RecordedSessions) -> None:
        """A turn in which the session is rotated counts for both, and what comes after it is idle again."""
        handle = otel_sessions.start("chat")
        with handle.turn():
            recorded_sessions.advance(100)
            old = handle.id
            handle.rotate()
            recorded_sessions.advance(100)
        recorded_sessions.advance(100)
        ended = otel_sessions.get(old)
        assert ended is not None
        assert [100.0, 100.0] == [found.active_time for found in (ended.statistics(), handle.statistics())]

    @pytest.mark.parametrize("pace", [1, 200])
    def test_long_durable_block(self, recorded_sessions: RecordedSessions, pace: int) -> None:
        """A block of a durable session is active time, whether anything looks after it meanwhile or not."""
        handle = otel_sessions.start("chat")
        with handle:
            for _ in range(200 // pace):
                recorded_sessions.advance(pace)
            recorded_sessions.clock.advance(100)
            assert 300.0 == handle.statistics().active_time
        recorded_sessions.advance(100)
        assert 300.0 == handle.statistics().active_time

    def test_several_currencies(self, recorded_sessions: RecordedSessions) -> None:
        """Sums in different currencies are not added up: the total is the largest, as on the session's span."""
        with session("chat") as handle, handle.turn() as turn:
            turn.cost(0.5, "USD")
            turn.cost(2, "EUR")
            found = handle.statistics()
        assert (2.0, "EUR", {"USD": 0.5, "EUR": 2.0}) == (found.total_cost, found.currency, found.cost)

    @pytest.mark.parametrize("start", STARTS)
    def test_nothing_yet(self, recorded_sessions: RecordedSessions, start: Callable[[], Any]) -> None:
        """At the start everything is zero, and what would be an average of nothing is None."""
        with start() as handle:
            found = handle.statistics().to_dict()
        assert handle.id == found.pop("session_id")
        assert set() == {name for name, value in found.items() if value}
        unknown = ("average_response_time", "last_message_at", "tokens_per_message", "currency", "engagement_ratio")
        assert [None] * 5 == [found[name] for name in unknown]

    def test_outside(self, recorded_sessions: RecordedSessions) -> None:
        """Outside a session it is the same, and its id is empty."""
        with otel_sessions.start("chat") as handle:
            found = handle.statistics()
        assert found._replace(session_id="") == current_session().statistics()

    @pytest.mark.parametrize("start", STARTS)
    def test_ended(self, recorded_sessions: RecordedSessions, start: Callable[[], Any]) -> None:
        """Of a session that has ended they are those of its end, however late they are asked for."""
        with start() as handle:
            talk(handle, recorded_sessions, 1)
        handle.end()
        expected = handle.statistics()
        recorded_sessions.advance(1_000)
        assert (1.0, 2) == (expected.duration, expected.message_count)
        assert expected == handle.statistics()

    def test_forgotten(self) -> None:
        """A session that has ended and that nobody remembers has no statistics any more, and does not fail."""
        with record_sessions(history=0) as recorded:
            handle = otel_sessions.start("chat")
            talk(handle, recorded, 1)
            handle.end()
            recorded.clock.advance(10)
            found = handle.statistics()
            assert (handle.id, 0, 0.0) == (found.session_id, found.turns, found.duration)

    def test_other_processes(self) -> None:
        """What other processes have counted is included."""
        store = MemoryStore()
        with record_sessions(store=store) as recorded:
            handle = otel_sessions.start("chat")
            talk(handle, recorded, 3)
            elsewhere = Totals(recorded.clock.time_ns())
            elsewhere.add_message("user", recorded.clock.time_ns() + 10**9)
            elsewhere.turns, elsewhere.turn_ns = 1, 10**9
            store.merge({handle.id: elsewhere})
            found = handle.statistics()
        assert (3, 2.0, 4.0) == (found.message_count, found.average_response_time, found.conversation_duration)

    def test_store_away(self) -> None:
        """If the store cannot be asked they are what this process has counted and not merged."""
        store = FailingStore()
        with record_sessions(store=store) as recorded:
            handle = otel_sessions.start("chat")
            store.failing = {"get"}
            talk(handle, recorded, 3)
            assert (2, 3.0) == (handle.statistics().message_count, handle.statistics().duration)
            store.failing = ()

    def test_clock_set_back(self, recorded_sessions: RecordedSessions) -> None:
        """No duration is negative, though the wall clock was set back."""
        handle = otel_sessions.start("chat")
        recorded_sessions.clock.advance(10)
        handle.message()
        recorded_sessions.clock.jump(-3600)
        handle.message()
        found = handle.statistics()
        assert (0.0, 0.0, 0.0, 3600.0) == (
            found.duration, found.active_time, found.idle_time, found.conversation_duration,
        )  # fmt: skip

    def test_at_once(self, recorded_sessions: RecordedSessions) -> None:
        """After tens of thousands of messages they take as long as after one: far less than a tenth of a second."""
        handle = otel_sessions.start("chat")
        for _ in range(20_000):
            handle.message()
        began = time.perf_counter()
        found = handle.statistics()
        assert time.perf_counter() - began < 0.1
        assert 20_000 == found.message_count


EIGHT = (
    "message_count", "user_messages", "assistant_messages", "last_message_at", "conversation_duration",
    "average_response_time", "total_tokens", "total_cost",
)  # fmt: skip


class TestOfRecord:
    def test_active(self, recorded_sessions: RecordedSessions) -> None:
        """A record of an active session counts up to its last activity, or up to a time that is given."""
        handle = otel_sessions.start("chat")
        recorded_sessions.clock.advance(10)
        handle.message()
        recorded_sessions.clock.advance(5)
        record = otel_sessions.get(handle.id)
        assert record is not None
        assert 10.0 == record.statistics().duration
        assert 15.0 == record.statistics(recorded_sessions.clock.time_ns()).duration
        assert handle.statistics() == record.statistics(recorded_sessions.clock.time_ns())

    def test_ended(self, recorded_sessions: RecordedSessions) -> None:
        """That of one that has ended counts up to its end, whatever time is given."""
        handle = otel_sessions.start("chat")
        recorded_sessions.clock.advance(10)
        handle.end()
        record = otel_sessions.get(handle.id)
        assert record is not None
        assert [10.0, 10.0] == [record.statistics(at).duration for at in (None, 0)]

    def test_json(self, recorded_sessions: RecordedSessions) -> None:
        """As a dictionary they are JSON, with what follows from the sums, and times as ISO 8601 has them."""
        with session("chat") as handle:
            talk(handle, recorded_sessions, 2)
            found = handle.statistics().to_dict()
        assert found == json.loads(json.dumps(found))
        assert ("2026-01-01T00:00:02+00:00", 75.0, 2.0) == (
            found["last_message_at"], found["tokens_per_message"], found["average_response_time"],
        )  # fmt: skip
        assert set(EIGHT) < found.keys()
