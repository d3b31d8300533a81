"""Questions about all sessions: which there were, what they add up to, and what was used.

All of it asks the store: what other processes have ended there is in it, as long as it is remembered.
"""

from .._health_check import HealthAlert, HealthCheck, HealthReport
from ._analytics import Analytics, UsageEntry, system_analytics, usage_history, user_analytics
from ._cleanup import cleanup
from ._export import export
from ._health import alerts, health
from ._history import History, history
from ._statistics import LongestSession, Statistics, statistics
from ._timeline import Entry, Timeline, timeline
from ._watch import Ends, Finding, QuotaStanding, Rates, Situation, Watch

__all__ = [
    "Analytics",
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
    "UsageEntry",
    "Watch",
    "alerts",
    "cleanup",
    "export",
    "health",
    "history",
    "statistics",
    "system_analytics",
    "timeline",
    "usage_history",
    "user_analytics",
]
