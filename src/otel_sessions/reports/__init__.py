"""Questions about all sessions: which there were, what they add up to, and what was used.

All of it asks the store: what other processes have ended there is in it, as long as it is remembered.
"""

from .._health_check import HealthAlert, HealthCheck, HealthReport
from ._analytics import Analytics, UsageEntry, system_analytics, usage_history, user_analytics
from ._cleanup import cleanup
from ._distribution import Distribution, DurationBand, distribution
from ._export import export
from ._health import alerts, health
from ._history import History, history
from ._page import page
from ._statistics import LongestSession, Statistics, statistics
from ._timeline import Entry, Timeline, timeline
from ._trend import Trend, TrendPoint, trend
from ._watch import Ends, Finding, QuotaStanding, Rates, Situation, Watch

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
