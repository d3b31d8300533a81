"""What sessions add up to."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from .._consumption import total as total_tokens
from .._tally import DAY_HOURS, NS, Kind, Tally
from ._figures import duration, money, percent
from ._sums import Sums

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
    """What the sessions of a period add up to. Durations are seconds; quantiles of them are right to within 1.1 %.

    What needs an end (success and crash-free rate, durations, the longest, `by_end_reason`) is of the sessions that
    ended in the period; everything else counts the active ones too, if the period reaches now. Of one that ends in the
    past none is `active`.
    """

    since: dt.datetime
    """From that full hour on; what is remembered may begin later."""
    until: dt.datetime
    total: int
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
    by_status: Mapping[str, int]
    by_end_reason: Mapping[str, int]
    by_tier: Mapping[str, int]
    """Under `none` those without one."""
    users: int
    """How many had sessions."""
    by_user: Mapping[str, int]
    """The 20 pseudonyms that had most sessions."""
    by_weekday: Mapping[str, int]
    """On which day of the week they began, UTC."""
    by_hour: Mapping[int, int]
    """At which hour of the day they began, UTC."""
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
            "success rate": percent(self.success_rate),
            "crash-free rate": percent(self.crash_free_rate),
            "mean duration": duration(self.mean_duration),
            "95 % lasted at most": duration(self.p95_duration),
            "longest": "-" if self.longest is None else f"{duration(self.longest.duration)} ({self.longest.type})",
            "errors": self.errors,
            "turns": self.turns,
            "tokens": self.total_tokens,
            "cost": money(self.cost),
        }
        lines += [f"  {name:<20} {value}" for name, value in shown.items()]
        for title, counts in (("type", self.by_type), ("status", self.by_status), ("user", self.by_user)):
            if counts:
                lines += ["", f"By {title}:", *(f"  {name:<34} {count}" for name, count in counts.items())]
        return "\n".join(lines)


def statistics(
    *, days: float | None = 30, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> Statistics:
    """What the sessions add up to that ended in a period, by full hours, and the active ones if it reaches now.

    Args:
        days: how many days back, if `since` is not given; None: as long as anything is remembered.
        since: from the full hour of then on; a time without a zone is that of this machine.
        until: until the end of the hour of then; now, if it is not given or yet to come.

    Raises:
        InvalidValueError: an argument is wrong.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    return Sums.of(days=days, since=since, until=until).at_once(statistics_of)


def statistics_of(sums: Sums) -> Statistics:
    """What the sessions add up to that the sums are of.

    Raises:
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    ended, active = sums.ended_by_kind, sums.active_by_kind
    both = {**ended, **active}
    of_ended, of_both = Tally.total(ended.values()), Tally.total(both.values())
    users = sums.users(_MOST_USERS)
    return Statistics(
        since=sums.since,
        until=sums.until,
        total=of_both.sessions,
        active=of_both.sessions - of_ended.sessions,
        ended=of_ended.sessions,
        success_rate=_share(ended, lambda kind: kind.status == "success"),
        crash_free_rate=_share(ended, lambda kind: kind.reason != "crashed"),
        mean_duration=of_ended.duration_ns / of_ended.sessions / NS if of_ended.sessions else None,
        p50_duration=of_ended.duration_quantile(0.5),
        p95_duration=of_ended.duration_quantile(0.95),
        p99_duration=of_ended.duration_quantile(0.99),
        longest=_longest(ended),
        by_type=_by(both, lambda kind: kind.type),
        by_status=_by(both, lambda kind: kind.status),
        by_end_reason=_by(ended, lambda kind: kind.reason or _NONE),
        by_tier=_by(both, lambda kind: kind.tier or _NONE),
        users=users.total,
        by_user=dict(users.most_frequent),
        by_weekday=_by_weekday(of_both),
        by_hour=_by_hour(of_both),
        requests=of_both.requests,
        errors=of_both.errors,
        turns=of_both.turns,
        mean_response_time=of_both.turn_ns / of_both.turns / NS if of_both.turns else None,
        tokens={name: int(count) for name, count in (of_both.tokens or {}).items()},
        total_tokens=int(total_tokens(of_both.tokens or {})),
        cost=dict(of_both.cost or {}),
    )


def _by(by_kind: Mapping[Kind, Tally], name: Callable[[Kind], str]) -> dict[str, int]:
    """How many sessions there are of each name, the most first."""
    found: Counter[str] = Counter()
    for kind, tally in by_kind.items():
        found[name(kind)] += tally.sessions
    return dict(found.most_common())


def _share(by_kind: Mapping[Kind, Tally], counts: Callable[[Kind], bool]) -> float | None:
    """The share of the sessions that are of such kinds; None if there are no sessions."""
    total = sum(tally.sessions for tally in by_kind.values())
    return sum(tally.sessions for kind, tally in by_kind.items() if counts(kind)) / total if total else None


def _by_weekday(tally: Tally) -> dict[str, int]:
    started = Counter[int]()
    for hour, sessions in (tally.started or {}).items():
        started[hour // DAY_HOURS] += sessions
    return {day: started[number] for number, day in enumerate(WEEKDAYS)}


def _by_hour(tally: Tally) -> dict[int, int]:
    started = Counter[int]()
    for hour, sessions in (tally.started or {}).items():
        started[hour % DAY_HOURS] += sessions
    return {hour: started[hour] for hour in range(DAY_HOURS)}


def _longest(by_kind: Mapping[Kind, Tally]) -> LongestSession | None:
    known = [(tally.longest, kind.type) for kind, tally in by_kind.items() if tally.longest is not None]
    if not known:
        return None
    (duration_ns, session_id), session_type = max(known)
    return LongestSession(session_id, session_type, duration_ns / NS)
