"""Many actors of one kind, until it is time to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Iterable
from types import FrameType
from typing import Any, Final, NamedTuple, Protocol

from ._pace import Chances, Pace
from ._people import People

# Longer than a worker takes to leave when it is asked to: asked twice, it would be killed.
_AGAIN_SECONDS: Final = 20.0


class Act(Protocol):
    """What an actor does, again and again."""

    def __call__(self, pace: Pace, people: People, chances: Chances, /) -> Awaitable[None]:
        """Do it once."""


class Population(NamedTuple):
    """So many actors, each of whom does the same."""

    name: str
    number: int
    act: Act


async def live(pace: Pace, populations: Iterable[Population], *others: Awaitable[None], stop: asyncio.Event) -> None:
    """Have them act until `stop` is set; what one of them raises ends them all."""
    people = People()
    tasks = [
        asyncio.ensure_future(_repeat(population, number, pace, people))
        for population in populations
        for number in range(population.number)
    ]
    tasks += [asyncio.ensure_future(other) for other in others]
    stopped = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    await _cancel({stopped, *tasks})
    for task in done - {stopped}:
        task.result()


async def _cancel(tasks: set[asyncio.Future[Any]]) -> None:
    """Cancel tasks until they have ended: what is cancelled as `wait_for` returns goes on, before Python 3.12."""
    pending = tasks
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_SECONDS)


async def _repeat(population: Population, number: int, pace: Pace, people: People) -> None:
    chances = pace.chances(population.name, number)
    # Not all at once.
    await asyncio.sleep(pace.seconds(chances.uniform(0, 5)))
    while True:
        await population.act(pace, people, chances)


def stop_when_told(seconds: float) -> asyncio.Event:
    """An event that is set when this process is told to end, or after so many seconds, if that is not 0."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def told(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told)
    if seconds:
        loop.call_later(seconds, stop.set)
    return stop
