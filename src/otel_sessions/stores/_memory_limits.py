"""The counts of limits in this process's memory."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from .._counting.buckets import Admission, Bucket, Charge, Level, Standing, grace_us
from .._counting.counters import Counter, decide, level, load
from .._counting.standing import standing

_AT_ONCE: Final = 4
"""How many counters that are over go at most for each that is asked for: more than can be made."""


class MemoryLimits:
    """Counters in a dictionary under one lock; those that are over go in passing, O(log n) amortised."""

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self.after_fork()

    def after_fork(self) -> None:
        """Start empty in a child process: what is counted in memory is the parent's."""
        self._lock = threading.RLock()
        self._held: dict[str, tuple[Bucket, Counter]] = {}
        self._ends: list[tuple[int, str]] = []

    def admit(self, charges: Sequence[Charge], now_us: int | None = None) -> Admission:
        """Put all charges into their buckets, or none."""
        now = self._clock() // 1000 if now_us is None else now_us
        with self._lock:
            if len(charges) == 1:
                charge = charges[0]
                held = self._held.get(charge.bucket.name)
                if held is not None and held[0] is charge.bucket:
                    level = held[1].take(charge, now)
                    return Admission(level[1] or not charge.bucket.enforced, (level,), now)
            counters = [self._counter(charge.bucket, now) for charge in charges]
            decision = decide(counters, charges, now)
            self._forget(now, _AT_ONCE * len(charges))
        return decision

    def levels(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Level]:
        """How buckets stand, without putting anything in."""
        now = self._clock() // 1000 if now_us is None else now_us
        with self._lock:
            return [self._look(bucket, self._held.get(bucket.name), now) for bucket in buckets]

    def renew(self, slots: Sequence[Charge], now_us: int | None = None) -> Sequence[bool]:
        """Hold each slot for another length; which of them are held."""
        # One that was lost meanwhile is taken again, if there is room.
        return [self.admit([slot], now_us).admitted for slot in slots]

    def standings(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Standing]:
        """How the groups stand that these buckets are of."""
        now = self._clock() // 1000 if now_us is None else now_us
        groups = {bucket.group: bucket for bucket in buckets}
        levels: dict[str | None, list[Level]] = {group: [] for group in groups}
        with self._lock:
            held = [pair for pair in self._held.values() if pair[0].group in groups]
        for pair in held:
            group = pair[0].group
            # Not all at once: there may be many. As they are now: the period in which each was used may be over.
            with self._lock:
                levels[group].append(self._look(groups[group], pair, now))
        return [standing(bucket, levels[bucket.group], now) for bucket in buckets]

    def _look(self, bucket: Bucket, held: tuple[Bucket, Counter] | None, now: int) -> Level:
        """How a bucket stands. On a copy, for looking must not change anything."""
        counter = load(bucket, held[1].dump(), held[1].pace) if held else load(bucket, None)
        counter.advance(bucket, now)
        return level(counter, bucket, now)

    def _counter(self, bucket: Bucket, now: int) -> Counter:
        """The counter of a bucket, as it is at that time. What is known of the bucket itself is renewed."""
        held = self._held.get(bucket.name)
        # What another strategy has left counts as none.
        counter = held[1] if held is not None and held[0].strategy == bucket.strategy else load(bucket, None)
        counter.advance(bucket, now)
        if held is None or bucket.keep_us < held[0].keep_us:
            # The period for which it is asked may be over.
            until = max(counter.expires_us(bucket, now), now + grace_us(bucket))
            heapq.heappush(self._ends, (until, bucket.name))
        if held is None or held[0] is not bucket:
            self._held[bucket.name] = bucket, counter
        return counter

    def _forget(self, now: int, most: int) -> None:
        ends = self._ends
        for _ in range(most):
            if not ends or ends[0][0] > now:
                return
            _, name = heapq.heappop(ends)
            held = self._held.get(name)
            if held is None:
                continue
            bucket, counter = held
            until = counter.expires_us(bucket, now)
            if until > now:
                heapq.heappush(ends, (until, name))
            else:
                del self._held[name]
