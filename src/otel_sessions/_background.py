"""The threads of a process: one merges, and lets sessions expire; another one checks the health, if that is wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ._guard import guarded


class Background:
    """Calls `work` every `interval` seconds on a daemon thread of that name, from `start` to `stop`.

    It starts on first use, not on import or configuration: a process that forks workers first has no thread to lose.
    """

    def __init__(self, work: Callable[[], None], interval: float, *, name: str = "otel-sessions") -> None:
        self._work = work
        self._interval = interval
        self._name = name
        self.after_fork()

    def after_fork(self) -> None:
        """Forget the parent's thread: it does not exist in the child."""
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs or has been stopped."""
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop the thread and wait for the round that is under way, at most `timeout` seconds."""
        self._stopped.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            with guarded("do a round of background work"):
                self._work()
