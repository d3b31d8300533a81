"""What keeps a server that does not answer from costing everybody a timeout."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Breaker:
    """After a failure the server is left alone for `pause` seconds; then one call tries, and the others still do not.

    Args:
        clock: seconds from an arbitrary origin, never going back.
    """

    def __init__(self, pause: float, clock: Callable[[], float]) -> None:
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._silent_until: float | None = None

    def admits(self) -> bool:
        """Whether this call may try."""
        if self._silent_until is None:
            return True
        with self._lock:
            now = self._clock()
            if self._silent_until is not None and now < self._silent_until:
                return False
            # This one tries. Should nothing be heard of it, another one will.
            self._silent_until = now + self._pause
            return True

    def failed(self) -> None:
        """A call that tried was not answered."""
        self._silent_until = self._clock() + self._pause

    def succeeded(self) -> None:
        """A call that tried was answered."""
        self._silent_until = None
