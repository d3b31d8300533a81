"""Numbers that stand on several dashboards. Each is made anew: a panel has one place."""

from __future__ import annotations

from .. import thresholds
from .colours import CRITICAL, WARNING
from .links import DataLink
from .panels import Panel, number
from .queries import sessions as ask


def error_ratio(*, link: DataLink | None = None) -> Panel:
    """How many sessions end in an error."""
    return number(
        "Error ratio",
        "Of the sessions that ended in the five minutes before, the share that ended in an error, in the "
        "application and the type where it is highest.",
        ask.ERROR_RATIO,
        "percentunit",
        [(thresholds.ERROR_RATIO, CRITICAL)],
        decimals=1,
        none="none ended",
        link=link,
    )


def response_p95(*, link: DataLink | None = None) -> Panel:
    """How long nearly all users wait."""
    return number(
        "Response time, p95",
        "95 % of the turns of five minutes were answered within this, in the slowest application and type.",
        ask.RESPONSE_P95,
        "s",
        [(thresholds.RESPONSE_P95, WARNING)],
        none="no turns",
        link=link,
    )
