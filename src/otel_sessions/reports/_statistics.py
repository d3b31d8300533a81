"""What sessions add up to."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from .. import _runtime
from .._consumption import total as total_tokens
from .._models import SessionRecord
from .._statistics import moment
from .._tally import DAY_HOURS, HOUR_NS, NS, Kind, Tally
from ..typing import UserCounts
from ._period import Hours, period

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MOST_USERS: Final = 20
_NONE: Final = "none"


class LongestSession(NamedTuple):
    """The session that lasted longest."""

    session_id: str
    type: str
    duration: float
    """Seconds."""


class Statistics(NamedTuple):
    """What the sessions add up to that ended in a period, and how many are active now. Durations are seconds.

    Quantiles of durations are right to within 1.1 %.
    """

    since: dt.datetime
    """From that full hour on; what is remembered may begin later."""
    until: dt.datetime
    total: int
    """Those that ended, and those that are active."""
    active: int
    ended: int
    success_rate: float | None
    """The share of those that ended as `success`; None if none ended."""
    crash_free_rate: float | None
    """The share of those that did not end because their process crashed; None if none ended."""
    mean_duration: float | None
    p50_duration: float | None
    p95_duration: float | None
    p99_duration: float | None
    longest: LongestSession | None
    by_type: Mapping[str, int]
    """All of them, the active ones too, as in the other counts but those by weekday and hour."""
    by_status: Mapping[str, int]
    by_end_reason: Mapping[str, int]
    """Those that ended."""
    by_tier: Mapping[str, int]
    """Under `none` those without one."""
    users: int
    """How many had sessions that ended."""
    by_user: Mapping[str, int]
    """The 20 pseudonyms that had most sessions, of those that ended."""
    by_weekday: Mapping[str, int]
    """On which day of the week those that ended had begun, UTC."""
    by_hour: Mapping[int, int]
    """At which hour of the day, UTC."""
    requests: int
    errors: int
    turns: int
    mean_response_time: float | None
    """From the user's message to the answer; None without turns."""
    tokens: Mapping[str, int]
    """By type."""
    total_tokens: int
    """Each once: what was read from a cache is part of the input, what was reasoned of the output."""
    cost: Mapping[str, float]
    """By currency."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        found = self._asdict() | {"since": self.since.isoformat(), "until": self.until.isoformat()}
        return found | {
            "longest": None if self.longest is None else self.longest._asdict(),
            "by_hour": {str(hour): count for hour, count in self.by_hour.items()},
        }

    def __str__(self) -> str:
        """A report for people, in plain text."""
        lines = [f"Sessions from {self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M} UTC", ""]
        shown = {
            "total": self.total,
            "active": self.active,
            "ended": self.ended,
            "success rate": _percent(self.success_rate),
            "crash-free rate": _percent(self.crash_free_rate),
            "mean duration": _seconds(self.mean_duration),
            "95 % lasted at most": _seconds(self.p95_duration),
            "longest": "-" if self.longest is None else f"{_seconds(self.longest.duration)} ({self.longest.type})",
            "errors": self.errors,
            "turns": self.turns,
            "tokens": self.total_tokens,
            "cost": ", ".join(f"{amount:.2f} {currency}" for currency, amount in self.cost.items()) or "-",
        }
        lines += [f"  {name:<20} {value}" for name, value in shown.items()]
        for title, counts in (("type", self.by_type), ("status", self.by_status), ("user", self.by_user)):
            if counts:
                lines += ["", f"By {title}:", *(f"  {name:<34} {count}" for name, count in counts.items())]
        return "\n".join(lines)


def statistics(
    *, days: float | None = 30, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> Statistics:
    """What the sessions add up to that ended in a period, by full hours; and those that are active now.

    Args:
        days: how many days back, if `since` is not given; None: as long as anything is remembered.
        since: from the full hour of then on; a time without a zone is that of this machine.
        until: until the end of the hour of then; now, if it is not given.

    Raises:
        InvalidValueError: an argument is wrong.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    runtime = _runtime.get()
    now_ns = runtime.lifecycle.clock.time_ns()
    hours = period(now_ns, None if since is not None else days, since, until).in_hours()
    if not runtime.enabled:
        return _summed(hours, now_ns, {}, [], UserCounts([], 0))
    ledger = runtime.lifecycle.ledger
    runtime.lifecycle.limiter.measured.settle_all()
    sums = ledger.past.sums(*hours)
    users = ledger.past.users(*hours, _MOST_USERS, {})
    return _summed(hours, now_ns, sums, ledger.active_or_fail(), users)


def _summed(
    hours: Hours,
    now_ns: int,
    by_kind: Mapping[Kind, Tally],
    active: list[SessionRecord],
    users: UserCounts,
) -> Statistics:
    all_ended = Tally.total(by_kind.values())
    ended = all_ended.sessions
    by_type = Counter(record.type for record in active)
    by_tier = Counter(record.tier or _NONE for record in active)
    by_status: Counter[str] = Counter({"active": len(active)} if active else {})
    by_reason: Counter[str] = Counter()
    for kind, tally in by_kind.items():
        by_type[kind.type] += tally.sessions
        by_tier[kind.tier or _NONE] += tally.sessions
        by_status[kind.status] += tally.sessions
        by_reason[kind.reason or _NONE] += tally.sessions
    started = all_ended.started or {}
    return Statistics(
        since=moment(hours.since * HOUR_NS),
        until=min(moment(hours.until * HOUR_NS), moment(now_ns)),
        total=ended + len(active),
        active=len(active),
        ended=ended,
        success_rate=by_status["success"] / ended if ended else None,
        crash_free_rate=1 - by_reason["crashed"] / ended if ended else None,
        mean_duration=all_ended.duration_ns / ended / NS if ended else None,
        p50_duration=all_ended.duration_quantile(0.5),
        p95_duration=all_ended.duration_quantile(0.95),
        p99_duration=all_ended.duration_quantile(0.99),
        longest=_longest(by_kind),
        by_type=dict(by_type.most_common()),
        by_status=dict((+by_status).most_common()),
        by_end_reason=dict((+by_reason).most_common()),
        by_tier=dict(by_tier.most_common()),
        users=users.total,
        by_user=dict(users.most_frequent),
        by_weekday={
            day: sum(started.get(number * DAY_HOURS + hour, 0) for hour in range(DAY_HOURS))
            for number, day in enumerate(WEEKDAYS)
        },
        by_hour={
            hour: sum(started.get(number * DAY_HOURS + hour, 0) for number in range(len(WEEKDAYS)))
            for hour in range(DAY_HOURS)
        },
        requests=all_ended.requests,
        errors=all_ended.errors,
        turns=all_ended.turns,
        mean_response_time=all_ended.turn_ns / all_ended.turns / NS if all_ended.turns else None,
        tokens={name: int(count) for name, count in (all_ended.tokens or {}).items()},
        total_tokens=int(total_tokens(all_ended.tokens or {})),
        cost=dict(all_ended.cost or {}),
    )


def _longest(by_kind: Mapping[Kind, Tally]) -> LongestSession | None:
    known = [(tally.longest, kind.type) for kind, tally in by_kind.items() if tally.longest is not None]
    if not known:
        return None
    (duration_ns, session_id), session_type = max(known)
    return LongestSession(session_id, session_type, duration_ns / NS)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"
