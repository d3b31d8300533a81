"""What checks judge by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .._limiting.gauges import Row
from .._tally import day_of, hour_of
from .._thresholds import Threshold
from ..exceptions import StoreError
from ..typing import SessionRecord
from .machine import Machine, Storage
from .minutes import Lately
from .past import DAYS, HOURS, Past

if TYPE_CHECKING:
    from .._lifecycle import Lifecycle

T = TypeVar("T")

_MOST_LOOKED_AT = 2_000
"""Of so many active sessions it is looked up when each of them started; of more, that would take too long."""


class Evidence:
    """What is known at one moment. Everything is looked up when it is first asked for, once.

    A store that fails is not asked again: what comes after that fails at once, and a report is bounded in time.

    Args:
        lifecycle: the sessions.
        thresholds: those that are not at their default.
        lately: says what this process has counted; None if it is not this process that is looked at.
        machine: what this process runs on.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        thresholds: Mapping[str, float],
        lately: Callable[[], Lately] | None,
        machine: Machine,
    ) -> None:
        self._lifecycle = lifecycle
        self._ledger = lifecycle.ledger
        self._thresholds = thresholds
        self.now_ns = lifecycle.clock.time_ns()
        self._lately = lately
        self.machine = machine
        self.store_failure: StoreError | None = None

    def at(self, threshold: Threshold) -> float:
        """The number that is compared with."""
        return self._thresholds.get(threshold.name, threshold.value)

    @cached_property
    def lately(self) -> Lately | None:
        """What this process has counted; None if it is not this process that is looked at."""
        return None if self._lately is None else self._lately()

    def _ask(self, question: Callable[[], T]) -> T:
        if self.store_failure is not None:
            raise self.store_failure
        try:
            return question()
        except StoreError as error:
            self.store_failure = error
            raise

    @cached_property
    def past(self) -> Past:
        """What has ended.

        Raises:
            ConfigurationError: the store keeps no history.
            StoreError: the store cannot be asked.
        """
        hour = hour_of(self.now_ns)
        day = day_of(hour)
        tallies = self._ask(lambda: self._ledger.past.tallies(hour - HOURS, hour + 1))
        return Past(tallies, hour, self._ask(lambda: self._ledger.past.daily_tallies(day - 1 - DAYS, day - 1)))

    @cached_property
    def active(self) -> int:
        """How many sessions are active.

        Raises:
            StoreError: the store cannot be asked.
        """
        return sum(self._ask(self._ledger.counts_or_fail).values())

    @cached_property
    def records(self) -> list[SessionRecord] | None:
        """The active sessions; None if they are too many to look at each.

        Raises:
            StoreError: the store cannot be asked.
        """
        return self._ask(self._ledger.active_or_fail) if self.active <= _MOST_LOOKED_AT else None

    @cached_property
    def most_of_a_user(self) -> int | None:
        """How many the user has who has most of them; None if the store knows no users.

        Raises:
            StoreError: the store cannot be asked.
        """
        return self._ask(self._ledger.most_of_a_user_or_fail)

    @cached_property
    def quotas(self) -> list[Row]:
        """How the quotas stand.

        Raises:
            StoreError: the store cannot be asked.
        """
        return self._ask(self._lifecycle.gauges.standings)

    def slots(self, name: str, tier: str) -> int:
        """How many slots of a concurrency limit one actor has; 0 if it is none of a tier."""
        known = self._lifecycle.limiter.known.get(tier)
        limit = None if known is None else known.concurrency.get(name)
        return 0 if limit is None else limit.limit

    @cached_property
    def storage(self) -> Storage | None:
        """The file system that the store is on; None if the store is no file."""
        path = getattr(self._ledger.store, "path", None)
        return self.machine.storage(path) if isinstance(path, Path) else None
