"""Cases of errors, and of how many sessions there are and how long they last."""

from __future__ import annotations

from typing import Final

from monitoring import promql as pq

from otel_sessions import _semconv as sc

from .given import CHAT, DAY, LONG, SHOP, TYPED, WEB, changing, ended, shifting
from .model import Case, Fired

_LONGER: Final = Fired(
    "info",
    CHAT,
    "9 times",
    "2 times",
    "The median duration of chat sessions of shop/web, in terms of the week before yesterday.",
)

CASES: Final = (
    Case(
        "SessionErrorRateHigh",
        {**ended("success", "completed", 24), **ended("error", "exception", 6)},
        "5m",
        "6m",
        (
            Fired(
                "error",
                CHAT,
                "20%",
                "10%",
                "Of the chat sessions of shop/web that ended in the last five minutes, too many ended in an error.",
            ),
        ),
    ),
    Case(
        "SessionErrorBudgetBurn",
        {**ended("success", "completed", 24), **ended("error", "exception", 6)},
        "2m",
        "3m",
        (
            Fired(
                "critical",
                CHAT,
                "20 times",
                "14.4 times",
                "Errors of chat sessions of shop/web over an hour, and still, in terms of what the objective allows.",
            ),
        ),
    ),
    Case(
        "SessionErrorBudgetBurn",
        {**ended("success", "completed", 92), **ended("error", "exception", 8)},
        "15m",
        "16m",
        (
            Fired(
                "warning",
                CHAT,
                "8 times",
                "6 times",
                "Errors of chat sessions of shop/web over six hours, and still, in terms of what the objective allows.",
            ),
        ),
    ),
    Case(
        "SessionCrashFreeRateLow",
        {**ended("success", "completed", 48), **ended("abandoned", "crashed", 2)},
        "5m",
        "6m",
        (
            Fired(
                "error",
                CHAT,
                "96%",
                "99%",
                "The share of chat sessions of shop/web in the last hour that did not end by a crash of their process.",
            ),
        ),
    ),
    Case(
        "SessionCreationDrop",
        {f"{pq.name(sc.STARTS)}{{{TYPED}}}": changing(1, DAY, 0)},
        "25h45m",
        "25h50m",
        (
            Fired(
                "warning",
                CHAT,
                ("0.1833 times", "0.1695 times"),
                "0.5 times",
                "The chat sessions of shop/web that started in the last hour, in terms of the same hour yesterday.",
            ),
        ),
        "5m",
    ),
    Case(
        "SessionCreationSpike",
        {f"{pq.name(sc.STARTS)}{{{TYPED}}}": changing(1, DAY, 10)},
        "25h25m",
        "25h30m",
        (
            Fired(
                "info",
                CHAT,
                ("5.35 times", "5.424 times"),
                "3 times",
                "The chat sessions of shop/web that started in the last hour, in terms of the same hour yesterday.",
            ),
        ),
        "5m",
    ),
    Case(
        "SessionActiveHigh",
        {
            f"{pq.name(sc.ACTIVE)}{{{TYPED}}}": "60x90",
            f'{pq.name(sc.ACTIVE)}{{job="shop/web", instance="b", app_session_type="chat"}}': "41x90",
        },
        "4m",
        "5m",
        (Fired("warning", SHOP, "101 sessions", "100 sessions", "Sessions that shop/web has open."),),
    ),
    Case(
        "SessionUserSessionsHigh",
        {
            f"app_session_user_active{{{WEB}}}": "6x90",
            'app_session_user_active{job="shop/web", instance="b"}': "2x90",
        },
        "4m",
        "5m",
        (Fired("warning", SHOP, "6 sessions", "5 sessions", "Sessions that one user of shop/web has open."),),
    ),
    Case("SessionDurationAnomalous", shifting(sc.DURATION, LONG, 30, 300, 1), "27h", "27h5m", (_LONGER,), "5m"),
    Case(
        "SessionDurationAnomalous",
        # No session ended for two hours of the day that it is compared with.
        shifting(sc.DURATION, LONG, 30, 300, 1, idle=(30, 120)),
        "27h",
        "27h5m",
        (_LONGER,),
        "5m",
    ),
)
