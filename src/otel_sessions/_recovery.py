"""The processes that share a store: which of them live, and what those that are gone have left to do.

Every process shows a heartbeat. What a process leaves whose heartbeat has stopped is taken over by another one: its
scoped sessions end as abandoned, at its last sign of life, and what it has closed but perhaps not exported is emitted
again, with the same ids. Clocks of several machines are not compared: a heartbeat has stopped when it has not changed
for as long as this process has watched it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from . import _process
from ._endings import Endings
from ._guard import guarded, log
from ._ledger import Ledger
from ._models import SessionRecord
from ._telemetry import Telemetry
from .typing import Clock, SharedStore

_BEAT_NS: Final = 5 * 1_000_000_000
_MAX_SILENCE_NS: Final = 600 * 1_000_000_000
_CHUNK: Final = 200
"""How many sessions are finished before they are exported: the SDK drops what does not fit into its queue."""
_PATIENCE_SECONDS: Final = 10.0
"""How long somebody else's export is waited for: as long as the SDK gives one."""


class _Left(NamedTuple):
    """What a process has left to do that is gone."""

    record: SessionRecord
    last_sign_ns: int


class Recovery:
    """What one process does for the others, once every five seconds.

    Args:
        timeout: after so many seconds without a heartbeat a process counts as gone; at once if it ran on this machine.
        in_thread: whether exporting, which may take long, is waited for in a thread of its own. A heartbeat must not
            depend on somebody else's collector.
    """

    def __init__(
        self, ledger: Ledger, endings: Endings, telemetry: Telemetry, clock: Clock, *, timeout: float, in_thread: bool
    ) -> None:
        self._ledger = ledger
        self._endings = endings
        self._telemetry = telemetry
        self._clock = clock
        self._timeout_ns = int(timeout * 1_000_000_000)
        self._in_thread = in_thread
        self.after_fork()

    def after_fork(self) -> None:
        """Know nobody yet in a child process, which is one of its own."""
        self._seen: dict[str, tuple[int, int]] = {}
        self._blind_ns: int | None = None
        """When the store was last seen to be out of reach."""
        self._next_ns = 0
        self._doubted: dict[str, int] = {}
        """Those whose debts this process may have taken over: the store did not say."""
        self._unfinished: list[_Left] = []
        self._exporting = threading.Lock()
        self._taking_over = threading.Lock()
        self._retiring = False
        self._announced = False

    def announce(self) -> None:
        """Show a first heartbeat, before anything else is stored: who never lived cannot be missed."""
        store, owner = self._ledger.shared, self._ledger.owner
        if store is not None and owner is not None:
            self._announced = True
            self._ledger.call("beat", store.beat, owner, self._clock.time_ns(), failed=None)

    def round(self) -> None:
        """Do what is to be done, if it is time."""
        now = self._clock.monotonic_ns()
        if self._ledger.shared is None or now < self._next_ns:
            return
        self._next_ns = now + _BEAT_NS
        self.announce()
        gone = self._gone()
        # One does it for all; should two think that they lead, the store lets one of them succeed.
        gone = self._doubted | (gone if self._ledger.leads else {})
        if gone or self._unfinished:
            self._aside("otel-sessions-recovery", lambda: self._take_over_all(gone, patience=0))
        if self._ledger.unexported:
            self._aside("otel-sessions-export", self.export)

    def recover(self) -> int:
        """Finish what processes have left that are known to be gone; how many sessions that were."""
        self.announce()
        return self._take_over_all(self._doubted | self._gone(), patience=-1)

    def _aside(self, name: str, work: Callable[[], object]) -> None:
        if self._in_thread:
            threading.Thread(target=work, name=name, daemon=True).start()
        else:
            work()

    def _gone(self) -> dict[str, int]:
        """The last heartbeats of those that are gone. Of those that live the oldest leads: who comes later waits."""
        store = self._ledger.shared
        beats = None if store is None else self._ledger.call("owners", store.owners, failed=None)
        if beats is None:
            # Whoever is out of reach of the store is not gone: nobody's silence means anything now.
            self._seen, self._blind_ns = {}, self._clock.monotonic_ns()
            return {}
        seen = self._watch(beats)
        gone = {
            owner: beat
            for owner, beat in beats.items()
            if owner != self._ledger.owner and self._is_gone(owner, beat, seen[owner][1])
        }
        self._ledger.leads = self._ledger.owner == min(beats.keys() - gone.keys(), default=self._ledger.owner)
        return gone

    def _watch(self, beats: Mapping[str, int]) -> Mapping[str, tuple[int, int]]:
        """When, by the clock of this process, each heartbeat was seen to change. Threads may look at the same time."""
        now = self._clock.monotonic_ns()
        known = self._seen
        seen = self._seen = {
            owner: known[owner] if owner in known and known[owner][0] == beat else (beat, now)
            for owner, beat in beats.items()
        }
        return seen

    def _is_gone(self, owner: str, beat: int, seen_ns: int) -> bool:
        now = self._clock.monotonic_ns()
        # A heartbeat from long ago needs no watching: no two clocks differ that much. But nobody could show one while
        # the store was out of reach.
        is_old = self._clock.time_ns() - beat >= max(_MAX_SILENCE_NS, self._timeout_ns)
        had_time = self._blind_ns is None or now - self._blind_ns >= self._timeout_ns
        return now - seen_ns >= self._timeout_ns or (is_old and had_time) or _process.is_gone(owner)

    def _take_over_all(self, gone: Mapping[str, int], *, patience: float) -> int:
        if not self._taking_over.acquire(timeout=patience):
            # Another thread is at it; who is still gone at the next round is taken care of then.
            return 0
        try:
            with guarded("finish what crashed processes have left"):
                unfinished, self._unfinished = self._unfinished, []
                self._finish_all(unfinished)
                return sum(self._take_over(dead, beat) for dead, beat in gone.items())
            return 0
        finally:
            self._taking_over.release()

    def _take_over(self, dead: str, beat: int) -> int:
        store, owner = self._ledger.shared, self._ledger.owner
        if store is None or owner is None or self._retiring:
            return 0
        left = self._ledger.call("take_over", store.take_over, dead, beat, owner, failed=None)
        if left is None:
            # It may have been done all the same: then nobody else can know of it any more.
            self._doubted[dead] = beat
            return 0
        self._doubted.pop(dead, None)
        self._finish_all([_Left(record, min(beat, self._clock.time_ns())) for record in left])
        if left:
            log.warn(
                "crashed process",
                "A process that shared the %s store has ended without finishing its sessions: %d were finished for it.",
                store.name,
                len(left),
            )
        return len(left)

    def _finish_all(self, left: Sequence[_Left]) -> None:
        for number, one in enumerate(left, 1):
            if self._retiring:
                # The rest is owed by this process, and somebody will find that it is gone.
                return
            if not self._finish(one):
                self._unfinished.append(one)
            if number % _CHUNK == 0:
                self.export(patience=_PATIENCE_SECONDS)

    def _finish(self, left: _Left) -> bool:
        if left.record.is_active:
            return self._endings.abandon(left.record, left.last_sign_ns)
        self._endings.resend(left.record)
        return True

    # -- what this process owes the others ----------------------------------------------------------------------------

    def export(self, *, patience: float = 0) -> None:
        """Wait until what was emitted has been exported; then nobody owes that any more.

        Args:
            patience: for how many seconds to wait for another thread that does the same.
        """
        if not self._exporting.acquire(timeout=patience):
            return
        try:
            with guarded("export the ends of sessions"):
                self._export()
        finally:
            self._exporting.release()

    def _export(self) -> None:
        store, unexported = self._ledger.shared, self._ledger.unexported
        if store is None:
            return
        # Taken out, not looked at: what is emitted meanwhile may push out the oldest of those that are in there.
        emitted = [unexported.popleft() for _ in range(len(unexported))]
        told = False
        try:
            if emitted and self._telemetry.flush():
                told = self._ledger.call("exported", self._tell, store, emitted, failed=False)
        finally:
            if not told:
                unexported.extendleft(reversed(emitted))

    def _tell(self, store: SharedStore, emitted: list[str]) -> bool:
        store.exported(emitted)
        return True

    def retire(self) -> None:
        """Leave nothing to others: the last thing that a process does."""
        self._retiring = True
        if self._taking_over.acquire(timeout=_PATIENCE_SECONDS):
            self._taking_over.release()
        self.export(patience=_PATIENCE_SECONDS)
        # Who has only looked has nothing to take back, and leaves a store that is locked or out of reach alone.
        if not self._announced or self._ledger.unexported:
            return
        store, owner = self._ledger.shared, self._ledger.owner
        if store is not None and owner is not None:
            self._ledger.call("retire", store.retire, owner, failed=None)
