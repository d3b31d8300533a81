"""Questions about all sessions: which there were, and what they add up to.

All of it asks the store: what other processes have ended there is in it, as long as it is remembered.
"""

from ._cleanup import cleanup
from ._export import export
from ._history import History, history
from ._statistics import LongestSession, Statistics, statistics

__all__ = ["History", "LongestSession", "Statistics", "cleanup", "export", "history", "statistics"]
