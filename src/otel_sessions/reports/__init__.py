"""Questions about all sessions: which there were, what they add up to, and what was used.

All of it asks the store: what other processes have ended there is in it, as long as it is remembered.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from .._health_check import HealthAlert, HealthCheck, HealthReport
from ._analytics import Analytics, UsageEntry, system_analytics, usage_history, user_analytics
from ._cleanup import cleanup
from ._export import export
from ._health import alerts, health
from ._history import History, history
from ._statistics import LongestSession, Statistics, statistics

if TYPE_CHECKING:
    from ._breakdown import Breakdown, Dimension, Group, breakdown
    from ._distribution import Distribution, DurationBand, distribution
    from ._page import page
    from ._timeline import Entry, Timeline, timeline
    from ._trend import Trend, TrendPoint, trend
    from ._verification import Discrepancy, Verification
    from ._verify import verify
    from ._watch import Ends, Finding, QuotaStanding, Rates, Situation, Watch

__all__ = [
    "Analytics",
    "Breakdown",
    "Dimension",
    "Discrepancy",
    "Distribution",
    "DurationBand",
    "Ends",
    "Entry",
    "Finding",
    "Group",
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
    "Verification",
    "Watch",
    "alerts",
    "breakdown",
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
    "verify",
]

_ON_USE: Final = {
    **dict.fromkeys(["Breakdown", "Dimension", "Group", "breakdown"], "_breakdown"),
    **dict.fromkeys(["Distribution", "DurationBand", "distribution"], "_distribution"),
    "page": "_page",
    **dict.fromkeys(["Trend", "TrendPoint", "trend"], "_trend"),
    **dict.fromkeys(["Entry", "Timeline", "timeline"], "_timeline"),
    **dict.fromkeys(["Discrepancy", "Verification"], "_verification"),
    "verify": "_verify",
    **dict.fromkeys(["Ends", "Finding", "QuotaStanding", "Rates", "Situation", "Watch"], "_watch"),
}
"""What applications seldom need, which would make `import otel_sessions` slower."""

if not TYPE_CHECKING:  # or type checkers would believe that every name is here

    def __getattr__(name: str) -> object:
        if name not in _ON_USE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_ON_USE[name]}", __name__), name)
