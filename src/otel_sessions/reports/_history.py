"""Which sessions have ended."""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Mapping, Sequence
from typing import Any, Final, overload

from .. import _runtime, _values
from .._models import EndReason, SessionRecord, Status
from .._wanted import Place
from ..exceptions import InvalidValueError
from ._description import describe
from ._question import question

_MOST_DIGITS: Final = 20


class History(Sequence[SessionRecord]):
    """Some ended sessions, the latest end first."""

    def __init__(self, records: Sequence[SessionRecord], next_page: str | None) -> None:
        self._records = tuple(records)
        self.next = next_page
        """What `after` takes to go on where this ends; None if nothing comes after it."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return {"sessions": [describe(record) for record in self], "next": self.next}

    @overload
    def __getitem__(self, index: int) -> SessionRecord: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[SessionRecord, ...]: ...

    def __getitem__(self, index: int | slice) -> SessionRecord | tuple[SessionRecord, ...]:
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"History({list(self._records)!r}, {self.next!r})"


def history(
    type: str | None = None,  # noqa: A002 - the session's, as everywhere
    *,
    user: str | None = None,
    status: Status | None = None,
    end_reason: EndReason | None = None,
    tier: str | None = None,
    attributes: Mapping[str, object] | None = None,
    days: float | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    limit: int = 100,
    after: str | None = None,
) -> History:
    """The sessions that have ended, the latest end first, as long as they are remembered.

    Args:
        type: those of this type.
        user: whose they were: the clear name, or the pseudonym.
        status: how they ended.
        end_reason: why they ended.
        tier: the set of limits that applied.
        attributes: attributes that they had, with these values.
        days: those that ended within so many days.
        since: those that ended then or later; a time without a zone is that of this machine.
        until: those that ended earlier.
        limit: how many at most.
        after: `History.next` of the page before.

    Raises:
        InvalidValueError: an argument is wrong.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    limit = _values.whole("the number of sessions", limit)
    before = None if after is None else _place(after)
    runtime = _runtime.get()
    asked = question(
        runtime,
        type=type,
        user=user,
        status=status,
        end_reason=end_reason,
        tier=tier,
        attributes=attributes,
        days=days,
        since=since,
        until=until,
    )
    found: list[SessionRecord] = []
    for wanted in asked:
        # One more than is shown, to know whether there are more.
        found += runtime.lifecycle.ledger.history(wanted, limit + 1, before)
    found = heapq.nlargest(limit + 1, found, key=Place.of)
    return History(found[:limit], _token(found[limit - 1]) if len(found) > limit else None)


def _token(record: SessionRecord) -> str:
    return f"{record.ended_ns}:{record.id}"


def _place(token: str) -> Place:
    ended, _, session_id = str(token).partition(":")
    if not ended.isdecimal() or len(ended) > _MOST_DIGITS or not session_id:
        raise InvalidValueError(f"after={token!r}: use what `History.next` of the page before says")
    return Place(int(ended), session_id)
