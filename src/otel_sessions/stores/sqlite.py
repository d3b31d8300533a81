"""The store in a file, for several processes of one machine: SQLite with a write-ahead log.

What a verb has returned survives the end of any process, however it ends. It survives a power failure only with
`synchronous="full"`; with `normal`, the default, what was written since the last round of the background may be missing
then, and the file is intact.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import parse_qsl, unquote

from .._models import Beginning, EndReason, SessionRecord, Status, Totals
from ..exceptions import ConfigurationError
from ..typing import DayTally, HourTally, Place, Recount, UserCounts, Wanted
from . import _history_rows as history
from . import _recount_rows as recount
from . import _rows as rows
from . import _tally_rows as sums
from ._database import Database, Synchronous
from ._facts import Facts
from ._forks import forks
from ._looking import ReadOnlyDatabase
from ._readers import Readers
from ._schema import NEVER
from ._sqlite_limits import SQLiteLimits

_NS: Final = 1_000_000_000
_DAY_SECONDS: Final = 86_400
_PAGE: Final = 500
"""How many sessions that are due are read at once."""

_BATCH: Final = 200
"""How many sessions are forgotten in one transaction: others wait for some milliseconds."""

_BATCHES: Final = 5
_PURGE_EVERY_NS: Final = 60 * _NS
_LONGEST_SECONDS: Final = 1e9
_SUMS_NS: Final = 9 * _DAY_SECONDS * _NS


class SQLiteStore:
    """Records in one SQLite file.

    Args:
        path: the file; it is made, readable by its owner alone, if there is none. Relative to the working directory.
        retention: for how many seconds ended sessions are remembered; counted from their end.
        timeout: how many seconds a call may wait for other processes, and for threads that write or look up a session.
            A question about many sessions waits for others of this process as long as those take.
        synchronous: `normal` or `full`, see above.
        read_only: only look: the file is not made, migrated or written to, and need not be writable. What would write
            raises `StoreError`.

    Raises:
        ConfigurationError: an argument or the file cannot be used.
    """

    name = "sqlite"
    shared = True

    def __init__(
        self,
        path: str,
        *,
        retention: float = 30 * _DAY_SECONDS,
        timeout: float = 1.0,
        synchronous: Synchronous = "normal",
        read_only: bool = False,
    ) -> None:
        if synchronous not in get_args(Synchronous):
            raise ConfigurationError(f"sqlite: synchronous is 'normal' or 'full', not {synchronous!r}")
        for name, seconds in (("retention", retention), ("timeout", timeout)):
            if not 0 < seconds < _LONGEST_SECONDS:
                raise ConfigurationError(_not_seconds(name, seconds))
        kind = ReadOnlyDatabase if read_only else Database
        self._database = kind(path, timeout=timeout, synchronous=synchronous, only_asked=read_only)
        self._database.try_out()
        # At this path, from the root: the working directory may change before they are needed.
        another = functools.partial(kind, str(self.path), timeout=timeout, synchronous=synchronous, only_asked=True)
        # What goes through many sessions has connections of its own, so that nobody waits who begins or ends one: for
        # metrics and health, what is soon known; and what may take long, so that these do not wait for it either.
        self._now = Readers(another)
        self._past = Readers(another)
        self.limits = SQLiteLimits(self._database)
        self.retention = retention
        """For how many seconds ended sessions are remembered."""
        self._retention_ns = int(retention * _NS)
        self._purged_ns: int | None = None

    @property
    def path(self) -> Path:
        """The file, from the root."""
        return self._database.path

    @classmethod
    def from_url(cls, url: str, **options: Any) -> SQLiteStore:
        """The store that `sqlite:///relative.db` or `sqlite:////absolute.db` names, as SQLAlchemy has it.

        Its query may hold `retention`, `timeout`, `synchronous` and, to only look, `mode=ro`; `options` are those of
        the constructor.

        Raises:
            ConfigurationError: it cannot be made.
        """
        location, _, query = url.partition("?")
        path = location.partition("://")[2]
        if not path.startswith("/") or path in ("/", "/:memory:"):
            raise ConfigurationError(
                "sqlite: the URL names no file; write sqlite:///relative.db or sqlite:////absolute/path.db"
            )
        asked = _options(query)
        if "mode" in asked:
            asked["read_only"] = asked.pop("mode") == "ro"
        return cls(unquote(path[1:]), **{**options, **asked})

    # -- one session --------------------------------------------------------------------------------------------------

    def create(self, beginning: Beginning) -> SessionRecord | None:
        """Store a new session, unless an active one has its key, or any has its id: then return that one's record."""
        return self._database.write(rows.create, beginning)

    def find(self, key: str) -> SessionRecord | None:
        """The active session under `key`."""
        return self._database.read(rows.find, key)

    def get(self, session_id: str) -> SessionRecord | None:
        """The session with that id, active or, as long as it is remembered, ended."""
        return self._database.read(rows.get, session_id)

    def previous(self, key: str) -> str | None:
        """The id of the last session that ended under `key`, as long as it is remembered."""
        return self._database.read(rows.previous, key)

    def merge(self, deltas: Mapping[str, Totals]) -> set[str]:
        """Add each delta to its active session, all in one transaction; the result holds the ids not active."""
        return self._database.write(rows.merge, deltas)

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
        """Add `delta` to an active session and end it; exactly one caller receives the final record.

        With `owner`, that process owes the export until `exported` says that it is done.
        """
        return self._database.write(
            rows.close, session_id, rows.End(status, reason, ended_ns, owner), delta, idle_since_ns
        )

    # -- all sessions -------------------------------------------------------------------------------------------------

    def due(self, now_ns: int) -> Iterator[SessionRecord]:
        """The active sessions whose idle timeout or maximum duration has passed at `now_ns`.

        This is also the occasion to tidy up: the log is moved into the file, and once a minute what ended longer than
        `retention` ago is forgotten.
        """
        self._database.notice_replacement()
        self._now.tidy()
        self._past.tidy()
        self._forget_old(now_ns)
        self._database.checkpoint()
        last = -NEVER, 0
        while page := self._database.read(rows.due, now_ns, last, _PAGE):
            last = page[-1].due_ns, page[-1].number
            records = [each.record for each in page if each.record is not None]
            deadlines = [rows.deadline(record.beginning, record.totals.last_activity_ns) for record in records]
            waiting = [(at, record.id) for at, record in zip(deadlines, records, strict=True) if at > now_ns]
            if waiting:
                self._database.write(rows.postpone, waiting)
            yield from (record for at, record in zip(deadlines, records, strict=True) if at <= now_ns)

    def counts(self) -> Mapping[tuple[str, str | None], int]:
        """How many sessions are active, by type and tier."""
        return self._now.read(rows.counts)

    def most_of_a_user(self, besides: Mapping[str, int]) -> int:
        """How many sessions are active of the user who has most of them, with those that some have `besides`."""
        most = self._now.read(rows.most_of_a_user)
        return max([most, *(sessions + len(self.active(user=user)) for user, sessions in besides.items())])

    def active(self, *, user: str | None = None) -> list[SessionRecord]:
        """The active sessions, oldest first; only those of `user` (a pseudonym) when given."""
        records = self._now.read(rows.active, user)
        return sorted(records, key=lambda record: record.beginning.started_ns)

    def ended(self, limit: int) -> list[SessionRecord]:
        """The sessions that ended last, as long as they are remembered: at most `limit`, the latest end first."""
        return self.history(Wanted(), limit)

    def history(self, wanted: Wanted, limit: int, before: Place | None = None) -> list[SessionRecord]:
        """The ended sessions that are wanted and stand behind `before`, at most `limit`, the latest end first."""
        return self._past.look(history.select, wanted, limit, before)

    def tallies(self, since_hour: int, until_hour: int) -> list[HourTally]:
        """What ended in these hours, as long as it is remembered."""
        return self._now.look(history.tallies, since_hour, until_hour)

    def daily_tallies(self, since_day: int, until_day: int) -> list[DayTally]:
        """What ended in these days, as long as it is remembered."""
        return self._now.look(history.daily_tallies, since_day, until_day)

    def users(self, since_hour: int, until_hour: int, limit: int, besides: Mapping[str, int]) -> UserCounts:
        """Those most of whose sessions ended in these hours, as long as it is remembered."""
        return self._past.look(history.users, since_hour, until_hour, limit, besides)

    # -- processes ----------------------------------------------------------------------------------------------------

    def owe(self, record: SessionRecord, owner: str) -> bool:
        """Store a record that is over already, and whose export `owner` owes; False if another has its id."""
        return self._database.write(rows.owe, record, owner)

    def exported(self, session_ids: Collection[str]) -> None:
        """The ends of these sessions have been exported: nobody owes them any more."""
        if session_ids:
            self._database.write(rows.exported, session_ids)

    def beat(self, owner: str, now_ns: int) -> None:
        """Note that `owner` lives: `now_ns`, by its own clock, is its heartbeat from now on."""
        self._database.write(rows.beat, owner, now_ns)

    def owners(self) -> Mapping[str, int]:
        """The last heartbeat of every owner that has not retired."""
        return self._database.read(rows.owners)

    def take_over(self, dead: str, beat_ns: int, owner: str) -> list[SessionRecord]:
        """Make `owner` owe everything that `dead` owes, and forget `dead`; one of all callers succeeds."""
        return self._database.write(rows.take_over, dead, beat_ns, owner)

    def retire(self, owner: str) -> None:
        """Forget `owner`, unless it owes something."""
        self._database.write(rows.retire, owner)

    def purge(self, before_ns: int) -> int:
        """Forget the sessions that ended before that time and are owed by nobody; how many they were."""
        forgotten = 0
        while batch := self._database.write(rows.purge, before_ns, _BATCH):
            forgotten += batch
        self._database.write(sums.forget, before_ns, before_ns)
        return forgotten

    def purgeable(self, before_ns: int) -> int:
        """How many `purge` would forget now."""
        return self._past.read(rows.purgeable, before_ns)

    def next_hour(self, hour: int) -> int | None:
        """The first hour after that one of which there are sums, or in which a remembered session ended."""
        return self._past.look(recount.next_hour, hour)

    def recount_hour(self, hour: int) -> Recount:
        """The sums of an hour, and what the sessions add up to that ended in it."""
        return self._past.look(recount.hour, hour)

    def replace_hour(self, hour: int, recounted: Recount) -> bool:
        """Make the sums of an hour, and of its day, what was counted; False if something has happened since."""
        return self._database.write(recount.replace_hour, hour, recounted)

    def recount_day(self, day: int) -> Recount:
        """The sums of a day, and what those of its hours add up to."""
        return self._past.look(recount.day, day)

    def replace_day(self, day: int) -> None:
        """Make the sums of a day what those of its hours add up to."""
        self._database.write(recount.replace_day, day)

    def unreadable(self) -> list[str]:
        """The ids of those that are active or owed, and whose record cannot be read."""
        return self._past.look(recount.unreadable)

    def remove(self, session_ids: Sequence[str]) -> None:
        """Remove sessions whose records cannot be read."""
        self._database.write(recount.remove, session_ids)

    def damage(self) -> tuple[str, ...]:
        """What SQLite finds wrong with the file."""
        return self._past.read(recount.damage)

    def _forget_old(self, now_ns: int) -> None:
        """A part of it at a time, so that the background has time for the rest."""
        if self._purged_ns is not None and abs(now_ns - self._purged_ns) < _PURGE_EVERY_NS:
            return
        for _ in range(_BATCHES):
            if self._database.write(rows.purge, now_ns - self._retention_ns, _BATCH) < _BATCH:
                # Of a day and a week before, with which health is compared, sums are kept in any case; but not whose.
                kept_ns = max(self._retention_ns, _SUMS_NS)
                self._database.write(sums.forget, now_ns - kept_ns, now_ns - self._retention_ns)
                self._purged_ns = now_ns
                return

    # -- the store itself ---------------------------------------------------------------------------------------------

    def facts(self) -> Facts:
        """What there is to know of the file."""
        version, (owed, oldest_owed_ns) = self._now.look(lambda cursor: (rows.version(cursor), history.owed(cursor)))
        path = self._database.path
        parts = [each.stat() for each in (path, path.with_name(f"{path.name}-wal")) if each.exists()]
        return Facts(
            version=version,
            bytes=sum(each.st_size for each in parts),
            clock_ns=None,
            changed_ns=max((each.st_mtime_ns for each in parts), default=None),
            evicts=False,
            owed=owed,
            oldest_owed_ns=oldest_owed_ns,
            obstacle=self._database.obstacle_to_writing() if isinstance(self._database, ReadOnlyDatabase) else None,
        )

    def secret(self) -> bytes:
        """32 random bytes, made with the file."""
        return self._database.read(rows.secret)

    def after_fork(self) -> None:
        """Begin in a child process, with connections of its own."""
        forks.after_fork_in_child()

    def shutdown(self) -> None:
        """Close the file."""
        self._database.close()
        self._now.close()
        self._past.close()


def _options(query: str) -> dict[str, Any]:
    """The options in the query of a URL."""
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _IN_URL:
            raise ConfigurationError(f"sqlite: the URL has an unknown option {name!r}; there are {', '.join(_IN_URL)}")
        if name in options:
            raise ConfigurationError(f"sqlite: the URL has the option {name!r} twice")
        options[name] = _IN_URL[name](name, value)
    return options


def _seconds(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ConfigurationError(_not_seconds(name, value)) from None


def _not_seconds(name: str, value: object) -> str:
    return f"sqlite: {name} is a number of seconds above 0, not {value!r}"


def _mode(_name: str, value: str) -> str:
    if value not in {"ro", "rw"}:
        raise ConfigurationError(f"sqlite: mode is 'ro', to only look, or 'rw', not {value!r}")
    return value


_IN_URL: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "retention": _seconds,
    "timeout": _seconds,
    "synchronous": lambda _name, value: value,
    "mode": _mode,
}
