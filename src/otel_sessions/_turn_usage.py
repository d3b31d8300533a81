"""What one turn consumes, counted once, whoever tells of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ._consumption import Consumption, added
from ._guard import log

if TYPE_CHECKING:
    from ._live import Live
    from ._meter import Meter

_MAX_HELD: Final = 1_000
"""How many calls of a turn are held; those that come then are counted at once."""


class TurnUsage:
    """The tokens and the cost of one turn.

    The application and the spans of a GenAI instrumentation may both tell of the same tokens. What the application
    counts goes before what spans say, and the cost that it gives before that of the price list: so spans are held, and
    nothing is priced, until the turn ends.
    """

    __slots__ = ("_from_spans", "_has_cost", "_held", "_is_priced", "_lock", "_told", "is_open", "model", "provider")

    def __init__(self, model: str | None, provider: str | None) -> None:
        self.model = model
        self.provider = provider
        self.is_open = False
        self._lock = threading.RLock()
        self._begin()

    def _begin(self) -> None:
        self._told: Mapping[str, int] | None = None
        self._has_cost = self._is_priced = self._from_spans = False
        self._held: list[Consumption] = []

    def open(self) -> None:
        """The turn begins."""
        with self._lock:
            self._begin()
            self.is_open = True

    @property
    def is_to_be_priced(self) -> bool:
        """Whether the price list is needed when the turn ends."""
        told = self._told is not None and self.model is not None
        return not self._has_cost and (told or bool(self._held))

    def tokens(self, meter: Meter, live: Live, counts: Mapping[str, int], time_ns: int) -> None:
        """The application tells of tokens."""
        if not counts:
            return
        with self._lock:
            if self._from_spans:
                log.warn("turn.tokens", "tokens() did nothing: the spans made in the turn have been counted already.")
                return
            told = self._told or {}
            # What is told outside the turn is settled by itself.
            meter.tokens(live, counts, self.model, before=told if self.is_open else None)
            self._told = added(told, counts)
            if not self.is_open:
                self._settle(meter, live, self._consumption(counts, time_ns))

    def cost(self, meter: Meter, live: Live, amount: float, currency: str) -> None:
        """The application tells of a cost."""
        with self._lock:
            if self._is_priced:
                log.warn("turn.cost", "cost() did nothing: the turn is over, and its tokens were priced by the list.")
                return
            self._has_cost = True
            meter.cost(live, amount, currency, self.model)

    def span(self, meter: Meter, live: Live, consumption: Consumption) -> None:
        """A span that was started in the turn tells of a call."""
        with self._lock:
            if self.is_open and len(self._held) < _MAX_HELD:
                self._held.append(consumption)
            elif self._told is None:
                self._count(meter, live, consumption)

    def close(self, meter: Meter, live: Live, time_ns: int) -> None:
        """The turn is over."""
        with self._lock:
            self.is_open = False
            held, self._held = self._held, []
            if self._told is not None:
                self._settle(meter, live, self._consumption(self._told, time_ns))
                return
            for consumption in held:
                self._count(meter, live, consumption)

    def discard(self) -> None:
        """The turn is over, and there is no session any more in which it could be counted."""
        with self._lock:
            self.is_open = False
            self._held.clear()

    def _count(self, meter: Meter, live: Live, consumption: Consumption) -> None:
        self._from_spans = True
        if consumption.model is None and consumption.answered_by is None:
            consumption = consumption._replace(model=self.model)
        meter.tokens(live, consumption.tokens, consumption.called)
        self._settle(meter, live, consumption)

    def _settle(self, meter: Meter, live: Live, consumption: Consumption) -> None:
        self._is_priced |= meter.settle(live, consumption, has_cost=self._has_cost)

    def _consumption(self, tokens: Mapping[str, int], time_ns: int) -> Consumption:
        return Consumption(tokens, self.model, self.provider, time_ns)
