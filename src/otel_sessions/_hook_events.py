"""What hooks are told, and the names they are registered under."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, get_args

if TYPE_CHECKING:
    from ._health_check import HealthAlert

HookName = Literal["usage", "quota.threshold", "limit.rejected", "alert"]

USAGE: Final = "usage"
THRESHOLD: Final = "quota.threshold"
REJECTED: Final = "limit.rejected"
ALERT: Final = "alert"
HOOK_NAMES: Final[tuple[str, ...]] = get_args(HookName)


class UsageEvent(NamedTuple):
    """Something was used: what the hook `usage` is told."""

    time: dt.datetime
    session_id: str
    session_type: str
    tier: str | None
    user: str | None
    """The user's pseudonym."""
    name: str
    """What was used: `tokens`, `api_calls`, ..."""
    amount: float
    """How much of it; negative if it was given back."""
    operation: str | None
    """What for, as `use` was told."""
    used: float | None = None
    """How much of the quota is used by now. Of several windows, the one of which the largest share is.

    None, as are the following: there is no quota, or the store could not be asked.
    """
    limit: float | None = None
    window: str | None = None
    scope: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return self._asdict() | {"time": self.time.isoformat()}


class ThresholdEvent(NamedTuple):
    """A use crossed 75 % or 90 % of a quota: what the hook `quota.threshold` is told, once per window and threshold."""

    time: dt.datetime
    session_id: str
    session_type: str
    tier: str | None
    user: str | None
    """The user's pseudonym."""
    name: str
    amount: float
    """How much of it was used with that."""
    operation: str | None
    """What for, as `use` was told."""
    used: float
    limit: float
    window: str
    scope: str
    threshold: float
    """0.75 or 0.9."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return self._asdict() | {"time": self.time.isoformat()}


class RejectionEvent(NamedTuple):
    """A limit refused something: what the hook `limit.rejected` is told."""

    time: dt.datetime
    session_id: str
    session_type: str
    tier: str | None
    user: str | None
    """The user's pseudonym."""
    name: str
    amount: float
    """How much of it was asked for."""
    operation: str | None
    """What for, as `use` was told."""
    used: float
    limit: float
    window: str
    scope: str
    kind: str
    """`quota`, `rate` or `concurrency`."""
    shadow: bool
    """Whether it was allowed nevertheless, because the limit is not enforced."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return self._asdict() | {"time": self.time.isoformat()}


HookEvent: TypeAlias = "UsageEvent | ThresholdEvent | RejectionEvent | HealthAlert"
