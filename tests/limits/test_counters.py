"""The arithmetic, beside the library `limits`, whose strategies it follows."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import limits
import limits.storage.memory
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_sessions.limits import Rate
from otel_sessions.stores import MemoryStore
from otel_sessions.typing import Charge

if not hasattr(limits.strategies, "SlidingWindowCounterRateLimiter"):
    pytest.skip("the library has had all three strategies since 4.1", allow_module_level=True)

SECOND = 1_000_000
# A multiple of all windows here: both begin their windows at the same time.
START = 1_767_225_600 * SECOND


class _Time(types.SimpleNamespace):
    """Stands for the module `time` in the library, which knows no other clock."""

    now_us = START

    def time(self) -> float:
        return self.now_us / SECOND


STRATEGIES: dict[str, Callable[[limits.storage.MemoryStorage], limits.strategies.RateLimiter]] = {
    "moving-window": limits.strategies.MovingWindowRateLimiter,
    "fixed-window": limits.strategies.FixedWindowRateLimiter,
    "sliding-window-counter": limits.strategies.SlidingWindowCounterRateLimiter,
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 90_000_000).map(lambda us: us | 1), st.integers(1, 5)), max_size=40),
)
def test_as_the_library(strategy: Any, steps: list[tuple[int, int]]) -> None:
    """Asked the same at the same times, it allows what the library allows."""
    time = _Time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits.storage.memory, "time", time)
        storage = limits.storage.MemoryStorage()
        storage.timer.cancel()
        theirs = STRATEGIES[strategy](storage)
        item = limits.parse("5/minute")
        (bucket,) = Rate("x", "5/minute", strategy=strategy).buckets("x")
        ours = MemoryStore().limits
        for wait, cost in steps:
            time.now_us += wait
            expected = theirs.hit(item, "x", cost=cost)
            if strategy == "fixed-window" and not expected:
                # In this one the library counts what it refuses; what was refused costs nothing here.
                storage.decr(item.key_for("x"), cost)
            assert expected == ours.admit([Charge(bucket, cost)], time.now_us).admitted
