"""The sessions that started while the store could not be reached: this process alone knows them until it can."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from . import _semconv as sc
from ._guard import dropped
from ._live import Live
from ._models import SessionRecord
from ._store_calls import Failed

if TYPE_CHECKING:
    from ._ledger import Ledger

_MOST: Final = 10_000
_REST_SECONDS: Final = 0.0001


class Unstored:
    """Keeps them, and stores them as soon as the store takes them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lives: dict[str, Live] = {}

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._lives

    def all(self) -> list[Live]:
        """All of them, in the order in which their turn comes."""
        return list(self._lives.values())

    def keep(self, live: Live) -> None:
        """Store it later. Of very many the last ones are never stored: they are counted as dropped."""
        if len(self._lives) < _MOST:
            self._lives[live.beginning.id] = live
        else:
            dropped(sc.Drop.STORE_UNAVAILABLE)

    def drop(self, live: Live) -> None:
        """Store it never."""
        self._lives.pop(live.beginning.id, None)

    def store(self, live: Live) -> bool:
        """Store one of them now; False if it still cannot be."""
        return self._create(live) is None

    def store_all(self) -> list[tuple[Live, SessionRecord]]:
        """Store them, as long as the store takes them.

        One at a time: a request that begins a session meanwhile waits for one of them, not for all.

        Returns:
            Those whose key another session has by now, with that one.
        """
        too_late: list[tuple[Live, SessionRecord]] = []
        for live in self.all():
            with self._ledger.merging:
                stored = self._create(live) if live.beginning.id in self else None
                if stored is Failed.FAILED:
                    # To the end of the queue: should the store refuse just this one, the others come next time.
                    self._lives[live.beginning.id] = self._lives.pop(live.beginning.id)
                    break
            if isinstance(stored, SessionRecord):
                too_late.append((live, stored))
            give_way()
        return too_late

    def _create(self, live: Live) -> SessionRecord | Failed | None:
        stored = self._ledger.call("create", self._ledger.store.create, live.beginning, failed=Failed.FAILED)
        if isinstance(stored, SessionRecord) and stored.id == live.beginning.id:
            stored = None
        if stored is None:
            self.drop(live)
        # If its key was taken meanwhile, it remains one that only this process knows, as long as it lasts.
        return stored


def give_way() -> None:
    """Let others have a lock: who has just released one gets it again before those who wait for it, unless it rests."""
    time.sleep(_REST_SECONDS)
