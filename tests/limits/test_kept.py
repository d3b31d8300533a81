"""For how long it is kept what was used: no longer than it counts for anybody."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import otel_sessions
from otel_sessions import Session, session
from otel_sessions.limits import Quota, Tier
from otel_sessions.stores import MemoryStore
from otel_sessions.stores.sqlite import SQLiteStore
from otel_sessions.testing import record_sessions
from otel_sessions.typing import Charge, Store

from .. import redis_server
from ..failing_store import FailingStore

SECOND = 1_000_000
NOW = 1_767_225_600 * SECOND
TRIAL = Tier("trial", Quota("tokens", 100), Quota("tokens", 1_000, per="day"), Quota("storage", 10, scope="user"))
PAGES = Quota("pages", 5)

STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _path: MemoryStore(),
    "sqlite": lambda path: SQLiteStore(str(path / "sessions.db")),
    "redis": lambda _path: redis_server.store(),
}


@pytest.fixture(name="store", params=STORES)
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return STORES[request.param](tmp_path)


def used(store: Store, handle: Session, quota: Quota) -> float:
    """What the store knows of a session's own use."""
    (level,) = store.limits.levels([quota.bucket(f"{quota.name}|total|session|{handle.id}", 0)])
    return level.used


def durable() -> Session:
    return otel_sessions.start("web", user="u1", tier="trial")


def scoped() -> AbstractContextManager[Session]:
    return session("job", user="u1", tier="trial")


class TestEnded:
    @pytest.mark.parametrize("begin", [durable, scoped])
    def test_forgotten(self, store: Store, begin: Callable[[], AbstractContextManager[Session]]) -> None:
        """What a session has used of its own quotas goes with it; what its user has used stays."""
        own = TRIAL.quotas["tokens"][0]
        with record_sessions(store=store, tiers=[TRIAL], pseudonym_key="k" * 16) as recorded:
            with begin() as handle:
                handle.limit(PAGES)
                handle.admit(uses={"tokens": 40, "pages": 2, "storage": 3})
                assert [40, 2] == [used(store, handle, quota) for quota in (own, PAGES)]
                handle.end()
            recorded.advance(0)
            assert [0, 0] == [used(store, handle, quota) for quota in (own, PAGES)]
            after = durable()
            assert {("tokens", "total", 0), ("tokens", "day", 40), ("storage", "total", 3)} == {
                (status.name, status.window, status.used) for status in after.quotas()
            }

    def test_store_away(self) -> None:
        """A store that cannot be told of it stops nothing."""
        store = FailingStore()
        with record_sessions(store=store, tiers=[TRIAL]) as recorded:
            handle = durable()
            handle.use("tokens", 40)
            handle.end()
            store.failing = {"limits"}
            recorded.advance(0)
            store.failing = ()
            assert 40 == used(store, handle, TRIAL.quotas["tokens"][0])


class TestMemory:
    def test_of_sessions(self) -> None:
        """However many sessions there were, what is kept is what those use that are open."""
        store = MemoryStore()
        with record_sessions(store=store, tiers=[TRIAL]) as recorded:
            for number in range(300):
                with session("job", user="u1", tier="trial") as handle:
                    handle.use("tokens")
                if number % 100 == 99:
                    recorded.advance(0)
            otel_sessions.start("web", user="u2", tier="trial").use("tokens")
            assert 3 == len(store.limits._held)

    @pytest.mark.parametrize(("max_duration", "kept"), [(3_600.0, 0), (None, 1)])
    def test_of_lost_sessions(self, max_duration: float | None, kept: float) -> None:
        """Of a session whose end nobody sees it is kept for as long as it can last."""
        store = MemoryStore()
        with record_sessions(store=store, tiers=[TRIAL], max_duration=max_duration) as recorded:
            handle = durable()
            handle.use("tokens")
            recorded.clock.advance(3 * 3_600)
            otel_sessions.start("web", user="u2", tier="trial").use("tokens")
            assert kept == used(store, handle, TRIAL.quotas["tokens"][0])

    def test_since_its_last_use(self) -> None:
        """What never begins anew is kept for a year after it was used last, and then goes."""
        limits = MemoryStore().limits
        bucket, other = (Quota("storage", 10, scope="user").bucket(name, 0) for name in ("storage|u1", "storage|u2"))
        day = 86_400 * SECOND
        for at in (0, 300, 600):
            limits.admit([Charge(bucket)], NOW + at * day)
        for at, expected in ((900, 3), (970, 0)):
            for _ in range(3):
                limits.admit([Charge(other)], NOW + at * day)
                limits.admit([Charge(other._replace(name="another"))], NOW + at * day)
            (level,) = limits.levels([bucket], NOW + at * day)
            assert expected == level.used


class TestSQLite:
    def test_rows(self, tmp_path: Path) -> None:
        """However many come and go, there are not many more rows than are needed."""
        store = SQLiteStore(str(tmp_path / "sessions.db"))
        quota = Quota("tokens", 10, per="minute")
        for number in range(2_000):
            now = NOW + number * SECOND
            store.limits.admit([Charge(quota.bucket(f"tokens|minute|user|{number}", now))], now)
        store.shutdown()
        with contextlib.closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
            (rows,) = connection.execute("SELECT count(*) FROM bucket").fetchone()
        assert rows <= 60 + 64
