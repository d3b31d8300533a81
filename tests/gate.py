"""What holds a call up in one thread until a test lets it go on, while another goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

_PATIENCE_SECONDS = 10.0


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop turn until something has happened in a thread, or in another task."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in other threads
        await asyncio.sleep(0)


class Gate:
    """A call that takes until the gate is opened."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._reached = threading.Event()
        self.passed = False

    def __call__(self) -> str:
        self._reached.set()
        assert self._opened.wait(_PATIENCE_SECONDS), "who should open the gate waits for it"
        self.passed = True
        return "through"

    async def reached(self) -> None:
        """Wait until somebody stands before it."""
        await until(self._reached.is_set)

    def open(self) -> None:
        """Let them through."""
        self._opened.set()

    def open_soon(self) -> None:
        """Let them through while this thread waits for them."""
        threading.Timer(0.05, self.open).start()
