"""Questions about all sessions: which there were, what they add up to, and what was used.

All of it asks the store: what other processes have ended there is in it, as long as it is remembered.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from .._health_check import HealthAlert, HealthCheck, HealthReport
from ._analytics import Analytics, UsageEntry, system_analytics, usage_history, user_analytics
from ._cleanup import cleanup
from ._export import export
from ._health import alerts, health
from ._history import History, history
from ._statistics import LongestSession, Statistics, statistics
from ._timeline import Entry, Timeline, timeline
from ._watch import Ends, Finding, QuotaStanding, Rates, Situation, Watch

if TYPE_CHECKING:
    from ._distribution import Distribution, DurationBand, distribution
    from ._page import page
    from ._trend import Trend, TrendPoint, trend

__all__ = [
    "Analytics",
    "Distribution",
    "DurationBand",
    "Ends",
    "Entry",
    "Finding",
    "HealthAlert",
    "HealthCheck",
    "HealthReport",
    "History",
    "LongestSession",
    "QuotaStanding",
    "Rates",
    "Situation",
    "Statistics",
    "Timeline",
    "Trend",
    "TrendPoint",
    "UsageEntry",
    "Watch",
    "alerts",
    "cleanup",
    "distribution",
    "export",
    "health",
    "history",
    "page",
    "statistics",
    "system_analytics",
    "timeline",
    "trend",
    "usage_history",
    "user_analytics",
]

_ON_USE: Final = {
    "Distribution": "_distribution",
    "DurationBand": "_distribution",
    "distribution": "_distribution",
    "page": "_page",
    "Trend": "_trend",
    "TrendPoint": "_trend",
    "trend": "_trend",
}
"""What hardly any process needs, and none pays for with its start."""


def __getattr__(name: str) -> Any:
    if name not in _ON_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_ON_USE[name]}", __name__), name)
