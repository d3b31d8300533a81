"""Measures the cases of one comparison side by side, in one process.

Cases run in random order within each round, in blocks of a few milliseconds, so that whatever disturbs the machine
disturbs all of them. A ratio is the median, over the rounds, of two cases' times in the same round: absolute times move
by 10 to 15 % from run to run, ratios by about 0.03. The empty loop is subtracted, the garbage collector stays on as it
does in production, and the process is pinned to one core where the system allows that. The clock is the process's CPU
time, threads included: no case waits for anything, so it shows what a wall clock would on a machine of one's own.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from time import process_time_ns
from typing import Any, Final

BLOCK_NS: Final = 5_000_000
"""How long one block of one case takes, about."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure: `loop` runs it so many times and returns the nanoseconds that took."""

    name: str
    loop: Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Measured:
    """The times of one comparison: nanoseconds per call, by case, in the order of the rounds."""

    times: dict[str, list[float]] = field(default_factory=dict)

    def nanoseconds(self, name: str) -> float:
        """The median time of one call."""
        return statistics.median(self.times[name])

    def ratio(self, name: str, base: str) -> float:
        """The median of the ratios to `base` in the same round."""
        return statistics.median(self._ratios(name, base))

    def quartiles(self, name: str, base: str) -> tuple[float, float]:
        """Half of those ratios lie between these two."""
        low, _, high = statistics.quantiles(self._ratios(name, base), n=4)
        return low, high

    def added_nanoseconds(self, name: str, base: str) -> float:
        """The median of the differences to `base` in the same round."""
        return statistics.median(mine - theirs for mine, theirs in self._pairs(name, base))

    def _ratios(self, name: str, base: str) -> list[float]:
        return [mine / theirs for mine, theirs in self._pairs(name, base)]

    def _pairs(self, name: str, base: str) -> list[tuple[float, float]]:
        return list(zip(self.times[name], self.times[base], strict=True))


def calls(name: str, function: Callable[[], Any]) -> Case:
    """A case that calls `function`."""

    def loop(number: int) -> int:
        began = process_time_ns()
        for _ in repeat(None, number):
            function()
        return process_time_ns() - began

    return Case(name, loop)


def awaits(name: str, function: Callable[[], Awaitable[Any]], loop: asyncio.AbstractEventLoop) -> Case:
    """A case that awaits `function()`, in one task of `loop` for each block."""

    async def block(number: int) -> int:
        began = process_time_ns()
        for _ in repeat(None, number):
            await function()
        return process_time_ns() - began

    return Case(name, lambda number: loop.run_until_complete(block(number)))


def measure(cases: Sequence[Case], *, rounds: int, block_ns: int = BLOCK_NS) -> Measured:
    """Measure `cases` side by side."""
    pin()
    numbers = {case.name: _calls_in_a_block(case, block_ns) for case in cases}
    measured = Measured({case.name: [] for case in cases})
    gc.collect()
    for _ in range(rounds):
        for case in random.sample(cases, len(cases)):
            number = numbers[case.name]
            took = case.loop(number) - _empty_loop(number)
            measured.times[case.name].append(max(took, 1) / number)
    return measured


def pin() -> None:
    """Keep this process on one core, if the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _calls_in_a_block(case: Case, block_ns: int) -> int:
    """How many calls fill a block. Finding out warms the case up."""
    # The first call sets up what all others use, which may take as long as a block.
    case.loop(1)
    number = 1
    while (took := case.loop(number)) < block_ns // 4:
        number *= 4
    return max(1, round(number * block_ns / took))


def _empty_loop(number: int) -> int:
    began = process_time_ns()
    for _ in repeat(None, number):
        pass
    return process_time_ns() - began
