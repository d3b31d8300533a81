"""Questions about all sessions: which there were, and what they add up to.

All of it asks the store: what other processes have ended there is in it, as long as it is remembered.
"""

from ._distribution import Distribution, DurationBand, distribution
from ._history import History, history
from ._page import page
from ._statistics import LongestSession, Statistics, statistics
from ._trend import Trend, TrendPoint, trend

__all__ = [
    "Distribution",
    "DurationBand",
    "History",
    "LongestSession",
    "Statistics",
    "Trend",
    "TrendPoint",
    "distribution",
    "history",
    "page",
    "statistics",
    "trend",
]
