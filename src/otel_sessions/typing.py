"""The protocols that users may implement, and the aliases of the public signatures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from ._counting.buckets import Admission, Bucket, Charge, Level, Pace, Standing
from ._models import (
    Attributes,
    AttributeValue,
    Beginning,
    EndReason,
    Event,
    Role,
    SessionRecord,
    Status,
    Topology,
    Totals,
)
from ._tally import Kind, Tally
from ._wanted import Place, Wanted

__all__ = [
    "Admission",
    "AttributeValue",
    "Attributes",
    "Beginning",
    "Bucket",
    "Charge",
    "Clock",
    "DayTally",
    "EndReason",
    "Event",
    "HistoryStore",
    "HourTally",
    "Kind",
    "Level",
    "LimitStore",
    "Pace",
    "Place",
    "Recount",
    "RecountStore",
    "RetentionStore",
    "Role",
    "SessionRecord",
    "SharedStore",
    "Standing",
    "Status",
    "Store",
    "Tally",
    "Topology",
    "Totals",
    "UserCounts",
    "UserStore",
    "Wanted",
]


class Clock(Protocol):
    """Where time comes from."""

    def time_ns(self) -> int:
        """Nanoseconds since the epoch, UTC: for timestamps. May jump."""

    def monotonic_ns(self) -> int:
        """Nanoseconds from an arbitrary origin, never going back: for durations."""


class LimitStore(Protocol):
    """Where quotas, rates and leases are counted. Every verb is atomic and safe to call from any thread.

    Times are microseconds since the epoch; None stands for the store's own clock. Any verb may raise `StoreError`.
    """

    def admit(self, charges: Sequence[Charge], now_us: int | None = None) -> Admission:
        """Put all charges into their buckets, or none, if an enforced one has no room for its own.

        The charges are of different buckets. What is over at that time does not count.
        """

    def levels(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Level]:
        """How buckets stand, without putting anything in."""

    def renew(self, slots: Sequence[Charge], now_us: int | None = None) -> Sequence[bool]:
        """Hold each slot for another length; one that was lost is taken again, if there is room. Which are held."""

    def standings(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Standing]:
        """How the groups stand that these buckets are of. Which of them are nearly full may lag behind by one use."""


@runtime_checkable
class Store(Protocol):
    """Where the records of sessions live. Every verb is atomic and safe to call from any thread.

    Any verb may raise `StoreError`; the caller decides what then happens.
    """

    name: str
    """What metrics and messages call it: `memory`, `sqlite`, `redis`."""

    shared: bool
    """Whether other processes see the same records."""

    @property
    def limits(self) -> LimitStore:
        """The counts of limits, in the same place."""

    def create(self, beginning: Beginning) -> SessionRecord | None:
        """Store a new session and return None, unless there is one already.

        If an active session has the same key, its record is returned; else, if any has the same id, active or
        remembered as ended, that one's.
        """

    def find(self, key: str) -> SessionRecord | None:
        """The active session under `key`."""

    def get(self, session_id: str) -> SessionRecord | None:
        """The session with that id, active or, as long as it is remembered, ended."""

    def previous(self, key: str) -> str | None:
        """The id of the last session that ended under `key`, as long as it is remembered."""

    def merge(self, deltas: Mapping[str, Totals]) -> set[str]:
        """Add each delta to its active session; the result holds the ids that are not active.

        The deltas belong to the store from then on.
        """

    def close(
        self,
        session_id: str,
        *,
        status: Status,
        reason: EndReason,
        ended_ns: int,
        delta: Totals | None = None,
        idle_since_ns: int | None = None,
    ) -> SessionRecord | None:
        """Add `delta` to an active session and end it, in one step.

        Of all callers exactly one wins and receives the final record; others receive None.
        With `idle_since_ns` the session is left alone, and None returned, if it was active after that time.
        """

    def due(self, now_ns: int) -> Iterable[SessionRecord]:
        """The active sessions whose idle timeout or maximum duration has passed at `now_ns`."""

    def counts(self) -> Mapping[tuple[str, str | None], int]:
        """How many sessions are active, by type and tier."""

    def active(self, *, user: str | None = None) -> list[SessionRecord]:
        """The active sessions, oldest first; only those of `user` (a pseudonym) when given."""

    def ended(self, limit: int) -> list[SessionRecord]:
        """The sessions that ended last, as long as they are remembered: at most `limit`, the latest end first.

        Parts of sessions are none. Their events, and the single uses of all but the last ones, may have been dropped.
        """

    def secret(self) -> bytes:
        """32 random bytes, made once and the same for every process that uses this store."""

    def after_fork(self) -> None:
        """Called once in a child process, before anything else."""

    def shutdown(self) -> None:
        """Release what the store holds; nothing is called afterwards."""


@runtime_checkable
class UserStore(Store, Protocol):
    """A store that also knows how many sessions users have; without it there is no metric `app_session.user.active`."""

    def most_of_a_user(self, besides: Mapping[str, int]) -> int:
        """How many sessions are active of the user who has most of them; 0 if none has a user.

        It is asked at each collection of the metrics, and is to keep nobody waiting.

        Args:
            besides: active sessions that the store does not know, by user; none if it is shared.
        """


class HourTally(NamedTuple):
    """What the sessions of one kind add up to that ended within one hour."""

    hour: int
    """Since the epoch, UTC."""
    kind: Kind
    tally: Tally


class DayTally(NamedTuple):
    """What the sessions of one kind add up to that ended within one day."""

    day: int
    """Since the epoch, UTC."""
    kind: Kind
    tally: Tally


class UserCounts(NamedTuple):
    """Who has most sessions, and how many users there are."""

    most_frequent: list[tuple[str, int]]
    """Pseudonyms, and how many sessions each has. The most come first; of equals the first by the pseudonym."""
    total: int
    """How many users there are, those that are not named too."""


@runtime_checkable
class HistoryStore(Store, Protocol):
    """A store that can be asked about all that has ended in it; without it there are no reports.

    Records are there for as long as ended sessions are remembered, and so are sums, or longer. Parts of sessions are
    none.
    """

    def history(self, wanted: Wanted, limit: int, before: Place | None = None) -> list[SessionRecord]:
        """The ended sessions that are wanted, the latest end first: at most `limit`, those that stand behind `before`.

        Their events, and the single uses of all but the last ones, may have been dropped.
        """

    def tallies(self, since_hour: int, until_hour: int) -> list[HourTally]:
        """What ended in these hours, but for the last, in no order. A session is in it as soon as it has ended."""

    def daily_tallies(self, since_day: int, until_day: int) -> list[DayTally]:
        """The same by days since the epoch, UTC: for times of which the hours would be many."""

    def users(self, since_hour: int, until_hour: int, limit: int, besides: Mapping[str, int]) -> UserCounts:
        """Whose sessions ended in these hours, but for the last.

        Who has most may be known for a shorter time than the sums: until the sessions are forgotten.

        Args:
            since_hour: since the epoch, UTC.
            until_hour: since the epoch, UTC; it is not included.
            limit: how many users are named at most; at least one.
            besides: how many more sessions some have, by pseudonym, that the store does not count.
        """


class Recount(NamedTuple):
    """The sums of the sessions that ended within one span of time, as they are kept, and as they were added up anew.

    Both without the sessions whose export somebody owes.
    """

    kept: Mapping[Kind, Tally]
    counted: Mapping[Kind, Tally]
    kept_users: Mapping[str, int]
    """How many sessions each user had."""
    counted_users: Mapping[str, int]
    unreadable: Sequence[str] = ()
    """The ids of the sessions whose record cannot be read; they are not counted."""
    is_partial: bool = False
    """Whether some of what ended in it has been forgotten in order: then the two are not expected to be the same."""
    stamp: object = None
    """By this the store knows whether anything has happened since."""


@runtime_checkable
class RecountStore(HistoryStore, Protocol):
    """A store whose sums can be held against its records; without it there is no `verify`."""

    def next_hour(self, hour: int) -> int | None:
        """The first hour after that one of which there are sums, or in which a remembered session ended."""

    def recount_hour(self, hour: int) -> Recount | None:
        """The sums of an hour, and what the records add up to of the sessions that ended in it, at one moment.

        None if that could not be had, because sessions went on ending in it.
        """

    def replace_hour(self, hour: int, recount: Recount) -> bool:
        """Make the sums of an hour what was counted, and those of its day what its hours add up to, in one step.

        The sessions that cannot be read are removed. If something has happened in that hour since it was recounted
        nothing is done, and the result is False.
        """

    def recount_day(self, day: int) -> Recount:
        """The sums of a day, and what those of its hours add up to, at one moment; there are no users in it."""

    def replace_day(self, day: int) -> None:
        """Make the sums of a day what those of its hours add up to."""

    def unreadable(self) -> list[str]:
        """The ids of the sessions that are active, or owed, and whose record cannot be read."""

    def remove(self, session_ids: Sequence[str]) -> None:
        """Remove sessions whose records cannot be read."""

    def damage(self) -> tuple[str, ...]:
        """What the database finds damaged in itself, in its words; nothing if it cannot tell."""


@runtime_checkable
class RetentionStore(Store, Protocol):
    """A store that can be told to forget what ended long ago; without it there is no `cleanup`.

    What somebody owes the export of is not forgotten.
    """

    def purge(self, before_ns: int) -> int:
        """Forget the sessions that ended before that time and are owed by nobody, parts too; how many they were.

        The sums of the hours that were over by then are forgotten as well; those of a day become what is left of it.
        """

    def purgeable(self, before_ns: int) -> int:
        """How many `purge` would forget now."""


@runtime_checkable
class SharedStore(Store, Protocol):
    """A store that several processes see, and that outlives them: it knows who owes what, so that others can finish it.

    An owner is a process. It owes the end of the scoped sessions that live in it (`Beginning.owner`), and the export of
    what it has closed. Whether it still lives is not for the store to judge: it only keeps the heartbeats. Who owes
    something always has one, or nobody would miss it: where there is none yet, or no longer, it is the time of that
    start or end. A record that cannot be read stays owed, and keeps nobody from the others.
    """

    def close(
        self,
        session_id: str,
        *,
        status: Status,
        reason: EndReason,
        ended_ns: int,
        delta: Totals | None = None,
        idle_since_ns: int | None = None,
        owner: str | None = None,
    ) -> SessionRecord | None:
        """As in `Store`; with `owner`, that process owes the export until `exported` says that it is done."""

    def owe(self, record: SessionRecord, owner: str) -> bool:
        """Store a record that is over already, and whose export `owner` owes until `exported` says that it is done.

        Returns:
            Whether `owner` owes it: False if there was a record with its id, unless that is this very debt.
        """

    def exported(self, session_ids: Collection[str]) -> None:
        """The ends of these sessions have been exported: nobody owes them any more. Unknown ids are ignored."""

    def beat(self, owner: str, now_ns: int) -> None:
        """Note that `owner` lives: `now_ns`, by its own clock, is its heartbeat from now on."""

    def owners(self) -> Mapping[str, int]:
        """The last heartbeat of every owner that has not retired."""

    def take_over(self, dead: str, beat_ns: int, owner: str) -> list[SessionRecord]:
        """Make `owner` owe everything that `dead` owes, and forget `dead`: in one step, so that one of all succeeds.

        Nothing is done, and the result is empty, if the last heartbeat of `dead` is not `beat_ns`, or there is none.

        Returns:
            Its scoped sessions that are active, and the ended ones whose export it owed.
        """

    def retire(self, owner: str) -> None:
        """Forget `owner`, unless it owes something: then others find out that it is gone."""

    def purge(self, before_ns: int) -> int:
        """Forget the sessions that ended before that time and are owed by nobody; how many they were."""
