"""The ASGI applications of this process that are running, and what is done when they stop.

A server may end by the signal that stopped it (uvicorn raises it anew, and stops its workers by one): Python's own end,
at which everything is finished otherwise, does not come then. Nor does it have to: a test client starts and stops an
application many times in a process that goes on.
"""

from __future__ import annotations

import os
import time
from typing import Final

from . import _runtime
from ._guard import guarded
from ._hooks import hooks
from ._outflow import Outflow

_HOOKS_SECONDS: Final = 1.0
"""For how long hooks may keep a server from stopping."""


class Serving:
    """The applications that run in this process.

    What is done is done when the last of them stops: whose a session is cannot be told, and those of one that still
    runs go on. What was open before the first of them started is somebody else's, and goes on as well.

    Args:
        patience: for how many seconds a collector that does not answer may keep a server from stopping.
    """

    def __init__(self, *, patience: float = 3.0) -> None:
        self._patience = patience
        self._running: set[object] = set()
        self._before: frozenset[str] = frozenset()

    def start(self, application: object) -> None:
        """An application starts."""
        if not self._running:
            self._before = _open_now()
        self._running.add(application)

    def leave(self, application: object) -> None:
        """An application is gone, whether it was stopped or not."""
        self._running.discard(application)

    async def stop(self, application: object) -> None:
        """An application has stopped. With the last one the process may end without further notice."""
        self.leave(application)
        runtime = _runtime.current
        if not self._running and runtime is not None and runtime.lifecycle.used:
            await runtime.lifecycle.threads.call(_finish, runtime, self._before, self._patience)

    def after_fork(self) -> None:
        """In a child process no application runs yet."""
        self._running = set()


def _finish(runtime: _runtime.Runtime, before: frozenset[str], patience: float) -> None:
    deadline = time.monotonic() + patience
    upkeep, ledger = runtime.upkeep, runtime.lifecycle.ledger

    def export() -> None:
        upkeep.export()
        # The last figures of a process that ends now are those that a backend goes on showing.
        runtime.telemetry.flush_metrics()

    outflow = Outflow(export, in_thread=True)

    def keeps_up() -> bool:
        return outflow.keeps_up(seconds=max(0.0, deadline - time.monotonic()))

    with guarded("finish what is pending when a server stops"):
        runtime.lifecycle.limiter.measured.settle_all()
        hooks.drain(_HOOKS_SECONDS)
        if ledger.shared is None:
            upkeep.end_here(keeps_up, but=before)
        else:
            upkeep.settle()
            ledger.resign()
        keeps_up()


def _open_now() -> frozenset[str]:
    """The ids of the sessions of which only this process knows."""
    runtime = _runtime.current
    if runtime is None or not runtime.lifecycle.used or runtime.lifecycle.ledger.shared is not None:
        return frozenset()
    return frozenset(live.beginning.id for live in runtime.upkeep.open_here())


serving: Final = Serving()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=serving.after_fork)
