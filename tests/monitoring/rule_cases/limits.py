"""Cases of quotas, rates and concurrency."""

from __future__ import annotations

from typing import Final

from monitoring import promql as pq

from otel_sessions import _semconv as sc

from .given import QUOTA, TOKENS, WEB, decided
from .model import Case, Fired

_USED: Final = "Of tokens, per day, one user of the tier free in shop/web has used this share."

CASES: Final = (
    Case(
        "SessionQuotaNearLimit",
        {
            f"{pq.name(sc.QUOTA_UTILIZATION_RATIO)}{{{WEB}, {QUOTA}}}": "0.8x90",
            # What another process left behind when it stopped reporting for all.
            f'{pq.name(sc.QUOTA_UTILIZATION_RATIO)}{{job="shop/web", instance="b", {QUOTA}}}': "0.7x90",
        },
        "4m",
        "5m",
        (Fired("warning", TOKENS, "80%", "75%", _USED),),
    ),
    Case(
        "SessionQuotaNearLimit",
        {f"{pq.name(sc.QUOTA_UTILIZATION_RATIO)}{{{WEB}, {QUOTA}}}": "0.95x90"},
        "4m",
        "5m",
        (Fired("warning", TOKENS, "95%", "75%", _USED), Fired("critical", TOKENS, "95%", "90%", _USED)),
    ),
    Case(
        "SessionQuotaExhaustionPredicted",
        {f"{pq.name(sc.QUOTA_TIME_TO_EXHAUSTION)}{{{WEB}, {QUOTA}}}": "7200x90"},
        "9m",
        "10m",
        (
            Fired(
                "warning",
                TOKENS,
                "2h 0m 0s",
                "4h 0m 0s",
                "Time until one user of the tier free in shop/web will have used up tokens, per day.",
            ),
        ),
    ),
    Case(
        "SessionRefusalsHigh",
        {**decided("rate", "upload", "allowed", 27), **decided("rate", "upload", "rejected", 3)},
        "10m",
        "11m",
        (
            Fired(
                "warning",
                {
                    "job": "shop/web",
                    "app_session_limit_kind": "rate",
                    "app_session_limit_name": "upload",
                    "app_session_tier": "free",
                },
                "10%",
                "5%",
                "Of what was asked of the limit upload (rate, tier free) in shop/web, this share was refused.",
            ),
        ),
    ),
    Case(
        "SessionLeasesSaturated",
        {
            **decided("concurrency", "export", "near_limit", 48),
            **decided("concurrency", "export", "allowed", 2),
            f'{pq.name(sc.LEASE_LIMIT)}{{{WEB}, app_session_limit_name="export", app_session_tier="free"}}': "10x90",
        },
        "5m",
        "6m",
        (
            Fired(
                "warning",
                {"job": "shop/web", "app_session_limit_name": "export", "app_session_tier": "free"},
                "96%",
                "90%",
                "Of the slots of export (tier free) asked for in shop/web, this share was among the last quarter.",
            ),
        ),
    ),
)
