"""Cases of suspicious activity and refused access."""

from __future__ import annotations

from typing import Final

from monitoring import promql as pq

from otel_sessions import _semconv as sc

from .given import SHOP, TYPED, WEB
from .model import Case, Fired

CASES: Final = (
    Case(
        "SessionSuspiciousActivity",
        {
            f'{pq.name(sc.FINDINGS)}{{{WEB}, app_session_finding_kind="scraping"}}': "_x19 3x90",
            f'{pq.name(sc.FINDINGS)}{{{WEB}, app_session_finding_kind="new_device"}}': "_x19 2x90",
        },
        "18m",
        "19m",
        (
            Fired(
                "error", SHOP, "5 findings", "5 findings", "Findings in sessions of shop/web in the last ten minutes."
            ),
        ),
    ),
    Case(
        "SessionAccessFailuresHigh",
        {f'{pq.name(sc.ACCESS_FAILURES)}{{{TYPED}, app_session_access_failure_reason="forbidden"}}': "_x19 25x90"},
        "18m",
        "19m",
        (
            Fired(
                "warning",
                SHOP,
                "25 failures",
                "20 failures",
                "Requests to shop/web in the last ten minutes that were answered with 401 or 403.",
            ),
        ),
    ),
)
