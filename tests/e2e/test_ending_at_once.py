"""Many processes that end the same sessions at the same time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_sessions.stores import from_url
from otel_sessions.testing import OTLPReceiver
from otel_sessions.typing import SharedStore

from .extent import extent
from .processes import running
from .store_urls import store_url

PROCESSES = extent(12, full=50)
SESSIONS = extent(100, full=1_000)


@pytest.fixture(name="store", params=["sqlite", "redis"])
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return store_url(request.param, tmp_path)


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[OTLPReceiver]:
    with OTLPReceiver() as receiver:
        yield receiver


class TestEndings:
    @pytest.mark.timeout(600)
    def test_at_once(self, store: str, receiver: OTLPReceiver) -> None:
        """Each session ends once and has one span, however many processes end it."""
        command = [sys.executable, "enders.py", str(PROCESSES), str(SESSIONS)]
        with running(command, receiver, OTEL_SESSIONS_STORE=store) as process:
            assert 0 == process.wait()
        exits, ended = map(json.loads, process.output.splitlines()[-2:])
        assert [0] * PROCESSES == exits
        # A process that could not ask the store, because so many did, says that it ended a session at first.
        assert SESSIONS <= sum(ended)
        names = [span.attributes["session.id"] for span in receiver.spans if span.name == "session job"]
        assert sorted(f"s-{number}" for number in range(SESSIONS)) == sorted(names)
        assert {} == self.left(store)

    @staticmethod
    def left(url: str) -> dict[str, object]:
        """What is active in the store, and who owes anything."""
        store = from_url(url)
        assert isinstance(store, SharedStore)
        try:
            return {**{record.id: record for record in store.active()}, **store.owners()}
        finally:
            store.shutdown()
