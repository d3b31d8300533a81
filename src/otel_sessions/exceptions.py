"""The tree of errors. Every error this package raises on purpose is a `SessionsError`.

::

    SessionsError
    ├── ConfigurationError    a setting cannot be used (also a ValueError)
    ├── InvalidValueError     an argument cannot be used (also a ValueError)
    ├── SessionNotFoundError  no active session under that id (also a LookupError)
    ├── MissingExtraError     an optional dependency is not installed (also an ImportError)
    └── StoreError            a store could not do what it was asked
"""

from __future__ import annotations


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
