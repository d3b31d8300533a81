"""Limits taken in advance: fewer questions, never more than there is."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import InvalidValueError, QuotaExceededError, RateLimitedError, StoreError
from otel_sessions._limiting.in_advance import InAdvance
from otel_sessions.limits import Quota, Rate, Tier
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import record_sessions
from otel_sessions.typing import Bucket, Charge, LimitStore

from ..contract import SHARED
from ..failing_store import FailingStore

SECOND = 1_000_000
NOON = (1_767_225_600 + 43_200) * SECOND
DAY = Quota("tokens", 100, per="day", ahead=10).bucket("tokens|ada", NOON)
(MOVING,) = Rate("upload", "1280/128 seconds", strategy="sliding-window-counter", ahead=10).buckets("upload|ada")


class Counting:
    """A store that counts how often it is asked."""

    def __init__(self) -> None:
        self.inner: LimitStore = MemoryStore().limits
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def admit(self, charges: Any, now_us: int | None = None) -> Any:
        self.asked += 1
        return self.inner.admit(charges, now_us)


@pytest.fixture(name="store")
def _store() -> Counting:
    return Counting()


@pytest.fixture(name="limits")
def _limits(store: Counting) -> InAdvance:
    return InAdvance(store)


def put(limits: LimitStore, bucket: Bucket, amount: float = 1, at: int = NOON) -> bool:
    """Whether there was room."""
    return limits.admit([Charge(bucket, amount)], at).admitted


def used(limits: LimitStore, bucket: Bucket, at: int = NOON) -> float:
    (level,) = limits.levels([bucket], at)
    return level.used


class TestExactly:
    @pytest.mark.parametrize("amount", [1, 3, 7, 10, 30])
    def test_alone(self, limits: InAdvance, store: Counting, amount: int) -> None:
        """One process is allowed as much as without it, and asks less often."""
        allowed = sum(put(limits, DAY, amount) for _ in range(200))
        assert 100 // amount == allowed
        assert allowed * amount == used(limits, DAY)
        if amount == 1:
            assert store.asked < 10 + 2 * (200 - 100) + 1

    def test_few_questions(self, limits: InAdvance, store: Counting) -> None:
        """Of a hundred uses ten ask the store."""
        assert all(put(limits, DAY) for _ in range(100))
        assert 10 == store.asked

    def test_level(self, limits: InAdvance) -> None:
        """What lies here does not count as used in what is told here."""
        levels = [limits.admit([Charge(DAY)], NOON).levels[0].used for _ in range(12)]
        assert list(range(1, 13)) == levels
        assert 12 == used(limits, DAY)
        (other,) = limits.levels([DAY._replace(name="other")], NOON)
        assert 0 == other.used

    def test_several_processes(self, store: Counting) -> None:
        """Together they are allowed what there is; what lies in one the others have when it is given back."""
        one, other = InAdvance(store), InAdvance(store)
        assert put(one, DAY)
        allowed = sum(put(other, DAY) for _ in range(200))
        assert 90 == allowed
        one.give_back(NOON)
        assert [True] * 9 + [False] == [put(other, DAY) for _ in range(10)]

    def test_threads(self, limits: InAdvance) -> None:
        """Threads are allowed what there is, not one more and not one fewer."""
        allowed: list[bool] = []
        threads = [
            threading.Thread(target=lambda: allowed.extend([put(limits, DAY) for _ in range(20)])) for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (400, 100) == (len(allowed), sum(allowed))

    def test_threads_of_all_sizes(self, limits: InAdvance, store: Counting) -> None:
        """So they are if each asks for another amount: what is allowed is what counts, and no more than there is."""
        allowed: list[int] = []
        bucket = DAY._replace(capacity=2_003)

        def ask(amount: int) -> None:
            allowed.extend([amount for _ in range(60) if put(limits, bucket, amount)])

        threads = [threading.Thread(target=ask, args=(number % 9 + 1,)) for number in range(18)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(allowed) == used(limits, bucket) <= 2_003
        assert sum(allowed) + sum(put(limits, bucket) for _ in range(500)) == 2_003 == used(store.inner, bucket)


class TestTogether:
    def test_refused(self, limits: InAdvance) -> None:
        """When another limit refuses, what lay here lies here again."""
        full = Bucket("full", 0, "fixed", 60 * SECOND)
        put(limits, DAY)
        assert not limits.admit([Charge(DAY, 5), Charge(full)], NOON).admitted
        assert 1 == used(limits, DAY)
        assert not limits.admit([Charge(full), Charge(DAY, 50)], NOON).admitted
        assert 1 == used(limits, DAY)
        assert limits.admit([Charge(full._replace(capacity=1)), Charge(DAY, 5)], NOON).admitted
        assert 6 == used(limits, DAY)

    def test_store_away(self) -> None:
        """When the store cannot be asked, nothing of what lies here is lost."""
        store = FailingStore()
        limits = InAdvance(store.limits)
        other = DAY._replace(name="other", ahead=0)
        put(limits, DAY)
        store.failing = {"limits"}
        assert put(limits, DAY)
        with pytest.raises(StoreError):
            limits.admit([Charge(DAY, 5), Charge(other)], NOON)
        assert [True] * 8 == [put(limits, DAY) for _ in range(8)]
        with pytest.raises(StoreError):
            put(limits, DAY)
        store.failing = ()
        assert 10 == used(limits, DAY)


class TestWindows:
    def test_next(self, limits: InAdvance, store: Counting) -> None:
        """What was taken for one day is not there on the next."""
        put(limits, DAY)
        midnight = NOON + 43_200 * SECOND
        tomorrow = DAY._replace(start_us=midnight)
        assert sum(put(limits, tomorrow, at=midnight) for _ in range(200)) == 100
        limits.tidy(midnight)
        assert 100 == used(limits, tomorrow, midnight)

    def test_moving(self, limits: InAdvance, store: Counting) -> None:
        """Where the window moves it is good for a 128th of it, and what is left is given back."""
        put(limits, MOVING)
        assert put(limits, MOVING, at=NOON + SECOND - 1)
        assert 1 == store.asked
        assert limits.is_due(NOON + SECOND)
        limits.tidy(NOON + SECOND)
        assert not limits.is_due(NOON + SECOND)
        assert 2 == used(store.inner, MOVING, NOON + SECOND)

    def test_fork(self, limits: InAdvance) -> None:
        """A child process does not hand out what its parent has taken."""
        put(limits, DAY)
        limits.after_fork()
        assert 10 == used(limits, DAY)


class TestWrong:
    @pytest.mark.parametrize("ahead", [-1, "10", True, None])
    def test_amount(self, ahead: Any) -> None:
        """It is an amount."""
        with pytest.raises(InvalidValueError, match="ahead"):
            Quota("tokens", 100, per="day", ahead=ahead)
        with pytest.raises(InvalidValueError, match="ahead"):
            Rate("upload", "1000/minute", ahead=ahead)

    def test_exact_window(self) -> None:
        """Where each time is remembered nothing can be taken in advance."""
        with pytest.raises(InvalidValueError, match="ahead=10 of 'upload'"):
            Rate("upload", "60/minute; 1000/hour", ahead=10)
        with pytest.raises(InvalidValueError, match="whole number"):
            Rate("upload", "1000/hour", ahead=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_in_sessions(kind: str, tmp_path: Path) -> None:
    """In sessions on a store that is shared; what was not used is there for others when the process ends."""
    tier = Tier(
        "trial", Quota("tokens", 100, per="day", ahead=40), Rate("upload", "50/hour", strategy="fixed-window", ahead=20)
    )
    make = SHARED[kind](tmp_path)
    with record_sessions(tiers=[tier], store=make()), otel_sessions.start("web", user="ada", tier="trial") as s:
        s.use("tokens", 30)
        s.use("tokens", 30)
        for _ in range(30):
            s.check_rate("upload")
        assert 60 == s.quota("tokens").used
    with record_sessions(tiers=[tier], store=make()), otel_sessions.start("web", user="ada", tier="trial") as s:
        assert 60 == s.quota("tokens").used
        s.use("tokens", 40)
        with pytest.raises(QuotaExceededError):
            s.use("tokens")
        for _ in range(20):
            s.check_rate("upload")
        with pytest.raises(RateLimitedError):
            s.check_rate("upload")
