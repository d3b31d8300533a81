"""Cases of response times and engagement."""

from __future__ import annotations

from typing import Final

from monitoring import promql as pq

from otel_sessions import _semconv as sc

from .given import CHAT, DAY, TYPED, observed, shifting
from .model import Case, Fired

_DEGRADED: Final = Fired(
    "warning",
    CHAT,
    "2 times",
    "1.5 times",
    "Response time (95 %) in chat sessions of shop/web, in terms of the same hour yesterday.",
)

CASES: Final = (
    Case(
        "SessionResponseSlow",
        observed(sc.TURN_DURATION, 2, 5, "0+30x90"),
        "5m",
        "6m",
        (
            Fired(
                "warning",
                CHAT,
                "4.85s",
                "2s",
                "Response time that 95 % of the turns in chat sessions of shop/web stay under.",
            ),
        ),
    ),
    Case(
        "SessionResponseMeanHigh",
        {
            **observed(sc.TURN_DURATION, 10, 30, "0+30x90"),
            f"{pq.total(sc.TURN_DURATION)}{{{TYPED}}}": "0+360x90",
        },
        "5m",
        "6m",
        (Fired("error", CHAT, "12s", "10s", "Mean response time in chat sessions of shop/web."),),
    ),
    Case(
        "SessionResponseSingleSlow",
        observed(sc.TURN_DURATION, 30, 60, "_x19 1x90"),
        "18m",
        "19m",
        (
            Fired(
                "warning",
                CHAT,
                "1m 0s",
                "30s",
                "A turn in a chat session of shop/web took up to this long, the upper bound of its bucket.",
            ),
        ),
    ),
    Case("SessionResponseDegraded", shifting(sc.TURN_DURATION, DAY, 1, 2, 30), "25h15m", "25h20m", (_DEGRADED,), "5m"),
    Case(
        "SessionResponseDegraded",
        # Nobody asked anything for half of the hour that it is compared with.
        shifting(sc.TURN_DURATION, DAY, 1, 2, 30, idle=(30, 30)),
        "25h15m",
        "25h20m",
        (_DEGRADED,),
        "5m",
    ),
    Case(
        "SessionEngagementLow",
        {
            f"{pq.count(sc.ENGAGEMENT_RATIO)}{{{TYPED}}}": "0+40x90",
            f"{pq.total(sc.ENGAGEMENT_RATIO)}{{{TYPED}}}": "0+2x90",
        },
        "15m",
        "16m",
        (
            Fired(
                "info", CHAT, "5%", "10%", "The active share of chat sessions of shop/web that ended in the last hour."
            ),
        ),
    ),
)
