"""A worker that runs jobs, as a process of its own: it shares the store with the others, and is killed at times."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Sequence
from typing import Final

from ..applications._export import export_over_otlp
from ._faults import CRASHES, LEASES
from ._jobs import occupy, work
from ._options import pace_of
from ._pace import Pace
from ._population import Population, live, stop_when_told
from ._settings import configure

_USUAL_LIFE: Final = 1_200.0
_SHORT_LIFE: Final = 60.0
_SHORTEST_LIFE: Final = 1.0
_LEAVE_SECONDS: Final = 15.0
_JOBS: Final = 3


class WorkerError(Exception):
    """The worker ended, and nobody had told it to."""


async def keep_worker(pace: Pace) -> None:
    """Have a worker, kill it now and then, and have another one.

    Raises:
        WorkerError: it failed.
    """
    life = _SHORT_LIFE if pace.has(CRASHES) else _USUAL_LIFE
    command = [sys.executable, "-m", "otel_sessions.demo", "worker", *pace.arguments()]
    while True:
        worker = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            await _until_ready(worker)
            await asyncio.wait_for(worker.wait(), _SHORTEST_LIFE + pace.seconds(life))
        except asyncio.TimeoutError:
            worker.kill()
        except asyncio.CancelledError:
            await _dismiss(worker)
            raise
        code = await worker.wait()
        if code > 0:
            raise WorkerError(f"the worker ended with the code {code}")


async def _until_ready(worker: asyncio.subprocess.Process) -> None:
    """Wait until it says that it works, or ends: how long it takes to start is no part of its life."""
    assert worker.stdout is not None
    await worker.stdout.readline()


async def _dismiss(worker: asyncio.subprocess.Process) -> None:
    """Let it finish: it ends when nobody holds the other end of its input any more, however that came."""
    assert worker.stdin is not None
    worker.stdin.close()
    try:
        await asyncio.wait_for(worker.wait(), _LEAVE_SECONDS)
    except asyncio.TimeoutError:
        worker.kill()
        await worker.wait()


async def _run(pace: Pace) -> None:
    stop = stop_when_told(0)
    loop = asyncio.get_running_loop()

    def wait_for_end() -> None:
        # Not through sys.stdin, whose lock a thread must not hold when the interpreter ends.
        while os.read(0, 1):
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    print("ready", flush=True)
    populations = [Population("job", _JOBS, work)]
    if pace.has(LEASES):
        populations.append(Population("occupier", 1, occupy))
    await live(pace, populations, stop=stop)


def main(arguments: Sequence[str]) -> int:
    """Run jobs until the input ends; returns the exit code."""
    pace = pace_of(arguments)
    export_over_otlp()
    configure(pace)
    asyncio.run(_run(pace))
    return 0
