"""One contract for the limits of all stores: `otel_sessions.typing.LimitStore`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from otel_sessions.typing import Bucket, Charge, Level, LimitStore, Store

from . import STORES

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
START = 1_767_225_600 * SECOND
NOON = START + DAY // 2


@pytest.fixture(name="store", params=STORES)
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = STORES[request.param](tmp_path)
    yield made
    made.shutdown()


@pytest.fixture(name="limits")
def _limits(store: Store) -> LimitStore:
    return store.limits


def fixed(capacity: float | None = 10, **fields: Any) -> Bucket:
    """A bucket that begins anew a minute after its first use."""
    return Bucket(**{"name": "fixed", "capacity": capacity, "strategy": "fixed", "length_us": MINUTE, **fields})


def moving(capacity: float = 10, **fields: Any) -> Bucket:
    """A bucket that holds the last minute."""
    return Bucket(**{"name": "moving", "capacity": capacity, "strategy": "moving", "length_us": MINUTE, **fields})


def sliding(capacity: float = 10, **fields: Any) -> Bucket:
    """A bucket that holds two minutes, the older one by its share."""
    return Bucket(**{"name": "sliding", "capacity": capacity, "strategy": "sliding", "length_us": MINUTE, **fields})


def slots(capacity: float = 2, **fields: Any) -> Bucket:
    """Slots that are held for a minute."""
    return Bucket(**{"name": "slots", "capacity": capacity, "strategy": "slots", "length_us": MINUTE, **fields})


EVERY = {"fixed": fixed(), "moving": moving(), "sliding": sliding()}


def put(limits: LimitStore, bucket: Bucket, amount: float = 1, at: int = NOON, holder: str = "") -> Level | None:
    """Put something into a bucket: how it stands then, or None if it was refused."""
    admission = limits.admit([Charge(bucket, amount, holder)], at)
    return admission.levels[0] if admission.admitted else None


def used(limits: LimitStore, bucket: Bucket, at: int = NOON) -> float:
    """How much is in a bucket."""
    (level,) = limits.levels([bucket], at)
    return level.used


class TestCapacity:
    """What holds for quotas and rates of every kind."""

    @pytest.mark.parametrize("bucket", EVERY.values(), ids=EVERY)
    def test_exactly(self, limits: LimitStore, bucket: Bucket) -> None:
        """As much as the capacity fits, and not one more."""
        levels = [put(limits, bucket, 3) for _ in range(4)]
        assert [3, 6, 9, None] == [level and level.used for level in levels]
        assert put(limits, bucket, 1)
        assert put(limits, bucket, 1) is None

    @pytest.mark.parametrize("bucket", EVERY.values(), ids=EVERY)
    def test_refused(self, limits: LimitStore, bucket: Bucket) -> None:
        """What is refused costs nothing."""
        put(limits, bucket, 9)
        refused = limits.admit([Charge(bucket, 2)], NOON)
        assert (False, False, 9) == (refused.admitted, refused.levels[0].fits, refused.levels[0].used)
        assert 9 == used(limits, bucket)

    @pytest.mark.parametrize("bucket", EVERY.values(), ids=EVERY)
    def test_given_back(self, limits: LimitStore, bucket: Bucket) -> None:
        """What is given back can be used again; never does a bucket hold less than nothing."""
        put(limits, bucket, 10)
        assert put(limits, bucket, -4)
        assert 6 == used(limits, bucket)
        assert put(limits, bucket, -40)
        assert 0 == used(limits, bucket)
        assert put(limits, bucket, 10)

    @pytest.mark.parametrize("bucket", EVERY.values(), ids=EVERY)
    def test_together(self, limits: LimitStore, bucket: Bucket) -> None:
        """If one has no room, nothing is put into the others either, whichever stands first."""
        full = bucket._replace(name="full", capacity=0)
        for charges in ([Charge(bucket), Charge(full)], [Charge(full), Charge(bucket)]):
            admission = limits.admit(charges, NOON)
            assert not admission.admitted
            assert [charge.bucket is bucket for charge in charges] == [level.fits for level in admission.levels]
        assert [0, 0] == [level.used for level in limits.levels([bucket, full], NOON)]
        assert limits.admit([Charge(bucket), Charge(full._replace(capacity=1))], NOON).admitted
        assert [1, 1] == [level.used for level in limits.levels([bucket, full], NOON)]

    @pytest.mark.parametrize("bucket", EVERY.values(), ids=EVERY)
    def test_not_enforced(self, limits: LimitStore, bucket: Bucket) -> None:
        """A bucket that is not enforced says that there is no room, and refuses nothing."""
        shadow = bucket._replace(enforced=False)
        admission = limits.admit([Charge(shadow, 11)], NOON)
        assert (True, False, 11) == (admission.admitted, admission.levels[0].fits, admission.levels[0].used)

    @pytest.mark.parametrize("bucket", EVERY.values(), ids=EVERY)
    def test_lowered(self, limits: LimitStore, bucket: Bucket) -> None:
        """A capacity below what is already used refuses, until enough is over."""
        put(limits, bucket, 8)
        lowered = bucket._replace(capacity=5)
        assert put(limits, lowered) is None
        assert 8 == used(limits, lowered)
        assert put(limits, lowered, at=NOON + 2 * MINUTE)

    @pytest.mark.parametrize("bucket", EVERY.values(), ids=EVERY)
    def test_apart(self, limits: LimitStore, bucket: Bucket) -> None:
        """Buckets of different names know nothing of each other, whatever the names."""
        other = bucket._replace(name="q/tokens/day/user/ä {1}\n'\"\0")
        put(limits, bucket, 10)
        assert put(limits, other, 10)
        assert put(limits, other) is None

    def test_another_strategy(self, limits: LimitStore) -> None:
        """When a bucket's strategy is changed it begins anew; what was counted another way is not misread."""
        for bucket in [*EVERY.values(), slots(10), fixed()]:
            assert put(limits, bucket._replace(name="changed"), 1, holder="a") is not None
            assert 1 == used(limits, bucket._replace(name="changed"))

    def test_endless(self, limits: LimitStore) -> None:
        """Without a capacity it is counted, and never full."""
        bucket = fixed(None)
        assert put(limits, bucket, 2**52)
        level = put(limits, bucket, 2**52)
        assert level is not None
        assert (2**53, True) == (level.used, level.fits)

    def test_integers(self, limits: LimitStore) -> None:
        """Integers are counted exactly, large ones too."""
        bucket = fixed(2**53 - 1)
        assert put(limits, bucket, 2**53 - 2)
        assert put(limits, bucket, 2) is None
        assert put(limits, bucket, 1)
        assert 2**53 - 1 == used(limits, bucket)

    def test_fractions(self, limits: LimitStore) -> None:
        """Ten times 0.1 fit into 1, an eleventh does not; nor does a millionth more."""
        bucket = fixed(1)
        assert all(put(limits, bucket, 0.1) for _ in range(10))
        assert put(limits, bucket, 0.000001) is None
        assert put(limits, bucket, 0.1) is None
        assert 1 == pytest.approx(used(limits, bucket))

    def test_look(self, limits: LimitStore) -> None:
        """Looking changes nothing, and a bucket that nobody used is empty."""
        buckets = [*EVERY.values(), slots()]
        assert [0, 0, 0, 0] == [level.used for level in limits.levels(buckets, NOON)]
        assert all(level.fits for level in limits.levels(buckets, NOON))
        put(limits, fixed(), 4)
        assert 0 == used(limits, fixed(), NOON + MINUTE)
        assert 4 == used(limits, fixed())

    def test_own_clock(self, limits: LimitStore) -> None:
        """Without a time the store's clock counts, and the decision says what it was."""
        first = limits.admit([Charge(moving(2))])
        second = limits.admit([Charge(moving(2))])
        third = limits.admit([Charge(moving(2))])
        assert START < first.now_us <= second.now_us <= third.now_us
        assert [True, True, False] == [first.admitted, second.admitted, third.admitted]
        (level,) = limits.levels([moving(2)])
        assert 2 == level.used


class TestFixed:
    """A window from the first use, or from a given time."""

    def test_from_first_use(self, limits: LimitStore) -> None:
        """It lasts for its length, and begins anew with the next use."""
        put(limits, fixed(), 10)
        assert put(limits, fixed(), at=NOON + MINUTE - 1) is None
        later = put(limits, fixed(), at=NOON + MINUTE + 7)
        assert later is not None
        assert (1, NOON + 2 * MINUTE + 7) == (later.used, later.resets_us)

    def test_from_first_allowed_use(self, limits: LimitStore) -> None:
        """What is refused, or was given back, begins no window."""
        assert put(limits, fixed(), 11) is None
        put(limits, fixed(), 1, NOON + 10)
        put(limits, fixed(), -1, NOON + 20)
        level = put(limits, fixed(), 1, NOON + 30)
        assert level is not None
        assert NOON + MINUTE + 30 == level.resets_us

    def test_retry(self, limits: LimitStore) -> None:
        """It is known when there will be room; for more than it ever holds there will be none."""
        put(limits, fixed(), 10, NOON + 5)
        (level,) = limits.admit([Charge(fixed(), 10)], NOON + 50).levels
        assert NOON + MINUTE + 5 == level.retry_us == level.resets_us
        (level,) = limits.admit([Charge(fixed(), 11)], NOON + 50).levels
        assert level.retry_us is None

    def test_given_start(self, limits: LimitStore) -> None:
        """With a given start it ends when the next one begins, whenever it was used."""
        today = fixed(start_us=START, length_us=DAY)
        put(limits, today, 10, NOON)
        assert put(limits, today, 1, START + DAY - 1) is None
        tomorrow = today._replace(start_us=START + DAY)
        level = put(limits, tomorrow, 10, START + DAY)
        assert level is not None
        assert START + 2 * DAY == level.resets_us

    def test_neighbour_that_is_behind(self, limits: LimitStore) -> None:
        """A process that has yesterday's date still counts in today's window, and does not open yesterday's again."""
        today = fixed(start_us=START + DAY, length_us=DAY)
        yesterday = today._replace(start_us=START)
        put(limits, today, 10, START + DAY)
        assert put(limits, yesterday, 1, START + DAY - 5) is None
        assert 10 == used(limits, today, START + DAY + 5)

    def test_neighbour_after_the_end(self, limits: LimitStore) -> None:
        """Nor does it have as much as it likes when the store's clock says that the day is over."""
        today = fixed(start_us=START, length_us=DAY)
        for seconds in range(3):
            admitted = [put(limits, today, 5, START + DAY + seconds * SECOND) for _ in range(10)]
            assert (0 if seconds else 2) == sum(level is not None for level in admitted)
        assert 10 == used(limits, today, START + DAY + 3 * SECOND)
        assert put(limits, today._replace(start_us=START + DAY), 10, START + DAY + 3 * SECOND)

    def test_far_behind(self, limits: LimitStore) -> None:
        """However far it is behind, in a minute it has no more than one minute's."""
        long_ago = fixed(start_us=START, length_us=MINUTE)
        assert put(limits, long_ago, 10)
        assert [None] * 59 == [put(limits, long_ago, 1, NOON + second * SECOND) for second in range(1, 60)]

    def test_used_up_to_the_end(self, limits: LimitStore) -> None:
        """What was used in time counts for those who are late."""
        minute = fixed(start_us=START, length_us=MINUTE)
        put(limits, minute, 10, START + MINUTE - 1)
        put(limits, fixed(name="another"), 1, START + MINUTE + SECOND)
        assert put(limits, minute, 1, START + MINUTE + SECOND) is None

    def test_clocks_apart(self, limits: LimitStore) -> None:
        """Of two processes, however many periods apart, none opens again what the other has begun."""
        minute = fixed(start_us=START, length_us=MINUTE)
        ahead = minute._replace(start_us=START + 23 * 3600 * SECOND)
        put(limits, ahead, 10, START)
        assert [None, None] == [put(limits, each, 1, START + SECOND) for each in (minute, ahead)]

    def test_start_was_wrong(self, limits: LimitStore) -> None:
        """A period that begins more than a day later was begun by a clock that was wrong."""
        minute = fixed(start_us=START, length_us=MINUTE)
        put(limits, minute._replace(start_us=START + DAY + MINUTE), 10, START)
        assert put(limits, minute, 10, START)
        assert put(limits, minute, 1, START) is None

    def test_no_end(self, limits: LimitStore) -> None:
        """Without a length it never begins anew, and there is nothing to wait for."""
        bucket = fixed(length_us=None, keep_us=400 * DAY)
        put(limits, bucket, 10)
        (level,) = limits.admit([Charge(bucket)], NOON + 399 * DAY).levels
        assert (10, False, None, None) == level[:4]

    @pytest.mark.parametrize("back", [1, MINUTE - 1, MINUTE], ids=["a bit", "nearly a window", "a window"])
    def test_clock_back(self, limits: LimitStore, back: int) -> None:
        """A clock that goes back wins nothing."""
        put(limits, fixed(), 10)
        assert put(limits, fixed(), at=NOON - back) is None

    def test_clock_was_wrong(self, limits: LimitStore) -> None:
        """Counts of a clock that was far ahead do not last until that time comes."""
        put(limits, fixed(), 10, NOON + 365 * DAY)
        assert put(limits, fixed(), 10, NOON)
        assert put(limits, fixed(), 1, NOON + 1) is None


class TestMoving:
    """The last window."""

    def test_moves(self, limits: LimitStore) -> None:
        """Each use leaves when it is as old as the window is long."""
        for at in range(10):
            put(limits, moving(), 1, NOON + at * SECOND)
        assert put(limits, moving(), 1, NOON + MINUTE - 1) is None
        assert put(limits, moving(), 1, NOON + MINUTE)
        assert put(limits, moving(), 1, NOON + MINUTE) is None
        assert 10 == used(limits, moving(), NOON + MINUTE)

    def test_retry(self, limits: LimitStore) -> None:
        """It is known when enough will have left."""
        for at in range(10):
            put(limits, moving(), 1, NOON + at * SECOND)
        (level,) = limits.admit([Charge(moving(), 4)], NOON + 10 * SECOND).levels
        assert (NOON + MINUTE, NOON + MINUTE + 3 * SECOND) == (level.resets_us, level.retry_us)
        (level,) = limits.admit([Charge(moving(), 11)], NOON).levels
        assert level.retry_us is None

    def test_steps(self, limits: LimitStore) -> None:
        """With steps it never lets more pass than without."""
        bucket = moving(1000, step_us=MINUTE // 6)
        put(limits, bucket, 600, NOON + 9 * SECOND)
        put(limits, bucket, 400, NOON + 11 * SECOND)
        assert put(limits, bucket, 1, NOON + MINUTE + 9 * SECOND + 999_999) is None
        assert put(limits, bucket, 600, NOON + MINUTE + 10 * SECOND)
        assert put(limits, bucket, 1, NOON + MINUTE + 19 * SECOND) is None
        assert put(limits, bucket, 400, NOON + MINUTE + 20 * SECOND)

    def test_clock_back(self, limits: LimitStore) -> None:
        """A clock that goes back wins nothing."""
        put(limits, moving(), 9)
        put(limits, moving(), 1, NOON - 30 * SECOND)
        assert put(limits, moving(), 1, NOON - MINUTE) is None
        assert put(limits, moving(), 1, NOON + MINUTE - 1) is None
        assert put(limits, moving(), 10, NOON + MINUTE)

    def test_clock_was_wrong(self, limits: LimitStore) -> None:
        """Counts of a clock that was far ahead do not last until that time comes."""
        put(limits, moving(), 10, NOON + 365 * DAY)
        assert put(limits, moving(), 10, NOON)


class TestSliding:
    """Two windows in a row."""

    def test_weighted(self, limits: LimitStore) -> None:
        """The older window counts by the share that reaches into the last minute, in whole numbers."""
        put(limits, sliding(), 10, START)
        assert put(limits, sliding(), 1, START + MINUTE) is None
        assert 7 == used(limits, sliding(), START + MINUTE + MINUTE // 4)
        assert put(limits, sliding(), 3, START + MINUTE + MINUTE // 4)
        assert put(limits, sliding(), 1, START + MINUTE + MINUTE // 4) is None
        assert 3 == used(limits, sliding(), START + 2 * MINUTE - 1)
        assert 0 == used(limits, sliding(), START + 4 * MINUTE)

    @pytest.mark.parametrize(("amount", "at"), [(3, 20), (10, 59), (4, 80), (10, 61)])
    def test_retry(self, limits: LimitStore, amount: int, at: int) -> None:
        """When it says that there will be room there is, and a moment before there is not."""
        put(limits, sliding(), 10, START + 30 * SECOND)
        put(limits, sliding(), 2, START + 75 * SECOND)
        now = START + max(at, 75) * SECOND
        (level,) = limits.admit([Charge(sliding(), amount)], now).levels
        assert not level.fits
        assert level.retry_us is not None
        assert put(limits, sliding(), amount, level.retry_us - 1) is None
        assert put(limits, sliding(), amount, level.retry_us)

    def test_never(self, limits: LimitStore) -> None:
        """For more than it ever holds there will be no room."""
        (level,) = limits.admit([Charge(sliding(), 11)], NOON).levels
        assert level.retry_us is None

    def test_clock_back(self, limits: LimitStore) -> None:
        """A clock that goes back wins nothing; counts of one that was far ahead are let go of."""
        put(limits, sliding(), 10)
        assert put(limits, sliding(), 1, NOON - 1) is None
        assert put(limits, sliding(), 10, NOON - 10 * MINUTE)


class TestSlots:
    """Leases."""

    def test_as_many_as_there_are(self, limits: LimitStore) -> None:
        """Each holder takes one; who has one takes no second; given back it is free."""
        assert put(limits, slots(), holder="a")
        again = put(limits, slots(), holder="a")
        assert again is not None
        assert 1 == again.used
        assert put(limits, slots(), holder="b")
        assert put(limits, slots(), holder="c") is None
        put(limits, slots(), -1, holder="a")
        assert put(limits, slots(), holder="c")

    def test_give_back_what_one_has_not(self, limits: LimitStore) -> None:
        """Who was refused, or has lost it, takes no slot of others with it."""
        put(limits, slots(), holder="a")
        put(limits, slots(), holder="b")
        assert put(limits, slots(), holder="c") is None
        assert put(limits, slots(), -1, holder="c")
        assert 2 == used(limits, slots())

    def test_time_to_live(self, limits: LimitStore) -> None:
        """A slot that is not renewed comes back, and it is known when at the latest."""
        put(limits, slots(), holder="a")
        put(limits, slots(), holder="b", at=NOON + SECOND)
        (level,) = limits.admit([Charge(slots(), 1, "c")], NOON + 2 * SECOND).levels
        assert (NOON + MINUTE, NOON + MINUTE) == (level.retry_us, level.resets_us)
        assert put(limits, slots(), holder="c", at=NOON + MINUTE)

    def test_renew(self, limits: LimitStore) -> None:
        """Renewed slots stay; a lost one is taken again if there is room, and otherwise it is said."""
        held = [Charge(slots(), 1, holder) for holder in ("a", "b")]
        for charge in held:
            limits.admit([charge], NOON)
        assert [True, True] == list(limits.renew(held, NOON + 50 * SECOND))
        assert put(limits, slots(), holder="c", at=NOON + MINUTE) is None
        late = NOON + 50 * SECOND + MINUTE
        assert put(limits, slots(), holder="c", at=late)
        assert [True, False] == list(limits.renew(held, late))
        assert [] == list(limits.renew([], late))

    def test_renew_shadow(self, limits: LimitStore) -> None:
        """One that is not enforced is taken again even if there is no room: nobody has lost anything."""
        shadow = slots(1, enforced=False)
        put(limits, shadow, holder="a")
        put(limits, shadow, holder="b", at=NOON + MINUTE)
        assert [True] == list(limits.renew([Charge(shadow, 1, "a")], NOON + MINUTE))
        assert 2 == used(limits, shadow, NOON + MINUTE)

    def test_many(self, limits: LimitStore) -> None:
        """Any number can be renewed at once."""
        held = [Charge(slots(1000), 1, str(number)) for number in range(250)]
        assert [True] * 250 == list(limits.renew(held, NOON))
        assert 250 == used(limits, slots(1000))

    def test_with_others(self, limits: LimitStore) -> None:
        """A slot and an amount are decided together."""
        assert limits.admit([Charge(slots(), 1, "a"), Charge(fixed(), 10)], NOON).admitted
        assert not limits.admit([Charge(slots(), 1, "b"), Charge(fixed(), 1)], NOON).admitted
        assert [1, 10] == [level.used for level in limits.levels([slots(), fixed()], NOON)]

    def test_clock_back(self, limits: LimitStore) -> None:
        """However far a clock goes back, a slot that nobody renews comes back within its time to live."""
        put(limits, slots(), holder="a")
        put(limits, slots(), holder="b")
        back = NOON - 365 * DAY
        assert put(limits, slots(), holder="c", at=back) is None
        put(limits, slots(), holder="a", at=back)
        assert put(limits, slots(), holder="c", at=back + MINUTE)


class TestPace:
    """How fast a bucket is being filled."""

    def test_kept(self, limits: LimitStore) -> None:
        """It is kept where it is asked for, decays by half in a half-life, and goes on in the next window."""
        bucket = fixed(1000, half_life_us=MINUTE)
        assert put(limits, fixed(name="other")) == used_level(limits, fixed(name="other"))
        first = put(limits, bucket, 8)
        second = put(limits, bucket, 4, NOON + 30 * SECOND)
        third = put(limits, bucket, 1, NOON + 90 * SECOND)
        assert first is not None
        assert second is not None
        assert third is not None
        assert (0, NOON, NOON) == first.pace
        assert (4, NOON + 30 * SECOND, NOON) == second.pace
        assert (3, NOON + 90 * SECOND, NOON) == third.pace
        assert 1 == third.used


def used_level(limits: LimitStore, bucket: Bucket) -> Level:
    """How a bucket stands."""
    (level,) = limits.levels([bucket], NOON)
    return level


class TestStandings:
    """What metrics say of all actors."""

    def test_bands(self, limits: LimitStore) -> None:
        """How many actors are in which band, and the highest share."""
        for number, amount in enumerate((10, 7, 75, 89, 90, 99, 100, 130)):
            put(limits, fixed(100, name=f"user {number}", group="tokens", enforced=False), amount)
        put(limits, fixed(100, name="nobody's", enforced=False), 500)
        put(limits, fixed(100, name="another's", group="calls", enforced=False), 50)
        tokens, calls = limits.standings([fixed(100, group="tokens"), fixed(100, group="calls")], NOON)
        assert (1.3, 2, 2, 2, 2, None) == tokens
        assert (0.5, 1, 0, 0, 0, None) == calls

    def test_over(self, limits: LimitStore) -> None:
        """Whose window is over is not among them."""
        bucket = fixed(10, group="tokens")
        put(limits, bucket, 10)
        assert (1, 0, 0, 0, 1, None) == limits.standings([bucket], NOON + MINUTE - 1)[0]
        assert (0, 0, 0, 0, 0, None) == limits.standings([bucket], NOON + MINUTE)[0]
        assert (0, 0, 0, 0, 0, None) == limits.standings([fixed(group="unused")], NOON)[0]

    def test_another_period(self, limits: LimitStore) -> None:
        """When a period of the calendar is over, nobody has used anything yet of the next."""
        today = fixed(10, group="tokens", start_us=START, length_us=DAY)
        tomorrow = today._replace(start_us=START + DAY)
        for number in range(3):
            put(limits, today._replace(name=f"user {number}"), 10)
        assert 3 == limits.standings([today], START + DAY - 1)[0].exhausted
        assert (0, 0, 0, 0, 0, None) == limits.standings([tomorrow], START + DAY)[0]
        # One who has yesterday's date counts there.
        put(limits, today._replace(name="user 3"), 1, START + DAY)
        put(limits, tomorrow._replace(name="user 1"), 1, START + DAY)
        assert (0.1, 1, 0, 0, 0, None) == limits.standings([tomorrow], START + DAY)[0]

    def test_left(self, limits: LimitStore) -> None:
        """What has left a moving window does not count any more, though nobody has asked for it since."""
        bucket = moving(100, group="tokens")
        for number, amount in enumerate((95, 80, 10)):
            put(limits, bucket._replace(name=f"user {number}"), amount)
            put(limits, bucket._replace(name=f"user {number}"), 1, NOON + MINUTE // 2)
        assert (0.96, 1, 1, 1, 0, None) == limits.standings([bucket], NOON + MINUTE // 2)[0]
        assert (0.01, 3, 0, 0, 0, None) == limits.standings([bucket], NOON + MINUTE)[0]
        put(limits, bucket._replace(name="user 1"), 4, NOON + MINUTE)
        assert (0.04, 1, 0, 0, 0, None) == limits.standings([bucket], NOON + MINUTE + MINUTE // 2)[0]

    def test_left_of_many(self, limits: LimitStore) -> None:
        """However many there are, the more often it is asked the closer it is to what they have used."""
        bucket = moving(100, group="tokens")
        for number in range(250):
            put(limits, bucket._replace(name=f"user {number}"), 95)
            put(limits, bucket._replace(name=f"user {number}"), 1, NOON + MINUTE // 2)
        standings = [limits.standings([bucket], NOON + MINUTE)[0] for _ in range(3)]
        assert (0.01, 250, 0, 0, 0, None) == standings[-1]

    def test_another_group(self, limits: LimitStore) -> None:
        """Who changes from one group to another, or out of all, is not in the first any more."""
        free, pro, counted = fixed(10, group="free"), fixed(100, group="pro"), fixed(None)
        put(limits, free, 10)
        put(limits, pro, 1)
        assert [(0, 0, 0, 0, 0, None), (0.11, 1, 0, 0, 0, None)] == limits.standings([free, pro], NOON)
        put(limits, counted, 1)
        assert [(0, 0, 0, 0, 0, None)] * 2 == limits.standings([free, pro], NOON)

    def test_soonest(self, limits: LimitStore) -> None:
        """It is known when the first one will have used up what it may, of those that have not yet."""
        fast, slow, done = (
            fixed(1000, name=name, group="tokens", length_us=DAY, half_life_us=MINUTE)
            for name in ("fast", "slow", "done")
        )
        put(limits, done, 1000)
        for minute in range(10):
            put(limits, fast, 20, NOON + minute * MINUTE)
            put(limits, slow, 2, NOON + minute * MINUTE)
        (standing,) = limits.standings([fast], NOON + 10 * MINUTE)
        # 800 are left, at about 20 a minute.
        assert standing.seconds is not None
        assert 40 * 60 == pytest.approx(standing.seconds, rel=0.5)


class TestRaces:
    """Many at once."""

    @pytest.mark.parametrize("bucket", [fixed(50), moving(50), sliding(50)], ids=EVERY)
    def test_threads(self, limits: LimitStore, bucket: Bucket) -> None:
        """However many threads ask, as much is admitted as fits, not one more and not one fewer."""
        admitted = []
        wide = fixed(1000, name="wide")
        start = threading.Barrier(20)

        def ask() -> None:
            start.wait()
            admitted.extend([limits.admit([Charge(bucket), Charge(wide)], NOON).admitted for _ in range(5)])

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (100, 50) == (len(admitted), sum(admitted))
        assert [50, 50] == [level.used for level in limits.levels([bucket, wide], NOON)]


class _Model(RuleBasedStateMachine):
    """A store beside a list of everything that was ever admitted."""

    store: ClassVar[Store]
    number: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        type(self).number += 1
        self.now = NOON
        self.history: dict[str, list[tuple[int, float, str]]] = {}
        name = f"{self.number}"
        self.buckets = [
            fixed(7, name=f"{name}/fixed"),
            fixed(9, name=f"{name}/forever", length_us=None, keep_us=DAY),
            moving(7, name=f"{name}/moving"),
            sliding(7, name=f"{name}/sliding"),
            slots(3, name=f"{name}/slots"),
        ]

    @rule(seconds=st.sampled_from([0.000001, 1, 7, 29, 31, 60, 61, 150]))
    def wait(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    @rule(
        which=st.lists(st.sampled_from(range(5)), unique=True, min_size=1),
        amount=st.integers(1, 8),
        holder=st.sampled_from("abcdef"),
    )
    def admit(self, which: list[int], amount: int, holder: str) -> None:
        charges = [Charge(self.buckets[index], 1 if index == 4 else amount, holder) for index in which]
        expected = [self.room(charge) for charge in charges]
        admission = self.store.limits.admit(charges, self.now)
        assert expected == [level.fits for level in admission.levels]
        assert all(expected) == admission.admitted
        if admission.admitted:
            for charge in charges:
                self.history.setdefault(charge.bucket.name, []).append((self.now, charge.amount, charge.holder))
        for charge, level in zip(charges, admission.levels, strict=True):
            assert self.used(charge.bucket) == level.used
            if not level.fits and level.retry_us is not None:
                assert level.retry_us > self.now

    @rule(holder=st.sampled_from("abcdef"))
    def release(self, holder: str) -> None:
        bucket = self.buckets[4]
        self.store.limits.admit([Charge(bucket, -1, holder)], self.now)
        held = self.history.get(bucket.name, [])
        self.history[bucket.name] = [entry for entry in held if entry[2] != holder]

    @rule()
    def look(self) -> None:
        levels = self.store.limits.levels(self.buckets, self.now)
        assert [self.used(bucket) for bucket in self.buckets] == [level.used for level in levels]

    def room(self, charge: Charge) -> bool:
        bucket = charge.bucket
        assert bucket.capacity is not None
        if bucket.strategy == "slots" and charge.holder in self.holders(bucket):
            return True
        return self.used(bucket) + charge.amount <= bucket.capacity

    def holders(self, bucket: Bucket) -> set[str]:
        return {holder for at, _, holder in self.history.get(bucket.name, []) if at > self.now - MINUTE}

    def used(self, bucket: Bucket) -> float:
        history = self.history.get(bucket.name, [])
        if bucket.strategy == "slots":
            return len(self.holders(bucket))
        if bucket.strategy == "moving":
            return sum(amount for at, amount, _ in history if at > self.now - MINUTE)
        if bucket.strategy == "sliding":
            start = self.now - self.now % MINUTE
            before = sum(amount for at, amount, _ in history if start - MINUTE <= at < start)
            present = sum(amount for at, amount, _ in history if at >= start)
            return floor(before * Fraction(start + MINUTE - self.now, MINUTE)) + present
        return self.fixed(bucket, history)

    def fixed(self, bucket: Bucket, history: list[tuple[int, float, str]]) -> float:
        began, count = None, 0.0
        for at, amount, _ in history:
            if began is None or (bucket.length_us is not None and at >= began + bucket.length_us):
                began, count = at, 0.0
            count += amount
        over = began is not None and bucket.length_us is not None and self.now >= began + bucket.length_us
        return 0 if over else count


def test_model(store: Store) -> None:
    """Whatever is put in and given back, in whatever order: what counts is what the history says."""
    machine = type("Machine", (_Model,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        ),
    )
