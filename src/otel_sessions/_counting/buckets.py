"""What a store counts for limits: plain values, in microseconds since the epoch.

Microseconds, because every store has to hold them exactly, Redis's scripts in floating point too (2**53 of them are the
year 2255).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

Strategy: TypeAlias = Literal["fixed", "moving", "sliding", "slots"]


class Bucket(NamedTuple):
    """One count that fills up to a capacity: a quota's, a rate's, or slots that are taken and given back.

    - `fixed`: from `start_us`, or if that is None from the first use, everything counts for `length_us`; then the count
      begins anew. Without a length it never does.
    - `moving`: what was used within the last `length_us` counts, to a resolution of `step_us`.
    - `sliding`: two fixed windows in a row, of which the older one counts by the share that still reaches into the last
      `length_us`.
    - `slots`: each is held for `length_us`, unless that is renewed.
    """

    name: str
    """Unique in the store: of what, whose, and for which window."""
    capacity: float | None
    """None: it is counted, and never full."""
    strategy: Strategy
    length_us: int | None
    start_us: int | None = None
    step_us: int = 0
    keep_us: int = 0
    """For how long a bucket that never begins anew is kept after its last use; 0 lets go of it."""
    enforced: bool = True
    """If False, nothing is refused because of it."""
    half_life_us: int | None = None
    """Over what time its rate of use is averaged; None: nobody asks for that."""
    group: str | None = None
    """What a metric sums up: all buckets of a group have the same capacity and the same windows."""
    ahead: float = 0
    """How much a process takes at once from a store outside of it; 0: what it needs."""


_DAY: Final = 86_400 * 1_000_000
_LONGEST_GRACE: Final = _DAY // 24


def grace_us(bucket: Bucket) -> int:
    """For how long a period of the calendar is kept after its end, and after its last use: an hour at most.

    Who begins periods need not have the store's clock. One whose clock is behind goes on with a period that is over; if
    it were gone by then, each use would be its first.
    """
    return 0 if bucket.start_us is None or bucket.length_us is None else min(bucket.length_us, _LONGEST_GRACE)


def is_absurd(ahead_us: int, length_us: int) -> bool:
    """Whether a period that begins so much later than the present one is due to a clock that was wrong.

    Up to a day it is not: among the clocks of several hosts one may be ahead by that much, and if those behind it began
    anew each time, nothing would ever be full.
    """
    return ahead_us > max(length_us, _DAY)


class Charge(NamedTuple):
    """What is to be put into a bucket; a negative amount is given back."""

    bucket: Bucket
    amount: float = 1
    holder: str = ""
    """Who takes a slot: the same holder takes but one."""


class Pace(NamedTuple):
    """How fast a bucket is being filled: a sum in which what was used counts half after every half-life."""

    decayed: float
    updated_us: int
    since_us: int


class Level(NamedTuple):
    """How a bucket stands after a decision."""

    used: float
    fits: bool
    """Whether there was room for the amount."""
    resets_us: int | None
    """When its use begins to go down, or begins anew; None: never, or there is none."""
    retry_us: int | None
    """When the amount will fit, if nothing else happens; None if it fitted, or will never."""
    pace: Pace | None = None


class Admission(NamedTuple):
    """A decision about several charges: all of them, or none."""

    admitted: bool
    levels: Sequence[Level]
    now_us: int
    """The time at which it was made, by the store's clock."""


WARNING: Final = 0.75
CRITICAL: Final = 0.9
"""From which share of its capacity on a bucket is in that band."""


class Standing(NamedTuple):
    """How the buckets of one group stand, all in all; those that hold nothing are not among them."""

    highest: float = 0.0
    """The highest share of a capacity that is used."""
    below: int = 0
    warning: int = 0
    critical: int = 0
    exhausted: int = 0
    seconds: float | None = None
    """In how many seconds the first of them that is not exhausted will be, as far as their paces say."""


def fits(used: float, amount: float, capacity: float | None) -> bool:
    """Whether there is room; for what is given back there always is.

    Integers are compared exactly. Sums of fractions are rounded, so a billionth of the capacity is let pass: ten times
    0.1 are 1.
    """
    if capacity is None or amount <= 0:
        return True
    total = used + amount
    if total <= capacity:
        return True
    return total % 1 != 0 and total - capacity <= capacity * 1e-9
