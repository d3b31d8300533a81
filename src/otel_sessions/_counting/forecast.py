"""When a quota will be used up, if it goes on like this."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from .buckets import Bucket, Level, Pace

_LEAST: Final = 0.25
"""For how many half-lives a rate has to be watched before it says anything."""


class Forecast(NamedTuple):
    """When a quota will be used up."""

    rate: float | None
    """What is used per second, averaged over a quarter of the quota's window; None as long as it is not known."""
    seconds: float | None
    """In how many seconds it is used up; None if it never is at that rate, or nobody knows."""

    @property
    def is_known(self) -> bool:
        """Whether it was used for long enough to tell."""
        return self.rate is not None


UNKNOWN: Final = Forecast(None, None)


def rate(pace: Pace | None, half_life_us: int | None, now_us: int) -> float | None:
    """What is used per second; None if it has not been watched for long enough.

    Use of long ago counts less, half after each half-life; so a burst raises the rate for a while, and a pause lets it
    sink. It is divided by how much of the past it has seen at all, so that it is right from the beginning.
    """
    if pace is None or half_life_us is None:
        return None
    watched = now_us - pace.since_us
    if pace.decayed <= 0:
        # Used once, and never since: of how often that happens nothing is known.
        return None
    if watched < _LEAST * half_life_us:
        return None
    age = max(0, now_us - pace.updated_us)
    decayed: float = pace.decayed * 0.5 ** (age / half_life_us)
    seen: float = 1 - 0.5 ** (watched / half_life_us)
    return decayed * math.log(2) / (half_life_us / 1e6) / seen


def forecast(bucket: Bucket, level: Level, now_us: int) -> Forecast:
    """When the bucket will be full.

    If its window is over before that, it begins anew, and is full in a later one only if a whole window's use is more
    than it holds. In a moving window old use leaves at the same time, so it may take longer than said.
    """
    capacity = bucket.capacity
    if capacity is None:
        return UNKNOWN
    if level.used >= capacity:
        return Forecast(rate(level.pace, bucket.half_life_us, now_us), 0.0)
    per_second = rate(level.pace, bucket.half_life_us, now_us)
    if per_second is None:
        return UNKNOWN
    if per_second <= 0:
        return Forecast(0.0, None)
    seconds = (capacity - level.used) / per_second
    length_us = bucket.length_us
    if length_us is None:
        return Forecast(per_second, seconds)
    if bucket.strategy != "fixed":
        return Forecast(per_second, seconds if per_second * length_us / 1e6 > capacity else None)
    left = max(0.0, ((level.resets_us or now_us) - now_us) / 1e6)
    if seconds <= left:
        return Forecast(per_second, seconds)
    anew = capacity / per_second
    return Forecast(per_second, left + anew if anew <= length_us / 1e6 else None)
