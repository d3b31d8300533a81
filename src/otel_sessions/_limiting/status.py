"""How limits stand, as applications and clients are told."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from .._counting.buckets import Level
from .._counting.forecast import UNKNOWN, Forecast, forecast
from ..exceptions import LimitExceededError
from ..limits.policy import TOTAL, Quota
from .allowances import Gauge


class QuotaStatus(NamedTuple):
    """How a quota stands, for one session."""

    name: str
    used: float | None
    """None: the store could not be asked."""
    limit: float | None
    """None: there is none, and it is only counted."""
    window: str
    scope: str
    resets_at: dt.datetime | None
    """When what is used begins to go down, or begins anew; None if it does not by itself."""
    forecast: Forecast
    """When it will be used up, at the present rate."""

    @property
    def remaining(self) -> float | None:
        """How much can still be used; None if there is no limit, or nobody knows."""
        return None if self.limit is None or self.used is None else max(0, self.limit - self.used)

    @property
    def percentage(self) -> float | None:
        """How much of it is used, in percent; None if there is no limit, or nobody knows."""
        if self.limit is None or self.used is None:
            return None
        return 100.0 * self.used / self.limit if self.limit else 100.0

    def to_dict(self) -> dict[str, object]:
        """JSON-compatible values."""
        return {
            "name": self.name,
            "used": self.used,
            "limit": self.limit,
            "remaining": self.remaining,
            "percentage": self.percentage,
            "window": self.window,
            "scope": self.scope,
            "resets_at": None if self.resets_at is None else self.resets_at.isoformat(),
            "rate": self.forecast.rate,
            "seconds_to_exhaustion": self.forecast.seconds,
        }


class LimitStatus(NamedTuple):
    """How a limit stands after a decision."""

    kind: str
    name: str
    used: float
    limit: float | None
    window: str
    window_seconds: float | None
    resets_after: float | None
    """In how many seconds what is used begins to go down, or begins anew."""
    scope: str

    @property
    def policy(self) -> str:
        """What a client is told that it is called: different for all that a tier may hold."""
        usual = "session" if self.window == TOTAL else "user"
        parts = self.name, self.window.replace(" ", ""), "" if self.scope == usual else self.scope
        return "-".join(filter(None, parts))

    @classmethod
    def of(cls, error: LimitExceededError) -> LimitStatus:
        """The limit that refused."""
        return cls(
            error.kind,
            error.name,
            error.used,
            error.limit,
            error.window,
            error.window_seconds,
            None if error.kind == "concurrency" else error.retry_after,
            error.scope,
        )


def status_of(gauge: Gauge, level: Level | None, now_us: int) -> QuotaStatus:
    """How a quota stands; its level is None if the store could not be asked."""
    limit = gauge.limit
    if not isinstance(limit, Quota):
        raise TypeError(f"{limit!r} is no quota")
    return QuotaStatus(
        limit.name,
        None if level is None else level.used,
        limit.limit,
        gauge.window,
        limit.scope,
        None if level is None else moment(level.resets_us),
        UNKNOWN if level is None else forecast(gauge.bucket, level, now_us),
    )


def window_seconds(gauge: Gauge) -> float | None:
    """How long a limit's window is; None if it has no end."""
    # The time to live of a slot is no window.
    length = None if gauge.bucket.strategy == "slots" else gauge.bucket.length_us
    return None if length is None else length / 1e6


def seconds_until(time_us: int | None, now_us: int) -> float | None:
    """In how many seconds that time comes; None for never."""
    return None if time_us is None else max(0.0, (time_us - now_us) / 1e6)


def moment(time_us: int | None) -> dt.datetime | None:
    """A time in UTC; None for never."""
    return None if time_us is None else dt.datetime.fromtimestamp(time_us / 1e6, dt.timezone.utc)
