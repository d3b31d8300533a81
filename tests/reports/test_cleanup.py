"""`cleanup`: forgetting what ended long ago; and what stores forget by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import ConfigurationError, InvalidValueError, StoreError, session
from otel_sessions._tally import day_of, hour_of
from otel_sessions.reports import cleanup, history, statistics
from otel_sessions.stores import from_url
from otel_sessions.testing import RecordedSessions, record_sessions
from otel_sessions.typing import HistoryStore

from .. import redis_server
from ..contract import STORES
from ..contract.test_history import ALWAYS, START, run
from ..failing_store import FailingStore

DAY = 86_400


@pytest.fixture(name="recorded", params=STORES)
def _recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedSessions]:
    """A process with a store of each kind."""
    store = STORES[request.param](tmp_path)
    with record_sessions(store=store, detect_user=False, idle_timeout=None, max_duration=None) as recorded:
        yield recorded


def visit(number: int) -> None:
    """A scoped session and a durable one."""
    with session("import", user=f"user-{number}"):
        pass
    otel_sessions.start("chat", id=f"c{number}", user=f"user-{number}")
    otel_sessions.end(f"c{number}")


class TestCleanup:
    def test_what_is_old_is_forgotten(self, recorded: RecordedSessions) -> None:
        """Scoped sessions and durable ones that ended longer ago, and what they add up to; the rest is as it was."""
        otel_sessions.start("watch", id="goes-on")
        for number in range(3):
            visit(number)
            recorded.advance(2 * DAY)
        assert (cleanup(days=3, dry_run=True), cleanup(days=30, dry_run=True)) == (4, 0)
        assert len(history()) == 6
        assert cleanup(days=3) == 4
        assert cleanup(days=3) == 0
        assert [record.id for record in history() if record.type == "chat"] == ["c2"]
        found = statistics(days=None)
        assert (found.ended, found.active, found.users) == (2, 1, 1)
        assert otel_sessions.get("c0") is None

    def test_by_default_it_is_90_days(self, recorded: RecordedSessions) -> None:
        """Those of the last 90 days stay."""
        visit(1)
        recorded.advance(6)
        recorded.clock.advance(90 * DAY - 6)
        assert cleanup() == 0
        recorded.clock.advance(1)
        assert cleanup() == 2

    def test_nothing(self, recorded: RecordedSessions) -> None:
        """Of nothing, nothing is forgotten."""
        assert (cleanup(dry_run=True), cleanup(), cleanup(days=100_000)) == (0, 0, 0)

    def test_a_clock_that_was_set_back(self) -> None:
        """What ended is forgotten by when it did, whatever stands before it."""
        with record_sessions(detect_user=False) as recorded:
            visit(1)
            recorded.clock.jump(-5 * DAY)
            visit(2)
            assert cleanup(days=3, dry_run=True) == 0
            recorded.clock.advance(5.5 * DAY)
            assert cleanup(days=3) == 2
            assert len({record.user for record in history()}) == 1

    def test_switched_off(self) -> None:
        """Who has switched the package off has nothing to forget."""
        with record_sessions(enabled=False):
            assert cleanup() == 0


class TestRefused:
    @pytest.mark.parametrize("days", [0, -1, float("nan"), "90", None, 1e30])
    def test_bad_days(self, days: Any) -> None:
        """Only a positive number says what is old."""
        with record_sessions(), pytest.raises(InvalidValueError, match="positive number of days"):
            cleanup(days=days)

    def test_a_store_that_cannot_be_asked(self) -> None:
        """It is said, and not taken for nothing."""
        with record_sessions(store=FailingStore()), pytest.raises((StoreError, ConfigurationError)):
            cleanup()


class TestByItself:
    def test_sqlite(self, tmp_path: Path) -> None:
        """Each minute what ended longer than `retention` ago is let go of, and whose it was; sums after nine days."""
        url = f"sqlite:///{tmp_path}/sessions.db"
        with record_sessions(store=url, retention=2.0 * DAY, background=False) as recorded:
            visit(1)
            recorded.advance(DAY)
            assert (len(history()), statistics(days=None).users) == (2, 1)
            recorded.advance(DAY + 3_600)
            found = statistics(days=None)
            assert (len(history()), found.ended, found.users) == (0, 2, 0)
            # Health compares with the week before. Those of a whole day go when it is over.
            recorded.advance(8 * DAY)
            assert statistics(days=None).ended == 0

    def test_redis(self) -> None:
        """Redis lets it go, by its own clock, and whose it was; sums after nine days."""
        store = redis_server.store(retention=0.15)
        run(store, "a", ended_ns=START, user="1" * 32)
        assert (store.get("a") is not None, len(store.tallies(*ALWAYS))) == (True, 1)
        redis_server.until(lambda: store.get("a") is None, seconds=5)
        redis_server.until(lambda: not store.users(*ALWAYS, 1, {}).total, seconds=5)
        assert len(store.tallies(*ALWAYS)) == 1
        # What stood in indexes is let go of with the next end.
        run(store, "b", ended_ns=START)
        assert [record.id for record in store.ended(5)] == ["b"]
        store.shutdown()

    def test_redis_takes_the_setting(self) -> None:
        """The setting reaches the store, unless the URL says otherwise."""
        url = redis_server.shared().url
        client = redis_server.shared().client()
        for prefix, retention, query in (("keep-a", 50.0, ""), ("keep-b", 50.0, "&retention=20")):
            store = from_url(f"{url}?prefix={prefix}{query}", retention=retention)
            assert isinstance(store, HistoryStore)
            run(store, "a", ended_ns=START)
            store.shutdown()
        assert [client.ttl(f"{{{prefix}}}:s:a") // 10 for prefix in ("keep-a", "keep-b")] in ([4, 1], [5, 2])
        hour = hour_of(START)
        assert client.ttl(f"{{keep-a}}:h:{hour}") // DAY in {8, 9}
        assert client.ttl(f"{{keep-a}}:d:{day_of(hour)}") // DAY in {9, 10}
        client.close()

    def test_memory(self) -> None:
        """The memory of a process keeps the last ended sessions, and the sums of 30 days."""
        with record_sessions(history=1) as recorded:
            visit(1)
            visit(2)
            assert len(history()) == 2
            recorded.advance(31 * DAY)
            assert (len(history()), statistics(days=None).ended) == (2, 0)
