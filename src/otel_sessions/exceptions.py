"""The tree of errors. Every error this package raises on purpose is a `SessionsError`.

::

    SessionsError
    ├── ConfigurationError    a setting cannot be used (also a ValueError)
    ├── InvalidValueError     an argument cannot be used (also a ValueError)
    ├── SessionNotFoundError  no active session under that id (also a LookupError)
    ├── MissingExtraError     an optional dependency is not installed (also an ImportError)
    ├── StoreError            a store could not do what it was asked
    │   └── LimitUnknownError    ... and so nobody knows whether a limit is exceeded
    └── LimitExceededError    a limit refused something
        ├── QuotaExceededError        too much in a window
        ├── RateLimitedError          too often
        └── ConcurrencyExceededError  too many at once
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar, Literal


class SessionsError(Exception):
    """The root: catch it to catch every error of this package."""


class ConfigurationError(SessionsError, ValueError):
    """A setting is wrong; the message names it, its value and what is accepted."""


class InvalidValueError(SessionsError, ValueError):
    """An argument is wrong; the message names it, its value and what is accepted."""


class SessionNotFoundError(SessionsError, LookupError):
    """There is no active session with that id; it never began, has ended, or lives in another store."""


class MissingExtraError(SessionsError, ImportError):
    """An optional dependency is absent; the message holds the exact `pip install` command."""

    def __init__(self, feature: str, module: str, extra: str) -> None:
        self.feature, self.module, self.extra = feature, module, extra
        super().__init__(feature, module, extra)

    def __str__(self) -> str:
        return (
            f"{self.feature} needs the module {self.module!r}, which is not installed. "
            f"Run: pip install 'otel-sessions[{self.extra}]'"
        )


class StoreError(SessionsError):
    """A store failed; the cause is chained."""


class LimitUnknownError(StoreError):
    """A limit could not be looked up, and the setting `limit_failure` says `closed`: nothing was allowed."""

    retry_after: float = 1.0
    """In how many seconds to try again."""


class LimitExceededError(SessionsError):
    """A limit refused something; it consumed nothing.

    Attributes:
        kind: `quota`, `rate` or `concurrency`.
        name: the name of the limit.
        amount: how much was asked for.
        used: how much was used of it already.
        limit: how much there is.
        window: of the limit: `day`, `60 s`, `total`; empty for concurrency.
        window_seconds: how long that is; None if it has no end.
        scope: whose limit it is: the `session`'s, the `user`'s or the `tenant`'s.
        retry_after: in how many seconds the amount would fit; None if it never will. Of concurrency nobody knows when a
            slot is given back: after how many seconds it is worth asking again.
        reset_at: when what is used begins to go down, or begins anew; None if it does not by itself.
    """

    kind: ClassVar[Literal["quota", "rate", "concurrency"]]

    def __init__(
        self,
        name: str,
        *,
        amount: float,
        used: float,
        limit: float,
        window: str,
        window_seconds: float | None,
        scope: str,
        retry_after: float | None,
        reset_at: dt.datetime | None,
    ) -> None:
        super().__init__(name, amount, used, limit, window, scope, retry_after, reset_at)
        self.name = name
        self.amount, self.used, self.limit = amount, used, limit
        self.window, self.window_seconds, self.scope = window, window_seconds, scope
        self.retry_after, self.reset_at = retry_after, reset_at

    def __reduce__(self) -> tuple[object, ...]:
        return _remake, (type(self), self.name, {name: getattr(self, name) for name in _FIELDS})

    @property
    def remaining(self) -> float:
        """How much could still be used."""
        return max(0, self.limit - self.used)

    def __str__(self) -> str:
        asked = f"{self.amount:g} of {self.name} asked for by this {self.scope}"
        window = f" per {self.window}" if self.window not in {"", "total"} else ""
        return f"{self.kind}: {asked}, {self.used:g} of {self.limit:g}{window} used; there will be room {self._when()}"

    def _when(self) -> str:
        if self.retry_after is None:
            return "never"
        # Not as 2.66e+04.
        return f"in {self.retry_after:,.0f} s" if self.retry_after >= _LONG else f"in {self.retry_after:.3g} s"


_LONG = 100
_FIELDS = ("amount", "used", "limit", "window", "window_seconds", "scope", "retry_after", "reset_at")


def _remake(kind: type[LimitExceededError], name: str, fields: dict[str, object]) -> LimitExceededError:
    return kind(name, **fields)  # type: ignore[arg-type]  # its own fields


class QuotaExceededError(LimitExceededError):
    """More was asked for than a quota has left."""

    kind = "quota"


class RateLimitedError(LimitExceededError):
    """Something was done too often."""

    kind = "rate"


class ConcurrencyExceededError(LimitExceededError):
    """Too much is under way at once."""

    kind = "concurrency"

    def _when(self) -> str:
        return "never" if self.retry_after is None else "when a slot is given back"
