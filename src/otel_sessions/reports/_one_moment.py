"""What is active, and what has ended: the store is asked for the one after the other, and sessions end meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from .._ledger import Ledger
from .._models import SessionRecord

T = TypeVar("T")

_LOOKS: Final = 3
"""How often all of it is asked for, where sessions end all the time: each look goes through every active one."""


@dataclass(frozen=True)
class Seen(Generic[T]):
    """What there is at one moment: each session once."""

    active: Sequence[SessionRecord]
    """The oldest first. They were still active when `ended` had been told."""
    ended: T
    """What was told of those that had ended."""
    uncertain: Sequence[SessionRecord]
    """Those that ended during the last look: nearly all of them are in `ended` already. None, if one look was quiet."""


def of_one_moment(ledger: Ledger, ask: Callable[[Sequence[SessionRecord]], T]) -> Seen[T]:
    """The active sessions, and what `ask` tells of the ended ones.

    Sums have no ids, so the active sessions are asked for before and after. One that is gone by then may be in the sums
    or not: all is asked anew, until none is gone, three times at most.

    Args:
        ledger: who is asked for the active ones.
        ask: asks for the ended ones; it is given those that were active just before.

    Raises:
        StoreError: the store cannot be asked.
    """
    active, looks = ledger.active_or_fail(), 0
    while True:
        ended, looks = ask(active), looks + 1
        later = ledger.active_or_fail()
        # By the start as well: an id may be used again.
        left = {(record.id, record.beginning.started_ns) for record in later}
        still: list[SessionRecord] = []
        gone: list[SessionRecord] = []
        for record in active:
            (still if (record.id, record.beginning.started_ns) in left else gone).append(record)
        if not gone or looks == _LOOKS:
            return Seen(still, ended, gone)
        active = later
