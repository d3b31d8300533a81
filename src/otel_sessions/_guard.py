"""The one place where a telemetry failure is swallowed, counted and logged.

Whatever goes wrong inside this library must not reach the application. Code that could fail at run time is run under
`guarded`; nothing else in the package catches `Exception`.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Final

from . import _semconv as sc
from .security.redaction import redact

_logger = logging.getLogger("otel_sessions")

_QUIET_SECONDS: Final = 60.0
_MAX_SUBJECTS: Final = 1_000


class RateLimitedLog:
    """Logs the first message about a subject at once, then at most one a minute with the number left unsaid."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._seen: dict[str, tuple[float, int]] = {}
        self._said: set[str] = set()

    def log(self, level: int, subject: str, message: str, *args: object) -> None:
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
        _logger.log(level, message, *args)

    def once(self, level: int, subject: str, message: str, *args: object) -> None:
        """Log `message % args` the first time; never again about `subject`."""
        with self._lock:
            if subject in self._said:
                return
            self._said.add(subject)
        _logger.log(level, message, *args)

    def warn(self, subject: str, message: str, *args: object) -> None:
        """Log a warning."""
        self.log(logging.WARNING, subject, message, *args)

    def after_fork(self) -> None:
        """A lock that another thread of the parent held would never be released in the child."""
        self._lock = threading.RLock()

    def reset(self) -> None:
        """Forget what was logged."""
        with self._lock:
            self._seen.clear()
            self._said.clear()


log: Final = RateLimitedLog()


def swallow(doing: str, exc: BaseException) -> None:
    """Log a failure, redacted and at a limited rate, and count it as dropped."""
    log.log(
        logging.ERROR,
        doing,
        "otel-sessions could not %s. The application is not affected. %s",
        doing,
        _Redacted(exc),
    )
    dropped(sc.Drop.INTERNAL_ERROR)


def blame(what: str, exc: BaseException) -> None:
    """Log what the application's own code has raised, redacted and at a limited rate. Nothing was dropped by it."""
    kind = f"{what} {type(exc).__name__}"
    log.log(
        logging.ERROR,
        kind,
        "%s raised an exception. It is the application's to mend; nothing else is affected. %s",
        what,
        _Redacted(exc),
    )


class _Redacted:
    """An exception with its traceback, as text without secrets; made only if it is really logged."""

    def __init__(self, exc: BaseException) -> None:
        self._exc = exc

    def __str__(self) -> str:
        return redact("".join(traceback.format_exception(self._exc)))


def dropped(reason: str) -> None:
    """Count something that had to be dropped."""
    if guarded.on_drop is not None:
        guarded.on_drop(reason)


class guarded:  # noqa: N801 - used as a statement: `with guarded("..."):`
    """Swallow any `Exception` of the block. Hot paths write `except Exception` and call `swallow` themselves."""

    __slots__ = ("_doing",)

    on_drop: Callable[[str], None] | None = None
    """Called with the reason for each drop; the running telemetry sets it to its counter."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool:
        if not isinstance(exc, Exception):
            return False
        swallow(self._doing, exc)
        return True
