"""What hooks are told of limits. Called only where there are hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._counting.buckets import Level
from .._hook_events import REJECTED, THRESHOLD, USAGE, RejectionEvent, ThresholdEvent, UsageEvent
from .._hooks import hooks
from .._live import Live
from .._statistics import moment
from .allowances import Gauge


class Asking:
    """What a session asks of limits: the part of what is told that is the same for all hooks."""

    __slots__ = ("_common",)

    def __init__(
        self, live: Live, *, tier: str | None, name: str, amount: float, operation: str | None, time_ns: int
    ) -> None:
        self._common: dict[str, Any] = {
            "time": moment(time_ns),
            "session_id": live.beginning.id,
            "session_type": live.beginning.type,
            "tier": tier,
            "user": live.user,
            "name": name,
            "amount": amount,
            "operation": operation,
        }

    def used(self, gauges: Sequence[Gauge], levels: Sequence[Level | None]) -> None:
        """Tell that it was used, and how its quotas of that name stand now."""
        known = [(gauge, level) for gauge, level in zip(gauges, levels, strict=True) if level is not None]
        standing = _standing(*max(known, key=lambda one: _share(*one))) if known else {}
        hooks.tell(USAGE, UsageEvent(**self._common, **standing))

    def crossed(self, gauge: Gauge, level: Level, threshold: float) -> None:
        """Tell that a quota was used up to that share."""
        hooks.tell(THRESHOLD, ThresholdEvent(**self._common, **_standing(gauge, level), threshold=threshold))

    def rejected(self, kind: str, gauge: Gauge, level: Level, *, shadow: bool) -> None:
        """Tell that a limit refused it, or would have."""
        hooks.tell(REJECTED, RejectionEvent(**self._common, **_standing(gauge, level), kind=kind, shadow=shadow))


def _standing(gauge: Gauge, level: Level) -> dict[str, Any]:
    return {
        "used": level.used,
        "limit": gauge.bucket.capacity,
        "window": gauge.window,
        "scope": gauge.limit.scope,
    }


def _share(gauge: Gauge, level: Level) -> float:
    capacity = gauge.bucket.capacity
    return level.used / capacity if capacity else 0.0
