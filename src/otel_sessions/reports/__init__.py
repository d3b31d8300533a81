"""Questions about all sessions: which there were, what they add up to, and what was used.

All of it asks the store: what other processes have ended there is in it, as long as it is remembered.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ._analytics import Analytics, UsageEntry, system_analytics, usage_history, user_analytics
from ._history import History, history
from ._statistics import LongestSession, Statistics, statistics

if TYPE_CHECKING:
    from ._timeline import Entry, Timeline, timeline
    from ._watch import Ends, Finding, QuotaStanding, Rates, Situation, Watch

__all__ = [
    "Analytics",
    "Ends",
    "Entry",
    "Finding",
    "History",
    "LongestSession",
    "QuotaStanding",
    "Rates",
    "Situation",
    "Statistics",
    "Timeline",
    "UsageEntry",
    "Watch",
    "history",
    "statistics",
    "system_analytics",
    "timeline",
    "usage_history",
    "user_analytics",
]

_ON_USE: Final = {
    **dict.fromkeys(["Entry", "Timeline", "timeline"], "_timeline"),
    **dict.fromkeys(["Ends", "Finding", "QuotaStanding", "Rates", "Situation", "Watch"], "_watch"),
}
"""What applications seldom need, which would make `import otel_sessions` slower."""


def __getattr__(name: str) -> Any:
    if name not in _ON_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ON_USE[name]}", __name__), name)
