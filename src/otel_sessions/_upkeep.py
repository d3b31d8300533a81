"""What is done for sessions without anybody asking: in rounds in the background, and when the process ends."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Collection, Iterator

from ._lifecycle import Lifecycle
from ._live import Live
from ._outflow import AT_ONCE, Outflow


class Upkeep:
    """Keeps the store and the exporter up to date with the sessions of this process, and lets sessions expire."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._ledger = lifecycle.ledger
        self._endings = lifecycle.endings
        self._limiter = lifecycle.limiter
        self._outflow = Outflow(lifecycle.telemetry.flush, in_thread=lifecycle.settings.background)
        self._sweeping = threading.Lock()

    def after_fork(self) -> None:
        """Wait for nobody of the parent process."""
        self._sweeping = threading.Lock()
        self._outflow.after_fork()

    def sweep(self) -> None:
        """One round of the background thread: merge what happened here, end what has expired."""
        self._limiter.measured.settle_all()
        self._endings.end_left_behind()
        self._lifecycle.telemetry.bind()
        with self._sweeping:
            # First, because these have to be in time.
            self._limiter.leases.renew()
            now = self._lifecycle.clock.time_ns()
            self._lifecycle.replace_makeshift()
            self._endings.settle()
            self._store_late()
            for live in list(self._ledger.entered.values()):
                self._ledger.touch(live)
            self._ledger.flush()
            self._ledger.recent.turn(now)
            self._ledger.past.add_up(now)
            self._endings.expire_unstored(now)
            self._expire(now)
            self._lifecycle.recovery.round()
            self._limiter.tidy()

    def _store_late(self) -> None:
        """Store what could not be stored when it started. A client that has got another session by now goes on in that.

        It came to a process that did not know it while the store could not be asked for the session it had.
        """
        for live, holder in self._ledger.unstored.store_all():
            with self._ledger.merging:
                if holder.is_active and self._lifecycle.end(live, "success", "rotated"):
                    self._lifecycle.succeed(live, self._ledger.recent.keep(self._ledger.recent.of(holder)))

    def _expire(self, now: int) -> None:
        """End what the store says is due: some at a time, for there may be a million. The rest waits for a round."""
        due = iter(self._ledger.call("due", self._ledger.store.due, now, failed=()))
        while records := self._ledger.call("due", lambda: list(itertools.islice(due, AT_ONCE)), failed=[]):
            self._endings.expire(records, now)
            self._limiter.leases.renew()
            if len(records) == AT_ONCE and not self._outflow.keeps_up():
                return

    def settle(self) -> None:
        """Tell the store what it does not know yet."""
        self._limiter.measured.settle_all()
        self._endings.settle()
        self._store_late()
        self._ledger.flush()

    def export(self) -> None:
        """Wait until what was emitted has been exported, as far as the SDK can say."""
        if self._ledger.shared is None:
            self._lifecycle.telemetry.flush()
        else:
            self._lifecycle.recovery.export()

    def open_here(self) -> Iterator[Live]:
        """What cannot outlive this process: scoped sessions, and durable ones if nobody else sees the store."""
        self._endings.end_left_behind()
        yield from [*self._ledger.open.values(), *self._ledger.unstored.all()]
        self._ledger.flush()
        if self._ledger.shared is None:
            for record in self._ledger.call("active", self._ledger.store.active, failed=[]):
                yield self._ledger.recent.of(record)

    def end_here(self, keeps_up: Callable[[], bool], *, but: Collection[str] = ()) -> None:
        """End what cannot outlive this process, `but` these ids, at the pace of the exporter.

        Args:
            keeps_up: waits for the exporter; once it has been in vain, nobody waits again.
            but: the ids of sessions that go on.
        """
        waits = True
        for number, live in enumerate(self.open_here(), 1):
            if live.beginning.id not in but:
                self._lifecycle.end(live, "cancelled", "shutdown")
            if number % AT_ONCE == 0 and waits:
                waits = keeps_up()

    def shutdown(self) -> None:
        """End what cannot outlive this process, and everything else."""
        self._limiter.measured.settle_all()
        # The store may be back: then those that it takes go on elsewhere.
        self._store_late()
        self.end_here(functools.partial(self._outflow.keeps_up, at_exit=True))
        self._endings.give_up()
        self._limiter.shutdown()
        self._limiter.tidy()
        self._lifecycle.gauges.shutdown()
        self._lifecycle.recovery.retire()
        self._ledger.shutdown()
        self._lifecycle.close()
