"""The sums that a deployment keeps in Redis, held against its sessions."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from .._models import SessionRecord
from .._tally import DAY_HOURS, Kind, Tally, day_of
from ..exceptions import StoreError
from ..typing import Recount
from . import _redis_format as form
from ._redis_deployment import Deployment, chunks
from ._redis_history import HOUR_MS, USERS_AT_ONCE, trim, users_of, within
from ._redis_pages import owed, remembered
from ._unreadable import UNREADABLE, UnreadableError, tally_of

_ATTEMPTS: Final = 10
_STAGED_MS: Final = 600_000
"""For how long users stay put aside whose hour was not replaced after all, as whoever wanted it has been killed."""


class RedisRecount:
    """Adds up anew what the sums are of. Applications may go on meanwhile: what has changed since is counted again.

    Args:
        retention_ms: for how many milliseconds an ended session is remembered that is owed by nobody.
    """

    def __init__(self, deployment: Deployment, retention_ms: int) -> None:
        self._deployment = deployment
        self._retention_ms = retention_ms

    def next_hour(self, hour: int) -> int | None:
        """The first hour after that one of which there are sums, or in which a session ended."""
        hours, ended = self._deployment.run("next_hour", f"({hour}", (hour + 1) * HOUR_MS)
        found = [int(number) for number in hours] + [int(float(at)) // HOUR_MS for at in ended[1:]]
        return min(found, default=None)

    def hour(self, hour: int) -> Recount | None:
        """The sums of an hour, and what the sessions add up to that ended in it; None if they went on ending in it."""
        for _ in range(_ATTEMPTS):
            found = self._looked_at(hour)
            if self._look(hour)[1] == found.stamp:
                return found
        return None

    def _look(self, hour: int) -> tuple[list[bytes], bytes, bytes]:
        times, keys = within(hour, hour + 1), self._of_hour(hour)
        kept, state, forgotten = self._deployment.run("recount", *times, hour, keys=keys)
        return kept, state, forgotten

    def _looked_at(self, hour: int) -> Recount:
        kept, state, forgotten = self._look(hour)
        # If they change meanwhile, so does the state.
        kept_users = users_of(self._deployment, hour)
        counted: dict[Kind, Tally] = {}
        counted_users: Counter[str] = Counter()
        unreadable: list[str] = []
        passed = seen = 0
        for page in remembered(self._deployment, *within(hour, hour + 1)):
            passed += len(page.ids)
            for record, tally in self._readable(page.ids, unreadable.append):
                seen += 1
                if not record.is_active and record.beginning.part is None:
                    counted.setdefault(Kind.of(record), Tally()).add(tally)
                    counted_users.update(() if record.user is None else (record.user,))
        if seen + len(unreadable) < passed:
            # Redis forgets by itself, too, and the id stays for some time. If so, the state is another one now,
            # and all is looked at anew; what is missing after that somebody has taken out, or Redis has evicted.
            trim(self._deployment)
        return Recount(
            _sums(kept),
            counted,
            kept_users,
            dict(counted_users),
            unreadable,
            is_partial=hour * HOUR_MS <= float(forgotten),
            stamp=state,
        )

    def replace_hour(self, hour: int, found: Recount) -> bool:
        """Make the sums of an hour, and of its day, what was counted; False if something has happened since."""
        if not isinstance(found.stamp, bytes):
            raise StoreError(f"redis: {found.stamp!r} is no stamp of a recount")
        staged = self._staged(hour, found.counted_users)
        done = self._deployment.run(
            "replace_sums",
            *within(hour, hour + 1),
            found.stamp,
            self._retention_ms,
            hour,
            len(found.counted_users),
            *form.hash_of(found.counted),
            keys=[*self._of_hour(hour), staged, *self._of_day(day_of(hour))],
        )
        if done:
            self.remove(found.unreadable)
        return bool(done)

    def _staged(self, hour: int, users: Mapping[str, int]) -> bytes:
        """Put aside what users had in an hour, in steps that the server is quickly through with; the key of it."""
        # One of its own: who repairs the same hour may be about it, too.
        key = self._deployment.key(f"u:{hour}:{uuid.uuid4().hex}")
        for some in chunks(list(users), USERS_AT_ONCE):
            counts = [each for user in some for each in (form.encode(user), users[user])]
            self._deployment.run("stage_users", _STAGED_MS, *counts, keys=[key])
        return key

    def day(self, day: int) -> Recount:
        """The sums of a day, and what those of its hours add up to."""
        first, keys = day * DAY_HOURS, self._of_day(day)
        (kept, *hours), number = self._deployment.run("recount_day", first, first + DAY_HOURS - 1, keys=keys)
        counted: dict[Kind, Tally] = {}
        for raw in hours:
            for kind, tally in _sums(raw).items():
                counted.setdefault(kind, Tally()).add(tally)
        # The sums of a day are kept for longer than those of its hours.
        return Recount(_sums(kept), counted, {}, {}, is_partial=sum(map(bool, hours)) < number)

    def replace_day(self, day: int) -> None:
        """Make the sums of a day what those of its hours add up to."""
        self._deployment.run("replace_day", keys=self._of_day(day))

    def unreadable(self) -> list[str]:
        """The ids of those that are active or owed, and whose record cannot be read."""
        found: list[str] = []
        ended = (page.ids for page in owed(self._deployment, "-inf", "+inf"))
        for ids in (self._deployment.run("active", b""), *ended):
            for _ in self._readable(ids, found.append):
                pass
        return found

    def remove(self, session_ids: Sequence[str]) -> None:
        """Remove sessions."""
        for some in chunks(session_ids):
            self._deployment.run("discard", *map(form.encode, some), sessions=some)

    def _readable(self, ids: Sequence[bytes], note: Callable[[str], object]) -> Iterator[tuple[SessionRecord, Tally]]:
        """The records of sessions, with what each adds; of those that cannot be read the id is noted."""
        for some in chunks([form.decode(raw) for raw in ids]):
            held: Sequence[Any] = self._deployment.run("read", sessions=some)
            for session_id, raw in zip(some, held, strict=True):
                try:
                    record = form.record(raw)
                    found = None if record is None else (record, tally_of(record))
                except UnreadableError:
                    note(session_id)
                    continue
                if found is not None:
                    yield found

    def _of_hour(self, hour: int) -> list[bytes]:
        return [self._deployment.hourly(hour), self._deployment.user_counts(hour)]

    def _of_day(self, day: int) -> list[bytes]:
        hours = range(day * DAY_HOURS, (day + 1) * DAY_HOURS)
        return [self._deployment.daily(day), *map(self._deployment.hourly, hours)]


def _sums(raw: list[bytes]) -> dict[Kind, Tally]:
    """The sums of an hour, or a day; of those that cannot be read there is nothing."""
    try:
        return {kind: tally for kind, tally in form.tallies(raw) if tally.is_sound}
    except UNREADABLE:
        return {}
