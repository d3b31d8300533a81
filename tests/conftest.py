"""What all tests share: nothing of one test is left for the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import context as otel_context

import otel_sessions
from otel_sessions import _guard

from . import redis_server


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of the shell, no runtime of another test, no message held back; and no context left attached."""
    import os

    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    _guard.log.reset()
    before = otel_context.get_current()
    yield
    assert otel_context.get_current() == before, "a test or the code under test left a context attached"
    otel_sessions.shutdown()


@pytest.fixture(scope="session", autouse=True)
def _redis_servers() -> Iterator[None]:
    """The Redis that the tests share is started by the first that needs it, and stopped after the last."""
    yield
    redis_server.stop_shared()
