"""How the sessions were that have ended lately, hour by hour, and in the week before."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from .._tally import Tally, hour_of, hour_of_week
from ..typing import DayTally, HourTally, SessionRecord

HOURS: Final = 26
"""How far back it goes: to what the last two hours are compared with."""
DAYS: Final = 7


class Ended(NamedTuple):
    """What the sessions of one type add up to that ended in some hours."""

    tally: Tally
    errors: int
    """Those whose status is `error`."""
    crashed: int

    @property
    def sessions(self) -> int:
        """How many they are."""
        return self.tally.sessions

    @property
    def turns(self) -> int:
        """How many turns they had."""
        return self.tally.turns

    @property
    def error_ratio(self) -> float:
        """The share that ended in an error."""
        return self.errors / self.sessions if self.sessions else 0.0


class Past:
    """The sums of the last hours, by type and by hours ago: 0 is the hour that runs."""

    def __init__(self, tallies: Iterable[HourTally], hour: int, week: Iterable[DayTally]) -> None:
        self._hour = hour
        self._tallies: dict[tuple[str, int], Tally] = defaultdict(Tally)
        self._errors: Counter[tuple[str, int]] = Counter()
        self._crashed: Counter[tuple[str, int]] = Counter()
        for each in tallies:
            key = each.kind.type, hour - each.hour
            self._tallies[key].add(each.tally)
            self._errors[key] += each.tally.sessions * (each.kind.status == "error")
            self._crashed[key] += each.tally.sessions * (each.kind.reason == "crashed")
        self._week: dict[str, Tally] = defaultdict(Tally)
        for day in week:
            self._week[day.kind.type].add(day.tally)
        self.types = sorted({session_type for session_type, _ in self._tallies})

    def ended(self, session_type: str, first: int, last: int = 0) -> Ended:
        """What ended from so many hours ago to so many, both included."""
        keys = [(session_type, ago) for ago in range(last, first + 1) if (session_type, ago) in self._tallies]
        return Ended(
            Tally.total(self._tallies[key] for key in keys),
            sum(self._errors[key] for key in keys),
            sum(self._crashed[key] for key in keys),
        )

    def median_of_week(self, session_type: str) -> float | None:
        """How many seconds half of them lasted at most in the week before yesterday; None if there were none."""
        return self._week[session_type].duration_quantile(0.5)

    def lately(self, *, sessions: float = 1, turns: float = 0) -> Iterator[tuple[str, Ended]]:
        """What ended in the hour that runs, by type; the hour before is added where that is too little to say anything.

        Args:
            sessions: with fewer in both, a type is left out.
            turns: with fewer in both, a type is left out.
        """
        for session_type in self.types:
            for ago in (0, 1):
                found = self.ended(session_type, ago)
                if found.sessions >= max(sessions, 1) and found.turns >= turns:
                    yield session_type, found
                    break

    def started(self, ago: int, active: Iterable[SessionRecord]) -> Counter[str]:
        """How many sessions started in the hour so long ago, by type: those that have ended since, and the active."""
        hour = self._hour - ago
        of_week = hour_of_week(hour)
        found = Counter(record.type for record in active if hour_of(record.beginning.started_ns) == hour)
        for (session_type, ended_ago), tally in self._tallies.items():
            if ended_ago <= ago:
                found[session_type] += (tally.started or {}).get(of_week, 0)
        return found
