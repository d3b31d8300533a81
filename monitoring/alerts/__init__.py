"""The alerts, by component."""

from __future__ import annotations

from typing import Final

from . import anomalies, conversations, limits, resources, security, sessions, store, telemetry
from .model import Alert, Entry

__all__ = ["ALERTS", "ANOMALIES", "EVERY", "Alert", "Entry"]

ALERTS: Final = (
    *sessions.ALERTS,
    *conversations.ALERTS,
    *limits.ALERTS,
    *security.ALERTS,
    *resources.ALERTS,
    *store.ALERTS,
    *telemetry.ALERTS,
)

ANOMALIES: Final = anomalies.ALERTS

EVERY: Final = (*ALERTS, *ANOMALIES)
"""Those of all rule files."""
