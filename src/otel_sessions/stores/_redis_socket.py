"""Connections that keep to one deadline for everything that a call does: connect, log in, ask, wait, ask again.

redis-py's own timeouts are per read, so that a server which answers each step of a login just in time could take many
times as long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis

_DEFAULT: Final = 1.0


class _TooLateError(redis.TimeoutError, TimeoutError):
    """Both what redis-py raises and what a socket does: it closes a socket that it cannot connect for the latter."""


class _Deadline(threading.local):
    at: float | None = None

    def remaining(self) -> float:
        """Seconds that are left, more than none."""
        if self.at is None:
            return _DEFAULT
        left = self.at - time.monotonic()
        if left <= 0:
            raise _TooLateError("no time is left")
        return left


_deadline: Final = _Deadline()


@contextmanager
def within(timeout: float) -> Iterator[None]:
    """All that this thread asks of Redis in here takes at most `timeout` seconds."""
    _deadline.at = time.monotonic() + timeout
    try:
        yield
    finally:
        _deadline.at = None


class _Punctual:
    """Part of a connection: what is left of the time is what its socket may take."""

    _sock: Any

    @property
    def socket_timeout(self) -> Any:
        return _deadline.remaining()

    @socket_timeout.setter
    def socket_timeout(self, value: Any) -> None:
        """Only the deadline counts."""

    socket_connect_timeout = socket_timeout

    def send_packed_command(self, *args: Any, **kwargs: Any) -> Any:
        self._hurry()
        return super().send_packed_command(*args, **kwargs)  # type: ignore[misc]  # that of the connection

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        self._hurry()
        return super().read_response(*args, **kwargs)  # type: ignore[misc]  # that of the connection

    def _hurry(self) -> None:
        if self._sock is not None:
            self._sock.settimeout(_deadline.remaining())


class _Plain(_Punctual, redis.Connection):
    """Over TCP."""


class _Encrypted(_Punctual, redis.SSLConnection):
    """Over TLS."""


class _Local(_Punctual, redis.UnixDomainSocketConnection):
    """Over a socket of this machine."""


_PUNCTUAL: Final[dict[Any, Any]] = {
    redis.Connection: _Plain,
    redis.SSLConnection: _Encrypted,
    redis.UnixDomainSocketConnection: _Local,
}


class Pool(redis.BlockingConnectionPool):
    """A bounded number of punctual connections; whoever finds none waits for one, as long as the timeout."""

    def __init__(self, *, connection_class: Any = redis.Connection, **kwargs: Any) -> None:
        super().__init__(connection_class=_PUNCTUAL[connection_class], **kwargs)  # type: ignore[no-untyped-call]  # it is so
