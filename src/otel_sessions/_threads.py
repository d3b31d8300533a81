"""Where async code has something waited for, so that its event loop goes on."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_MAX_THREADS: Final = 16


class Threads:
    """A few threads of our own, made as they are needed.

    Not those of the event loop: they may all be taken by calls that wait for what a session keeps waiting.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(_MAX_THREADS, "otel-sessions-store")

    async def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """What `function` returns, called in a thread, in a copy of the caller's context.

        It is done when this returns or raises: a cancellation that comes meanwhile takes effect after it. Where no task
        of asyncio runs (under trio, in a coroutine that is driven by hand) `function` is called here and now.

        Raises:
            asyncio.CancelledError: the task was cancelled meanwhile.
        """
        if not in_task():
            return function(*args, **kwargs)
        work = functools.partial(function, *args, **kwargs)
        try:
            job = self._executor.submit(contextvars.copy_context().run, work)
        except RuntimeError:
            # After the end: of what was configured, or of the interpreter.
            return work()
        await _end_of(job)
        return job.result()

    def start(self, function: Callable[[], None]) -> bool:
        """Have `function` called in a thread that nobody waits for; False if no task of asyncio runs here."""
        if not in_task():
            return False
        try:
            self._executor.submit(function)
        except RuntimeError:
            # After the end: of what was configured, or of the interpreter.
            return False
        return True

    def close(self) -> None:
        """Take nothing more; what is under way goes on."""
        self._executor.shutdown(wait=False)


def in_task() -> bool:
    """Whether a task of asyncio runs here. An event loop alone is not enough: trio can be a guest of one."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


async def _end_of(job: Future[R]) -> None:
    """Wait until `job` is done, whatever happens to the task meanwhile."""
    done = asyncio.wrap_future(job)
    cancelled: asyncio.CancelledError | None = None
    while not done.done():
        try:
            await asyncio.wait((done,))
        except asyncio.CancelledError as error:  # noqa: PERF203 - each wait can be cancelled
            cancelled = error
        except GeneratorExit:
            # The coroutine is closed, and nobody will go on with it.
            wait((job,))
            raise
    if not done.cancelled():
        # Looked at: asyncio would log it as an error that nobody knows of.
        done.exception()
    if cancelled is not None:
        raise cancelled
