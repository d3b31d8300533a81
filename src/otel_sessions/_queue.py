"""Where questions wait for an answer that may take long, so that few of them are under way at a time."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

from ._threads import in_task

R = TypeVar("R")

_MOST_WAITING: Final = 8
_PATIENCE_SECONDS: Final = 2.0


class Queue:
    """A few threads of its own, made as they are needed, and a few questions that wait for one.

    Who asks much, and of a slow store, takes neither the threads that sessions begin and end in, nor all of a server's.

    Args:
        name: what the threads are called.
        threads: how many questions are answered at a time.
        waiting: how many more may wait for that.
        patience: for how many seconds.
    """

    def __init__(
        self, name: str, threads: int, *, waiting: int = _MOST_WAITING, patience: float = _PATIENCE_SECONDS
    ) -> None:
        self._executor = ThreadPoolExecutor(threads, f"otel-sessions-{name}")
        self._room = threading.Semaphore(threads + waiting)
        self._patience = patience

    def call(self, function: Callable[[], R], instead: Callable[[], R]) -> R:
        """What `function` returns, called in a thread, in a copy of the caller's context; this thread waits for it.

        If its turn does not come in time, or the queue is closed, what `instead` returns, called here.
        """
        job = self._enter(function)
        if job is None:
            return instead()
        # Not `wait` of concurrent.futures: that overlooks who was put off when the queue was closed.
        over = threading.Event()
        job.add_done_callback(lambda _: over.set())
        try:
            over.wait(self._patience)
        except BaseException:
            # A server raises something in a thread that takes too long.
            if job.cancel():
                instead()
            raise
        return instead() if job.cancel() else job.result()

    async def call_async(self, function: Callable[[], R], instead: Callable[[], R]) -> R:
        """The same where an event loop goes on meanwhile.

        If the task is cancelled nothing is waited for: one whose turn has not come is not called, but `instead` is.
        Where no task of asyncio runs (under trio) `function` is called here and now.
        """
        if not in_task():
            return function()
        job = self._enter(function)
        if job is None:
            return instead()
        done = asyncio.wrap_future(job)
        try:
            await asyncio.wait((done,), timeout=self._patience)
            if not job.cancel():
                return await done
        except BaseException:
            if job.cancel():
                instead()
            # Nobody looks at what comes of it, and asyncio would log an error.
            done.cancel()
            raise
        return instead()

    def _enter(self, function: Callable[[], R]) -> Future[R] | None:
        """Its place in the queue; None if there is none."""
        if not self._room.acquire(blocking=False):
            return None
        try:
            job = self._executor.submit(contextvars.copy_context().run, function)
        except RuntimeError:
            # After the end: of what was configured, or of the interpreter.
            self._room.release()
            return None
        job.add_done_callback(self._leave)
        return job

    def _leave(self, _job: Future[R]) -> None:
        self._room.release()

    def close(self) -> None:
        """Take nothing more; who waits gets no answer, and what is under way goes on."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class Queues(NamedTuple):
    """Those of a process. Who asks how it is does not stand behind who asks what was."""

    reports: Queue
    health: Queue

    def close(self) -> None:
        """See `Queue.close`."""
        for queue in self:
            queue.close()
