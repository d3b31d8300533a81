"""Cases of what is unusual."""

from __future__ import annotations

from typing import Final

from monitoring import promql as pq

from otel_sessions import _semconv as sc

from .given import CHAT, LONGER, TYPED, changing, shifting
from .model import Case, Fired

_UNUSUAL: Final = "compared with the last 26 hours and the same hour of the day and the week before."

CASES: Final = (
    Case(
        "SessionCreationAnomalous",
        {f"{pq.name(sc.STARTS)}{{{TYPED}}}": changing(20, LONGER, 200)},
        "27h10m",
        "27h15m",
        (
            Fired(
                "info",
                CHAT,
                ("9.255 times", "9.204 times"),
                "within the usual",
                f"The number, in terms of its mean, of started chat sessions of shop/web, {_UNUSUAL}",
            ),
        ),
        "5m",
    ),
    Case(
        "SessionResponseAnomalous",
        shifting(sc.TURN_DURATION, LONGER, 1, 10, 30),
        "27h10m",
        "27h15m",
        (
            Fired(
                "info",
                CHAT,
                ("9.208 times", "9.204 times"),
                "within the usual",
                f"The response time (95 %), in terms of its mean, in chat sessions of shop/web, {_UNUSUAL}",
            ),
        ),
        "5m",
    ),
)
