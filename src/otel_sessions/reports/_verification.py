"""Whether the sums that a store keeps are those of its sessions: what does not fit, and the verdict."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from .._semconv import OTHER
from .._statistics import moment
from .._tally import DAY_HOURS, HOUR_NS, NS, Longest, Tally
from ..typing import Recount

Span = Literal["hour", "day", "now"]

_BUCKETS: Final = ("durations", "started")
_DURATIONS: Final = {"duration_ns": "duration", "active_ns": "active_time", "turn_ns": "response_time"}
_USERS: Final = "users"


class Discrepancy(NamedTuple):
    """What a store says of the same sessions in two ways that differ."""

    span: Span
    """Whether it is said of the sessions that ended within an hour, or a day, or of those that are active now."""
    start: dt.datetime | None
    """When that hour or day began; None for now."""
    of: str
    """Which sessions: their type, tier, status and end reason; or `users`."""
    figures: Mapping[str, tuple[float, float]]
    """By name, what is kept, and what the sessions add up to; for a day, what its hours add up to. Times are seconds.

    Of `durations` and `started`, which are counts by duration and by hour of the week, those that differ.
    """

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        figures = {name: {"kept": kept, "counted": counted} for name, (kept, counted) in self.figures.items()}
        return {
            "span": self.span,
            "start": None if self.start is None else self.start.isoformat(),
            "of": self.of,
            "figures": figures,
        }

    def __str__(self) -> str:
        # Where sessions are missing, everything that they add differs.
        sessions = self.figures.get("sessions")
        shown = self.figures if sessions is None or self.of == _USERS else {"sessions": sessions}
        when = "now" if self.start is None else f"{self.span} from {self.start:%Y-%m-%d %H:%M} UTC"
        told = (f"{name} {_told(kept)} kept, {_told(counted)} counted" for name, (kept, counted) in shown.items())
        return f"{when}, {self.of}: {'; '.join(told)}"


class Verification(NamedTuple):
    """What was compared in a store, and what did not fit."""

    since: dt.datetime | None
    """From which hour on; None if no session is remembered that ended."""
    hours: int
    """How many hours were gone through: those in which sessions ended, and of which none has been forgotten."""
    unsettled: int
    """In how many of them sessions went on ending, so that nothing could be said of them, or done."""
    left_out: int
    """Of how many hours nothing can be said, because sessions of theirs have been forgotten in order."""
    sessions: int
    """How many ended sessions were read for it."""
    active: int | None
    """How many active ones were counted; None if that could not be, because one that is active or owed, or all of it,
    cannot be read.
    """
    discrepancies: tuple[Discrepancy, ...]
    unreadable: tuple[str, ...]
    """The ids of the sessions whose record cannot be read."""
    damage: tuple[str, ...]
    """What the database says of its own damage, in its words; then nothing else was looked at."""
    repaired: bool
    """Whether anything was repaired: sums made what was counted, records removed that cannot be read."""

    @property
    def is_mended(self) -> bool:
        """Whether all fits now: it did, or all that did not has been repaired."""
        left = self.damage or self.unsettled or any(each.span == "now" for each in self.discrepancies)
        return self.is_sound or (self.repaired and not left)

    @property
    def is_sound(self) -> bool:
        """Whether all fitted when it was looked at."""
        return not (self.discrepancies or self.unreadable or self.damage)

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return self._asdict() | {
            "since": None if self.since is None else self.since.isoformat(),
            "discrepancies": [each.to_dict() for each in self.discrepancies],
            "is_sound": self.is_sound,
        }


def discrepancies(span: Literal["hour", "day"], number: int, recount: Recount) -> Iterator[Discrepancy]:
    """What does not fit in an hour, or a day, since the epoch."""
    start = moment(number * HOUR_NS * (1 if span == "hour" else DAY_HOURS))
    for kind in sorted(recount.kept.keys() | recount.counted.keys(), key=str):
        figures = _apart(recount.kept.get(kind, Tally()), recount.counted.get(kind, Tally()))
        if figures:
            yield Discrepancy(span, start, _of(kind.type, kind.tier, kind.status, kind.reason), figures)
    if recount.kept_users != recount.counted_users:
        users = {
            "users": (len(recount.kept_users), len(recount.counted_users)),
            "sessions": (sum(recount.kept_users.values()), sum(recount.counted_users.values())),
        }
        yield Discrepancy(span, start, _USERS, users)


def discrepancy_now(session_type: str, tier: str | None, *, kept: int, counted: int) -> Discrepancy:
    """What does not fit in how many sessions of a type and a tier are active."""
    return Discrepancy("now", None, _of(session_type, tier), {"active": (kept, counted)})


def _apart(kept: Tally, counted: Tally) -> dict[str, tuple[float, float]]:
    """The figures of two sums that differ, by name."""
    left, right = vars(kept), vars(counted)
    found: dict[str, tuple[float, float]] = {}
    for name in sorted(left.keys() | right.keys()):
        one, other = left.get(name), right.get(name)
        if name == "longest":
            found |= _unequal({name: (_seconds(one), _seconds(other))})
        elif name in _DURATIONS:
            found |= _unequal({_DURATIONS[name]: ((one or 0) / NS, (other or 0) / NS)})
        elif name in _BUCKETS:
            found |= _in_buckets(name, one or {}, other or {})
        elif isinstance(one or other, Mapping):
            found |= _unequal(_named(name, one or {}, other or {}))
        else:
            found |= _unequal({name: (one or 0, other or 0)})
    return found


def _unequal(figures: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """What was added up in another order may differ in its last digits."""
    return {name: pair for name, pair in figures.items() if not math.isclose(*pair, rel_tol=1e-9, abs_tol=1e-9)}


def _in_buckets(name: str, kept: Mapping[int, int], counted: Mapping[int, int]) -> dict[str, tuple[float, float]]:
    differ = [key for key in kept.keys() | counted.keys() if kept.get(key) != counted.get(key)]
    if not differ:
        return {}
    return {name: (sum(kept.get(key, 0) for key in differ), sum(counted.get(key, 0) for key in differ))}


def _named(name: str, kept: Mapping[str, float], counted: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    if OTHER in kept or OTHER in counted:
        # Of very many names some stand together; which these are depends on the order.
        return {name: (sum(kept.values()), sum(counted.values()))}
    names = sorted(kept.keys() | counted.keys())
    return {f"{name}.{key}": (kept.get(key, 0), counted.get(key, 0)) for key in names}


def _seconds(longest: Longest | None) -> float:
    return 0.0 if longest is None else longest[0] / NS


def _of(*kind: str | None) -> str:
    return ", ".join(part for part in kind if part is not None)


def _told(figure: float) -> str:
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:,.6g}"
