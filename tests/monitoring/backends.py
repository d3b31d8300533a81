"""Backends that are slow, or that fail for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from otel_sessions.testing import OTLPReceiver


class SlowBackend(OTLPReceiver):
    """Answers the first requests at once; of the others it takes what is in them, and keeps the answer back."""

    def __init__(self, port: int, *, at_once: int) -> None:
        super().__init__(port)
        self._at_once = at_once
        self._taken = 0
        self._counting = threading.Lock()
        self._goes_on = threading.Event()

    @property
    def busy(self) -> bool:
        """Whether an answer is kept back."""
        return self._taken > self._at_once and not self._goes_on.is_set()

    def go_on(self) -> None:
        """Answer, from now on at once."""
        self._goes_on.set()

    def _receive(self, path: str, headers: Mapping[str, str], read: Callable[[int], bytes]) -> tuple[int, bytes]:
        answer = super()._receive(path, headers, read)
        with self._counting:
            self._taken += 1
            waits = self._taken > self._at_once
        if waits:
            self._goes_on.wait(60)
        return answer


class FailingBackend(OTLPReceiver):
    """Answers the first requests with a status, and takes nothing of what is in them."""

    def __init__(self, status: int, *, times: int) -> None:
        super().__init__()
        self._status = status
        self._left = times
        self._counting = threading.Lock()
        self.attempts = 0

    def _receive(self, path: str, headers: Mapping[str, str], read: Callable[[int], bytes]) -> tuple[int, bytes]:
        with self._counting:
            self.attempts += 1
            self._left -= 1
            fails = self._left >= 0
        if fails:
            read(int(headers["content-length"]))
            return self._status, b""
        return super()._receive(path, headers, read)
