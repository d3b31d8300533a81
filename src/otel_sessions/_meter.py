"""Tokens and cost: counted in the session, in the metrics and for its quotas."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from ._consumption import Consumption, added, total
from ._limiting.limiter import Limiter
from ._live import Live
from ._prices import PriceList
from ._recorder import Recorder

COST: Final = "cost"
"""What was used of it is money."""
CURRENCY: Final = "USD"
"""That of the price list, and of what was used of `cost`."""


class Meter:
    """Counts what models consume.

    Args:
        recorder: counts it in the session and in the metrics.
        limiter: counts it for the quotas.
        prices: says what it cost, if the application does not.
        apart: has something done while the event loop goes on; False if none runs here.
        outside: waits for something, and the event loop does not.
    """

    def __init__(
        self,
        recorder: Recorder,
        limiter: Limiter,
        prices: PriceList,
        *,
        apart: Callable[[Callable[[], None]], bool],
        outside: Callable[[Callable[[], None]], Awaitable[None]],
    ) -> None:
        self._recorder = recorder
        self._measured = limiter.measured
        self._prices = prices
        self._apart = apart
        self._outside = outside
        self.is_prepared = prices.is_loaded
        """Whether the price list is loaded, or about to be."""

    def prepare(self) -> None:
        """Something is to be priced soon: have the price list loaded meanwhile, if an event loop would wait for it."""
        self.is_prepared = self._prices.is_loaded or self._apart(self._prices.load)

    async def load_prices(self) -> None:
        """Something is to be priced now: wait until the price list is loaded, and let the event loop go on."""
        if not self._prices.is_loaded:
            await self._outside(self._prices.load)

    def tokens(
        self, live: Live, counts: Mapping[str, int], model: str | None, *, before: Mapping[str, int] | None = None
    ) -> None:
        """Count tokens in the session and in the metrics, by kind; for its quotas `settle` does.

        `before` is what was counted already of the same turn: some kinds are part of others.
        """
        for kind, count in counts.items():
            self._recorder.tokens(live, kind, count, model)
        self._recorder.used(live, "tokens", total(added(before or {}, counts)) - total(before or {}))

    def cost(self, live: Live, amount: float, currency: str, model: str | None) -> None:
        """Count a cost; that in US dollars is what was used of `cost`, and counts for that quota."""
        self._recorder.cost(live, amount, currency, model)
        if currency == CURRENCY:
            self._recorder.used(live, COST, amount)
            self._measured.add(live, COST, amount)

    def call(self, live: Live, consumption: Consumption) -> None:
        """Count what one call of a model consumed, and what it cost."""
        self.tokens(live, consumption.tokens, consumption.called)
        self.settle(live, consumption, has_cost=False)

    def settle(self, live: Live, consumption: Consumption, *, has_cost: bool) -> bool:
        """Count all tokens of a call or a turn for the quota `tokens`, and price them, unless their cost is given.

        Returns:
            Whether they were priced.
        """
        self._measured.add(live, "tokens", total(consumption.tokens))
        price = None if has_cost else self._prices.price(consumption)
        if price is not None:
            self.cost(live, price, CURRENCY, consumption.called)
        return price is not None
