"""What users have used: the history of single uses, and the sums over their sessions."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import (
    Analytics,
    ConfigurationError,
    InvalidValueError,
    Session,
    StoreError,
    UsageEntry,
    session,
    system_analytics,
    usage_history,
    user_analytics,
)
from otel_sessions._uses import MAX_USES
from otel_sessions.limits import Quota, Tier
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import RecordedSessions, record_sessions

from ..contract import STORES
from ..failing_store import FailingHistory, FailingStore

PRO = Tier("pro", Quota("tokens", 10_000), Quota("api_calls", 10_000), Quota("storage", None))
START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
"""When the clock of the tests starts."""


@pytest.fixture(name="recorded", params=STORES)
def _recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedSessions]:
    """A process with a store of each kind."""
    store = STORES[request.param](tmp_path)
    with record_sessions(store=store, tiers=[PRO], pseudonym_key="k" * 32, detect_user=False) as recorded:
        yield recorded


def pro(user: str = "ada", **fields: Any) -> Session:
    """A durable session of the tier `pro`."""
    return otel_sessions.start("chat", user=user, tier="pro", **fields)


def shown(entries: list[UsageEntry]) -> list[tuple[float, str, str, float, str | None]]:
    """Entries with their times as seconds since the start."""
    return [((e.time - START).total_seconds(), e.session_id, e.name, e.amount, e.operation) for e in entries]


class TestUsageHistory:
    def test_latest_first(self, recorded: RecordedSessions) -> None:
        """All of a user's uses, of open sessions and of those that have ended, the latest first."""
        first, second = pro(), pro()
        first.use("tokens", 150, operation="inference")
        recorded.advance(1)
        second.use("api_calls")
        pro("eve").use("api_calls")
        recorded.advance(1)
        first.count("storage", -0.5)
        first.end()
        with session("job", user="ada", tier="pro") as third:
            recorded.clock.advance(1)
            third.use("tokens", 7, operation="summary")
        assert [
            (3.0, third.id, "tokens", 7, "summary"),
            (2.0, first.id, "storage", -0.5, None),
            (1.0, second.id, "api_calls", 1, None),
            (0.0, first.id, "tokens", 150, "inference"),
        ] == shown(usage_history("ada"))

    def test_either_name(self, recorded: RecordedSessions) -> None:
        """A user is asked for by the clear name or by the pseudonym."""
        handle = pro()
        handle.use("tokens", 1)
        assert handle.user is not None
        assert 1 == len(usage_history("ada"))
        assert usage_history("ada") == usage_history(handle.user)

    def test_identified_later(self, recorded: RecordedSessions) -> None:
        """What was used before the user was known is the user's."""
        handle = otel_sessions.start("chat", tier="pro")
        handle.use("tokens", 1)
        handle.identify("ada")
        handle.use("tokens", 2)
        assert [1, 2] == sorted(entry.amount for entry in usage_history("ada"))
        handle.end()
        assert [1, 2] == sorted(entry.amount for entry in usage_history("ada"))

    def test_limited(self, recorded: RecordedSessions) -> None:
        """So many at most, the latest ones."""
        handle = pro()
        for number in range(5):
            handle.use("tokens", number)
            recorded.clock.advance(1)
        assert [4, 3] == [entry.amount for entry in usage_history("ada", limit=2)]

    def test_bounded(self, recorded: RecordedSessions) -> None:
        """Each session keeps its last uses; the others are counted as dropped, and are in the sums."""
        handle = pro()
        for number in range(MAX_USES + 10):
            handle.use("tokens", number)
            recorded.advance(1)
        record = handle.snapshot()
        assert record is not None
        assert (MAX_USES, 10) == (len(usage_history("ada", limit=1_000)), record.totals.dropped_uses)
        assert sum(range(MAX_USES + 10)) == user_analytics("ada").usage["tokens"]

    def test_refused(self, recorded: RecordedSessions) -> None:
        """What was refused was not used."""
        handle = pro()
        with pytest.raises(otel_sessions.QuotaExceededError):
            handle.use("tokens", 10_001)
        assert ([], 0) == (usage_history("ada"), user_analytics("ada").operations)

    def test_json(self, recorded: RecordedSessions) -> None:
        """An entry is JSON as a dictionary."""
        handle = pro()
        handle.use("tokens", 2, operation="inference")
        assert [
            {
                "time": "2026-01-01T00:00:00+00:00",
                "session_id": handle.id,
                "name": "tokens",
                "amount": 2,
                "operation": "inference",
            }
        ] == json.loads(json.dumps([entry.to_dict() for entry in usage_history("ada")]))

    def test_many_ended(self) -> None:
        """In memory the sessions that ended last have their single uses, and all that are remembered their sums."""
        with record_sessions(tiers=[PRO]) as recorded:
            for number in range(1_001):
                with session("job", user="ada", tier="pro") as job:
                    job.use("tokens", number)
                durable = pro()
                durable.use("api_calls", number)
                durable.end()
                recorded.clock.advance(1)
            found = usage_history("ada", limit=10_000)
            assert [1_000, 1_000] == [len([e for e in found if e.name == name]) for name in ("tokens", "api_calls")]
            assert 1 == min(entry.amount for entry in found)
            assert {"tokens": 500_500, "api_calls": 500_500} == user_analytics("ada").usage


class TestAnalytics:
    def test_of_user(self, recorded: RecordedSessions) -> None:
        """The sums over one user's sessions, ended ones included, and what was done by which operation."""
        first, second = pro(), pro()
        first.admit(uses={"tokens": 150, "api_calls": 1}, operation="inference")
        first.use("tokens", 50, operation="inference")
        second.use("storage", 1_000_000, operation="upload")
        second.use("api_calls")
        with second.turn() as turn:
            turn.tokens(input=10, output=20)
            turn.cost(0.5)
        second.error("OutOfDisk")
        pro("eve").use("tokens", 5, operation="inference")
        first.end()
        recorded.clock.advance(3)
        assert Analytics(
            time=START + dt.timedelta(seconds=3),
            user=first.user,
            users=1,
            sessions=2,
            active=1,
            by_type={"chat": 2},
            requests=0,
            errors=1,
            turns=1,
            messages=2,
            tokens={"input": 10, "output": 20},
            cost={"USD": 0.5},
            usage={"tokens": 230, "api_calls": 2, "storage": 1_000_000, "cost": 0.5},
            operations=4,
            operation_counts={"inference": 2, "upload": 1},
            operation_usage={"inference": {"tokens": 200, "api_calls": 1}, "upload": {"storage": 1_000_000}},
            is_complete=True,
        ) == user_analytics("ada")
        assert "inference" == user_analytics(first.user or "").most_used_operation

    def test_of_all(self, recorded: RecordedSessions) -> None:
        """The same over all sessions, those of nobody included, and how many users there are."""
        pro().use("tokens", 1, operation="b")
        pro("eve").use("tokens", 2, operation="a")
        with session("job", tier="pro") as job:
            job.use("tokens", 4)
        found = system_analytics()
        assert (None, 2, 3, 2, {"chat": 2, "job": 1}) == (
            found.user, found.users, found.sessions, found.active, found.by_type,
        )  # fmt: skip
        assert ({"tokens": 7}, 3, {"a": 1, "b": 1}, "a") == (
            found.usage, found.operations, found.operation_counts, found.most_used_operation,
        )  # fmt: skip

    def test_too_many_operations(self, recorded: RecordedSessions) -> None:
        """A session knows a hundred operations by name, the first ones; of the rest there are sums, and what was used
        most often is one that has a name.
        """
        handle = pro()
        handle.use("tokens", 1)
        for number in range(110):
            handle.use("tokens", number, operation=f"op{number}")
            if number in {40, 100}:
                recorded.advance(1)
        handle.use("tokens", 1, operation="op99")
        found = user_analytics("ada")
        assert (112, 101, 10, 2) == (
            found.operations,
            len(found.operation_counts),
            found.operation_counts["_OTHER"],
            found.operation_counts["op99"],
        )
        assert found.operation_counts.keys() == found.operation_usage.keys()
        assert (sum(range(100, 110)), 100, "op99") == (
            found.operation_usage["_OTHER"]["tokens"],
            found.operation_usage["op99"]["tokens"],
            found.most_used_operation,
        )

    def test_empty(self, recorded: RecordedSessions) -> None:
        """Of a user who never came, and of an empty store, everything is zero."""
        assert [] == usage_history("nobody")
        for found in (user_analytics("nobody"), system_analytics()):
            values = found.to_dict()
            assert {"time", "is_complete"} == {name for name, value in values.items() if value} - {"user"}
            assert (None, values) == (found.most_used_operation, json.loads(json.dumps(values)))
        assert otel_sessions.start("chat", user="nobody").user == user_analytics("nobody").user

    def test_parts_do_not_count_twice(self, tmp_path: Path) -> None:
        """A long session that consists of parts is one session, and its sums count once."""
        store = STORES["sqlite"](tmp_path)
        with record_sessions(store=store, tiers=[PRO], max_span_duration=10) as recorded:
            handle = pro()
            for _ in range(5):
                handle.use("tokens", 1)
                recorded.advance(10)
            assert (1, {"tokens": 5}) == (system_analytics().sessions, system_analytics().usage)
            assert 5 == len(usage_history("ada"))


class TestOddStores:
    @pytest.mark.parametrize("verb", ["active", "ended"])
    def test_away(self, verb: str) -> None:
        """If the store cannot be asked that is said: it is not taken for nothing."""
        store = FailingStore()
        with record_sessions(store=store, tiers=[PRO]):
            pro().use("tokens", 1)
            store.failing = {verb}
            with pytest.raises(StoreError, match=rf"the failing store cannot be asked \({verb}\)"):
                system_analytics()
            store.failing = ()
            assert (1, True) == (system_analytics().sessions, system_analytics().is_complete)

    @pytest.mark.parametrize("verb", ["active", "history"])
    @pytest.mark.parametrize("ask", [usage_history, user_analytics])
    def test_away_for_a_user(self, ask: Callable[[str], object], verb: str) -> None:
        """The same of one user's."""
        store = FailingHistory(MemoryStore())
        with record_sessions(store=store, tiers=[PRO]):
            pro().use("tokens", 1)
            store.failing = {verb}
            with pytest.raises(StoreError, match=rf"the failing store cannot be asked \({verb}\)"):
                ask("ada")
            store.failing = ()
            assert (1, True) == (user_analytics("ada").sessions, user_analytics("ada").is_complete)

    @pytest.mark.parametrize("ask", [usage_history, user_analytics])
    def test_without_a_history(self, ask: Callable[[str], object]) -> None:
        """A store that keeps none knows nobody's sessions, which is said."""
        with record_sessions(store=FailingStore()), pytest.raises(ConfigurationError, match="keeps no history"):
            ask("ada")

    @pytest.mark.parametrize("ended", [9_999, 10_000, 10_001])
    def test_more_than_looked_at(self, ended: int) -> None:
        """If there are more ended sessions than are looked at, the sums say that they are not complete. Of a user only
        the user's own count, however many others ended since.
        """
        with record_sessions(history=20_000, tiers=[PRO]) as recorded:
            with session("job", user="eve", tier="pro") as first:
                first.use("tokens", 5)
            for _ in range(ended):
                recorded.clock.advance(1)
                with session("job", user="ada"):
                    pass
            of_all, of_ada, of_eve = system_analytics(), user_analytics("ada"), user_analytics("eve")
            uses = usage_history("eve")
        assert (10_000, ended < 10_000) == (of_all.sessions, of_all.is_complete)
        assert (min(ended, 10_000), ended <= 10_000) == (of_ada.sessions, of_ada.is_complete)
        assert (1, {"tokens": 5}, True) == (of_eve.sessions, of_eve.usage, of_eve.is_complete)
        assert [(first.id, 5)] == [(use.session_id, use.amount) for use in uses]

    @pytest.mark.parametrize("history", [0, 3])
    @pytest.mark.parametrize("start", [lambda: session("job"), lambda: otel_sessions.start("chat")])
    def test_more_than_remembered(self, start: Callable[[], Session], history: int) -> None:
        """Nor are they if more sessions have ended than memory keeps."""
        with record_sessions(history=history):
            found = []
            for _ in range(4):
                found.append(system_analytics().is_complete)
                with start() as handle:
                    pass
                handle.end()
            found.append(system_analytics().is_complete)
        assert [True] * (history + 1) + [False] * (4 - history) == found

    def test_switched_off(self) -> None:
        """Where sessions are switched off nothing is known."""
        with record_sessions(enabled=False):
            assert [] == usage_history("ada")
            assert (None, 0) == (user_analytics("ada").user, user_analytics("ada").sessions)
            assert 0 == system_analytics().sessions


class TestMistakes:
    @pytest.mark.parametrize("limit", [0, -1, True, 1.5, "10", None, 2**60])
    def test_limit(self, limit: Any) -> None:
        """A limit that is no whole number from 1 on is refused at the call."""
        with pytest.raises(InvalidValueError, match="cannot be the number of uses: use a whole number from 1 on"):
            usage_history("ada", limit=limit)

    @pytest.mark.parametrize("user", [b"ada", None, 3])
    def test_user(self, user: Any) -> None:
        """So is a user who has no name."""
        for ask in (usage_history, user_analytics):
            with pytest.raises(InvalidValueError, match="cannot be a user"):
                ask(user)
