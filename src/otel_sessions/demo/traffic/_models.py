"""What stands for language models: how long they take, what they consume, and what that costs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import otel_sessions as sessions

from ._faults import SLOW
from ._pace import Chances, Pace

_MILLION: Final = 1_000_000
_SLOW_MEAN: Final = 9.0
_SLOW_LEAST: Final = 3.0
_SLOW_MOST: Final = 40.0


@dataclass(frozen=True, slots=True)
class Model:
    """A model; prices are in US dollars for a million tokens.

    Args:
        name: its name, on metrics too.
        seconds: how long it takes to answer, on average.
        input_price: of what it reads.
        output_price: of what it writes.
        reasons: whether it thinks before it answers.
    """

    name: str
    seconds: float
    input_price: float
    output_price: float
    reasons: bool = False

    async def answer(self, turn: sessions.Turn, pace: Pace, chances: Chances, *, appetite: int = 1) -> None:
        """Answer in a turn; `appetite` is how many times more than usual it reads and writes."""
        await asyncio.sleep(self._duration(pace, chances))
        read = chances.randint(200, 1_800) * appetite
        written = chances.randint(50, 600) * appetite
        cached = read // 3 if chances.hit(0.5) else 0
        thought = written // 2 if self.reasons else 0
        turn.tokens(input=read, output=written, **_present(cache_read=cached, reasoning=thought))
        turn.cost((read * self.input_price + written * self.output_price) / _MILLION, "USD")

    def _duration(self, pace: Pace, chances: Chances) -> float:
        if pace.has(SLOW):
            return min(_SLOW_LEAST + chances.expovariate(1 / _SLOW_MEAN), _SLOW_MOST)
        return pace.seconds(chances.gammavariate(4, self.seconds / 4))


def _present(**counts: int) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


MODELS: Final = (
    Model("gpt-4o-mini", 0.6, 0.15, 0.60),
    Model("gpt-4o", 1.0, 2.50, 10.00),
    Model("o4-mini", 1.2, 1.10, 4.40, reasons=True),
)
