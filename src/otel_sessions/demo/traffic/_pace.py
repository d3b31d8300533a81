"""How fast the traffic goes, and what it draws its chances from."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Final

from ._faults import Fault

SLOWEST: Final = 0.1
FASTEST: Final = 60.0
"""Beyond it, windows of limits would be shorter than a second."""


class Chances(random.Random):
    """The chances of one actor: they do not depend on what the others do."""

    def hit(self, share: float) -> bool:
        """Whether something happens that happens in that share of all cases."""
        return self.random() < share


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What all of the traffic has in common.

    Args:
        speed: everything goes so many times faster.
        seed: of all that is left to chance.
        faults: the names of what goes wrong.
    """

    speed: float = 1.0
    seed: int = 0
    faults: frozenset[str] = frozenset()

    def has(self, fault: Fault) -> bool:
        """Whether that goes wrong."""
        return fault.name in self.faults

    def seconds(self, usual: float) -> float:
        """How long something takes that usually takes so many seconds."""
        return usual / self.speed

    def chances(self, *names: object) -> Chances:
        """The chances of the actor of that name."""
        return Chances("/".join(map(str, (self.seed, *names))))

    async def pause(self, chances: Chances, usual: float) -> None:
        """Wait for about so many seconds."""
        await asyncio.sleep(self.seconds(usual * chances.uniform(0.5, 1.5)))

    def arguments(self) -> list[str]:
        """The same pace for another process, as options."""
        faults = [part for name in sorted(self.faults) for part in ("--fault", name)]
        return ["--speed", str(self.speed), "--seed", str(self.seed), *faults]
