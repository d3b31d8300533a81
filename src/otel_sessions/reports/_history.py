"""Which sessions there were, and are."""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from .. import _runtime, _values
from .._ledger import Ledger
from .._models import EndReason, SessionRecord, Status
from .._wanted import Place, Wanted
from ._description import describe
from ._question import question
from ._standing import Standing


class History(Sequence[SessionRecord]):
    """Some sessions: the active ones first, if they were asked for, the latest start first; then the latest end."""

    def __init__(self, records: Sequence[SessionRecord], next_page: str | None, at_ns: int | None = None) -> None:
        self._records = tuple(records)
        self._at_ns = at_ns
        self.next = next_page
        """What `after` takes to go on where this ends; None if nothing comes after it."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return {"sessions": [describe(record, self._at_ns) for record in self], "next": self.next}

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
    active: bool = False,
) -> History:
    """The sessions that have ended, the latest end first, as long as they are remembered.

    Args:
        type: those of this type.
        user: whose they were: the clear name, or the pseudonym.
        status: how they ended; `active` asks for those that have not.
        end_reason: why they ended.
        tier: the set of limits that applied.
        attributes: attributes that they had, with these values.
        days: those that ended within so many days.
        since: those that ended then or later; a time without a zone is that of this machine.
        until: those that ended earlier.
        limit: how many at most.
        after: `History.next` of the page before.
        active: before them those that are active, the latest start first. One that ends while pages are turned may come
            twice.

    Raises:
        InvalidValueError: an argument is wrong.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    asked = question(
        _runtime.get(),
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
    return history_of(asked, limit=limit, after=after, active=active)


def history_of(asked: Iterable[Wanted], *, limit: int, after: str | None, active: bool = False) -> History:
    """The sessions that are any of these; for the rest see `history`.

    Raises:
        InvalidValueError: `limit` or `after` is wrong.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    limit = _values.whole("the number of sessions", limit)
    behind = None if after is None else Standing.read(after)
    lifecycle = _runtime.get().lifecycle
    now_ns = lifecycle.clock.time_ns()
    by_id: dict[str, SessionRecord] = {}
    for wanted in asked:
        # One more than is shown, to know whether there are more. Of one that ended meanwhile the end counts.
        wants_active = active or wanted.status == "active"
        read = _read(lifecycle.ledger, wanted, limit + 1, behind, wants_active=wants_active)
        by_id.update((record.id, record) for record in read)
    found = heapq.nlargest(limit + 1, by_id.values(), key=Standing.of)
    return History(found[:limit], Standing.of(found[limit - 1]).token if len(found) > limit else None, now_ns)


def _read(
    ledger: Ledger, wanted: Wanted, limit: int, behind: Standing | None, *, wants_active: bool
) -> list[SessionRecord]:
    """Those that are wanted and stand behind another one: of the ended ones, at most `limit`."""
    found: list[SessionRecord] = []
    if wants_active and (behind is None or behind.is_active):
        found += [
            record
            for record in ledger.active_or_fail(wanted.user)
            if wanted.fits(record) and (behind is None or Standing.of(record) < behind)
        ]
    if wanted.status != "active" and len(found) < limit:
        found += ledger.past.history(wanted, limit, None if behind is None or behind.is_active else Place(*behind[1:]))
    return found
