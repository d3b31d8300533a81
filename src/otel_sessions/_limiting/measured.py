"""What was measured rather than asked for, on its way to the quotas."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from .. import _collector
from .. import _semconv as sc
from .._guard import dropped, guarded
from .._hook_mark import in_a_hook, marked
from .._live import Live

_MAX_PENDING: Final = 10_000

_Key: TypeAlias = tuple[str, bool]
"""The id of a session, and whether it was a hook that used it."""


class Measured:
    """Amounts of quotas that were used already. They are never refused, and nobody waits for a store because of them.

    In a store inside the process they are counted at once; otherwise by the background thread, and before the session
    asks a limit, is asked about its quotas, or ends.

    Args:
        charge: counts amounts of a session by the names of its quotas; False if the store could not be asked.
        at_once: whether that does not have to wait for anything.
    """

    def __init__(self, charge: Callable[[Live, Mapping[str, float]], bool], *, at_once: bool) -> None:
        self._charge = charge
        self._at_once = at_once
        self.after_fork()

    def after_fork(self) -> None:
        """What the parent process has measured is the parent's to count."""
        self._lock = threading.RLock()
        self._pending: dict[_Key, tuple[Live, dict[str, float]]] = {}

    def add(self, live: Live, name: str, amount: float) -> None:
        """Count what a session has used of the quota of that name, if it has one."""
        if not amount:
            return
        self._put((live.beginning.id, in_a_hook()), live, {name: amount})
        # That may emit an event, which must not be done amid a collection.
        if self._at_once and not (_collector.thread is not None and _collector.collecting()):
            self.settle(live)

    def settle(self, live: Live) -> None:
        """Have everything counted that a session has used."""
        if self._pending:
            for by_a_hook in (False, True):
                self._settle((live.beginning.id, by_a_hook))

    def settle_all(self) -> None:
        """Have everything counted, until the store cannot be asked."""
        for key in list(self._pending):
            if not self._settle(key):
                return

    def _settle(self, key: _Key) -> bool:
        with self._lock:
            live, amounts = self._pending.pop(key, (None, {}))
        if live is None:
            return True
        counted = True
        with guarded("count for quotas what was measured"), marked(key[1]):
            counted = self._charge(live, amounts)
        if not counted:
            self._put(key, live, amounts)
        return counted

    def _put(self, key: _Key, live: Live, amounts: Mapping[str, float]) -> None:
        with self._lock:
            if len(self._pending) >= _MAX_PENDING and key not in self._pending:
                dropped(sc.Drop.STORE_UNAVAILABLE)
                return
            held = self._pending.setdefault(key, (live, {}))[1]
            for name, amount in amounts.items():
                held[name] = held.get(name, 0) + amount
