"""The sums that a deployment keeps in Redis, held against its sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from .._models import SessionRecord
from .._tally import DAY_HOURS, Kind, Tally, day_of
from ..exceptions import StoreError
from ..typing import Recount
from . import _redis_format as form
from ._redis_deployment import AT_ONCE, Deployment, chunks
from ._redis_history import HOUR_MS, within

_ATTEMPTS: Final = 10


class RedisRecount:
    """Adds up anew what the sums are of. Applications may go on meanwhile: what has changed since is counted again.

    Args:
        retention_ms: for how many milliseconds an ended session is remembered that is owed by nobody.
    """

    def __init__(self, deployment: Deployment, retention_ms: int) -> None:
        self._deployment = deployment
        self._retention_ms = retention_ms

    def remembered_since(self) -> int | None:
        """The hour since the epoch after which no session ended that has been forgotten."""
        oldest, now_ms = self._deployment.run("oldest")
        if not oldest:
            return None
        # Of those that Redis has let expire since, some still stand among them.
        return int(max(float(oldest[1]), now_ms - self._retention_ms) // HOUR_MS)

    def next_hour(self, hour: int) -> int | None:
        """The first hour after that one of which there are sums, or in which a session ended."""
        hours, ended = self._deployment.run("next_hour", f"({hour}", (hour + 1) * HOUR_MS)
        found = [int(number) for number in hours] + [int(float(at)) // HOUR_MS for at in ended[1:]]
        return min(found, default=None)

    def hour(self, hour: int, *, repair: bool) -> Recount | None:
        """The sums of an hour, and what the sessions add up to that ended in it; with `repair` they are made that.

        None if sessions went on ending in it meanwhile.
        """
        for _ in range(_ATTEMPTS):
            kept, users, state = self._deployment.run("recount", *within(hour, hour + 1), keys=self._of_hour(hour))
            found = self._counted(hour, kept, users)
            if self._replaced(hour, found, state) if repair else self._is_still(hour, state):
                return found
        return None

    def _is_still(self, hour: int, state: bytes) -> bool:
        return bool(self._deployment.run("recount", *within(hour, hour + 1), keys=self._of_hour(hour))[2] == state)

    def _counted(self, hour: int, kept: list[bytes], users: Sequence[bytes]) -> Recount:
        counted: dict[Kind, Tally] = {}
        counted_users: Counter[str] = Counter()
        unreadable: list[str] = []
        passed = 0
        while ids := self._deployment.run("ended", passed, AT_ONCE, *within(hour, hour + 1)):
            passed += len(ids)
            for record in self._readable(ids, unreadable.append):
                if not record.is_active and record.beginning.part is None:
                    counted.setdefault(Kind.of(record), Tally()).count(record)
                    counted_users.update(() if record.user is None else (record.user,))
        kept_users = {form.decode(user): int(sessions) for user, sessions in zip(users[::2], users[1::2], strict=True)}
        return Recount(dict(form.tallies(kept)), counted, kept_users, dict(counted_users), unreadable)

    def _replaced(self, hour: int, found: Recount, state: bytes) -> bool:
        day = day_of(hour)
        sums = form.hash_of(found.counted)
        users = [each for user, sessions in found.counted_users.items() for each in (form.encode(user), sessions)]
        keys = [*self._of_hour(hour), *self._of_day(day)]
        done = self._deployment.run(
            "replace_sums",
            *within(hour, hour + 1),
            state,
            self._retention_ms,
            hour,
            len(sums),
            len(users),
            *sums,
            *users,
            keys=keys,
        )
        if done:
            self.discard(found.unreadable)
        return bool(done)

    def day(self, day: int, *, repair: bool) -> Recount:
        """The sums of a day, and what those of its hours add up to; with `repair` they are made that."""
        keys = self._of_day(day)
        (kept, *hours), _ = self._deployment.run("sums", *within(day * DAY_HOURS, day * DAY_HOURS), keys=keys)
        if repair:
            self._deployment.run("replace_day", keys=keys)
        counted: dict[Kind, Tally] = {}
        for raw in hours:
            for kind, tally in form.tallies(raw):
                counted.setdefault(kind, Tally()).add(tally)
        return Recount(dict(form.tallies(kept)), counted, {}, {})

    def unreadable(self) -> list[str]:
        """The ids of those that are active or owed, and whose record cannot be read."""
        found: list[str] = []
        for ids in (self._deployment.run("active", b""), self._deployment.run("unexported", "-inf", "+inf")):
            for _ in self._readable(ids, found.append):
                pass
        return found

    def discard(self, session_ids: Sequence[str]) -> None:
        """Remove sessions."""
        for some in chunks(session_ids):
            self._deployment.run("discard", *map(form.encode, some), sessions=some)

    def _readable(self, ids: Sequence[bytes], note: Callable[[str], object]) -> Iterable[SessionRecord]:
        """The records of sessions; of those that cannot be read the id is noted."""
        for some in chunks([form.decode(raw) for raw in ids]):
            held: Sequence[Any] = self._deployment.run("read", sessions=some)
            for session_id, raw in zip(some, held, strict=True):
                try:
                    record = form.record(raw)
                except StoreError:
                    note(session_id)
                    continue
                if record is not None:
                    yield record

    def _of_hour(self, hour: int) -> list[bytes]:
        return [self._deployment.hourly(hour), self._deployment.user_counts(hour)]

    def _of_day(self, day: int) -> list[bytes]:
        hours = range(day * DAY_HOURS, (day + 1) * DAY_HOURS)
        return [self._deployment.daily(day), *map(self._deployment.hourly, hours)]
