"""The one place where a telemetry failure is swallowed, counted and logged.

Whatever goes wrong inside this library must not reach the application. Code that could fail at run time is run under
`guarded`; nothing else in the package catches `Exception`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

_logger = logging.getLogger("otel_sessions")

_QUIET_SECONDS: Final = 60.0
_MAX_SUBJECTS: Final = 1_000


class RateLimitedLog:
    """Logs the first message about a subject at once, then at most one a minute with the number left unsaid."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._seen: dict[str, tuple[float, int]] = {}

    def log(self, level: int, subject: str, message: str, *args: object, exc_info: bool = False) -> None:
        """Log `message % args`, unless `subject` was logged within the last minute."""
        now = self._clock()
        with self._lock:
            last, unsaid = self._seen.get(subject, (None, 0))
            if last is not None and now - last < _QUIET_SECONDS:
                self._seen[subject] = (last, unsaid + 1)
                return
            if len(self._seen) >= _MAX_SUBJECTS:
                self._seen.clear()
            self._seen[subject] = (now, 0)
        if unsaid:
            message, args = message + " (and %d more in the last minute)", (*args, unsaid)
        _logger.log(level, message, *args, exc_info=exc_info)

    def warn(self, subject: str, message: str, *args: object) -> None:
        """Log a warning."""
        self.log(logging.WARNING, subject, message, *args)

    def reset(self) -> None:
        """Forget what was logged."""
        with self._lock:
            self._seen.clear()


log: Final = RateLimitedLog()


class guarded:  # noqa: N801 - used as a statement: `with guarded("..."):`
    """Swallow any `Exception` of the block: it is logged, at a limited rate, and counted as dropped."""

    __slots__ = ("_doing",)

    on_failure: Callable[[str], None] | None = None
    """Called with the reason for each failure; the running telemetry sets it to its counter of drops."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if exc is None or not isinstance(exc, Exception):
            return False
        log.log(
            logging.ERROR,
            self._doing,
            "otel-sessions could not %s: %r. The application is not affected.",
            self._doing,
            exc,
            exc_info=True,
        )
        if guarded.on_failure is not None:
            guarded.on_failure("internal_error")
        return True
