"""The counts of limits in Redis: each decision is one script, and one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .._counting.buckets import CRITICAL, WARNING, Admission, Bucket, Charge, Level, Pace, Standing
from .._counting.standing import LOOKED_AT, soonest
from ._redis_format import decode, dumps, encode
from ._redis_line import Line

_SETS: Final = ("shares", "ends", "fulls")
_AT_ONCE: Final = 100
_SOONEST: Final = 20
_TOLD: Final = 7
"""How many numbers are told of each bucket."""
_NONE: Final = b"-"


class RedisLimits:
    """Counters for all machines. Time is the server's, so that theirs need not agree."""

    def __init__(self, line: Line, prefix: str) -> None:
        self._line = line
        self._prefix = prefix

    def admit(self, charges: Sequence[Charge], now_us: int | None = None) -> Admission:
        """Put all charges into their buckets, or none.

        Raises:
            StoreError: nobody knows whether it was decided; if it was, what was put in stays.
        """
        return self._ask("admit", charges, now_us)

    def levels(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Level]:
        """How buckets stand, without putting anything in.

        Raises:
            StoreError: they could not be read.
        """
        return self._ask("levels", [Charge(bucket, 0) for bucket in buckets], now_us).levels

    def renew(self, slots: Sequence[Charge], now_us: int | None = None) -> Sequence[bool]:
        """Hold each slot for another length; one that was lost is taken again, if there is room. Which are held.

        Raises:
            StoreError: nobody knows which of them were renewed.
        """
        held: list[bool] = []
        for at in range(0, len(slots), _AT_ONCE):
            held += [level.fits for level in self._ask("renew", slots[at : at + _AT_ONCE], now_us).levels]
        return held

    def standings(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Standing]:
        """How the groups stand that these buckets are of.

        Raises:
            StoreError: they could not be read.
        """
        return [self._standing(bucket, now_us) for bucket in buckets]

    def _standing(self, bucket: Bucket, now_us: int | None) -> Standing:
        arguments = ["" if now_us is None else str(now_us), str(WARNING), str(CRITICAL), str(_SOONEST)]
        arguments += [_argument(Charge(bucket, 0)), str(LOOKED_AT)]
        now, highest, *counts, first = self._line.run("limits/standings", self._group_keys(bucket), arguments)
        names = [decode(key)[len(self._bucket_prefix) :] for key in first]
        levels = self.levels([bucket._replace(name=name) for name in names], now_us) if names else []
        below, warning, critical, exhausted = counts
        seconds = soonest(bucket, levels, int(float(now)))
        return Standing(float(highest), below, warning, critical, exhausted, seconds)

    def _ask(self, script: str, charges: Sequence[Charge], now_us: int | None) -> Admission:
        keys: list[bytes] = []
        arguments: list[bytes | str] = ["" if now_us is None else str(now_us)]
        for charge in charges:
            bucket = charge.bucket
            keys.append(encode(f"{self._bucket_prefix}{bucket.name}"))
            if bucket.group is not None:
                keys += self._group_keys(bucket)
            arguments.append(_argument(charge))
        now, admitted, *told = self._line.run(f"limits/{script}", keys, arguments).split()
        levels = [_level(*told[at : at + _TOLD]) for at in range(0, len(told), _TOLD)]
        return Admission(admitted == b"1", levels, int(float(now)))

    @property
    def _bucket_prefix(self) -> str:
        return f"{self._prefix}b:"

    def _group_keys(self, bucket: Bucket) -> list[bytes]:
        # Of another day it is another group: at midnight all of them are over at once.
        period = "" if bucket.start_us is None else bucket.start_us
        return [encode(f"{self._prefix}g:{bucket.group}:{period}:{name}") for name in _SETS]


def _argument(charge: Charge) -> str:
    """What `buckets` in the scripts' prelude reads."""
    bucket = charge.bucket
    return dumps(
        [
            bucket.strategy,
            charge.amount,
            charge.holder,
            bucket.enforced,
            bucket.group is not None,
            bucket.capacity,
            bucket.length_us,
            bucket.start_us,
            bucket.step_us,
            bucket.keep_us,
            bucket.half_life_us,
        ]
    )


def _level(
    room: bytes, used: bytes, resets: bytes, retry: bytes, decayed: bytes, updated: bytes, since: bytes
) -> Level:
    pace = None if decayed == _NONE else Pace(float(decayed), int(float(updated)), int(float(since)))
    return Level(_amount(used), room == b"1", _time(resets), _time(retry), pace)


def _amount(text: bytes) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _time(text: bytes) -> int | None:
    return None if text == _NONE else int(float(text))
