"""Questions about all sessions: which there were, and what they add up to.

All of it asks the store: what other processes have ended there is in it, as long as it is remembered.
"""

from .._health_check import HealthAlert, HealthCheck, HealthReport
from ._cleanup import cleanup
from ._export import export
from ._health import alerts, health
from ._history import History, history
from ._statistics import LongestSession, Statistics, statistics

__all__ = [
    "HealthAlert",
    "HealthCheck",
    "HealthReport",
    "History",
    "LongestSession",
    "Statistics",
    "alerts",
    "cleanup",
    "export",
    "health",
    "history",
    "statistics",
]
