"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from typing import Final

_NS: Final = 1_000_000_000
_START_NS: Final = 1_767_225_600 * _NS  # 2026-01-01T00:00:00Z


class ManualClock:
    """Fulfils `otel_sessions.typing.Clock`: both of its times go on only with `advance`."""

    def __init__(self, start_ns: int = _START_NS) -> None:
        self._now_ns = start_ns
        self._monotonic_ns = 0

    def time_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds since the clock was made."""
        return self._monotonic_ns

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass.

        Raises:
            ValueError: `seconds` is negative; to make the wall clock jump, use `jump`.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: advance({seconds!r}); to set the wall clock back, use jump()")
        self._now_ns += round(seconds * _NS)
        self._monotonic_ns += round(seconds * _NS)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or, with a negative number, back, as an administrator or NTP would."""
        self._now_ns += round(seconds * _NS)
