"""Limits taken in advance: fewer questions, never more than there is."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
(MINUTE,) = Rate("call", "10/minute", strategy="fixed-window", ahead=6).buckets("call|ada")
MIDNIGHT = NOON + 43_200 * SECOND
TOTAL = Quota("tokens", 1_000, ahead=100).bucket("tokens|total|session|s1", NOON)


class Counting:
    """A store that counts how often it is asked, and takes its time."""

    def __init__(self) -> None:
        self.inner: LimitStore = MemoryStore().limits
        self.asked = 0
        self.late_us = 0
        """How long a question is on its way to it."""
        self.meanwhile: Callable[[], object] | None = None
        """What happens, once, while an answer is on its way."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def admit(self, charges: Any, now_us: int | None = None) -> Any:
        self.asked += 1
        admission = self.inner.admit(charges, now_us and now_us + self.late_us)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return admission


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

    def test_fractions(self, limits: InAdvance, store: Counting) -> None:
        """Less than one may be taken in advance, and what is rounded refuses nothing."""
        cost = Quota("cost", 1.0, per="month", ahead=0.25).bucket("cost|month|ada", NOON)
        assert 20 == sum(put(limits, cost, 0.05) for _ in range(40))
        assert store.asked <= 4 + 2 * 20 + 1
        assert 1 == pytest.approx(used(store.inner, cost), abs=1e-9)

    def test_fractions_few_questions(self, limits: InAdvance, store: Counting) -> None:
        """Of five uses one asks the store."""
        cost = Quota("cost", 1.0, per="month", ahead=0.25).bucket("cost|month|ada", NOON)
        assert all(put(limits, cost, 0.05) for _ in range(20))
        assert 4 == store.asked


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

    def test_over_meanwhile(self, limits: InAdvance, store: Counting) -> None:
        """What was handed out is handed out, if the store is tidied up while it is asked for the rest."""
        other = DAY._replace(name="other", ahead=0)
        put(limits, DAY)
        store.meanwhile = lambda: limits.give_back(NOON)
        assert [2, 1] == [level.used for level in limits.admit([Charge(DAY), Charge(other)], NOON).levels]
        assert 2 == used(limits, DAY) == used(store.inner, DAY)

    @pytest.mark.parametrize(
        ("meanwhile", "more"),
        [
            (lambda limits: put(limits, DAY), 1),
            (lambda limits: limits.give_back(NOON), 0),
            (lambda limits: put(limits, DAY._replace(capacity=90)), 1),
            (lambda limits: put(limits, DAY._replace(start_us=MIDNIGHT), at=MIDNIGHT), None),
        ],
        ids=["more", "given back", "another limit", "another day"],
    )
    @pytest.mark.parametrize("amount", [4, 9])
    def test_refused_meanwhile(
        self,
        limits: InAdvance,
        store: Counting,
        amount: int,
        meanwhile: Callable[[InAdvance], object],
        more: int | None,
    ) -> None:
        """Refused, it comes back, whatever has become of the rest meanwhile; never to the next day."""
        full = Bucket("full", 0, "fixed", 60 * SECOND)
        put(limits, DAY)
        store.meanwhile = lambda: meanwhile(limits)
        refused = limits.admit([Charge(DAY, amount), Charge(full)], NOON)
        assert [(1, True), (0, False)] == [(level.used, level.fits) for level in refused.levels]
        limits.give_back(NOON if more is not None else MIDNIGHT)
        today = DAY if more is not None else DAY._replace(start_us=MIDNIGHT)
        assert 1 + (more or 0) == used(store.inner, today)

    def test_not_enough_here(self, limits: InAdvance, store: Counting) -> None:
        """What lies here is no reason to refuse what is asked for at once, nor is what is taken beyond it."""
        put(limits, DAY)
        assert put(limits, DAY, 95)
        assert 96 == used(limits, DAY) == used(store.inner, DAY)
        refused = limits.admit([Charge(DAY, 5)], NOON)
        assert (False, 96) == (refused.admitted, refused.levels[0].used)
        assert put(limits, DAY, 4)

    def test_counted(self, limits: InAdvance) -> None:
        """What was used already is counted in the store, and what lies here is not used by that."""
        put(limits, DAY)
        (level,) = limits.admit([Charge(DAY._replace(enforced=False), 5)], NOON).levels
        assert 6 == level.used
        (level,) = limits.admit([Charge(DAY, -2)], NOON).levels
        assert 4 == level.used

    def test_who_takes_nothing(self, limits: InAdvance, store: Counting) -> None:
        """Who takes nothing in advance is not refused because of what others have taken here."""
        plain = DAY._replace(ahead=0)
        put(limits, DAY)
        assert all(put(limits, plain) for _ in range(99))
        assert 100 == used(store.inner, DAY)


class TestLowered:
    def test_lowered(self, limits: InAdvance, store: Counting) -> None:
        """A limit that is lowered holds with the next question, as does the one of a lower tier."""
        big, small = DAY._replace(capacity=1_000, ahead=50), DAY._replace(capacity=10, ahead=5)
        put(limits, big, 20)
        refused = limits.admit([Charge(small)], NOON)
        assert (False, 20) == (refused.admitted, refused.levels[0].used)
        assert 20 == used(store.inner, big)

    def test_what_is_left(self, limits: InAdvance) -> None:
        """Exactly as much is allowed as the lower limit leaves; of the higher one nothing is lost."""
        small = DAY._replace(capacity=20)
        put(limits, DAY)
        assert 19 == sum(put(limits, small) for _ in range(30))
        assert 80 == sum(put(limits, DAY) for _ in range(100))

    def test_by_turns(self, limits: InAdvance, store: Counting) -> None:
        """Two tiers of one user may ask by turns."""
        small = DAY._replace(capacity=50)
        assert 50 == sum(put(limits, (DAY, small)[number % 2]) for number in range(50))
        assert 50 == used(limits, DAY) == used(limits, small)
        assert not put(limits, small)

    def test_meanwhile(self, limits: InAdvance, store: Counting) -> None:
        """So they may at once."""
        small = DAY._replace(capacity=50)
        store.meanwhile = lambda: put(limits, small)
        put(limits, DAY)
        assert 2 == used(limits, DAY)
        limits.give_back(NOON)
        assert 2 == used(store.inner, DAY)


class TestKept:
    def test_forgotten(self, limits: InAdvance, store: Counting) -> None:
        """Of a session that has ended nothing lies here any more, and nothing is given back to what is forgotten."""
        for number in range(30):
            put(limits, TOTAL._replace(name=f"s{number}"))
        gone = [Charge(TOTAL._replace(name=f"s{number}", keep_us=0, enforced=False), 0) for number in range(30)]
        limits.admit(gone, NOON + 1)
        asked = store.asked
        limits.give_back(NOON + 1)
        assert asked == store.asked
        assert {} == limits._supplies

    def test_forgotten_elsewhere(self, limits: InAdvance, store: Counting) -> None:
        """Nor if another process has let go of it."""
        put(limits, TOTAL)
        put(store.inner, TOTAL._replace(keep_us=0, enforced=False), 0)
        asked = store.asked
        limits.give_back(NOON)
        assert asked == store.asked

    def test_idle(self, limits: InAdvance, store: Counting) -> None:
        """What nobody has asked for in ten minutes is there for other processes, whatever the window."""
        later = NOON + 600 * SECOND
        put(limits, TOTAL)
        put(limits, DAY)
        assert not limits.is_due(later - 1)
        limits.tidy(later)
        assert [1, 1] == [used(store.inner, bucket, later) for bucket in (TOTAL, DAY)]
        assert not limits.is_due(later)

    def test_idle_and_asked_for(self, limits: InAdvance, store: Counting) -> None:
        """It is not lost to this process either before the background has come by."""
        later = NOON + 600 * SECOND
        put(limits, DAY)
        put(store.inner, DAY, 85)
        assert put(limits, DAY, 14, at=later)
        assert 100 == used(store.inner, DAY, later)

    def test_together(self, limits: InAdvance, store: Counting) -> None:
        """It is given back a hundred at a time."""
        for number in range(250):
            put(limits, TOTAL._replace(name=f"s{number}"))
        store.asked = 0
        limits.give_back(NOON)
        assert 3 == store.asked
        assert {1} == {used(store.inner, TOTAL._replace(name=f"s{number}")) for number in range(250)}

    def test_bounded(self, limits: InAdvance, store: Counting) -> None:
        """In one process something lies of ten thousand buckets at most: that of the longest ago goes back."""
        for number in range(10_001):
            put(limits, TOTAL._replace(name=f"s{number}"))
        assert limits.is_due(NOON)
        limits.tidy(NOON)
        assert [1, 100] == [used(store.inner, TOTAL._replace(name=name)) for name in ("s0", "s1")]

    def test_cannot_be_given_back(self) -> None:
        """While the store is away some is lost; what it was not asked to take waits."""
        store = FailingStore()
        limits = InAdvance(store.limits)
        for number in range(150):
            put(limits, TOTAL._replace(name=f"s{number}"))
        store.failing = {"limits"}
        with pytest.raises(StoreError):
            limits.give_back(NOON)
        store.failing = ()
        assert limits.is_due(NOON)
        limits.tidy(NOON)
        assert [100, 1] == [used(limits, TOTAL._replace(name=name)) for name in ("s0", "s149")]


class TestWindows:
    def test_next(self, limits: InAdvance, store: Counting) -> None:
        """What was taken for one day is not there on the next."""
        put(limits, DAY)
        tomorrow = DAY._replace(start_us=MIDNIGHT)
        assert 0 == used(limits, tomorrow, MIDNIGHT)
        assert sum(put(limits, tomorrow, at=MIDNIGHT) for _ in range(200)) == 100
        limits.tidy(MIDNIGHT)
        assert 100 == used(limits, tomorrow, MIDNIGHT)

    def test_over_meanwhile(self, limits: InAdvance, store: Counting) -> None:
        """What was taken in one window is not there in the next if that begins while the store is asked."""
        put(limits, MINUTE)
        store.late_us = SECOND
        last = NOON + 60 * SECOND - 1
        allowed = 6 * put(limits, MINUTE, 6, at=last)
        store.late_us = 0
        allowed += sum(put(limits, MINUTE, at=last + SECOND) for _ in range(20))
        assert 10 == allowed == used(store.inner, MINUTE, last + SECOND)

    def test_late_answer(self, limits: InAdvance, store: Counting) -> None:
        """An answer of yesterday that comes late takes nothing away from what was taken today."""
        tomorrow = DAY._replace(start_us=MIDNIGHT)
        store.meanwhile = lambda: put(limits, tomorrow, at=MIDNIGHT)
        assert put(limits, DAY, at=MIDNIGHT - 1)
        assert 2 == store.asked
        assert all(put(limits, tomorrow, at=MIDNIGHT) for _ in range(9))
        assert 2 == store.asked
        assert 10 == used(limits, tomorrow, MIDNIGHT) == used(store.inner, tomorrow, MIDNIGHT)

    def test_late_question(self, limits: InAdvance, store: Counting) -> None:
        """Who still asks for yesterday uses what was taken today, as in a store."""
        tomorrow = DAY._replace(start_us=MIDNIGHT)
        put(limits, tomorrow, at=MIDNIGHT)
        assert put(limits, DAY, at=MIDNIGHT)
        assert 1 == store.asked
        assert 2 == used(limits, tomorrow, MIDNIGHT)

    def test_late_question_of_another_month(self, limits: InAdvance, store: Counting) -> None:
        """So it is of months, which differ in length."""
        quota = Quota("tokens", 100, per="month", ahead=10)
        _, end = quota.period(NOON)
        january, february = (quota.bucket("tokens|month|ada", at) for at in (NOON, end))
        put(limits, february, at=end)
        assert put(limits, january, at=end)
        assert 1 == store.asked
        limits.give_back(end)
        assert 2 == used(store.inner, february, end)

    def test_answers_in_another_order(self, limits: InAdvance, store: Counting) -> None:
        """However answers overtake each other, it is told what was used."""
        store.meanwhile = lambda: put(limits, DAY, 5, at=NOON + 1)
        (level,) = limits.admit([Charge(DAY)], NOON).levels
        assert 6 == level.used
        assert [7, 8] == [limits.admit([Charge(DAY)], NOON).levels[0].used for _ in range(2)]

    def test_given_back_too_late(self, limits: InAdvance, store: Counting) -> None:
        """Of a window that is over, or nearly, nothing is given back: it would be taken from the next one."""
        for at in (NOON + 56 * SECOND, NOON + 60 * SECOND):
            limits.after_fork()
            put(limits, MINUTE, at=NOON)
            before = used(store.inner, MINUTE, at)
            limits.give_back(at)
            assert before == used(store.inner, MINUTE, at)

    def test_given_back_to_another(self, limits: InAdvance, store: Counting) -> None:
        """Nor if the store has begun another window sooner than was to be expected."""
        put(limits, MINUTE)
        put(store.inner, MINUTE, -10)
        assert put(store.inner, MINUTE, 8, at=NOON + 10 * SECOND)
        limits.give_back(NOON + 10 * SECOND)
        assert 8 == used(store.inner, MINUTE, NOON + 10 * SECOND)

    def test_moving(self, limits: InAdvance, store: Counting) -> None:
        """Where the window moves it is good for a 128th of it, and what is left is given back."""
        put(limits, MOVING)
        assert put(limits, MOVING, at=NOON + SECOND - 1)
        assert 1 == store.asked
        assert limits.is_due(NOON + SECOND)
        limits.tidy(NOON + SECOND)
        assert not limits.is_due(NOON + SECOND)
        assert 2 == used(store.inner, MOVING, NOON + SECOND)

    def test_moving_on(self, limits: InAdvance, store: Counting) -> None:
        """What was taken earlier does not stay good for longer because more was taken."""
        put(limits, MOVING)
        put(limits, MOVING, 10, at=NOON + SECOND - 1)
        assert limits.is_due(NOON + SECOND)
        assert 11 == used(limits, MOVING, NOON + SECOND)
        assert 12 == limits.admit([Charge(MOVING)], NOON + SECOND).levels[0].used
        limits.tidy(NOON + SECOND)
        assert 12 == used(limits, MOVING, NOON + SECOND)
        assert 21 == used(store.inner, MOVING, NOON + SECOND)

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

    def test_shadow(self) -> None:
        """What refuses nothing needs nothing in advance."""
        with pytest.raises(InvalidValueError, match=r"ahead=10 of 'tokens'.*shadow"):
            Quota("tokens", 100, ahead=10, shadow=True)
        with pytest.raises(InvalidValueError, match=r"ahead=10 of 'upload'.*shadow"):
            Rate("upload", "1000/minute", ahead=10, shadow=True)

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
