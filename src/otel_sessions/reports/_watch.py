"""What goes on now, looked at again and again."""

from __future__ import annotations

import datetime as dt
import heapq
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from .. import _runtime, _values
from .. import _semconv as sc
from .._counting.buckets import WARNING
from .._lifecycle import Lifecycle
from .._models import SessionRecord
from .._statistics import moment
from .._tally import HOUR_NS, hour_of
from ..typing import HourTally
from ._description import describe
from ._one_moment import of_one_moment

_RATE_NS: Final = 60 * 1_000_000_000
"""Over what time rates are averaged."""


class Ends(NamedTuple):
    """How sessions ended, since a time."""

    since: dt.datetime
    ended: int
    errors: int
    """Those that ended as `error`."""
    crashed: int
    """Those whose process crashed."""

    @property
    def error_rate(self) -> float | None:
        """The share that ended as `error`; None if none ended."""
        return self.errors / self.ended if self.ended else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return self._asdict() | {"since": self.since.isoformat(), "error_rate": self.error_rate}


class Rates(NamedTuple):
    """What happens per minute, in all sessions together."""

    requests: float
    errors: float
    turns: float


class QuotaStanding(NamedTuple):
    """How those stand, all in all, who have one quota and have used some of it."""

    name: str
    tier: str
    window: str
    scope: str
    limit: float
    highest: float
    """The share that the actor has used who has used most of it."""
    below: int
    """How many have used less than 75 % of it."""
    warning: int
    critical: int
    """How many have used 90 % of it or more, and not all."""
    exhausted: int
    seconds_to_exhaustion: float | None
    """In how many seconds the next one will have used it up, at its present rate; None if none will."""

    @property
    def is_near(self) -> bool:
        """Whether anybody has used 75 % of it or more."""
        return self.highest >= WARNING


class Finding(NamedTuple):
    """Suspicious activity in a session that is active."""

    time: dt.datetime
    session_id: str
    type: str
    """The session's."""
    user: str | None
    kind: str
    score: float
    severity: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return self._asdict() | {"time": self.time.isoformat()}


class Situation(NamedTuple):
    """What goes on at a moment."""

    at_ns: int
    """When it was looked at, in nanoseconds since the epoch."""
    active: int
    by_type: Mapping[str, int]
    """How many are active of each type, the most first."""
    oldest: tuple[SessionRecord, ...]
    """The active sessions that began first."""
    latest: tuple[SessionRecord, ...]
    """Of the others those that began last, the last first."""
    lately: Ends
    """Since the full hour before this one."""
    watched: Ends
    """Since the watch began."""
    rates: Rates | None
    """Over the last minute, or since the watch began; None at the first look."""
    quotas: tuple[QuotaStanding, ...]
    """Those that anybody has used, of the tiers that this process knows; the highest share first."""
    findings: tuple[Finding, ...]
    """The latest first, of durable sessions that are active: those keep their events."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return {
            "time": moment(self.at_ns).isoformat(),
            "active": self.active,
            "by_type": self.by_type,
            "oldest": [describe(record, self.at_ns) for record in self.oldest],
            "latest": [describe(record, self.at_ns) for record in self.latest],
            "lately": self.lately.to_dict(),
            "watched": self.watched.to_dict(),
            "rates": None if self.rates is None else self.rates._asdict(),
            "quotas": [quota._asdict() for quota in self.quotas],
            "findings": [finding.to_dict() for finding in self.findings],
        }


class _Sums(NamedTuple):
    """What only grows, as long as the same hours are summed up."""

    ended: int = 0
    errors: int = 0
    crashed: int = 0
    requests: int = 0
    error_events: int = 0
    turns: int = 0


class Watch:
    """Looks at all sessions of the store, whenever it is asked, and remembers what it saw before.

    It changes nothing in the store but what the store keeps to answer faster. A look goes through every active session,
    twice, or up to four times while some end; that takes a while where there are many.

    Args:
        most: how many sessions, and how many findings, are named.

    Raises:
        InvalidValueError: `most` is no whole number from 1 on.
    """

    def __init__(self, *, most: int = 10) -> None:
        self._most = _values.whole("the number of sessions", most)
        self._first: tuple[int, _Sums] | None = None
        self._past: deque[tuple[int, _Sums]] = deque()

    def look(self) -> Situation:
        """What goes on now.

        Raises:
            ConfigurationError: the store is one of your own, and keeps no history.
            StoreError: the store cannot be asked.
        """
        lifecycle = _runtime.get().lifecycle
        ledger, now_ns = lifecycle.ledger, lifecycle.clock.time_ns()
        lifecycle.limiter.measured.settle_all()
        began_ns = now_ns if self._first is None else self._first[0]
        hours = hour_of(began_ns) - 1, max(hour_of(now_ns), hour_of(began_ns)) + 1
        seen = of_one_moment(ledger, lambda _: ledger.past.tallies(*hours))
        active, tallies = seen.active, seen.ended
        lately_since = hour_of(now_ns) - 1
        quotas = _quotas(lifecycle)
        sums = _summed(tallies, active)
        at_most = _summed(tallies, [*active, *seen.uncertain]) if seen.uncertain else sums
        if self._first is None:
            self._first = now_ns, sums
        first = self._first[1]
        return Situation(
            at_ns=now_ns,
            active=len(active),
            by_type=dict(Counter(record.type for record in active).most_common()),
            oldest=tuple(active[: self._most]),
            latest=tuple(reversed(active[self._most :][-self._most :])),
            lately=_ends(lately_since * HOUR_NS, _summed(each for each in tallies if each.hour >= lately_since)),
            watched=_ends(began_ns, _Sums(*(max(0, now - then) for now, then in zip(sums, first, strict=True)))),
            rates=self._rates(lifecycle.clock.monotonic_ns(), sums, at_most),
            quotas=quotas,
            findings=tuple(_findings(active, self._most)),
        )

    def _rates(self, now_ns: int, sums: _Sums, at_most: _Sums) -> Rates | None:
        """From the most that may have happened by then, to the least by now: what did not happen is in no rate."""
        past = self._past
        past.append((now_ns, at_most))
        while len(past) > 2 and now_ns - past[1][0] >= _RATE_NS:  # noqa: PLR2004 - there are two ends of a line
            past.popleft()
        then_ns, then = past[0]
        if now_ns <= then_ns:
            return None
        minutes = (now_ns - then_ns) / _RATE_NS
        return Rates(*(max(0, sums[at] - then[at]) / minutes for at in (3, 4, 5)))


def _summed(tallies: Iterable[HourTally], active: Iterable[SessionRecord] = ()) -> _Sums:
    counts: Counter[str] = Counter()
    for _, kind, tally in tallies:
        counts["ended"] += tally.sessions
        counts["errors"] += tally.sessions if kind.status == "error" else 0
        counts["crashed"] += tally.sessions if kind.reason == "crashed" else 0
        counts["requests"] += tally.requests
        counts["error_events"] += tally.errors
        counts["turns"] += tally.turns
    for record in active:
        counts["requests"] += record.totals.requests
        counts["error_events"] += record.totals.errors
        counts["turns"] += record.totals.turns
    return _Sums(**counts)


def _ends(since_ns: int, sums: _Sums) -> Ends:
    return Ends(moment(since_ns), *sums[:3])


def _quotas(lifecycle: Lifecycle) -> tuple[QuotaStanding, ...]:
    rows = lifecycle.gauges.standings()
    used = (QuotaStanding._make((*quota, limit, *standing)) for quota, limit, standing in rows)
    return tuple(sorted(used, key=lambda quota: -quota.highest))


def _findings(active: Iterable[SessionRecord], most: int) -> Iterable[Finding]:
    found = (
        (event.time_ns, record.id, event.attributes, record)
        for record in active
        for event in record.totals.recent or ()
        if event.name == sc.EVENT_FINDING
    )
    for time_ns, session_id, attributes, record in heapq.nlargest(most, found, key=lambda each: each[:2]):
        yield Finding(
            time=moment(time_ns),
            session_id=session_id,
            type=record.type,
            user=record.user,
            kind=str(attributes.get(sc.FINDING_KIND)),
            score=cast("float", attributes[sc.FINDING_SCORE]),
            severity=str(attributes.get(sc.FINDING_SEVERITY)),
        )
