"""Reading all that a store remembers, to hold it against its sums, and making these so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

from .. import _runtime
from .._ledger import Ledger
from .._statistics import moment
from .._tally import HOUR_NS, day_of, hour_of
from ..typing import Recount
from ._verification import Discrepancy, Verification, discrepancies, discrepancy_now

T = TypeVar("T")
_ActiveKind: TypeAlias = "tuple[str, str | None]"

_ATTEMPTS: Final = 10
_LOOKS: Final = 5
"""How often something is looked at that may change between two questions."""


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
        return Verification(None, 0, 0, 0, 0, 0, (), (), (), repaired=False)
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
        self._left_out = 0
        self._unreadable: list[str] = []

    def result(self, progress: Callable[[int, int], object] | None) -> Verification:
        damage = self._ask(self._store.damage)
        if damage:
            # Whatever else it says may be wrong as well, and writing may make it worse.
            return Verification(None, 0, 0, 0, 0, None, (), (), damage, repaired=False)
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
            left_out=self._left_out,
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
            self._left_out += 1
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
        return counted.total(), [discrepancy_now(*kind, kept=kept[kind], counted=counted[kind]) for kind in apart]

    def _counts(self) -> tuple[Counter[_ActiveKind], Counter[_ActiveKind]]:
        records = self._ledger.active_or_fail()
        return Counter((each.type, each.tier) for each in records), Counter(self._ledger.counts_or_fail())
