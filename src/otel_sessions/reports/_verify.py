"""Whether the sums that a store keeps are those of its sessions, and making them so."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

from .. import _runtime
from .._ledger import Ledger
from .._semconv import OTHER
from .._statistics import moment
from .._tally import DAY_HOURS, HOUR_NS, NS, Longest, Tally, day_of, hour_of
from ..typing import Recount

Span = Literal["hour", "day", "now"]
T = TypeVar("T")
_ActiveKind: TypeAlias = "tuple[str, str | None]"

_BUCKETS: Final = ("durations", "started")
_DURATIONS: Final = {"duration_ns": "duration", "active_ns": "active_time", "turn_ns": "response_time"}
_USERS: Final = "users"
_ATTEMPTS: Final = 10
_LOOKS: Final = 5
"""How often something is looked at that may change between two questions."""


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


def verify(*, repair: bool = False, progress: Callable[[int, int], object] | None = None) -> Verification:
    """Read all sessions that the store remembers, and compare what they add up to with the sums that it keeps.

    Reports are made of the sums: of sessions that ended before their store had any, or that somebody took out of the
    database by hand, they are wrong without it. What has been forgotten in order is no discrepancy. Applications may go
    on meanwhile.

    Args:
        repair: make the sums what the sessions add up to, hour by hour, and remove records that cannot be read. How
            many are active is left alone, and so is a damaged file.
        progress: is called after each hour with how many of how many are behind it.

    Raises:
        ConfigurationError: the store cannot be verified: memory, or one of your own that has no `RecountStore`.
        StoreError: the store cannot be asked. What was repaired until then is.
    """
    runtime = _runtime.get()
    lifecycle = runtime.lifecycle
    if not runtime.enabled:
        return Verification(None, 0, 0, 0, 0, (), (), (), repaired=False)
    lifecycle.limiter.measured.settle_all()
    return _Recounting(lifecycle.ledger, hour_of(lifecycle.clock.time_ns()) + 1, repair=repair).result(progress)


class _Recounting:
    """One verification, as it goes on."""

    def __init__(self, ledger: Ledger, until_hour: int, *, repair: bool) -> None:
        self._ledger = ledger
        self._store = ledger.past.recounting()
        self._until = until_hour
        self._repair = repair
        self._changed = False
        self._seen: list[int] = []
        self._hours: list[int] = []
        self._sessions = 0
        self._unsettled = 0
        self._unreadable: list[str] = []

    def result(self, progress: Callable[[int, int], object] | None) -> Verification:
        damage = self._ask(self._store.damage)
        if damage:
            # Whatever else it says may be wrong as well, and writing may make it worse.
            return Verification(None, 0, 0, 0, None, (), (), damage, repaired=False)
        self._unreadable += self._ask(self._store.unreadable)
        can_ask = not self._unreadable or self._repair
        if self._repair:
            self._remove(self._unreadable)
        found: list[Discrepancy] = []
        for hour in self._hours_from(self._ask(self._store.next_hour, -1), progress):
            found += self._hour(hour)
        for day in dict.fromkeys(map(day_of, self._seen)):
            found += self._day(day)
        # An active one that cannot be read would be missing, and be told twice.
        active, differing = self._active() if can_ask else (None, [])
        return Verification(
            since=moment(self._hours[0] * HOUR_NS) if self._hours else None,
            hours=len(self._hours),
            unsettled=self._unsettled,
            sessions=self._sessions,
            active=active,
            discrepancies=(*found, *differing),
            unreadable=tuple(self._unreadable),
            damage=(),
            repaired=self._changed,
        )

    def _hours_from(self, first: int | None, progress: Callable[[int, int], object] | None) -> Iterator[int]:
        hour = first
        while hour is not None and first is not None and hour < self._until:
            self._seen.append(hour)
            yield hour
            if progress is not None:
                progress(hour + 1 - first, self._until - first)
            hour = self._ask(self._store.next_hour, hour)

    def _remove(self, session_ids: Sequence[str]) -> None:
        if session_ids:
            self._ask(self._store.remove, session_ids)
            self._changed = True

    def _ask(self, function: Callable[..., T], *args: object) -> T:
        return self._ledger.ask("recount", function, *args)

    def _hour(self, hour: int) -> list[Discrepancy]:
        recount = self._ask(self._store.recount_hour, hour)
        if recount is None:
            self._unsettled += 1
            return []
        self._unreadable += recount.unreadable
        if recount.is_partial:
            # What is left says nothing of the sums; these are right, or nobody can tell.
            if self._repair:
                self._remove(recount.unreadable)
            return []
        self._hours.append(hour)
        self._sessions += sum(tally.sessions for tally in recount.counted.values())
        found = list(discrepancies("hour", hour, recount))
        if self._repair and (found or recount.unreadable):
            self._unsettled += not self._replaced(hour, recount)
        return found

    def _replaced(self, hour: int, recount: Recount | None) -> bool:
        for _ in range(_ATTEMPTS):
            if recount is None or recount.is_partial:
                return False
            if self._ask(self._store.replace_hour, hour, recount):
                self._changed = True
                return True
            recount = self._ask(self._store.recount_hour, hour)
        return False

    def _day(self, day: int) -> list[Discrepancy]:
        recount = self._ask(self._store.recount_day, day)
        found = [] if recount.is_partial else list(discrepancies("day", day, recount))
        if self._repair and found:
            self._ask(self._store.replace_day, day)
            self._changed = True
        return found

    def _active(self) -> tuple[int, list[Discrepancy]]:
        """How many are active, and where the counts that the metrics show are others.

        The two are asked one after the other, and sessions go on beginning and ending: what is wrong stays as it is.
        """
        looks: list[tuple[Counter[_ActiveKind], Counter[_ActiveKind]]] = []
        while len(looks) < _LOOKS:
            counted, kept = self._counts()
            if counted == kept:
                return counted.total(), []
            looks.append((counted, kept))
        apart = [
            kind
            for kind in sorted(kept.keys() | counted.keys(), key=str)
            if kept[kind] != counted[kind] and len({one[kind] - other[kind] for other, one in looks}) == 1
        ]
        return counted.total(), [
            Discrepancy("now", None, _of(*kind), {"active": (kept[kind], counted[kind])}) for kind in apart
        ]

    def _counts(self) -> tuple[Counter[_ActiveKind], Counter[_ActiveKind]]:
        records = self._ledger.active_or_fail()
        return Counter((each.type, each.tier) for each in records), Counter(self._ledger.counts_or_fail())


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
