"""The metrics that say what the store holds, and how this process keeps up with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from . import _semconv as sc
from ._telemetry import Reader, Telemetry

if TYPE_CHECKING:
    from ._ledger import Ledger

Values: TypeAlias = "Mapping[tuple[str | None, ...], float]"

_MAX_SERIES: Final = 1_000


class StoreGauges:
    """Reads from the books of a process how many sessions are active; of many processes one says so of the store."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._name = ledger.store.name
        self._seen: set[tuple[str, str | None]] = set()
        self._readers: dict[sc.Metric, Reader] = {}

    def bind(self, telemetry: Telemetry, *, observed: bool) -> None:
        """Say where metrics go; nowhere, unless they are to be observed."""
        self._telemetry = telemetry
        self._readers = {}
        if observed:
            self._readers = {sc.ACTIVE: self._active, sc.UP: self._up, sc.STORE_PENDING: self._pending}
            if self._ledger.knows_users:
                self._readers[sc.USER_ACTIVE] = self._most_of_a_user
        for metric, read in self._readers.items():
            telemetry.observe(metric, read)

    def shutdown(self) -> None:
        """Observe that nothing is left from now on.

        The SDK's last collection is yet to come, and a series that just stops would keep its last value.
        """
        last: dict[sc.Metric, dict[tuple[str | None, ...], float]] = {
            sc.ACTIVE: dict.fromkeys(self._seen, 0),
            sc.USER_ACTIVE: {(): 0},
            sc.UP: {(self._name,): 0},
            sc.STORE_PENDING: {(self._name,): 0},
        }
        for metric, read in self._readers.items():
            self._telemetry.replace_reader(metric, read, last[metric])

    def _up(self) -> Values:
        return {(self._name,): 1}

    def _pending(self) -> Values:
        return {(self._name,): self._ledger.pending}

    def _active(self) -> Values:
        if not self._ledger.leads:
            # Another process reports what the store holds: all their figures together are to be right.
            return dict.fromkeys(self._seen, 0)
        active = self._ledger.counts()
        if active is None:
            return {}
        # What was seen once is reported as zero from then on: a series that just stops keeps its last value.
        self._seen |= set(list(active)[:_MAX_SERIES])
        return {(kind, tier): active.get((kind, tier), 0) for kind, tier in self._seen | active.keys()}

    def _most_of_a_user(self) -> Values:
        if not self._ledger.leads:
            return {(): 0}
        most = self._ledger.most_of_a_user()
        return {} if most is None else {(): most}
