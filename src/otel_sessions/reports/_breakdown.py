"""What the sessions of each type, tier, status or end reason add up to: which are slow, which fail, which cost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple, get_args

from .._consumption import total as total_tokens
from .._tally import NS, Kind, Tally
from ..exceptions import InvalidValueError
from ._sums import Sums

Dimension = Literal["type", "tier", "status", "end_reason"]

_NONE: Final = "none"
_NAME: Final[Mapping[Dimension, Callable[[Kind], str | None]]] = {
    "type": lambda kind: kind.type,
    "tier": lambda kind: kind.tier,
    "status": lambda kind: kind.status,
    "end_reason": lambda kind: kind.reason,
}


class Group(NamedTuple):
    """What the sessions add up to that have one thing in common. Durations are seconds."""

    name: str
    """What they have in common; `none` for those without a tier."""
    sessions: int
    success_rate: float
    crash_free_rate: float
    mean_duration: float
    p50_duration: float
    """Quantiles are right to within 1.1 %."""
    p95_duration: float
    p99_duration: float
    total_duration: float
    """Of all of them together: where the time goes."""
    requests: int
    errors: int
    turns: int
    mean_response_time: float | None
    """From the user's message to the answer; None without turns."""
    total_tokens: int
    cost: Mapping[str, float]
    """By currency."""


class Breakdown(NamedTuple):
    """The sessions that ended in a period, in groups."""

    since: dt.datetime
    until: dt.datetime
    by: Dimension
    groups: tuple[Group, ...]
    """The one with most sessions first; of equals the first by name."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "by": self.by,
            "groups": [group._asdict() for group in self.groups],
        }


def breakdown(
    by: Dimension = "type",
    *,
    days: float | None = 30,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> Breakdown:
    """What the sessions that ended in a period add up to, by what they have in common; by full hours.

    Args:
        by: `type`, `tier`, `status` or `end_reason`.
        days: how many days back, if `since` is not given; None: as long as anything is remembered.
        since: from the full hour of then on; a time without a zone is that of this machine.
        until: until the end of the hour of then; now, if it is not given or yet to come.

    Raises:
        InvalidValueError: an argument is wrong.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    if by not in get_args(Dimension):
        raise InvalidValueError(f"by: sessions are told apart by {', '.join(get_args(Dimension))}, not by {by!r}")
    sums = Sums.of(days=days, since=since, until=until)
    by_name: dict[str, dict[Kind, Tally]] = {}
    for kind, tally in sums.ended_by_kind.items():
        by_name.setdefault(_NAME[by](kind) or _NONE, {})[kind] = tally
    groups = (_group(name, found) for name, found in by_name.items())
    return Breakdown(
        since=sums.since,
        until=sums.until,
        by=by,
        groups=tuple(sorted(groups, key=lambda group: (-group.sessions, group.name))),
    )


def _group(name: str, by_kind: Mapping[Kind, Tally]) -> Group:
    tally = Tally.total(by_kind.values())
    ended = tally.sessions
    return Group(
        name=name,
        sessions=ended,
        success_rate=sum(each.sessions for kind, each in by_kind.items() if kind.status == "success") / ended,
        crash_free_rate=1 - sum(each.sessions for kind, each in by_kind.items() if kind.reason == "crashed") / ended,
        mean_duration=tally.duration_ns / ended / NS,
        p50_duration=tally.duration_quantile(0.5) or 0.0,
        p95_duration=tally.duration_quantile(0.95) or 0.0,
        p99_duration=tally.duration_quantile(0.99) or 0.0,
        total_duration=tally.duration_ns / NS,
        requests=tally.requests,
        errors=tally.errors,
        turns=tally.turns,
        mean_response_time=tally.turn_ns / tally.turns / NS if tally.turns else None,
        total_tokens=int(total_tokens(tally.tokens or {})),
        cost=dict(tally.cost or {}),
    )
