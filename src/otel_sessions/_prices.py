"""What tokens cost, by the price list that the package `genai-prices` brings along."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import threading
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from ._consumption import Consumption, whole
from ._guard import guarded, log
from .exceptions import MissingExtraError

_PROVIDERS: Final[Mapping[str, str]] = {
    "az.ai.inference": "azure",
    "azure.ai.inference": "azure",
    "gcp.gen_ai": "google",
    "x_ai": "x-ai",
}
"""The providers that the list has under another name than the semantic conventions."""
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "cache_read_tokens": ("cache_read",),
    "cache_write_tokens": ("cache_write", "cache_creation"),
}

_loading = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A child process that is forked amid an import could never finish it, nor do it anew.
    os.register_at_fork(before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release)


class PriceList:
    """The prices of models, in US dollars. It is loaded on first use, and nothing is fetched from anywhere.

    Args:
        enabled: without it nothing is priced.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._package: ModuleType | None = None
        self.is_loaded = not enabled
        """Whether `price` need not load it any more."""

    def load(self) -> None:
        """Load the list, which takes a fifth of a second. If it is not installed, that is explained once in the log."""
        with _loading:
            if not self.is_loaded:
                with guarded("load the price list"):
                    self._package = _package()
                self.is_loaded = True

    def price(self, consumption: Consumption) -> float | None:
        """What it cost; None if nobody knows: there is no list, or it knows neither the provider nor the model."""
        models = dict.fromkeys(filter(None, (consumption.answered_by, consumption.model)))
        if not models:
            return None
        self.load()
        if self._package is None:
            return None
        for model in models:
            with guarded("price tokens"):
                try:
                    return self._calculate(self._package, model, consumption)
                except LookupError:
                    continue
        log.once(
            logging.INFO,
            "unpriced model",
            "The price list does not know the model %r%s: its tokens are counted, its cost is not. This is said of the "
            "first such model only; give costs with turn.cost().",
            consumption.called,
            "" if consumption.provider is None else f" of {consumption.provider!r}",
        )
        return None

    @staticmethod
    def _calculate(package: Any, model: str, consumption: Consumption) -> float:
        provider, tier = consumption.provider, consumption.service_tier
        # The list demands that the input includes them.
        counts = {name: sum(consumption.tokens.get(kind, 0) for kind in kinds) for name, kinds in _PARTS.items()}
        usage = package.Usage(
            input_tokens=whole(consumption.tokens, "input"),
            output_tokens=whole(consumption.tokens, "output"),
            **{name: count for name, count in counts.items() if count},
        )
        found = package.calc_price(
            usage,
            model,
            # Without a provider, the maker of the model is taken.
            provider_id=provider if provider is None else _PROVIDERS.get(provider, provider),
            genai_request_timestamp=dt.datetime.fromtimestamp(consumption.time_ns / 1e9, dt.timezone.utc),
            price_context=None if tier is None else {"service_tier": tier},
        )
        return float(found.total_price)


def _package() -> ModuleType | None:
    try:
        import genai_prices  # noqa: PLC0415 - only where it is used
    except ImportError as error:
        missing = MissingExtraError("A price for tokens", error.name or "genai_prices", "genai")
        log.once(logging.INFO, "price list", "Tokens are counted, their cost is not: %s.", missing)
        return None
    with contextlib.suppress(LookupError):
        # The prices themselves are read for the first of them.
        genai_prices.calc_price(genai_prices.Usage(), "gpt-4o")
    return genai_prices
