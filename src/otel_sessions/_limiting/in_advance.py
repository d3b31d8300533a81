"""Limits that are taken in advance: some at a time from a store outside of this process, and handed out here.

Never more is allowed than there is, for what lies here counts as used. But what lies in one process, the others do not
have: near the end of a limit they are refused while some of it is unused. A process that is killed takes it along,
until the window is over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

from .._counting.buckets import Admission, Bucket, Charge, Level, Standing
from ..typing import LimitStore

_SHARE: Final = 128
"""For which part of a window what was taken is good where the window moves: its steps are as long."""
_FOREVER: Final = 2**62


class _Supply:
    """What lies here of one bucket."""

    __slots__ = ("bucket", "left", "level", "until_us")

    bucket: Bucket
    level: Level
    until_us: int
    """By the clock of this process."""

    def __init__(self) -> None:
        self.left: float = 0

    def reached(self) -> Level:
        """How the bucket stands: what lies here has not been used yet."""
        return self.level._replace(used=self.level.used - self.left)


class InAdvance:
    """A `LimitStore` before another one, which it asks less often."""

    def __init__(self, inner: LimitStore) -> None:
        self._inner = inner
        self.after_fork()

    def after_fork(self) -> None:
        """What was taken by the parent process is the parent's."""
        self._lock = threading.RLock()
        self._supplies: dict[str, _Supply] = {}
        self._over: list[Charge] = []

    def admit(self, charges: Sequence[Charge], now_us: int | None = None) -> Admission:
        """Put all charges into their buckets, or none.

        Raises:
            StoreError: it could not be decided.
        """
        if not any(map(_may_lie_here, charges)):
            return self._inner.admit(charges, now_us)
        now = time.time_ns() // 1000 if now_us is None else now_us
        here = self._take([charge for charge in charges if _may_lie_here(charge)], now)
        there = [charge for charge in charges if charge.bucket.name not in here]
        try:
            admission = self._ask(there, now, now_us) if there else Admission(True, [], now)
        except BaseException:
            self._return(here)
            raise
        if not admission.admitted:
            self._return(here)
        levels = iter(admission.levels)
        found = [self._reached(c.bucket) if c.bucket.name in here else next(levels) for c in charges]
        return Admission(admission.admitted, found, admission.now_us)

    def _ask(self, charges: Sequence[Charge], now: int, now_us: int | None) -> Admission:
        """Ask the store: for as much as is taken at once, or if there is not so much left, for what is needed."""
        more = [charge._replace(amount=max(charge.amount, _ahead(charge))) for charge in charges]
        admission = self._inner.admit(more, now_us)
        if admission.admitted or more == charges:
            return self._supplied(admission, charges, more, now)
        rests = self._take_rests(charges)
        needed = [charge._replace(amount=charge.amount - rests.get(charge.bucket.name, 0)) for charge in charges]
        try:
            admission = self._inner.admit(needed, now_us)
        except BaseException:
            self._return(rests)
            raise
        if not admission.admitted:
            self._return(rests)
        return self._supplied(admission, needed, needed, now)

    def _supplied(self, admission: Admission, needed: Sequence[Charge], taken: Sequence[Charge], now: int) -> Admission:
        """Keep what was taken beyond what is needed."""
        if not admission.admitted:
            return admission
        kept = {charge.bucket.name for charge in taken if charge.bucket.ahead > 1 and charge.bucket.enforced}
        levels = [
            self._supply(charge, more.amount - charge.amount, level, now, admission.now_us)
            if charge.bucket.name in kept
            else level
            for charge, more, level in zip(needed, taken, admission.levels, strict=True)
        ]
        return admission._replace(levels=levels)

    def _take(self, charges: Sequence[Charge], now: int) -> dict[str, float]:
        """Take what lies here in full, by the names of the buckets."""
        taken: dict[str, float] = {}
        with self._lock:
            for charge in charges:
                supply = self._supplies.get(charge.bucket.name)
                if supply is None:
                    continue
                if supply.until_us <= now or not _is_same(supply.bucket, charge.bucket):
                    self._leave(supply)
                elif supply.left >= charge.amount:
                    supply.left -= charge.amount
                    taken[charge.bucket.name] = charge.amount
        return taken

    def _take_rests(self, charges: Sequence[Charge]) -> dict[str, float]:
        """Take what lies here of charges that it is not enough for, by the names of the buckets."""
        taken: dict[str, float] = {}
        with self._lock:
            for charge in charges:
                supply = self._supplies.get(charge.bucket.name) if _may_lie_here(charge) else None
                if supply is not None:
                    # All of it, if another thread has brought so much meanwhile: then nothing more is asked for.
                    taken[charge.bucket.name] = rest = min(supply.left, charge.amount)
                    supply.left -= rest
        return taken

    def _return(self, taken: dict[str, float]) -> None:
        with self._lock:
            for name, amount in taken.items():
                supply = self._supplies.get(name)
                if supply is not None:
                    supply.left += amount

    def _reached(self, bucket: Bucket) -> Level:
        with self._lock:
            return self._supplies[bucket.name].reached()

    def _supply(self, charge: Charge, surplus: float, level: Level, now: int, theirs: int) -> Level:
        """Keep what was taken beyond what is needed; it is now `now` by this clock, `theirs` by the store's."""
        bucket = charge.bucket
        with self._lock:
            supply = self._supplies.get(bucket.name)
            if supply is None:
                supply = self._supplies[bucket.name] = _Supply()
            supply.bucket, supply.level = bucket, level
            supply.until_us = now + _good_for(bucket, level, theirs)
            supply.left += surplus
            return supply.reached()

    def _leave(self, supply: _Supply) -> None:
        """What lies here is good no longer: of a window that moves it is given back."""
        del self._supplies[supply.bucket.name]
        if supply.left > 0 and supply.bucket.strategy != "fixed":
            self._over.append(Charge(supply.bucket, -supply.left))

    def is_due(self, now_us: int | None = None) -> bool:
        """Whether there is something to tidy."""
        now = time.time_ns() // 1000 if now_us is None else now_us
        with self._lock:
            return bool(self._over) or any(each.until_us <= now for each in self._supplies.values())

    def tidy(self, now_us: int | None = None) -> None:
        """Give back what was not used in time.

        Raises:
            StoreError: it could not be given back, and is lost until its window is over.
        """
        now = time.time_ns() // 1000 if now_us is None else now_us
        with self._lock:
            for supply in [each for each in self._supplies.values() if each.until_us <= now]:
                self._leave(supply)
            over, self._over = self._over, []
        for charge in over:
            self._inner.admit([charge], now_us)

    def give_back(self, now_us: int | None = None) -> None:
        """Give back all that lies here, because the process ends.

        Raises:
            StoreError: it could not be given back, and is lost until its window is over.
        """
        now = time.time_ns() // 1000 if now_us is None else now_us
        with self._lock:
            over = [
                Charge(each.bucket, -each.left) for each in self._supplies.values() if each.left and each.until_us > now
            ]
            self._supplies = {}
        self.tidy(now_us)
        for charge in over:
            self._inner.admit([charge], now_us)

    def levels(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Level]:
        """How buckets stand. What lies in this process has not been used yet; what lies in others counts as used.

        Raises:
            StoreError: they could not be read.
        """
        found = self._inner.levels(buckets, now_us)
        with self._lock:
            left = {bucket.name: each.left for bucket in buckets if (each := self._supplies.get(bucket.name))}
        return [
            level._replace(used=max(0, level.used - left.get(bucket.name, 0)))
            for bucket, level in zip(buckets, found, strict=True)
        ]

    def renew(self, slots: Sequence[Charge], now_us: int | None = None) -> Sequence[bool]:
        """Hold each slot for another length: slots are not taken in advance."""
        return self._inner.renew(slots, now_us)

    def standings(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Standing]:
        """How groups stand; what was taken in advance counts as used."""
        return self._inner.standings(buckets, now_us)


def _ahead(charge: Charge) -> float:
    return charge.bucket.ahead if _may_lie_here(charge) else 0


def _may_lie_here(charge: Charge) -> bool:
    return charge.bucket.ahead > 1 and charge.amount > 0 and charge.bucket.enforced


def _is_same(one: Bucket, other: Bucket) -> bool:
    """Whether both have the same window."""
    return (one.strategy, one.start_us, one.length_us) == (other.strategy, other.start_us, other.length_us)


def _good_for(bucket: Bucket, level: Level, now_us: int) -> int:
    """For how long what was taken may be used."""
    if bucket.length_us is None or level.resets_us is None:
        return _FOREVER
    if bucket.strategy == "fixed":
        return level.resets_us - now_us
    # About as long as a step, so that it leaves the window hardly earlier than if it were taken when it is used.
    return bucket.length_us // _SHARE
