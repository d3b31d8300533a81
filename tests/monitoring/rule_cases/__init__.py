"""For each alert: what makes it fire, when, and what it says then.

Written down by hand, not computed from the rules.
"""

from __future__ import annotations

from typing import Final

from . import anomalies, conversations, limits, resources, security, sessions, store, telemetry
from .calm import CALM
from .model import Calm, Case, Fired

__all__ = ["CALM", "CASES", "Calm", "Case", "Fired"]

CASES: Final = (
    *sessions.CASES,
    *conversations.CASES,
    *limits.CASES,
    *security.CASES,
    *resources.CASES,
    *store.CASES,
    *telemetry.CASES,
    *anomalies.CASES,
)
