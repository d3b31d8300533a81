"""A store that fails, or lets something happen, just when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from otel_sessions import StoreError
from otel_sessions.stores import MemoryStore
from otel_sessions.typing import (
    Admission,
    Beginning,
    Bucket,
    Charge,
    DayTally,
    EndReason,
    HistoryStore,
    HourTally,
    Level,
    LimitStore,
    Place,
    SessionRecord,
    Standing,
    Status,
    Totals,
    UserCounts,
    UserStore,
    Wanted,
)

from .shared_memory_store import SharedMemoryStore

EVERYTHING = frozenset(
    {
        "create",
        "find",
        "get",
        "previous",
        "merge",
        "close",
        "due",
        "counts",
        "most_of_a_user",
        "active",
        "ended",
        "secret",
        "owe",
        "exported",
        "beat",
        "owners",
        "take_over",
        "retire",
        "purge",
        "limits",
    }
)


class FailingStore:
    """A memory store behind a line that can be cut.

    Args:
        shared: whether it claims that other processes see the same records.
    """

    name = "failing"

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self.failing: Collection[str] = ()
        """The verbs that raise `StoreError`."""
        self.silent = False
        """Whether `take_over` is done, and the answer lost; asked again, it is given."""
        self._unanswered: list[SessionRecord] = []
        self.lost: Collection[str] = ()
        """The verbs that are done, and whose answer does not arrive: `create`."""
        self.refused: Collection[str] = ()
        """The ids of sessions that it does not take."""
        self.before: dict[str, Callable[[], object]] = {}
        """What to do, once, before the next call of a verb reaches the store."""
        self.after: dict[str, Callable[[], object]] = {}
        """What to do, once, after the next `get`, before its answer arrives."""
        self.calls: list[str] = []
        self._inner: UserStore = SharedMemoryStore() if shared else MemoryStore()

    def create(self, beginning: Beginning) -> SessionRecord | None:
        self._reach("create")
        if beginning.id in self.refused:
            raise StoreError(f"create: {beginning.id} is refused")
        created = self._inner.create(beginning)
        if "create" in self.lost:
            raise StoreError("create: no answer")
        return created

    def find(self, key: str) -> SessionRecord | None:
        self._reach("find")
        return self._inner.find(key)

    def get(self, session_id: str) -> SessionRecord | None:
        self._reach("get")
        found = self._inner.get(session_id)
        self.after.pop("get", lambda: None)()
        return found

    def previous(self, key: str) -> str | None:
        self._reach("previous")
        return self._inner.previous(key)

    def merge(self, deltas: Mapping[str, Totals]) -> set[str]:
        self._reach("merge")
        return self._inner.merge(deltas)

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
        self._reach("close")
        owned = {} if owner is None else {"owner": owner}
        return self._inner.close(
            session_id,
            status=status,
            reason=reason,
            ended_ns=ended_ns,
            delta=delta,
            idle_since_ns=idle_since_ns,
            **owned,
        )

    def owe(self, record: SessionRecord, owner: str) -> bool:
        self._reach("owe")
        return self._together.owe(record, owner)

    def exported(self, session_ids: Collection[str]) -> None:
        self._reach("exported")
        self._together.exported(session_ids)

    def beat(self, owner: str, now_ns: int) -> None:
        self._reach("beat")
        self._together.beat(owner, now_ns)

    def owners(self) -> Mapping[str, int]:
        self._reach("owners")
        return self._together.owners()

    def take_over(self, dead: str, beat_ns: int, owner: str) -> list[SessionRecord]:
        self._reach("take_over")
        self._unanswered += self._together.take_over(dead, beat_ns, owner)
        if self.silent:
            raise StoreError("take_over: no answer")
        taken, self._unanswered = self._unanswered, []
        return taken

    def retire(self, owner: str) -> None:
        self._reach("retire")
        self._together.retire(owner)

    def purge(self, before_ns: int) -> int:
        self._reach("purge")
        return self._together.purge(before_ns)

    @property
    def _together(self) -> SharedMemoryStore:
        assert isinstance(self._inner, SharedMemoryStore)
        return self._inner

    def due(self, now_ns: int) -> Iterable[SessionRecord]:
        self._reach("due")
        return self._inner.due(now_ns)

    def counts(self) -> Mapping[tuple[str, str | None], int]:
        self._reach("counts")
        return self._inner.counts()

    def most_of_a_user(self, besides: Mapping[str, int]) -> int:
        self._reach("most_of_a_user")
        return self._inner.most_of_a_user(besides)

    def active(self, *, user: str | None = None) -> list[SessionRecord]:
        self._reach("active")
        return self._inner.active(user=user)

    def ended(self, limit: int) -> list[SessionRecord]:
        self._reach("ended")
        return self._inner.ended(limit)

    def secret(self) -> bytes:
        self._reach("secret")
        return self._inner.secret()

    def after_fork(self) -> None:
        self._inner.after_fork()

    def shutdown(self) -> None:
        self._reach("shutdown")
        self._inner.shutdown()

    @property
    def limits(self) -> LimitStore:
        return _FailingLimits(self._reach, self._inner.limits)

    def _reach(self, verb: str) -> None:
        self.calls.append(verb)
        happening = self.before.pop(verb, None)
        if happening is not None:
            happening()
        if verb in self.failing:
            raise StoreError(f"{verb}: the line is cut")


class FailingHistory(FailingStore):
    """One that keeps a history, in the store behind it.

    Args:
        inner: that store. What is said of it alone, that others see it, is not said of this one.
    """

    def __init__(self, inner: UserStore) -> None:
        super().__init__()
        assert isinstance(inner, HistoryStore)
        self._inner = self._past = inner

    def history(self, wanted: Wanted, limit: int, before: Place | None = None) -> list[SessionRecord]:
        self._reach("history")
        return self._past.history(wanted, limit, before)

    def tallies(self, since_hour: int, until_hour: int) -> list[HourTally]:
        self._reach("tallies")
        return self._past.tallies(since_hour, until_hour)

    def daily_tallies(self, since_day: int, until_day: int) -> list[DayTally]:
        self._reach("daily_tallies")
        return self._past.daily_tallies(since_day, until_day)

    def users(self, since_hour: int, until_hour: int, limit: int, besides: Mapping[str, int]) -> UserCounts:
        self._reach("users")
        return self._past.users(since_hour, until_hour, limit, besides)


class _FailingLimits:
    """The limits behind that line; to it they are one verb, `limits`."""

    def __init__(self, reach: Callable[[str], None], inner: LimitStore) -> None:
        self._reach = reach
        self._inner = inner

    def admit(self, charges: Sequence[Charge], now_us: int | None = None) -> Admission:
        self._reach("limits")
        return self._inner.admit(charges, now_us)

    def levels(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Level]:
        self._reach("limits")
        return self._inner.levels(buckets, now_us)

    def renew(self, slots: Sequence[Charge], now_us: int | None = None) -> Sequence[bool]:
        self._reach("limits")
        return self._inner.renew(slots, now_us)

    def standings(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Standing]:
        self._reach("limits")
        return self._inner.standings(buckets, now_us)
