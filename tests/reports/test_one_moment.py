"""Reports of what is active and what has ended, while sessions end: each of them is in it once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import otel_sessions
from otel_sessions.reports import Watch, distribution, history, page, statistics, system_analytics, trend
from otel_sessions.testing import RecordedSessions, record_sessions

from ..contract import STORES
from ..failing_store import FailingHistory

START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
"""When the clock of the tests starts."""
QUESTIONS = ["active", "tallies", "daily_tallies", "users", "second active"]
"""Before which of them a session ends; the last is what is asked after all others."""


class Shop:
    """A process whose store lets something happen just before it answers."""

    def __init__(self, store: FailingHistory, recorded: RecordedSessions) -> None:
        self.store = store
        self.recorded = recorded

    def sessions(self, number: int) -> list[str]:
        """So many that are active, each of another user, with five errors, and a day old."""
        names = [f"s{each}" for each in range(number)]
        for name in names:
            started = otel_sessions.start("chat", id=name, user=name)
            for _ in range(5):
                started.error("Oops")
        self.recorded.advance(86_400)
        return names

    def before(self, question: str, happens: Callable[[], object]) -> None:
        """Have it happen once, before that question is answered."""
        if question.startswith("second "):
            question = question.removeprefix("second ")
            self.store.before[question] = lambda: self.before(question, happens)
        else:
            self.store.before[question] = happens

    def end_before_each(self, question: str, names: list[str]) -> None:
        """Have one of these end whenever that question is about to be answered."""

        def end() -> None:
            if names:
                otel_sessions.end(names.pop())
                self.store.before[question] = end

        self.store.before[question] = end


@pytest.fixture(name="shop", params=STORES)
def _shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    store = FailingHistory(STORES[request.param](tmp_path))
    with record_sessions(store=store, detect_user=False, idle_timeout=None, max_duration=None) as recorded:
        yield Shop(store, recorded)


class TestSums:
    @pytest.mark.parametrize("days", [1, 30])
    @pytest.mark.parametrize("question", QUESTIONS)
    def test_statistics(self, shop: Shop, question: str, days: int) -> None:
        """Whenever one ends, it is in all figures once."""
        one, _, _ = shop.sessions(3)
        shop.before(question, lambda: otel_sessions.end(one))
        found = statistics(days=days)
        assert (found.total, found.active + found.ended) == (3, 3)
        assert (found.users, list(found.by_user.values()), found.errors) == (3, [1, 1, 1], 15)
        assert sum(found.by_weekday.values()) == sum(found.by_status.values()) == 3
        # Of one day no others are asked for than its hours.
        was_asked = days == 30 or question != "daily_tallies"
        assert statistics(days=days).ended == was_asked

    @pytest.mark.parametrize("question", QUESTIONS[:-2] + QUESTIONS[-1:])
    def test_when_they_began(self, shop: Shop, question: str) -> None:
        """So it is in the other reports that count both."""
        first, second, *_ = shop.sessions(4)
        shop.before(question, lambda: otel_sessions.end(first))
        assert sum(point.started for point in trend(days=None).points) == 4
        shop.before(question, lambda: otel_sessions.end(second))
        assert sum(map(sum, distribution(days=None).by_hour_of_week.values())) == 4

    def test_on_a_page(self, shop: Shop) -> None:
        """And on the page that shows them."""
        one, _ = shop.sessions(2)
        shop.before("daily_tallies", lambda: otel_sessions.end(one))
        assert "<dt>sessions</dt><dd>2</dd>" in page()

    @pytest.mark.parametrize("question", ["tallies", "daily_tallies", "users", "active"])
    def test_sessions_end_all_the_time(self, shop: Shop, question: str) -> None:
        """It comes to an end nevertheless. None is missing, and only the one that ended last may count twice."""
        shop.end_before_each(question, shop.sessions(20))
        found = statistics()
        assert 20 <= found.total <= 21
        assert (found.errors, found.active + found.ended) == (5 * found.total, found.total)
        assert found.ended >= 3
        assert shop.store.calls.count("active") == 4

    def test_of_a_time_that_is_over(self, shop: Shop) -> None:
        """Whoever is active now is not even asked for."""
        shop.sessions(1)
        shop.store.calls.clear()
        assert statistics(since=START, until=START + dt.timedelta(hours=9)).total == 0
        assert "active" not in shop.store.calls


class TestWatch:
    @pytest.mark.parametrize("interrupted", [{0}, {1}, {0, 2}, {1, 2}])
    @pytest.mark.parametrize("question", ["active", "tallies", "second active"])
    def test_no_rate_out_of_nothing(self, shop: Shop, question: str, interrupted: set[int]) -> None:
        """A session that ends during a look is seen once, and its errors are no new ones."""
        names = shop.sessions(3)
        watch = Watch()
        for look in range(4):
            if look in interrupted:
                shop.before(question, partial(otel_sessions.end, names.pop()))
            seen = watch.look()
            assert seen.rates is None or seen.rates.errors == 0
            shop.recorded.advance(1)
        assert (seen.active, seen.watched.ended) == (len(names), len(interrupted - {0}))

    @pytest.mark.parametrize("question", ["active", "tallies"])
    @pytest.mark.parametrize("quiet", [0, 1])
    def test_sessions_end_all_the_time(self, shop: Shop, question: str, quiet: int) -> None:
        """Nor is there one then; what really happens is seen."""
        names = shop.sessions(40)
        watch = Watch()
        for look in range(5):
            if look == quiet:
                shop.end_before_each(question, names)
            rates = watch.look().rates
            assert rates is None or rates.errors == 0
            shop.recorded.advance(1)
        for _ in range(100):
            otel_sessions.resume("s0").error("Oops")
        rates = watch.look().rates
        assert rates is not None
        assert 0 < rates.errors <= 100 * 60 / 5


class TestRecords:
    @pytest.mark.parametrize("question", ["active", "history"])
    def test_history(self, shop: Shop, question: str) -> None:
        """A list of both has it once, as one that ended."""
        one, other = shop.sessions(2)
        shop.before(question, lambda: otel_sessions.end(one))
        assert [(record.id, record.status) for record in history(active=True)] == [(other, "active"), (one, "success")]

    @pytest.mark.parametrize("question", ["active", "ended"])
    def test_analytics(self, shop: Shop, question: str) -> None:
        """So have the sums of what was used."""
        one, _ = shop.sessions(2)
        shop.before(question, lambda: otel_sessions.end(one))
        found = system_analytics()
        assert (found.sessions, found.active, found.errors) == (2, 1, 10)
