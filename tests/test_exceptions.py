"""The tree of errors."""

from __future__ import annotations

import pickle

import pytest

from otel_sessions import (
    ConfigurationError,
    InvalidValueError,
    MissingExtraError,
    QuotaExceededError,
    SessionNotFoundError,
    SessionsError,
    StoreError,
)

MISSING = MissingExtraError(feature="SessionMiddleware", module="starlette", extra="fastapi")


class TestTree:
    @pytest.mark.parametrize(
        ("error", "builtin"),
        [
            (ConfigurationError("x"), ValueError),
            (InvalidValueError("x"), ValueError),
            (SessionNotFoundError("x"), LookupError),
            (MISSING, ImportError),
            (StoreError("x"), Exception),
        ],
    )
    def test_caught_as(self, error: Exception, builtin: type[Exception]) -> None:
        """Every error is caught as a `SessionsError`, and as the builtin that says the same."""
        assert isinstance(error, SessionsError)
        assert isinstance(error, builtin)

    def test_remedy(self) -> None:
        """A missing extra comes with the command that installs it."""
        expected = (
            "SessionMiddleware needs the module 'starlette', which is not installed. "
            "Run: pip install 'otel-sessions[fastapi]'"
        )
        assert (expected, "fastapi") == (str(MISSING), MISSING.extra)

    @pytest.mark.parametrize(
        ("seconds", "told"),
        [
            (None, "never"),
            (0.0394, "in 0.0394 s"),
            (39.46, "in 39.5 s"),
            (999.7, "in 1,000 s"),
            (26_640.2, "in 26,640 s"),
        ],
    )
    def test_when_there_will_be_room(self, seconds: float | None, told: str) -> None:
        """As people read it, however long it is."""
        error = QuotaExceededError(
            "tokens",
            amount=3,
            used=9,
            limit=10,
            window="day",
            window_seconds=86_400,
            scope="user",
            retry_after=seconds,
            reset_at=None,
        )
        assert str(error).endswith(f"; there will be room {told}")

    @pytest.mark.parametrize("error", [ConfigurationError("x"), StoreError("x", 1), MISSING])
    def test_between_processes(self, error: SessionsError) -> None:
        """Errors can be sent to another process, as those of a worker pool are."""
        found = pickle.loads(pickle.dumps(error))
        assert (type(error), str(error), vars(error)) == (type(found), str(found), vars(found))
