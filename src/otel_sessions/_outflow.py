"""Many sessions that end at once, and an exporter that takes its time: the SDK drops what does not fit its queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from ._guard import guarded

AT_ONCE: Final = 500
"""How many sessions may end before somebody waits: a quarter of the SDK's default queue, and about its usual batch.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor
"""

_PATIENCE_SECONDS: Final = 5.0


class Outflow:
    """Lets the exporter keep up.

    Args:
        flush: has the SDK export what it holds.
        in_thread: whether that is waited for in a thread of its own, and only for so long. An exporter may hang.
    """

    def __init__(self, flush: Callable[[], object], *, in_thread: bool) -> None:
        self._flush = flush
        self._in_thread = in_thread
        self.after_fork()

    def after_fork(self) -> None:
        """Wait for nobody in a child process."""
        self._under_way: threading.Thread | None = None

    def keeps_up(self, *, seconds: float | None = None, at_exit: bool = False) -> bool:
        """Wait until what was emitted has been exported; False if the exporter takes too long for that.

        Args:
            seconds: how long that is; 5 if not given.
            at_exit: whether the interpreter ends: then no thread can be started.
        """
        patience = _PATIENCE_SECONDS if seconds is None else seconds
        if at_exit or not self._in_thread:
            began = time.monotonic()
            self._export()
            return time.monotonic() - began < patience
        if self._under_way is None or not self._under_way.is_alive():
            self._under_way = threading.Thread(target=self._export, name="otel-sessions-outflow", daemon=True)
            self._under_way.start()
        self._under_way.join(patience)
        return not self._under_way.is_alive()

    def _export(self) -> None:
        with guarded("let the exporter keep up"):
            self._flush()
