"""A pool of processes, as job queues have it, to which sessions are handed over."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_sessions.stores import from_url
from otel_sessions.testing import OTLPReceiver, ReceivedSpan
from otel_sessions.typing import SharedStore

from .extent import extent
from .processes import running
from .store_urls import store_url

PROCESSES = 3
SESSIONS = 5
TASKS = extent(60, full=1_000)
TASKS_OF_A_PROCESS = 7

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")


@pytest.fixture(name="store", params=["sqlite", "redis"])
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return store_url(request.param, tmp_path)


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[OTLPReceiver]:
    with OTLPReceiver() as receiver:
        yield receiver


class TestPool:
    def test_replaced_processes(self, store: str, receiver: OTLPReceiver) -> None:
        """Nothing that was done is lost with the process that did it, and nothing is left to others."""
        command = [sys.executable, "pool.py", *map(str, (PROCESSES, SESSIONS, TASKS, TASKS_OF_A_PROCESS))]
        # Longer than any of the processes lives: what is not merged at its end is not merged at all.
        with running(command, receiver, OTEL_SESSIONS_STORE=store, OTEL_SESSIONS_FLUSH_INTERVAL="60") as process:
            assert 0 == process.wait()
        assert "Traceback" not in process.output
        chats, tasks = self.named(receiver, "session chat"), self.named(receiver, "session task")
        assert [TASKS // SESSIONS] * SESSIONS == [chat.attributes["app_session.message.count"] for chat in chats]
        assert TASKS == len(tasks) == len({task.attributes["session.id"] for task in tasks})
        assert {f"chat-{number}" for number in range(SESSIONS)} == {
            task.attributes["app_session.parent.id"] for task in tasks
        }
        assert ([], {}) == self.left(store)

    @staticmethod
    def named(receiver: OTLPReceiver, name: str) -> list[ReceivedSpan]:
        return [span for span in receiver.spans if span.name == name]

    @staticmethod
    def left(url: str) -> tuple[list[object], dict[str, int]]:
        """What is active in the store, and who owes anything."""
        store = from_url(url)
        assert isinstance(store, SharedStore)
        try:
            return [*store.active()], dict(store.owners())
        finally:
            store.shutdown()
