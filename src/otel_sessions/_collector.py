"""Whether the garbage collector is at work in this thread.

It may start in the middle of anything, also while this thread holds one of the SDK's locks. A session that ends because
its generator or object is collected must not emit telemetry there and then: it would wait for that lock for ever.
"""

from __future__ import annotations

import gc
import threading

thread: int | None = None
"""The thread in which a collection is under way."""


def _watch(phase: str, _info: dict[str, int]) -> None:
    global thread  # noqa: PLW0603 - there is one collector in a process, and one thread at a time that runs it
    thread = threading.get_ident() if phase == "start" else None


gc.callbacks.append(_watch)


def collecting() -> bool:
    """Whether a collection is under way in this thread."""
    return thread is not None and thread == threading.get_ident()
