"""`ManualClock`: time that goes on only when it is told to."""

from __future__ import annotations

import pytest

from otel_sessions import session
from otel_sessions.testing import ManualClock, record_sessions
from otel_sessions.typing import Clock

START = 1_767_225_600_000_000_000


class TestManualClock:
    """A clock for tests."""

    def test_begins_on_a_known_day(self) -> None:
        """2026 begins, whenever the test runs; the monotonic time begins at zero."""
        clock = ManualClock()
        assert (START, 0) == (clock.time_ns(), clock.monotonic_ns())

    def test_begins_when_told(self) -> None:
        """Another beginning can be given."""
        assert 5 == ManualClock(5).time_ns()

    def test_stands_still(self) -> None:
        """Looking does not move it."""
        clock = ManualClock()
        assert [clock.time_ns()] * 3 == [clock.time_ns() for _ in range(3)]

    @pytest.mark.parametrize(
        ("seconds", "nanoseconds"),
        [(0, 0), (1, 1_000_000_000), (0.5, 500_000_000), (1e-9, 1), (86_400, 86_400 * 10**9)],
    )
    def test_advances_both_times(self, seconds: float, nanoseconds: int) -> None:
        """Wall clock and monotonic clock go on alike, to the nanosecond."""
        clock = ManualClock()
        clock.advance(seconds)
        assert (START + nanoseconds, nanoseconds) == (clock.time_ns(), clock.monotonic_ns())

    def test_does_not_drift(self) -> None:
        """Ten thousand small steps are exactly one large one."""
        clock = ManualClock()
        for _ in range(10_000):
            clock.advance(0.0001)
        assert START + 1_000_000_000 == clock.time_ns()

    def test_does_not_go_back(self) -> None:
        """A negative step is a mistake in the test, and the message says what to use."""
        clock = ManualClock()
        with pytest.raises(ValueError, match=r"advance\(-1\).*jump\(\)"):
            clock.advance(-1)
        assert START == clock.time_ns()

    @pytest.mark.parametrize("seconds", [3_600, -3_600, 0.25])
    def test_jump_moves_the_wall_clock_only(self, seconds: float) -> None:
        """An administrator who sets the clock does not change how much time has passed."""
        clock = ManualClock()
        clock.advance(10)
        clock.jump(seconds)
        assert START + 10 * 10**9 + round(seconds * 10**9) == clock.time_ns()
        assert 10 * 10**9 == clock.monotonic_ns()

    def test_is_a_clock(self) -> None:
        """It can be given to `configure` and to whatever takes a `Clock`."""
        clock: Clock = ManualClock()
        with record_sessions(clock=clock) as recorded, session("job") as s:
            assert isinstance(clock, ManualClock)
            clock.advance(7)
            assert 7 == s.age_seconds
        assert 7 * 10**9 == recorded.session_spans[0].end_time - recorded.session_spans[0].start_time  # type: ignore[operator]

    def test_a_jump_does_not_change_a_duration(self) -> None:
        """A scoped session lasts as long as it lasted, whatever the wall clock did meanwhile."""
        with record_sessions() as recorded:
            with session("job"):
                recorded.clock.advance(5)
                recorded.clock.jump(-3_600)
            (span,) = recorded.session_spans
        assert 5 * 10**9 == (span.end_time or 0) - (span.start_time or 0)
