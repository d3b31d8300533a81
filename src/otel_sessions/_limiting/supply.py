"""What a process has taken of one bucket in advance, and not handed out yet."""

from __future__ import annotations

import dataclasses
from typing import Final

from .._counting.buckets import Bucket, Charge, Level, fits

_SHARE: Final = 128
"""For which part of a window what was taken is good where the window moves: its steps are as long."""
_LONGEST_US: Final = 600_000_000
"""For how long at most: what nobody asks for is there for other processes again."""
_FOREVER: Final = 2**62


@dataclasses.dataclass(slots=True)
class Supply:
    """What lies here of one bucket, all of it taken in the same window."""

    bucket: Bucket
    level: Level
    """How the bucket stood in the store when it was asked last: what lies here counts as used in it."""
    told_us: int
    """When that was, by the store's clock."""
    until_us: int
    """Until when it may be handed out, by the clock of this process."""
    ends_us: int
    """Until when it counts in the store, by the clock of this process."""
    left: float

    @property
    def begins_us(self) -> int:
        """When the window began in which it was taken; 0 if there is but one, or if it moves."""
        return window(self.bucket, self.level)

    def is_like(self, bucket: Bucket) -> bool:
        """Whether the limit is the same, in whatever window."""
        mine = self.bucket
        if (mine.strategy, mine.capacity) != (bucket.strategy, bucket.capacity):
            return False
        # Months differ in length.
        return mine.length_us == bucket.length_us or None not in {mine.start_us, bucket.start_us}

    def serves(self, bucket: Bucket, now_us: int) -> bool:
        """Whether it may be handed out for that bucket. Who asks for an older period is late, and counts in this."""
        return now_us < self.until_us and self.is_like(bucket) and (bucket.start_us or 0) <= self.begins_us

    def has(self, amount: float) -> bool:
        """Whether it is enough; fractions are rounded, as in a store."""
        return fits(0, amount, self.left)

    def take(self, amount: float) -> Level:
        """Hand some out: how the bucket then stands, in which what lies here is not used yet."""
        self.left = max(0, self.left - amount)
        return self.level._replace(used=max(0, self.level.used - self.left))

    def join(self, other: Supply) -> None:
        """Put another one of the same window to it. None of it becomes good for longer than it was."""
        self.left += other.left
        self.until_us = min(self.until_us, other.until_us)
        self.ends_us = min(self.ends_us, other.ends_us)
        if (other.told_us, other.level.used) > (self.told_us, self.level.used):
            self.bucket, self.level, self.told_us = other.bucket, other.level, other.told_us

    def learn(self, charge: Charge, used: float, told_us: int) -> None:
        """How much was used in the store, and when; answers may come in another order than they were given in."""
        at_once = told_us == self.told_us and (charge.amount < 0 or used > self.level.used)
        if told_us > self.told_us or at_once:
            self.level, self.told_us = self.level._replace(used=used), told_us

    def counts_in(self, bucket: Bucket, level: Level, now_us: int) -> bool:
        """Whether it counts as used in what a store says of that bucket."""
        return now_us < self.ends_us and window(bucket, level) == self.begins_us


def taken(bucket: Bucket, level: Level, left: float, *, now_us: int, told_us: int) -> Supply:
    """What is left of what was just taken; it is now `now_us` by this clock, and was `told_us` by the store's."""
    good, ends = _LONGEST_US, _FOREVER
    if bucket.length_us is not None and level.resets_us is not None:
        if bucket.strategy == "fixed":
            ends = level.resets_us - told_us
            good = min(good, ends)
        else:
            # About as long as a step, so that it leaves the window hardly earlier than if it were taken when it is
            # used.
            ends = bucket.length_us
            good = min(good, ends // _SHARE)
    return Supply(bucket, level, told_us, now_us + good, now_us + ends, left)


def window(bucket: Bucket, level: Level) -> int:
    """When the window began that a level is of; 0 if there is but one, or if it moves."""
    if level.resets_us is None or bucket.length_us is None or bucket.strategy == "moving":
        return 0
    return level.resets_us - bucket.length_us
