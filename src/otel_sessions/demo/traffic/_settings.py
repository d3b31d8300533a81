"""How the processes of the traffic use this library."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import otel_sessions as sessions

from ._pace import Pace
from ._people import tiers

STORE: Final = "OTEL_SESSIONS_STORE"
PLAN: Final = b"x-plan"
"""The header in which a gateway would say which tier a client has."""


def configure(pace: Pace) -> None:
    """Set this process up; the store and the key of pseudonyms come from the variables of all processes."""
    sessions.configure(
        tiers=tiers(pace),
        default_tier="free",
        tier_of=_plan,
        idle_timeout=max(pace.seconds(300), 1.0),
        active_gap=max(pace.seconds(20), 0.1),
        excluded_urls=["^/health$"],
    )


def shared(directory: str, store: str | None) -> dict[str, str]:
    """The variables of all processes.

    Args:
        directory: of the traffic's own, where everything lies that has no other place.
        store: where the sessions are to be kept instead. What the surroundings say of it may be meant for real ones.
    """
    variables = {**os.environ, STORE: store or f"sqlite:///{directory}/sessions.db"}
    variables.setdefault("OTEL_SESSIONS_PSEUDONYM_KEY", "only for this demonstration")
    return variables


def _plan(scope: Mapping[str, Any]) -> str | None:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return headers.get(PLAN, b"free").decode("ascii", "replace")
