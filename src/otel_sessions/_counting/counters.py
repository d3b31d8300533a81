"""The arithmetic of limits: how a count goes up, and how time takes it down again.

Each counter is the state of one bucket. It knows no clock and no store: the time is given, in microseconds, and whoever
holds it sees to it that one change happens at a time.

A clock may jump. Time that goes back by less than a window, or less than a day where the window is one of the calendar,
is taken to stand still, so that nothing is won by it; a state from further in the future than that was made by a clock
that was wrong, and begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Any, Final, Protocol, TypeAlias

from .buckets import Admission, Bucket, Charge, Level, Pace, fits, grace_us, is_absurd

_made: Final = tuple.__new__
"""Makes a named tuple in half the time."""

State: TypeAlias = "list[Any]"
"""What a counter is kept as outside of this process: numbers, text and lists of them."""


class Counter(Protocol):
    """The state of one bucket."""

    pace: Pace | None

    def advance(self, bucket: Bucket, now_us: int) -> None:
        """Let go of what is over at that time."""

    def used(self, bucket: Bucket, now_us: int) -> float:
        """How much counts; after `advance`."""

    def has_room(self, charge: Charge, now_us: int) -> bool:
        """Whether the charge fits; after `advance`."""

    def add(self, charge: Charge, now_us: int) -> None:
        """Put the charge in; after `advance`."""

    def resets_us(self, bucket: Bucket) -> int | None:
        """When the use goes down next, or begins anew."""

    def retry_us(self, charge: Charge, now_us: int) -> int | None:
        """When a charge that does not fit will fit; None: never."""

    def expires_us(self, bucket: Bucket, now_us: int) -> int:
        """When it need not be kept any more."""

    def dump(self) -> State:
        """The state, to be kept."""

    def take(self, charge: Charge, now_us: int) -> Level:
        """Let go of what is over, and put the charge in if it fits or is not enforced: how the bucket then stands."""


class _Taking:
    """Taking, step by step."""

    __slots__ = ()

    def take(self: Counter, charge: Charge, now_us: int) -> Level:
        """Let go of what is over, and put the charge in if it fits or is not enforced: how the bucket then stands."""
        bucket = charge.bucket
        self.advance(bucket, now_us)
        room = self.has_room(charge, now_us)
        retry = None if room else self.retry_us(charge, now_us)
        if room or not bucket.enforced:
            put(self, charge, now_us)
        return _made(Level, (self.used(bucket, now_us), room, self.resets_us(bucket), retry, self.pace))


class FixedWindow(_Taking):
    """Everything counts until the window is over. One that is never over has its last use in place of its start."""

    __slots__ = ("count", "pace", "start")

    def __init__(self, start: int = 0, count: float = 0, pace: Pace | None = None) -> None:
        self.start = start
        self.count = count
        self.pace = pace

    def advance(self, bucket: Bucket, now_us: int) -> None:
        """Begin anew if the window is over."""
        start, length = self.start, bucket.length_us
        if length is None:
            return
        begins = now_us if bucket.start_us is None else bucket.start_us
        if bucket.start_us is None:
            stale = now_us >= start + length or start > now_us + length
        else:
            stale = begins > start or is_absurd(start - begins, length)
        if stale:
            self.start, self.count = begins, 0

    def take(self, charge: Charge, now_us: int) -> Level:
        """As always, in one step where nothing is special: this decides most often."""
        bucket, amount, _ = charge
        _, capacity, _, length, begins, _, _, _, half_life, _, _ = bucket
        start, total = self.start, self.count + amount
        end = None if length is None else start + length
        if (
            amount > 0
            and (capacity is None or total <= capacity)
            and (end is None or (start <= now_us < end and (self.count if begins is None else begins == start)))
        ):
            self.count = total
            if length is None:
                self.start = now_us
            if half_life is not None:
                self.pace = paced(self.pace, amount, half_life, now_us)
            return _made(Level, (total, True, end, None, self.pace))
        return super().take(charge, now_us)

    def used(self, bucket: Bucket, now_us: int) -> float:  # noqa: ARG002 - it does not depend on them
        """What was counted in this window."""
        return self.count

    def has_room(self, charge: Charge, now_us: int) -> bool:  # noqa: ARG002 - it does not depend on it
        """Whether the window has room."""
        return fits(self.count, charge.amount, charge.bucket.capacity)

    def add(self, charge: Charge, now_us: int) -> None:
        """Count the amount; a negative one is given back."""
        bucket = charge.bucket
        if bucket.length_us is None or (bucket.start_us is None and not self.count):
            self.start = now_us
        self.count = max(0, self.count + charge.amount)

    def resets_us(self, bucket: Bucket) -> int | None:
        """The window's end."""
        return None if bucket.length_us is None else self.start + bucket.length_us

    def retry_us(self, charge: Charge, now_us: int) -> int | None:  # noqa: ARG002 - it does not depend on it
        """The window's end, unless the amount is more than a whole window takes."""
        return self.resets_us(charge.bucket) if fits(0, charge.amount, charge.bucket.capacity) else None

    def expires_us(self, bucket: Bucket, now_us: int) -> int:  # noqa: ARG002 - it does not depend on it
        """The window's end, and a while for those whose clock is behind."""
        return self.start + (bucket.keep_us if bucket.length_us is None else bucket.length_us) + grace_us(bucket)

    def dump(self) -> State:
        """The state, to be kept."""
        return [self.start, self.count]


class MovingWindow(_Taking):
    """What was used within the last window counts."""

    __slots__ = ("entries", "pace", "total")

    def __init__(self, *entries: list[float], pace: Pace | None = None) -> None:
        self.entries: list[list[Any]] = list(entries)
        self.total: float = sum(amount for _, amount in entries)
        self.pace = pace

    def advance(self, bucket: Bucket, now_us: int) -> None:
        """Let go of the entries that have left the window."""
        length = _length(bucket)
        entries = self.entries
        if entries and entries[-1][0] > now_us + length:
            entries.clear()
            self.total = 0
        gone = 0
        # An entry of a step may have been used at its end.
        limit = now_us - length - bucket.step_us
        for time_us, _ in entries:
            if time_us > limit:
                break
            gone += 1
        if gone:
            self.total -= sum([amount for _, amount in entries[:gone]])
            del entries[:gone]
            if not isinstance(self.total, int):
                # Subtracted, fractions leave something behind.
                self.total = sum([amount for _, amount in entries])

    def used(self, bucket: Bucket, now_us: int) -> float:  # noqa: ARG002 - it does not depend on them
        """The sum of the entries."""
        return self.total

    def has_room(self, charge: Charge, now_us: int) -> bool:  # noqa: ARG002 - it does not depend on it
        """Whether the window has room."""
        return fits(self.total, charge.amount, charge.bucket.capacity)

    def add(self, charge: Charge, now_us: int) -> None:
        """Enter the amount at this time; a negative one is taken from the latest."""
        if charge.amount < 0:
            self._take(-charge.amount)
            return
        step = charge.bucket.step_us
        time_us = now_us - now_us % step if step else now_us
        entries = self.entries
        # Time that goes back stands still: the entries stay in their order.
        if entries and entries[-1][0] >= time_us:
            entries[-1][1] += charge.amount
        elif charge.amount:
            entries.append([time_us, charge.amount])
        self.total += charge.amount

    def _take(self, amount: float) -> None:
        for entry in reversed(self.entries):
            taken = min(amount, entry[1])
            entry[1] -= taken
            self.total -= taken
            amount -= taken

    def resets_us(self, bucket: Bucket) -> int | None:
        """When the oldest entry leaves."""
        return self.entries[0][0] + bucket.step_us + _length(bucket) if self.entries else None

    def retry_us(self, charge: Charge, now_us: int) -> int | None:  # noqa: ARG002 - it does not depend on it
        """When enough entries have left."""
        bucket = charge.bucket
        rest = self.total
        if fits(0, charge.amount, bucket.capacity):
            for time_us, amount in self.entries:
                rest -= amount
                if fits(rest, charge.amount, bucket.capacity):
                    leaves: int = time_us + bucket.step_us + _length(bucket)
                    return leaves
        return None

    def expires_us(self, bucket: Bucket, now_us: int) -> int:
        """When the newest entry leaves."""
        newest: int = self.entries[-1][0] if self.entries else now_us
        return newest + bucket.step_us + _length(bucket)

    def dump(self) -> State:
        """The state, to be kept."""
        return self.entries


class SlidingWindow(_Taking):
    """The window before this one counts by the share that reaches into the last window's length."""

    __slots__ = ("before", "count", "pace", "start")

    def __init__(self, start: int = 0, before: float = 0, count: float = 0, pace: Pace | None = None) -> None:
        self.start = start
        self.before = before
        self.count = count
        self.pace = pace

    def advance(self, bucket: Bucket, now_us: int) -> None:
        """Go on to the window of this time."""
        length = _length(bucket)
        start = now_us - now_us % length
        if start == self.start + length:
            self.start, self.before, self.count = start, self.count, 0
        elif start > self.start or self.start > start + length:
            self.start, self.before, self.count = start, 0, 0

    def used(self, bucket: Bucket, now_us: int) -> float:
        """The weighted count, in whole numbers."""
        length = _length(bucket)
        reaches = min(length, max(0, self.start + length - now_us))
        return floor(self.before * reaches / length) + self.count

    def has_room(self, charge: Charge, now_us: int) -> bool:
        """Whether the weighted count leaves room."""
        return fits(self.used(charge.bucket, now_us), charge.amount, charge.bucket.capacity)

    def add(self, charge: Charge, now_us: int) -> None:  # noqa: ARG002 - it does not depend on it
        """Count the amount in the present window."""
        self.count = max(0, self.count + charge.amount)

    def resets_us(self, bucket: Bucket) -> int | None:
        """The end of the present window."""
        return self.start + _length(bucket)

    def retry_us(self, charge: Charge, now_us: int) -> int | None:  # noqa: ARG002 - it does not depend on it
        """When the older window's share has shrunk enough: in this window, or in the next."""
        bucket, length = charge.bucket, _length(charge.bucket)
        if bucket.capacity is None or not fits(0, charge.amount, bucket.capacity):
            return None
        room = bucket.capacity - charge.amount
        end = self.start + length
        if self.count <= room:
            return end - _shrunk(room - self.count, self.before, length)
        return end + length - _shrunk(room, self.count, length)

    def expires_us(self, bucket: Bucket, now_us: int) -> int:  # noqa: ARG002 - it does not depend on it
        """When the present window is no longer the one before."""
        return self.start + 2 * _length(bucket)

    def dump(self) -> State:
        """The state, to be kept."""
        return [self.start, self.before, self.count]


def _shrunk(room: float, count: float, length: int) -> int:
    """How much before its end a window that counts has shrunk to less than `room` and one: then its floor fits."""
    return min(length, max(0, -floor(-(room + 1) * length / count) - 1)) if count else length


class Slots(_Taking):
    """Who holds one, and until when."""

    __slots__ = ("holders", "pace")

    def __init__(self, *holders: list[Any], pace: Pace | None = None) -> None:
        self.holders: dict[str, int] = dict(holders)
        self.pace = pace

    def advance(self, bucket: Bucket, now_us: int) -> None:
        """Let go of the slots that were not renewed in time."""
        latest = now_us + _length(bucket)
        for holder, until in list(self.holders.items()):
            if until <= now_us:
                del self.holders[holder]
            elif until > latest:
                # The clock went back: nobody holds one for longer than it may be held.
                self.holders[holder] = latest

    def used(self, bucket: Bucket, now_us: int) -> float:  # noqa: ARG002 - it does not depend on them
        """How many are held."""
        return len(self.holders)

    def has_room(self, charge: Charge, now_us: int) -> bool:  # noqa: ARG002 - it does not depend on it
        """Whether one is free, or is this holder's already."""
        return charge.holder in self.holders or fits(len(self.holders), charge.amount, charge.bucket.capacity)

    def add(self, charge: Charge, now_us: int) -> None:
        """Take a slot, or hold it for longer; with a negative amount, give it back."""
        if charge.amount < 0:
            self.holders.pop(charge.holder, None)
        elif charge.amount:
            self.holders[charge.holder] = now_us + _length(charge.bucket)

    def resets_us(self, bucket: Bucket) -> int | None:  # noqa: ARG002 - it does not depend on it
        """When the first one comes back by itself."""
        return min(self.holders.values(), default=None)

    def retry_us(self, charge: Charge, now_us: int) -> int | None:  # noqa: ARG002 - it does not depend on it
        """When the first one comes back at the latest."""
        return self.resets_us(charge.bucket) if fits(0, 1, charge.bucket.capacity) else None

    def expires_us(self, bucket: Bucket, now_us: int) -> int:  # noqa: ARG002 - it does not depend on it
        """When the last one comes back by itself."""
        return max(self.holders.values(), default=now_us)

    def dump(self) -> State:
        """The state, to be kept."""
        return [[holder, until] for holder, until in self.holders.items()]


def _length(bucket: Bucket) -> int:
    if bucket.length_us is None:
        raise ValueError(f"the bucket {bucket.name!r} has no length, which {bucket.strategy!r} needs")
    return bucket.length_us


_COUNTERS: Final = {"fixed": FixedWindow, "moving": MovingWindow, "sliding": SlidingWindow, "slots": Slots}


def load(bucket: Bucket, state: State | None, pace: Pace | None = None) -> Counter:
    """The counter of a bucket, from the state that was kept."""
    counter: Counter = _COUNTERS[bucket.strategy](*(state or ()), pace=pace)
    return counter


def paced(pace: Pace | None, amount: float, half_life_us: int, now_us: int) -> Pace:
    """How fast a bucket is filled, after another amount. The first one says nothing: it has no time before it."""
    if pace is None or pace.updated_us > now_us + half_life_us:
        return Pace(0.0, now_us, now_us)
    decayed, updated, since = pace
    age = now_us - updated
    if age > 0:
        decayed *= 0.5 ** (age / half_life_us)
        updated = now_us
    return _made(Pace, (max(0.0, decayed + amount), updated, since))


def put(counter: Counter, charge: Charge, now_us: int) -> None:
    """Put a charge in, and note how fast that goes."""
    counter.add(charge, now_us)
    half_life = charge.bucket.half_life_us
    if half_life is not None:
        counter.pace = paced(counter.pace, charge.amount, half_life, now_us)


def level(counter: Counter, bucket: Bucket, now_us: int) -> Level:
    """How a bucket stands; after `advance`."""
    return Level(counter.used(bucket, now_us), True, counter.resets_us(bucket), None, counter.pace)


def decide(counters: Sequence[Counter], charges: Sequence[Charge], now_us: int) -> Admission:
    """Put all charges into their buckets, which are different ones, or none; after `advance`."""
    pairs = list(zip(counters, charges, strict=True))
    rooms = [counter.has_room(charge, now_us) for counter, charge in pairs]
    admitted = all(room or not charge.bucket.enforced for room, charge in zip(rooms, charges, strict=True))
    # Before anything is put in: that is what does not fit.
    retries = [None if room else pair[0].retry_us(pair[1], now_us) for room, pair in zip(rooms, pairs, strict=True)]
    if admitted:
        for counter, charge in pairs:
            put(counter, charge, now_us)
    levels = [
        Level(counter.used(charge.bucket, now_us), room, counter.resets_us(charge.bucket), retry, counter.pace)
        for (counter, charge), room, retry in zip(pairs, rooms, retries, strict=True)
    ]
    return Admission(admitted, levels, now_us)
