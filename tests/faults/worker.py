"""What a worker does until it is killed."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable

from opentelemetry.sdk.trace import TracerProvider

import otel_sessions as sessions
from otel_sessions import Session, current_session, session

from .journal import Pen
from .plan import Plan

IDLE_TIMEOUT = 0.3
MAX_DURATION = 0.5
_THREADS = 3
_KEYS = 20
_PAUSE_SECONDS = 0.004
_STATUSES = ("success", "error", "cancelled")


class _FailedError(Exception):
    """What a job fails with."""


class Worker:
    """Threads that start, use and end sessions."""

    def __init__(self, plan: Plan, pen: Pen) -> None:
        self._plan = plan
        self._pen = pen
        self._stopping = threading.Event()

    def work(self, provider: TracerProvider) -> None:
        """Live as planned."""
        if self._plan.recovers:
            sessions.recover()
        if self._plan.finishes:
            self._end_all()
        else:
            self._load()
        sessions.shutdown()
        provider.shutdown()

    def _end_all(self) -> None:
        for record in sessions.active():
            self._pen.ending(record.id, "cancelled")
            if sessions.end(record.id, "cancelled", reason="logout"):
                self._pen.ended(record.id, "cancelled")

    def _load(self) -> None:
        threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{self._plan.seed}:{number}"),), daemon=True)
            for number in range(_THREADS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(self._plan.lifetime * 2 if self._plan.stop_after is None else self._plan.stop_after)
        self._stopping.set()
        # Some do not stop: they are in the middle of something.
        deadline = time.monotonic() + 0.01
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))

    def _run(self, chance: random.Random) -> None:
        doing: list[Callable[[random.Random], None]] = [self._job, self._chat, self._visit, self._lecture, self._login]
        while not self._stopping.is_set():
            chance.choices(doing, [4, 6, 2, 2, 1])[0](chance)
            self._pause(chance)

    def _pause(self, chance: random.Random) -> None:
        time.sleep(chance.uniform(0, _PAUSE_SECONDS))

    def _count(self, handle: Session, session_id: str) -> None:
        self._pen.counting(session_id)
        handle.event("step")
        self._pen.counted(session_id)

    # -- the sessions --------------------------------------------------------------------------------------------------

    def _job(self, chance: random.Random) -> None:
        """A scoped one."""
        done: list[tuple[str, str]] = []
        with contextlib.suppress(_FailedError):
            self._scoped(chance, done)
        self._pen.ended(*done[0])

    @session("job")
    def _scoped(self, chance: random.Random, done: list[tuple[str, str]]) -> None:
        handle = current_session()
        self._pen.started(handle)
        for _ in range(chance.randrange(5)):
            self._count(handle, handle.id)
            self._pause(chance)
        if self._stopping.is_set():
            # It is the end of the process that ends it.
            time.sleep(60)
        status = chance.choice(("success", "error"))
        self._pen.ending(handle.id, status)
        done.append((handle.id, status))
        if status == "error":
            raise _FailedError

    def _chat(self, chance: random.Random) -> None:
        """A durable one that many use: other threads, and other processes."""
        handle = sessions.start("chat", id=f"chat-{chance.randrange(_KEYS)}")
        self._pen.started(handle)
        session_id = handle.id
        if chance.random() < 0.5:
            with handle:
                self._count(handle, session_id)
                self._pause(chance)
        else:
            self._count(handle, session_id)
        if chance.random() < 0.15:
            self._end(handle, session_id, chance.choice(_STATUSES))

    def _end(self, handle: Session, session_id: str, status: str) -> None:
        self._pen.ending(session_id, status)
        if handle.end(status):  # type: ignore[arg-type]  # one of three
            self._pen.ended(session_id, status)

    def _visit(self, chance: random.Random) -> None:
        """One that nobody ends: it is idle some time."""
        handle = sessions.start("visit", id=f"visit-{chance.randrange(_KEYS)}", idle_timeout=IDLE_TIMEOUT)
        self._pen.started(handle)
        self._count(handle, handle.id)

    def _lecture(self, chance: random.Random) -> None:
        """One that must not last longer."""
        handle = sessions.start("lecture", id=f"lecture-{chance.randrange(_KEYS)}", max_duration=MAX_DURATION)
        self._pen.started(handle)
        self._count(handle, handle.id)

    def _login(self, chance: random.Random) -> None:
        """One that is rotated."""
        handle = sessions.start("login")
        self._pen.started(handle)
        session_id = handle.id
        self._count(handle, session_id)
        self._pen.ending(session_id, "success")
        handle.rotate()
        self._pen.ended(session_id, "success")
        self._pen.started(handle)
        self._count(handle, handle.id)
        if chance.random() < 0.5:
            self._end(handle, handle.id, "success")
