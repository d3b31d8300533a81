"""Limits: what may be used, how often, and how much at once.

::

    from otel_sessions.limits import Concurrency, Quota, Rate, Tier

    sessions.configure(tiers=[
        Tier("trial", Quota("tokens", 100_000, per="day"), Rate("upload", "60/minute"), Concurrency("export", 3)),
    ])
"""

from .policy import Concurrency, Limit, Quota, Rate, RateStrategy, Scope
from .tiers import READY, Tier

__all__ = ["READY", "Concurrency", "Limit", "Quota", "Rate", "RateStrategy", "Scope", "Tier"]
