"""What a session asks of its limits, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from .. import _semconv as sc
from .._counting.buckets import Admission, Charge, Level
from .._models import Attributes
from ..exceptions import ConcurrencyExceededError, LimitExceededError, QuotaExceededError, RateLimitedError
from .allowances import Gauge
from .status import LimitStatus, moment, seconds_until, window_seconds

_ERRORS: Final[Mapping[str, type[LimitExceededError]]] = {
    "quota": QuotaExceededError,
    "rate": RateLimitedError,
    "concurrency": ConcurrencyExceededError,
}
_ASK_AGAIN_SECONDS: Final = 1.0
"""After which time it is worth asking again for a slot."""


class Asked(NamedTuple):
    """What a session asks for, of one limit's name."""

    kind: str
    name: str
    amount: float
    gauges: Sequence[Gauge]
    charges: Sequence[Charge]


class Passed(NamedTuple):
    """What was allowed."""

    asked: Sequence[Asked] = ()
    admission: Admission | None = None
    """None if nothing had to be decided, or the store could not be asked."""

    def statuses(self) -> list[LimitStatus]:
        """How the limits stand now."""
        return [] if self.admission is None else statuses_of(self.asked, self.admission)


def statuses_of(asked: Sequence[Asked], admission: Admission) -> list[LimitStatus]:
    """How limits stand after a decision."""
    gauges = [(each, gauge) for each in asked for gauge in each.gauges]
    return [
        LimitStatus(
            each.kind,
            each.name,
            level.used,
            gauge.bucket.capacity,
            gauge.window,
            window_seconds(gauge),
            # When a slot is given back nobody knows.
            None if each.kind == "concurrency" else seconds_until(level.resets_us, admission.now_us),
            gauge.limit.scope,
        )
        for (each, gauge), level in zip(gauges, admission.levels, strict=True)
        # A client that kept to what is only tried out would be limited by it.
        if gauge.bucket.enforced
    ]


def error_of(asked: Asked, gauge: Gauge, level: Level, now_us: int) -> LimitExceededError:
    """What a refusal is raised as."""
    retry_after, reset_at = seconds_until(level.retry_us, now_us), moment(level.resets_us)
    if asked.kind == "concurrency":
        # What the store knows is when a slot comes back whose holder has died.
        retry_after, reset_at = None if retry_after is None else _ASK_AGAIN_SECONDS, None
    return _ERRORS[asked.kind](
        asked.name,
        amount=asked.amount,
        used=level.used,
        limit=gauge.bucket.capacity or 0,
        window=gauge.window,
        window_seconds=window_seconds(gauge),
        scope=gauge.limit.scope,
        retry_after=retry_after,
        reset_at=reset_at,
    )


def unenforced(asked: Asked) -> Asked:
    """The same, for what was used already: it is never refused."""
    charges = [charge._replace(bucket=charge.bucket._replace(enforced=False)) for charge in asked.charges]
    return asked._replace(charges=charges)


def share(gauge: Gauge, level: Level) -> float:
    """Which share of a limit is used."""
    capacity = gauge.bucket.capacity
    if capacity is None:
        return 0.0
    return level.used / capacity if capacity else 1.0


def described(asked: Asked, gauge: Gauge, level: Level) -> Attributes:
    """What events say of a limit."""
    return {
        sc.LIMIT_KIND: asked.kind,
        sc.LIMIT_NAME: asked.name,
        sc.LIMIT_WINDOW: gauge.window,
        sc.LIMIT_SCOPE: gauge.limit.scope,
        sc.LIMIT_USED: level.used,
        sc.LIMIT_CAPACITY: gauge.bucket.capacity or 0,
    }
