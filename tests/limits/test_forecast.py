"""When a quota will be used up: known answers."""

from __future__ import annotations

import pytest

from otel_sessions._counting.forecast import Forecast, forecast
from otel_sessions.limits import Quota
from otel_sessions.stores import MemoryStore
from otel_sessions.typing import Charge

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START = 1_767_225_600 * SECOND


class Use:
    """One actor that uses one quota."""

    def __init__(self, quota: Quota) -> None:
        self.limits = MemoryStore().limits
        self.quota = quota
        self.now = START

    def every(self, wait_us: int, amount: float, times: int) -> None:
        """Use `amount`, then wait, and so on."""
        for _ in range(times):
            self.limits.admit([Charge(self.quota.bucket("x", self.now), amount)], self.now)
            self.now += wait_us

    def forecast(self) -> Forecast:
        """What is said now."""
        bucket = self.quota.bucket("x", self.now)
        (level,) = self.limits.levels([bucket], self.now)
        return forecast(bucket, level, self.now)


class TestConstant:
    @pytest.mark.parametrize("hours", [2, 4, 8, 12])
    def test_day(self, hours: int) -> None:
        """Ten a minute of 10,000 a day: it is known, and right from the first moment on at which anything is said."""
        use = Use(Quota("tokens", 10_000, per="day"))
        use.every(MINUTE, 10, hours * 60)
        said = use.forecast()
        assert 10 / 60 == pytest.approx(said.rate, rel=0.01)
        left = 10_000 - hours * 600
        assert left * 6 == pytest.approx(said.seconds, rel=0.01)

    def test_in_total(self) -> None:
        """So it is where no window ends."""
        use = Use(Quota("tokens", 1_000))
        use.every(SECOND, 1, 600)
        assert 400 == pytest.approx(use.forecast().seconds, rel=0.01)

    def test_enough(self) -> None:
        """At a rate that a whole window's quota is enough for it is never used up."""
        use = Use(Quota("tokens", 10_000, per="day"))
        use.every(10 * MINUTE, 10, 100)
        said = use.forecast()
        assert (True, None) == (said.is_known, said.seconds)

    def test_moving(self) -> None:
        """In a moving window, too, only a rate of more than a window's quota uses it up."""
        use = Use(Quota("tokens", 1_000, per="24 hours"))
        use.every(10 * MINUTE, 5, 6 * 12)
        assert (True, None) == (use.forecast().is_known, use.forecast().seconds)
        use.every(10 * MINUTE, 20, 20)
        seconds = use.forecast().seconds
        assert seconds is not None
        # 240 are left; it is between 5 and 20 in ten minutes.
        assert 240 * 30 <= seconds <= 240 * 120


class TestBursts:
    def test_one_burst(self) -> None:
        """One burst at the beginning is no rate yet."""
        use = Use(Quota("tokens", 10_000, per="day"))
        use.every(1000, 30, 100)
        assert not use.forecast().is_known

    def test_regular_bursts(self) -> None:
        """600 within a second, every hour, is ten a minute, whenever one looks."""
        use = Use(Quota("tokens", 50_000, per="day"))
        for _ in range(12):
            use.every(10_000, 6, 100)
            use.now += HOUR - SECOND
            rate = use.forecast().rate
            assert rate is None or 10 / 60 == pytest.approx(rate, rel=0.35)
        assert use.forecast().is_known


class TestIdle:
    def test_unknown(self) -> None:
        """Who has never used it, or once, is not judged."""
        use = Use(Quota("tokens", 10_000, per="day"))
        assert not use.forecast().is_known
        use.every(HOUR, 5_000, 1)
        assert (False, None) == (use.forecast().is_known, use.forecast().seconds)
        use.now += 5 * HOUR
        assert (False, None) == (use.forecast().is_known, use.forecast().seconds)
        use.every(HOUR, 10, 1)
        assert use.forecast().is_known

    def test_sinks(self) -> None:
        """Who stops has more and more time, and in the end no end is in sight."""
        use = Use(Quota("tokens", 8_000, per="day"))
        use.every(MINUTE, 10, 6 * 60)
        first = use.forecast().seconds
        use.now += 2 * HOUR
        second = use.forecast().seconds
        use.now += 12 * HOUR
        assert first is not None
        assert second is not None
        assert first < second
        assert use.forecast().seconds is None

    def test_unlimited(self) -> None:
        """What is not limited is not used up."""
        use = Use(Quota("tokens", None, per="day"))
        use.every(MINUTE, 10, 600)
        assert use.forecast().seconds is None


class TestReset:
    def test_rate_goes_on(self) -> None:
        """A new window empties the count, not the rate."""
        use = Use(Quota("tokens", 20_000, per="day"))
        use.every(MINUTE, 10, 25 * 60)
        assert 10 / 60 == pytest.approx(use.forecast().rate, rel=0.01)
        use.every(SECOND, 10, 30 * 60)
        used = 600 + 18_000
        said = use.forecast()
        assert said.rate is not None
        assert (20_000 - used) / said.rate == pytest.approx(said.seconds)

    def test_across(self) -> None:
        """What the rest of a window is enough for, and the next is not, ends in the next one."""
        use = Use(Quota("tokens", 10_000, per="day"))
        use.now += 20 * HOUR
        use.every(MINUTE, 10, 2 * 60)
        seconds = use.forecast().seconds
        assert seconds is not None
        # Two hours are left of this day; then 10,000 last for 1,000 minutes.
        assert 2 * 3600 + 60_000 == pytest.approx(seconds, rel=0.01)

    def test_used_up(self) -> None:
        """When it is used up it is so now."""
        use = Use(Quota("tokens", 100, per="day"))
        use.every(MINUTE, 10, 200)
        assert 0 == use.forecast().seconds
