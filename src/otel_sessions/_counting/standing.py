"""How many actors are close to a limit, for a metric that knows none of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from .buckets import CRITICAL, WARNING, Bucket, Level, Standing
from .forecast import forecast

LOOKED_AT: Final = 100
"""How many of a group whose window moves a store outside of the process looks at when it says how the group stands.

Of the others it knows what they had used when they were last asked for or looked at, some of which has left since.
"""


def standing(bucket: Bucket, levels: Collection[Level], now_us: int) -> Standing:
    """How the buckets of a group stand, all in all; `bucket` is any of them."""
    ratios = [ratio(bucket, level.used) for level in levels if level.used > 0]
    exhausted = sum(share >= 1 for share in ratios)
    critical = sum(share >= CRITICAL for share in ratios) - exhausted
    warning = sum(share >= WARNING for share in ratios) - critical - exhausted
    below = len(ratios) - warning - critical - exhausted
    return Standing(max(ratios, default=0.0), below, warning, critical, exhausted, soonest(bucket, levels, now_us))


def ratio(bucket: Bucket, used: float) -> float:
    """The share of its capacity that is used; of none at all, anything is too much."""
    if bucket.capacity is None or used <= 0:
        return 0.0
    return used / bucket.capacity if bucket.capacity else 1.0


def soonest(bucket: Bucket, levels: Iterable[Level], now_us: int) -> float | None:
    """In how many seconds the first one that is not exhausted will be."""
    forecasts = [forecast(bucket, level, now_us).seconds for level in levels]
    return min((seconds for seconds in forecasts if seconds), default=None)
