"""What one worker is to do, and when it is killed: drawn from a seed, so that a series can be repeated."""

from __future__ import annotations

import dataclasses
import json
import random


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """The life of one worker; times are seconds."""

    life: int
    """Its number in the series."""
    seed: int
    lifetime: float
    """When it is killed."""
    stop_after: float | None = None
    """When it begins to shut down by itself."""
    recovers: bool = False
    """Whether it recovers first, by command; else its background thread does, later."""
    finishes: bool = False
    """Whether it ends all that is open, and is killed only if it takes too long."""

    def dumps(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def loads(cls, text: str) -> Plan:
        return cls(**json.loads(text))


def draw(seed: int, life: int) -> Plan:
    """The plan of the worker with the number `life`: many die in their start, some live for several merges."""
    chance = random.Random(f"{seed}:{life}")
    lifetime = chance.choices(
        [chance.uniform(0, 0.03), chance.uniform(0, 0.1), chance.uniform(0.05, 0.5), chance.uniform(1.2, 2.4)],
        [15, 15, 55, 15],
    )[0]
    stop_after = max(0, lifetime - chance.uniform(0, 0.15)) if chance.random() < 0.35 else None
    return Plan(life, chance.getrandbits(32), lifetime, stop_after, recovers=chance.random() < 0.6)


def finish(life: int) -> Plan:
    """The plan of the worker that comes last."""
    return Plan(life, 0, 60, recovers=True, finishes=True)
