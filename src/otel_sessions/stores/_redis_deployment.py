"""What one deployment has in Redis: the names of its keys, and the scripts that are run on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from .._models import SessionRecord
from . import _redis_format as form
from ._redis_line import Line
from ._unreadable import UnreadableError, leave_out

AT_ONCE: Final = 200
"""How many records are read, or changed, in one step."""

_SHARED: Final = (
    "meta", "active", "counts", "due", "held", "users", "previous",
    "ended", "expiring", "owners", "debts", "owed", "taken", "user_counts", "hours", "unexported",
    "ended_users",
)  # fmt: skip
"""The keys that all scripts are given, in the order in which they expect them."""


class Deployment:
    """All keys begin with its prefix, in braces: those keep them on one node of a cluster.

    Args:
        line: where it is.
        name: what tells it from others in the same Redis.
    """

    def __init__(self, line: Line, name: str) -> None:
        self.line = line
        self.prefix = f"{{{name}}}:"
        self._shared = [self.key(each) for each in _SHARED]

    def run(
        self, script: str, *arguments: bytes | str | int, sessions: Iterable[str] = (), keys: Iterable[bytes] = ()
    ) -> Any:
        """What a script returned that is given the keys that all are, those of some sessions, and others.

        Raises:
            StoreError: it did not run, or nobody knows whether it did.
        """
        return self.line.run(script, [*self._shared, *map(self.session, sessions), *keys], arguments)

    def read(self, ids: Sequence[str]) -> dict[str, SessionRecord | None]:
        """The sessions with these ids, active or ended, by id and in that order; None where there is none.

        Those that cannot be read are left out, and the log says so.
        """
        held = zip(ids, self.run("read", sessions=ids), strict=True)
        return dict(found for session_id, raw in held if (found := _if_readable(session_id, raw)) is not None)

    def key(self, name: str) -> bytes:
        """The key of that name."""
        return form.encode(f"{self.prefix}{name}")

    def session(self, session_id: str) -> bytes:
        """The key of a session."""
        return self.key(f"s:{session_id}")

    def hourly(self, hour: int) -> bytes:
        """The key of the sums of an hour."""
        return self.key(f"h:{hour}")

    def daily(self, day: int) -> bytes:
        """The key of the sums of a day."""
        return self.key(f"d:{day}")

    def user_counts(self, hour: int) -> bytes:
        """The key of how many sessions each user had in an hour."""
        return self.key(f"u:{hour}")


def _if_readable(session_id: str, raw: list[bytes]) -> tuple[str, SessionRecord | None] | None:
    try:
        return session_id, form.record(raw)
    except UnreadableError:
        leave_out("redis", session_id)
        return None


def chunks(ids: Sequence[str], size: int = AT_ONCE) -> Iterator[Sequence[str]]:
    """The ids, so many at a time."""
    return (ids[at : at + size] for at in range(0, len(ids), size))
