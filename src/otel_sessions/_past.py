"""What has ended: in the store, and here where no store knows it."""

from __future__ import annotations

import contextlib
import heapq
from collections import Counter, deque
from collections.abc import Mapping

from ._models import SessionRecord
from ._store_calls import StoreCalls, lacking
from .exceptions import ConfigurationError
from .stores._hours import Hours
from .stores._kept_uses import KeptUses
from .typing import (
    DayTally,
    HistoryStore,
    HourTally,
    Place,
    RecountStore,
    RetentionStore,
    Store,
    UserCounts,
    Wanted,
)


class PastSessions:
    """The ended sessions of one store, and the scoped ones that have ended in this process.

    Of the latter a store that lives in the process knows nothing; they stand apart, so that they do not push the
    conversations of a day out of its history.

    Args:
        store: where the others are.
        calls: how it is asked.
        history: how many of this process are remembered.
    """

    def __init__(self, store: Store, calls: StoreCalls, *, history: int) -> None:
        self._store = store
        self._calls = calls
        self._here: deque[SessionRecord] = deque(maxlen=history)
        self._uses = KeptUses()
        self._hours = Hours()
        self._has_forgotten = False

    def add_up(self, now_ns: int) -> None:
        """Add up what has ended here: in the background, so that nobody has to do it whose session ends."""
        self._hours.settle(now_ns)

    def remember(self, record: SessionRecord) -> SessionRecord:
        """Remember a scoped session that has ended here, and that no store knows."""
        if len(self._here) == self._here.maxlen:
            self._has_forgotten = True
        self._here.append(self._uses.take(record))
        self._hours.add(record)
        return record

    @property
    def has_forgotten(self) -> bool:
        """Whether sessions ended that are not remembered any more. Only a store inside the process can say."""
        return self._has_forgotten or getattr(self._store, "has_forgotten", False)

    def here(self, session_id: str) -> SessionRecord | None:
        """The scoped session with that id that ended here lately."""
        found = next((record for record in self._here.copy() if record.id == session_id), None)
        return None if found is None else self._uses.give(found)

    def ended(self, limit: int) -> list[SessionRecord]:
        """The sessions that ended last, the latest end first, at most `limit`.

        Raises:
            StoreError: the store cannot be asked.
        """
        found = self._calls.ask("ended", self._store.ended, limit)
        if self._store.shared:
            return found
        both = heapq.nlargest(limit, [*found, *self._here.copy()], key=lambda record: record.ended_ns or 0)
        return [self._uses.give(record) for record in both]

    def history(self, wanted: Wanted, limit: int, before: Place | None = None) -> list[SessionRecord]:
        """The ended sessions that are wanted and stand behind `before`.

        Raises:
            ConfigurationError: the store keeps no history.
            StoreError: the store cannot be asked.
        """
        found = self._calls.ask("history", _historian(self._store).history, wanted, limit, before)
        if self._store.shared:
            return found
        scoped = [r for r in self._here.copy() if wanted.fits(r) and (before is None or Place.of(r) < before)]
        return [self._uses.give(record) for record in heapq.nlargest(limit, [*found, *scoped], key=Place.of)]

    def tallies(self, since_hour: int, until_hour: int) -> list[HourTally]:
        """What ended in these hours, but for the last.

        Raises:
            ConfigurationError: the store keeps no history.
            StoreError: the store cannot be asked.
        """
        found = self._calls.ask("tallies", _historian(self._store).tallies, since_hour, until_hour)
        return [*found, *self._hours.tallies(since_hour, until_hour)]

    def daily_tallies(self, since_day: int, until_day: int) -> list[DayTally]:
        """What ended in these days, but for the last.

        Raises:
            ConfigurationError: the store keeps no history.
            StoreError: the store cannot be asked.
        """
        found = self._calls.ask("tallies", _historian(self._store).daily_tallies, since_day, until_day)
        return [*found, *self._hours.daily_tallies(since_day, until_day)]

    def users(self, since_hour: int, until_hour: int, limit: int, besides: Mapping[str, int]) -> UserCounts:
        """Whose sessions ended in these hours, but for the last; with those that some have `besides`, by pseudonym.

        Raises:
            ConfigurationError: the store keeps no history.
            StoreError: the store cannot be asked.
        """
        more = Counter(besides) + self._hours.by_user(since_hour, until_hour)
        return self._calls.ask("users", _historian(self._store).users, since_hour, until_hour, limit, more)

    def purge(self, before_ns: int) -> int:
        """Forget the sessions that ended before that time, and the sums of the hours that were over by then.

        Raises:
            ConfigurationError: the store cannot be told to forget.
            StoreError: the store cannot be asked.
        """
        forgotten = self._calls.ask("purge", _forgetful(self._store).purge, before_ns)
        old = self._old(before_ns)
        for record in old:
            # It may have given way to a later one meanwhile.
            with contextlib.suppress(ValueError):
                self._here.remove(record)
            self._uses.drop(record.id)
            self._has_forgotten = True
        self._hours.forget(before_ns)
        return forgotten + len(old)

    def purgeable(self, before_ns: int) -> int:
        """How many `purge` would forget now.

        Raises:
            ConfigurationError: the store cannot be told to forget.
            StoreError: the store cannot be asked.
        """
        return self._calls.ask("purgeable", _forgetful(self._store).purgeable, before_ns) + len(self._old(before_ns))

    def recounting(self) -> RecountStore:
        """The store, for who holds its sums against its records.

        Raises:
            ConfigurationError: it cannot be verified.
        """
        if isinstance(self._store, RecountStore):
            return self._store
        verbs = lacking(self._store, RecountStore)
        name = type(self._store).__name__
        raise ConfigurationError(f"store: {name} cannot be verified; it lacks {verbs} of RecountStore")

    def _old(self, before_ns: int) -> list[SessionRecord]:
        """The scoped sessions that ended here, and that no store knows, before that time."""
        return [record for record in self._here.copy() if (record.ended_ns or 0) < before_ns]


def _historian(store: Store) -> HistoryStore:
    """The store, if it can be asked about what has ended."""
    if isinstance(store, HistoryStore):
        return store
    verbs = lacking(store, HistoryStore)
    raise ConfigurationError(f"store: {type(store).__name__} keeps no history; it lacks {verbs} of HistoryStore")


def _forgetful(store: Store) -> RetentionStore:
    """The store, if it can be told to forget."""
    if isinstance(store, RetentionStore):
        return store
    verbs = lacking(store, RetentionStore)
    raise ConfigurationError(
        f"store: {type(store).__name__} cannot be told to forget; it lacks {verbs} of RetentionStore"
    )
