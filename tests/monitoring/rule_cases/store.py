"""Cases of the store."""

from __future__ import annotations

from typing import Final

from monitoring import promql as pq

from otel_sessions import _semconv as sc

from .given import WEB
from .model import Case, Fired


def _called(rate: int, error: str = "") -> dict[str, str]:
    labels = f'{WEB}, app_session_store_operation_name="merge", app_session_store_name="redis"'
    return {f"{pq.count(sc.STORE_OPERATION_DURATION)}{{{labels}{error}}}": f"0+{rate}x90"}


CASES: Final = (
    Case(
        "SessionStoreFailing",
        {**_called(45), **_called(5, ', error_type="_OTHER"')},
        "5m",
        "6m",
        (
            Fired(
                "error",
                {"job": "shop/web", "app_session_store_name": "redis"},
                "10%",
                "1%",
                "The share of the calls of shop/web to the redis store that failed.",
            ),
        ),
    ),
    Case(
        "SessionStorePendingHigh",
        {f'{pq.name(sc.STORE_PENDING)}{{{WEB}, app_session_store_name="redis"}}': "1500x90"},
        "9m",
        "10m",
        (
            Fired(
                "warning",
                {"job": "shop/web", "app_session_store_name": "redis"},
                "1500 sessions",
                "1000 sessions",
                "Sessions of shop/web whose counts have been waiting for the redis store for ten minutes.",
            ),
        ),
    ),
    Case(
        "SessionRecordsDropped",
        {f'{pq.name(sc.DROPPED)}{{{WEB}, app_session_drop_reason="store_unavailable"}}': "_x19 3x90"},
        "18m",
        "19m",
        (
            Fired(
                "warning",
                {"job": "shop/web", "app_session_drop_reason": "store_unavailable"},
                "3 records",
                "0 records",
                "What was dropped in shop/web in the last ten minutes because of store_unavailable.",
            ),
        ),
    ),
)
