"""What many ended sessions add up to, without a record of each: sums that are kept hour by hour.

Tallies of one kind and hour can be added in any order, so that any process may send its share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ._semconv import OTHER

if TYPE_CHECKING:
    from ._models import EndReason, SessionRecord, Status

NS: Final = 1_000_000_000
HOUR_NS: Final = 3_600 * NS
DAY_HOURS: Final = 24

_SCALE: Final = 32
"""Buckets for each doubling: scale 5 of https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram,
so that a quantile is wrong by 1.1 % at most.
"""
_HOURS: Final = 168
_THURSDAY: Final = 72
"""The hour of the week, from Monday on, at which the epoch began."""
_MOST_NAMES: Final = 100

Counts: TypeAlias = "dict[str, float]"

_WHOLE: Final = ("sessions", "duration_ns", "requests", "events", "errors", "turns", "turn_ns", "active_ns")
_NAMED: Final = ("messages", "tokens", "usage", "cost")
_NUMBERED: Final = ("durations", "started")
_MAPPED: Final = frozenset({*_NAMED, *_NUMBERED})
_NUMBERS: Final = frozenset({int, float})
_COUNTED: Final = frozenset({"requests", "events", "errors", "turns", "turn_ns", *_NAMED})
"""What a session's totals hold already."""


class Kind(NamedTuple):
    """What tallies are kept apart by: values of which there are few."""

    type: str
    tier: str | None
    status: Status
    reason: EndReason | None

    @classmethod
    def of(cls, record: SessionRecord) -> Kind:
        """That of an ended session."""
        return cls(record.type, record.tier, record.status, record.end_reason)


class Longest(NamedTuple):
    """The session that lasted longest."""

    duration_ns: int
    session_id: str


def hour_of(time_ns: int) -> int:
    """The hour since the epoch, UTC, that a time falls into."""
    return time_ns // HOUR_NS


def day_of(hour: int) -> int:
    """The day since the epoch, UTC, that an hour falls into."""
    return hour // DAY_HOURS


def in_days(since_hour: int, until_hour: int) -> tuple[range, list[tuple[int, int]]]:
    """The whole days of some hours, and the hours from one to another that are in none of them."""
    days = range(-(-since_hour // DAY_HOURS), until_hour // DAY_HOURS)
    rest = (
        [(since_hour, days.start * DAY_HOURS), (days.stop * DAY_HOURS, until_hour)]
        if days
        else [(since_hour, until_hour)]
    )
    return days, [(since, until) for since, until in rest if since < until]


def hour_of_week(hour: int) -> int:
    """Of an hour since the epoch, which one of the week it is, from Monday 00:00 UTC on."""
    return (hour + _THURSDAY) % _HOURS


class Tally:
    """What some ended sessions add up to. The defaults live on the class: one of them is small."""

    sessions: int = 0
    duration_ns: int = 0
    requests: int = 0
    events: int = 0
    errors: int = 0
    turns: int = 0
    turn_ns: int = 0
    active_ns: int = 0
    longest: Longest | None = None
    messages: Counts | None = None
    """How many, by role."""
    tokens: Counts | None = None
    """By type."""
    usage: Counts | None = None
    """What was used, by name."""
    cost: Counts | None = None
    """By currency."""
    durations: dict[int, int] | None = None
    """How many sessions lasted how long, by bucket; see `bucket_of`."""
    started: dict[int, int] | None = None
    """How many began in which hour of the week, UTC, from Monday 00:00 on."""

    @classmethod
    def of(cls, record: SessionRecord) -> Tally:
        """One ended session."""
        found = cls()
        found.count(record)
        return found

    def count(self, record: SessionRecord) -> None:
        """Add one ended session."""
        began, totals = record.beginning, record.totals
        # Not negative, though the wall clock may have been set back.
        duration_ns = max(0, (record.ended_ns or began.started_ns) - began.started_ns)
        active_ns = duration_ns if began.topology == "scoped" else min(totals.active_ns, duration_ns)
        self.sessions += 1
        if duration_ns:
            self.duration_ns += duration_ns
        if active_ns:
            self.active_ns += active_ns
        longest = Longest(duration_ns, record.id)
        if self.longest is None or longest > self.longest:
            self.longest = longest
        if self.durations is None or self.started is None:
            self.durations, self.started = {}, {}
        bucket, hour = bucket_of(duration_ns), hour_of_week(hour_of(began.started_ns))
        self.durations[bucket] = self.durations.get(bucket, 0) + 1
        self.started[hour] = self.started.get(hour, 0) + 1
        # Of most of them a session has none: what its totals hold says so at once.
        for name in vars(totals).keys() & _COUNTED:
            if name in _NAMED:
                _add(self, name, getattr(totals, name), most=_MOST_NAMES)
            elif value := getattr(totals, name):
                setattr(self, name, getattr(self, name) + value)

    def add(self, other: Tally) -> None:
        """Add what `other` holds."""
        for name in _WHOLE:
            if value := getattr(other, name):
                setattr(self, name, getattr(self, name) + value)
        for name in _NAMED:
            _add(self, name, getattr(other, name), most=_MOST_NAMES)
        for name in _NUMBERED:
            _add(self, name, getattr(other, name))
        if other.longest is not None:
            self.longest = other.longest if self.longest is None else max(self.longest, other.longest)

    def duration_quantile(self, q: float) -> float | None:
        """How many seconds the share `q` of the sessions lasted at most, to within 1.1 %; None without sessions."""
        if not self.durations:
            return None
        rank = math.ceil(q * self.sessions) or 1
        for bucket in sorted(self.durations):
            rank -= self.durations[bucket]
            if rank <= 0:
                break
        longest = self.longest.duration_ns / NS if self.longest else math.inf
        return min(middle_of(bucket), longest)

    def to_dict(self) -> dict[str, Any]:
        """All fields that are not zero or empty, as JSON-compatible values that `from_dict` reads back."""
        return {**vars(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tally:
        """Invert `to_dict`, also if it has been JSON meanwhile, whose names are texts."""
        found = cls()
        vars(found).update(data)
        for name in _NUMBERED:
            if held := getattr(found, name):
                setattr(found, name, {int(number): count for number, count in held.items()})
        if found.longest is not None:
            found.longest = Longest._make(found.longest)
        return found

    @property
    def is_sound(self) -> bool:
        """Whether all fields hold what they should; somebody may have written them by hand."""
        numbers: list[object] = []
        # Only what is set: asked of each session, of which most have little.
        for name, held in vars(self).items():
            if name in _WHOLE:
                numbers.append(held)
            elif name in _MAPPED and held is not None:
                if not isinstance(held, dict):
                    return False
                numbers += held.values()
        return all(type(number) in _NUMBERS or isinstance(number, int | float) for number in numbers)

    @classmethod
    def total(cls, tallies: Iterable[Tally]) -> Tally:
        """All of them together."""
        found = cls()
        for each in tallies:
            found.add(each)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Tally({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


def bucket_of(duration_ns: int) -> int:
    """The bucket of a duration: its nanoseconds are more than 2**((bucket - 1) / 32), and at most 2**(bucket / 32).

    What lasted no longer than a nanosecond is in the bucket 0.
    """
    return math.ceil(math.log2(duration_ns) * _SCALE) if duration_ns > 1 else 0


def middle_of(bucket: int) -> float:
    """The seconds that stand for a bucket: no duration in it differs from them by more than 1.1 %."""
    return float(2 ** ((bucket - 0.5) / _SCALE)) / NS if bucket else 0.0


def bounds_of(first: int, last: int) -> tuple[float, float]:
    """The seconds between which durations lie that are in these buckets, or in one of those between them."""
    return (float(2 ** ((first - 1) / _SCALE)) / NS if last > 0 else 0.0), float(2 ** (last / _SCALE)) / NS


def hours_of_start(tally: Tally, ended: int) -> Iterable[tuple[int, int]]:
    """In which hours since the epoch the sessions began that ended in one, and how many did.

    Only the hour of the week is kept: one that lasted for more than a week counts in a later week than its own.
    """
    for hour_of_week, sessions in (tally.started or {}).items():
        yield ended - (ended + _THURSDAY - hour_of_week) % _HOURS, sessions


def _add(tally: Tally, name: str, more: Mapping[Any, float] | None, *, most: int | None = None) -> None:
    if not more:
        return
    held = getattr(tally, name)
    if held is None:
        setattr(tally, name, dict(more))
        return
    for key, amount in more.items():
        known = key if most is None or key in held or len(held) < most else OTHER
        held[known] = held.get(known, 0) + amount
