"""What was measured counts for quotas: after the fact, without anybody waiting, and without a loss."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import QuotaExceededError, Session, session, sweep
from otel_sessions.limits import Quota, Tier
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait, redis_server
from .failing_store import FailingStore
from .shared_memory_store import SharedMemoryStore

TRIAL = Tier(
    "trial",
    Quota("tokens", 100, per="day"),
    Quota("tokens", 1_000, per="month"),
    Quota("cost", 2.0, per="month"),
)
PLAIN = Tier("plain", Quota("api_calls", 10))


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    with record_sessions(tiers=[TRIAL, PLAIN]) as recorded:
        yield recorded


@pytest.fixture(name="store")
def _store() -> FailingStore:
    return FailingStore(shared=True)


@pytest.fixture(name="shared")
def _shared(store: FailingStore) -> Iterator[RecordedSessions]:
    with record_sessions(tiers=[TRIAL, PLAIN], store=store) as recorded:
        yield recorded


def trial(user: str = "u1", **fields: Any) -> Session:
    """A durable session of the tier `trial`."""
    return otel_sessions.start("chat", user=user, tier="trial", **fields)


def talk(handle: Session, **tokens: int) -> None:
    """A turn that consumes so much, and costs half a dollar."""
    with handle.turn(model="m") as turn:
        turn.tokens(**tokens)
        turn.cost(0.5)


def used(handle: Session) -> dict[str, float | None]:
    """What is used of the quotas of the shortest windows."""
    return {name: handle.quota(name).used for name in ("tokens", "cost")}


class TestQuotas:
    def test_counted(self, recorded: RecordedSessions) -> None:
        """The tokens and the cost of a turn count in every window, in the session and in the metrics of quotas."""
        with trial() as s:
            talk(s, input=20, output=10)
            talk(s, input=5)
            assert {"tokens": 35, "cost": 1.0} == used(s)
            assert [35, 35, 1.0] == [status.used for status in s.quotas()]
        s.end()
        found = portrait.attributes(recorded.spans[0])
        assert (35, 1.0, 1.0) == (
            found["app_session.usage.tokens"], found["app_session.usage.cost"], found["app_session.cost.amount"],
        )  # fmt: skip
        assert [35, 1.0] == [
            recorded.metric("app_session.quota.usage", app_session__limit__name=name) for name in ("tokens", "cost")
        ]

    def test_each_token_once(self, recorded: RecordedSessions) -> None:
        """What was read from the cache is part of the input, in whichever call it is told."""
        with trial() as s:
            with s.turn() as turn:
                turn.tokens(cache_read=15)
                turn.tokens(input=20, output=10)
                turn.tokens(reasoning=10)
            assert 30 == s.quota("tokens").used

    def test_never_refused(self, recorded: RecordedSessions) -> None:
        """What is done is done; the next one is told that there is nothing left."""
        with trial() as s:
            talk(s, input=500)
            assert (500, 0) == (s.quota("tokens").used, s.quota("tokens").remaining)
            with pytest.raises(QuotaExceededError):
                s.use("tokens", 1)
        assert 1 == recorded.metric("app_session.limit.decisions")

    def test_thresholds(self, recorded: RecordedSessions) -> None:
        """That a budget is nearly used up is said as ever."""
        with trial() as s:
            for _ in range(4):
                talk(s)
        assert [(0.75, 1.5), (0.9, 2.0)] == [
            (event["app_session.limit.threshold"], event["app_session.limit.used"])
            for event in recorded.events("app_session.limit.threshold")
        ]

    def test_own_limit(self, recorded: RecordedSessions) -> None:
        """A session's own quotas count, too."""
        with session("chat") as s:
            s.limit(Quota("cost", 0.75))
            talk(s, input=5)
            assert 0.25 == s.quota("cost").remaining

    def test_other_currencies(self, recorded: RecordedSessions) -> None:
        """A budget is one of US dollars."""
        with trial() as s:
            with s.turn() as turn:
                turn.cost(100, "JPY")
            assert 0 == s.quota("cost").used

    @pytest.mark.parametrize("tier", ["plain", "undefined", None])
    def test_no_quota(self, recorded: RecordedSessions, caplog: pytest.LogCaptureFixture, tier: str | None) -> None:
        """Where there is no such quota nothing is counted for one, and nothing is said."""
        with session("chat", tier=tier) as s:
            talk(s, input=5)
        assert 0 == recorded.metric("app_session.quota.usage")
        assert [] == caplog.messages

    def test_amid_a_collection(self, recorded: RecordedSessions) -> None:
        """A call that ends because its stream is garbage is counted a little later: events wait for locks."""

        class Stream:
            def __init__(self, handle: Session) -> None:
                self.handle, self.itself = handle, self

            def __del__(self) -> None:
                talk(self.handle, input=80)
                seen.append(len(recorded.events("app_session.limit.threshold")))

        seen: list[int] = []
        with trial() as s:
            Stream(s)
            gc.collect()
            assert [0] == seen
            recorded.advance(1)
            assert 1 == len(recorded.events("app_session.limit.threshold"))
            assert {"tokens": 80, "cost": 0.5} == used(s)

    def test_more_than_can_be_counted(self, recorded: RecordedSessions) -> None:
        """What no store could count exactly counts as the most that it can."""
        with trial() as s:
            talk(s, input=2**62)
            assert 2**53 - 1 == s.quota("tokens").used


class TestSharedStore:
    @pytest.mark.parametrize("kind", ["sqlite", "redis"])
    def test_fractions(self, kind: str, tmp_path: Path) -> None:
        """The stores count fractions of a dollar."""
        url = f"sqlite:///{tmp_path}/sessions.db" if kind == "sqlite" else redis_server.shared().url
        with record_sessions(tiers=[TRIAL], store=url) as recorded, trial(user=str(tmp_path)) as s:
            for _ in range(3):
                with s.turn(model="gpt-4o") as turn:
                    turn.tokens(input=10, output=1)
                recorded.advance(1)
            assert 33 == s.quota("tokens").used
            assert pytest.approx(3 * 0.000035) == s.quota("cost").used

    def test_nobody_waits(self, shared: RecordedSessions, store: FailingStore) -> None:
        """Neither a turn nor its end asks the store; the next round of the background does, once for a session."""

        async def ask(handle: Session) -> None:
            for _ in range(3):
                async with handle.turn(model="m") as turn:
                    turn.tokens(input=10)
                    turn.cost(0.25)

        with trial() as s:
            store.calls.clear()
            asyncio.run(ask(s))
            assert [] == store.calls
            shared.advance(1)
            assert 1 == store.calls.count("limits")
            assert {"tokens": 30, "cost": 0.75} == used(s)

    def test_seen_by_who_asks(self, shared: RecordedSessions) -> None:
        """Whoever asks for something in the session finds everything counted that was measured in it before."""
        with trial() as s:
            talk(s, input=99)
            with pytest.raises(QuotaExceededError):
                s.use("tokens", 2)
            talk(s, input=1)
            assert [100, 100, 1.0] == [status.used for status in s.quotas()]

    def test_who_asks_for_another(self, shared: RecordedSessions, store: FailingStore) -> None:
        """Whoever asks in another session does not wait for what was measured in this one."""
        with trial("u1") as one, trial("u2") as two:
            talk(one, input=99)
            store.calls.clear()
            two.use("tokens", 1)
            assert 1 == store.calls.count("limits")
            assert 99 == one.quota("tokens").used

    def test_end_of_the_session(self, shared: RecordedSessions) -> None:
        """It is counted before the session ends, so that its span tells of it."""
        with session("chat", user="u1", tier="trial") as s:
            talk(s, input=80)
        found = portrait.attributes(shared.spans[0])
        assert (80, 0.5) == (found["app_session.usage.tokens"], found["app_session.usage.cost"])
        assert ["app_session.limit.threshold"] == [name for name, _ in portrait.events(shared.spans[0])]
        assert s.status == "success"

    def test_rotation(self, shared: RecordedSessions) -> None:
        """A session that is rotated has its share, the one that goes on has the rest."""
        with trial() as s:
            talk(s, input=10)
            s.rotate("login")
            talk(s, input=20)
        s.end()
        assert [10, 20] == [portrait.attributes(span)["app_session.usage.tokens"] for span in shared.session_spans]

    def test_end_of_the_process(self) -> None:
        """Nothing is lost when the process ends in the same second."""
        store = SharedMemoryStore()
        with record_sessions(tiers=[TRIAL], store=store, pseudonym_key="k" * 16), trial() as s:
            talk(s, input=10)
        with record_sessions(tiers=[TRIAL], store=store, pseudonym_key="k" * 16), trial() as s:
            assert {"tokens": 10, "cost": 0.5} == used(s)

    def test_idle(self, shared: RecordedSessions) -> None:
        """That it is counted later does not make the session look used."""
        with trial() as s:
            talk(s, input=10)
        shared.advance(1_800)
        (span,) = shared.session_spans
        assert "idle_timeout" == portrait.attributes(span)["app_session.end_reason"]
        assert 10 == portrait.attributes(span)["app_session.usage.tokens"]

    def test_store_away(self, shared: RecordedSessions, store: FailingStore) -> None:
        """As long as the store cannot be asked it is kept, and then counted once."""
        with trial("u1") as one, trial("u2") as two:
            store.failing = {"limits"}
            talk(one, input=10)
            talk(two, input=20)
            shared.advance(1)
            talk(one, input=5)
            shared.advance(1)
            store.failing = ()
            shared.advance(1)
            shared.advance(1)
            assert [(15, 1.0), (20, 0.5)] == [tuple(used(s).values()) for s in (one, two)]

    def test_store_away_for_long(self, shared: RecordedSessions, store: FailingStore) -> None:
        """What is kept is bounded; the rest is dropped, and counted as dropped."""
        store.failing = {"limits"}
        measured = _limiter(shared).measured
        with trial() as s:
            live = s._live
            assert live is not None
            for number in range(10_001):
                live.beginning = live.beginning._replace(id=f"s{number}")
                measured.add(live, "tokens", 1)
        assert 1 == shared.metric("app_session.dropped", app_session__drop__reason="store_unavailable")

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_fork(self, shared: RecordedSessions) -> None:
        """What the parent has measured is the parent's to count."""
        with trial() as s:
            talk(s, input=10)
            if os.fork() == 0:
                counted = used(s)
                os._exit(0 if counted == {"tokens": 0, "cost": 0} else 1)
            assert 0 == os.waitstatus_to_exitcode(os.wait()[1])
            sweep()
            assert {"tokens": 10, "cost": 0.5} == used(s)


def _limiter(recorded: RecordedSessions) -> Any:
    from otel_sessions import _runtime

    return _runtime.get().lifecycle.limiter
