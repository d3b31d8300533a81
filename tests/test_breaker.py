"""Leaving a server alone that does not answer."""

from __future__ import annotations

from otel_sessions.stores._breaker import Breaker


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TestBreaker:
    def test_closed(self) -> None:
        """As long as nothing fails everybody is admitted."""
        breaker = Breaker(1, Clock())
        assert [True, True] == [breaker.admits(), breaker.admits()]

    def test_pause(self) -> None:
        """After a failure nobody is admitted for the pause, then one, and the others only when it was answered."""
        clock = Clock()
        breaker = Breaker(1, clock)
        breaker.failed()
        assert not breaker.admits()
        clock.now = 0.999
        assert not breaker.admits()
        clock.now = 1
        assert [True, False, False] == [breaker.admits(), breaker.admits(), breaker.admits()]
        breaker.succeeded()
        assert [True, True] == [breaker.admits(), breaker.admits()]

    def test_fails_again(self) -> None:
        """When the one that tried fails too, the pause begins anew."""
        clock = Clock()
        breaker = Breaker(1, clock)
        breaker.failed()
        clock.now = 1
        assert breaker.admits()
        clock.now = 1.5
        breaker.failed()
        clock.now = 2.4
        assert not breaker.admits()
        clock.now = 2.5
        assert breaker.admits()

    def test_never_heard_of_again(self) -> None:
        """Should the one that tried vanish, another one tries after the pause."""
        clock = Clock()
        breaker = Breaker(1, clock)
        breaker.failed()
        clock.now = 1
        assert [True, False] == [breaker.admits(), breaker.admits()]
        clock.now = 2
        assert [True, False] == [breaker.admits(), breaker.admits()]
