"""Limits that are taken in advance: some at a time from a store outside of this process, and handed out here.

Never more is allowed than there is, for what lies here counts as used. But what lies in one process, the others do not
have: near the end of a limit they are refused while some of it is unused. A process that is killed takes it along,
until the window is over.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from .._counting.buckets import Admission, Bucket, Charge, Level, Standing
from ..typing import LimitStore
from .supply import Supply, taken, window

_MOST: Final = 10_000
"""Of how many buckets something lies here at most."""
_MOST_OVER: Final = 100_000
"""Of how many something waits at most to be given back; beyond that it is lost until its window is over."""
_AT_ONCE: Final = 100
_MARGIN_US: Final = 5_000_000
"""How long before the end of its window nothing is given back any more: on its way it could meet the next one."""


class _Taken(NamedTuple):
    """What was handed out."""

    supply: Supply
    amount: float
    level: Level


class InAdvance:
    """A `LimitStore` before another one, which it asks less often."""

    def __init__(self, inner: LimitStore) -> None:
        self._inner = inner
        self.after_fork()

    def after_fork(self) -> None:
        """What was taken by the parent process is the parent's."""
        self._lock = threading.RLock()
        self._supplies: dict[str, Supply] = {}
        self._over: dict[str, Supply] = {}
        """What is handed out no longer, and is to be given back."""

    def admit(self, charges: Sequence[Charge], now_us: int | None = None) -> Admission:
        """Put all charges into their buckets, or none.

        Raises:
            StoreError: it could not be decided.
        """
        if not (self._supplies or self._over or any(map(_ahead, charges))):
            return self._inner.admit(charges, now_us)
        now = _now(now_us)
        self._forget(charges)
        here = self._take(charges, now)
        there = [charge for charge in charges if charge.bucket.name not in here]
        try:
            admission = self._ask(there, now, now_us) if there else Admission(True, [], now)
        except BaseException:
            self._return(here.values())
            raise
        if not admission.admitted:
            here = self._return(here.values())
        levels = iter(admission.levels)
        found = [here[c.bucket.name].level if c.bucket.name in here else next(levels) for c in charges]
        return admission._replace(levels=found)

    # -- what is asked ------------------------------------------------------------------------------------------------

    def _ask(self, charges: Sequence[Charge], now: int, now_us: int | None) -> Admission:
        """Ask the store: for as much as is taken at once, or if there is not so much left, for what is needed."""
        self._settle(self._changed(charges), now, now_us)
        more = [charge._replace(amount=max(charge.amount, _ahead(charge))) for charge in charges]
        admission = self._inner.admit(more, now_us)
        if admission.admitted:
            self._keep(charges, more, admission, now)
        elif short := self._short(charges, more, admission):
            self._settle(short, now, now_us)
            admission = self._inner.admit(charges, now_us)
        return admission._replace(levels=self._learn(charges, admission, now))

    def _changed(self, charges: Iterable[Charge]) -> Collection[str]:
        """Of which buckets something is to be given back that was taken under another limit."""
        with self._lock:
            pairs = [(self._over.get(charge.bucket.name), charge.bucket) for charge in charges]
        return [bucket.name for over, bucket in pairs if over is not None and not over.is_like(bucket)]

    def _keep(self, charges: Sequence[Charge], more: Sequence[Charge], admission: Admission, now: int) -> None:
        """Keep what was taken beyond what is needed."""
        with self._lock:
            for charge, most, level in zip(charges, more, admission.levels, strict=True):
                if most.amount > charge.amount:
                    surplus = most.amount - charge.amount
                    self._lay(taken(charge.bucket, level, surplus, now_us=now, told_us=admission.now_us))

    def _short(self, charges: Sequence[Charge], more: Sequence[Charge], admission: Admission) -> Collection[str]:
        """Which buckets refused that may have room: for less, or when what lies here is given back."""
        short: list[str] = []
        with self._lock:
            for charge, most, level in zip(charges, more, admission.levels, strict=True):
                name = charge.bucket.name
                if level.fits or not charge.bucket.enforced:
                    continue
                if most.amount > charge.amount or self._lying(name):
                    short.append(name)
                if name in self._supplies:
                    self._leave(self._supplies[name])
        return short

    def _learn(self, charges: Sequence[Charge], admission: Admission, now: int) -> Sequence[Level]:
        """How buckets stand, by the latest answer: this one, or one that has overtaken it."""
        found = []
        with self._lock:
            for charge, level in zip(charges, admission.levels, strict=True):
                bucket = charge.bucket
                supply = self._supplies.get(bucket.name)
                if supply is not None and supply.counts_in(bucket, level, now):
                    supply.learn(charge, level.used, admission.now_us)
                    level = level._replace(used=supply.level.used)  # noqa: PLW2901 - the same, of another time
                found.append(self._without(bucket, level, now))
        return found

    def _without(self, bucket: Bucket, level: Level, now: int) -> Level:
        """How a bucket stands if what lies here is not used yet."""
        with self._lock:
            here = sum(each.left for each in self._lying(bucket.name) if each.counts_in(bucket, level, now))
        return level._replace(used=max(0, level.used - here)) if here else level

    # -- what lies here -----------------------------------------------------------------------------------------------

    def _lying(self, name: str) -> Sequence[Supply]:
        found = self._supplies.get(name), self._over.get(name)
        return [supply for supply in found if supply is not None]

    def _take(self, charges: Iterable[Charge], now: int) -> Mapping[str, _Taken]:
        """Take what lies here in full, by the names of the buckets."""
        found: dict[str, _Taken] = {}
        with self._lock:
            for charge in charges:
                name, amount = charge.bucket.name, charge.amount
                supply = self._supplies.get(name)
                if supply is None or amount <= 0 or not charge.bucket.enforced:
                    continue
                if not supply.serves(charge.bucket, now):
                    self._leave(supply)
                elif supply.has(amount):
                    found[name] = _Taken(supply, amount, supply.take(amount))
                    if not supply.left:
                        del self._supplies[name]
        return found

    def _return(self, here: Collection[_Taken]) -> Mapping[str, _Taken]:
        """Take back what was handed out, and is not used after all; with how the buckets stand then."""
        with self._lock:
            for each in here:
                self._lay(dataclasses.replace(each.supply, left=each.amount))
            return {
                each.supply.bucket.name: each._replace(level=each.level._replace(used=each.level.used - each.amount))
                for each in here
            }

    def _lay(self, supply: Supply) -> None:
        """Lay something to what lies here. Of two windows the later one stays: what is left of the other is over."""
        name = supply.bucket.name
        held = self._supplies.get(name)
        if held is not None and held.begins_us == supply.begins_us and held.is_like(supply.bucket):
            held.join(supply)
            return
        if held is not None:
            if held.begins_us > supply.begins_us:
                return
            self._leave(held)
        self._supplies[name] = supply
        if len(self._supplies) > _MOST:
            self._leave(next(iter(self._supplies.values())))

    def _leave(self, supply: Supply) -> None:
        """Hand it out no longer."""
        name = supply.bucket.name
        del self._supplies[name]
        other = self._over.get(name)
        if other is not None and other.begins_us > supply.begins_us:
            return
        if other is not None and other.begins_us == supply.begins_us:
            supply.join(other)
        self._over[name] = supply
        if len(self._over) > _MOST_OVER:
            del self._over[next(iter(self._over))]

    def _forget(self, charges: Iterable[Charge]) -> None:
        """What nobody uses any more needs not be given back: it would begin anew by that."""
        with self._lock:
            for bucket, amount, _ in charges:
                if not amount and not bucket.keep_us and bucket.length_us is None:
                    self._supplies.pop(bucket.name, None)
                    self._over.pop(bucket.name, None)

    # -- what is given back -------------------------------------------------------------------------------------------

    def _settle(self, names: Collection[str], now: int, now_us: int | None) -> None:
        """Give back what lies here of these buckets, a hundred at most, if it still counts.

        Raises:
            StoreError: it could not be given back, and is lost until its window is over.
        """
        with self._lock:
            over = [self._over.pop(name) for name in names if name in self._over]
        over = [each for each in over if now < each.ends_us - _MARGIN_US]
        if not over:
            return
        # What was forgotten, or lost, by the store or for another process must not begin anew by this.
        levels = self._inner.levels([each.bucket for each in over], now_us)
        charges = [
            Charge(each.bucket, -each.left)
            for each, level in zip(over, levels, strict=True)
            if level.used > 0 and window(each.bucket, level) == each.begins_us
        ]
        if charges:
            self._inner.admit(charges, now_us)

    def is_due(self, now_us: int | None = None) -> bool:
        """Whether there is something to tidy."""
        now = _now(now_us)
        with self._lock:
            return bool(self._over) or any(each.until_us <= now for each in self._supplies.values())

    def tidy(self, now_us: int | None = None) -> None:
        """Give back what was not used in time.

        Raises:
            StoreError: some could not be given back, and is lost until its window is over.
        """
        now = _now(now_us)
        with self._lock:
            for supply in [each for each in self._supplies.values() if each.until_us <= now]:
                self._leave(supply)
            names = list(self._over)
        for at in range(0, len(names), _AT_ONCE):
            self._settle(names[at : at + _AT_ONCE], now, now_us)

    def give_back(self, now_us: int | None = None) -> None:
        """Give back all that lies here, because the process ends.

        Raises:
            StoreError: it could not be given back, and is lost until its window is over.
        """
        with self._lock:
            for supply in list(self._supplies.values()):
                self._leave(supply)
        self.tidy(now_us)

    # -- what is known ------------------------------------------------------------------------------------------------

    def levels(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Level]:
        """How buckets stand. What lies in this process has not been used yet; what lies in others counts as used.

        Raises:
            StoreError: they could not be read.
        """
        found = self._inner.levels(buckets, now_us)
        now = _now(now_us)
        return [self._without(bucket, level, now) for bucket, level in zip(buckets, found, strict=True)]

    def renew(self, slots: Sequence[Charge], now_us: int | None = None) -> Sequence[bool]:
        """Hold each slot for another length: slots are not taken in advance."""
        return self._inner.renew(slots, now_us)

    def standings(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Standing]:
        """How groups stand; what was taken in advance counts as used."""
        return self._inner.standings(buckets, now_us)


def _now(now_us: int | None) -> int:
    return time.time_ns() // 1000 if now_us is None else now_us


def _ahead(charge: Charge) -> float:
    """How much of it is taken at once."""
    return charge.bucket.ahead if charge.amount > 0 and charge.bucket.enforced else 0
