"""The leases that this process holds."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakValueDictionary

from .. import _collector
from .._counting.buckets import Charge
from .._guard import log
from ..typing import Clock
from .allowances import RENEWALS
from .lease import Lease


class Leases:
    """Keeps the slots that were taken here, and gives them back.

    Args:
        give_back: tells the store that slots are free again.
        renew: holds slots for another time to live; which of them are held, None if the store could not be asked.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        give_back: Callable[[Sequence[Charge]], object],
        renew: Callable[[Sequence[Charge]], Sequence[bool] | None],
    ) -> None:
        self._clock = clock
        self._free = give_back
        self._renew = renew
        self._seen: set[tuple[str, str | None]] = set()
        self._begin()

    def _begin(self) -> None:
        self._held: WeakValueDictionary[str, Lease] = WeakValueDictionary()
        self._left_behind: deque[Lease] = deque()
        """What was given back while the garbage collector was at work."""

    def after_fork(self) -> None:
        """The leases of the parent process are the parent's: it renews them, and it gives them back."""
        for lease in self._here():
            lease.charges = ()
        self._begin()

    def take(self, lease: Lease, charges: Sequence[Charge], name: str) -> None:
        """Note that a lease holds these slots; `name` is what metrics call it."""
        lease.charges = charges
        if charges:
            self._held[lease.holder] = lease
            self._seen.add((name, lease.tier))
            lease.renewed_ns = self._clock.monotonic_ns()

    def release(self, lease: Lease) -> None:
        """Give the slots of a lease back."""
        if _collector.thread is not None and _collector.collecting():
            # It may have interrupted this very thread in the middle of a call to the store.
            self._left_behind.append(lease)
            return
        charges, lease.charges = lease.charges, ()
        self._held.pop(lease.holder, None)
        self._give_back(charges)

    def _give_back(self, charges: Sequence[Charge]) -> None:
        if charges:
            self._free([charge._replace(amount=-1) for charge in charges])

    def renew(self) -> None:
        """Renew the leases of this process that are due."""
        while self._left_behind:
            self.release(self._left_behind.popleft())
        now = self._clock.monotonic_ns()
        due = [(lease, lease.charges) for lease in self._here() if _is_due(lease, now)]
        if not due:
            return
        slots = [charge for _, charges in due for charge in charges]
        held = self._renew(slots)
        if held is None:
            return
        answers = iter(held)
        released: list[Charge] = []
        for lease, charges in due:
            lease.renewed_ns = now
            # All of its answers, for the next one's come after them.
            renewed = [next(answers) for _ in charges]
            if lease.charges is not charges:
                # It was given back meanwhile, and renewing it may have taken the slot again.
                released += charges
            elif not all(renewed):
                lease.is_lost = True
                log.warn("lease", "A lease %r could not be renewed in time: somebody else has its slot.", lease.name)
        self._give_back(released)

    def release_all(self) -> None:
        """Give everything back, because the process ends."""
        for lease in [*self._here(), *self._left_behind]:
            self.release(lease)

    def _here(self) -> list[Lease]:
        """The leases that this process holds."""
        # Not `values()`: other threads take some and give some back meanwhile.
        return [lease for reference in self._held.valuerefs() if (lease := reference()) is not None]

    def counts(self, named: Callable[[str], str]) -> Mapping[tuple[str | None, ...], float]:
        """How many are held, by name and tier; none of what was held once."""
        held = Counter((named(lease.name), lease.tier) for lease in self._here() if lease.is_held)
        return {kind: held[kind] for kind in self._seen}


def _is_due(lease: Lease, now_ns: int) -> bool:
    if lease.is_lost:
        # What was somebody else's meanwhile is not held, even if it is free again.
        return False
    lengths = [charge.bucket.length_us or 0 for charge in lease.charges]
    return bool(lengths) and now_ns - lease.renewed_ns >= min(lengths) * 1000 // RENEWALS
