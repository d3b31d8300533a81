"""The single uses of the sessions that ended last, in memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from .._models import SessionRecord

_MOST: Final = 1_000


class KeptUses:
    """Keeps the uses of a thousand sessions. Of all that are remembered they would be most of the memory."""

    def __init__(self) -> None:
        self._uses: OrderedDict[str, list[str]] = OrderedDict()

    def take(self, record: SessionRecord) -> SessionRecord:
        """The record without its uses, which are kept here; it is the caller's own only if it had any."""
        uses = record.totals.uses
        if uses is None:
            return record
        self._uses[record.id] = uses
        if len(self._uses) > _MOST:
            self._uses.popitem(last=False)
        totals = record.totals.copy()
        totals.uses = None
        return record._replace(totals=totals)

    def give(self, record: SessionRecord) -> SessionRecord:
        """The record with its uses, if they are kept here."""
        uses = self._uses.get(record.id)
        if uses is None:
            return record
        totals = record.totals.copy()
        totals.uses = uses.copy()
        return record._replace(totals=totals)

    def drop(self, session_id: str) -> None:
        """Forget the uses of one session."""
        self._uses.pop(session_id, None)
