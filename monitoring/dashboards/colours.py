"""What colours mean: the same on every panel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from otel_sessions import _semconv as sc

OK: Final = "green"
NOTICE: Final = "yellow"
WARNING: Final = "orange"
CRITICAL: Final = "red"
NEUTRAL: Final = "blue"

MEANINGS: Final[Mapping[str, Mapping[str, str]]] = {
    sc.STATUS: {"success": OK, "error": CRITICAL, "cancelled": NOTICE, "expired": NEUTRAL, "abandoned": "purple"},
    sc.LIMIT_RESULT: {"allowed": OK, "near_limit": WARNING, "rejected": CRITICAL, "shadow_rejected": "purple"},
    sc.QUOTA_BAND: {"below": OK, "warning": WARNING, "critical": CRITICAL, "exhausted": "dark-red"},
    sc.FINDING_SEVERITY: {"info": NEUTRAL, "warn": WARNING, "error": CRITICAL},
}
"""The colours of the values of an attribute."""
