"""What this process has counted in the last ten minutes.

The counts are kept anyway, from the start of the process on. Here they are looked at once a minute, by the background
thread: what happened lately is the difference between two looks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar

from .machine import Machine, Processors

if TYPE_CHECKING:
    from .._lifecycle import Lifecycle

_NS: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _NS
_WINDOW_NS: Final = 10 * _MINUTE_NS

Sums: TypeAlias = "Mapping[tuple[str | None, ...], float]"


Number = TypeVar("Number", int, float)


class Look(NamedTuple):
    """The counts at one moment."""

    at_ns: int
    findings: Sums
    access_failures: Sums
    dropped: Sums
    decisions: Mapping[tuple[str | None, ...], int]
    """Of limits: by kind, name, result and tier."""
    calls: int
    """Of the store."""
    failures: int
    """Those of them that failed."""
    pending: int
    """Sessions whose latest counts wait for the store now."""
    processors: Processors | None


class Lately:
    """What happened between two looks."""

    def __init__(self, before: Look, now: Look, pending: int) -> None:
        self.is_whole = now.at_ns - before.at_ns >= _WINDOW_NS
        """Whether it was ten minutes; a process that has just started knows of fewer."""
        self.findings = sum(_more(before.findings, now.findings).values())
        self.access_failures = sum(_more(before.access_failures, now.access_failures).values())
        self.dropped = _more(before.dropped, now.dropped)
        self.decisions = _more(before.decisions, now.decisions)
        self.calls = now.calls - before.calls
        self.failures = now.failures - before.failures
        self.pending = pending
        """How many waited at any time."""
        self.busy = _busy(before.processors, now.processors)
        """The share of the time that the processors were busy; None if the platform does not say."""


def _more(
    before: Mapping[tuple[str | None, ...], Number], now: Mapping[tuple[str | None, ...], Number]
) -> dict[tuple[str | None, ...], Number]:
    return {key: amount - before.get(key, 0) for key, amount in now.items()}


def _busy(before: Processors | None, now: Processors | None) -> float | None:
    if before is None or now is None or now.all <= before.all:
        return None
    return (now.busy - before.busy) / (now.all - before.all)


class Minutes:
    """A look at the counts of this process for each of the last ten minutes."""

    def __init__(self, lifecycle: Lifecycle, machine: Machine) -> None:
        self._lifecycle = lifecycle
        self.machine = machine
        self.after_fork()

    def after_fork(self) -> None:
        """A child process counts from now on."""
        self._lock = threading.Lock()
        self._looks: deque[Look] = deque([self._look()])

    def keep(self) -> None:
        """Look, if the last look is a minute ago."""
        if self._lifecycle.clock.monotonic_ns() - self._looks[-1].at_ns >= _MINUTE_NS:
            self._keep(self._look())

    def _keep(self, look: Look) -> None:
        with self._lock:
            self._looks.append(look)
            # The oldest one is as old as the window, or older.
            while len(self._looks) > 1 and look.at_ns - self._looks[1].at_ns >= _WINDOW_NS:
                self._looks.popleft()

    def lately(self) -> Lately:
        """What was counted in the last ten minutes, or since the process started if that is later."""
        self.keep()
        now = self._look()
        with self._lock:
            looks = list(self._looks)
        return Lately(looks[0], now, min(look.pending for look in (*looks, now)))

    def _look(self) -> Look:
        metrics, ledger = self._lifecycle.telemetry.metrics, self._lifecycle.ledger
        return Look(
            at_ns=self._lifecycle.clock.monotonic_ns(),
            findings=metrics.findings.sums(),
            access_failures=metrics.access_failures.sums(),
            dropped=metrics.dropped.sums(),
            decisions=self._lifecycle.limiter.decisions(),
            calls=ledger.calls.made,
            failures=ledger.calls.failed,
            pending=ledger.pending,
            processors=self.machine.processors(),
        )
