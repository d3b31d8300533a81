"""Overview and health: whether sessions do well, and what to do if not."""

from __future__ import annotations

from typing import Final

from otel_sessions import _semconv as sc

from .. import thresholds
from ..promql import label
from . import report, variables
from .board import STAT_HEIGHT, Board, Row
from .colours import CRITICAL, OK, WARNING
from .links import to
from .panels import Series, distribution, lines, listing, number, ranking
from .queries import sessions as ask

_TYPE: Final = f"{{{{{label(sc.TYPE)}}}}}"
_THIS_TYPE: Final = f"var-type=${{__field.labels.{label(sc.TYPE)}}}"

_HEALTH: Final = Row(
    question="Are sessions healthy?",
    height=STAT_HEIGHT,
    panels=[
        number(
            "Active sessions",
            "Sessions open now, as the store counts them.",
            ask.ACTIVE,
            "short",
            [(thresholds.ACTIVE, WARNING)],
        ),
        number("Started", "Sessions started, per minute.", ask.STARTS, "suffix: /min", decimals=1),
        number(
            "Error ratio",
            "Of the sessions that ended in the time shown, the share that ended in an error.",
            ask.ERROR_RATIO,
            "percentunit",
            [(thresholds.ERROR_RATIO, CRITICAL)],
            decimals=1,
            none="none ended",
            link=to("app-session-operations"),
        ),
        number(
            "Crash-free sessions",
            "Of the sessions that ended in the time shown, the share whose process did not die meanwhile.",
            ask.CRASH_FREE,
            "percentunit",
            [(thresholds.CRASH_FREE, OK)],
            below=CRITICAL,
            decimals=2,
            none="none ended",
        ),
        number(
            "Response time, p95",
            "95 % of the turns in the time shown were answered within this.",
            ask.RESPONSE_P95,
            "s",
            [(thresholds.RESPONSE_P95, WARNING)],
            none="no turns",
            link=to("app-session-conversations"),
        ),
        number("Firing alerts", "Alerts that fire now, the watchdog apart.", ask.FIRING, "short", [(1, CRITICAL)]),
    ],
)

_ALERTS: Final = Row(
    question="Which alerts fire, and what is to be done?",
    height=6,
    panels=[
        listing(
            "Firing alerts",
            "What fires, the threshold as it was delivered, and what to do first; the runbook has more. The value with "
            "which it began to fire is in its notification.",
            [(Series(ask.ALERTS_EXPLAINED), "Value")],
            hidden=("Time", "Value"),
            named={
                "alertname": "Alert",
                "severity": "Severity",
                "component": "Component",
                "job": "Application",
                "threshold": "Threshold",
                "action": "Recommended action",
                "runbook": "Runbook",
            },
            order=("alertname", "severity", "component", "job", "threshold", "action", "runbook"),
            overrides=report.COLUMNS,
        )
    ],
)

_BY_TYPE: Final = Row(
    question="How many sessions start, how many fail, how long do they take?",
    panels=[
        lines(
            "Started by type",
            "Sessions started per minute.",
            [Series(ask.STARTS_BY_TYPE, _TYPE, exemplars=True)],
            "suffix: /min",
            link=to("app-session-operations", _THIS_TYPE),
        ),
        lines(
            "Error ratio by type",
            "Of the sessions that ended in the five minutes before, the share that ended in an error.",
            [Series(ask.ERROR_RATIO_BY_TYPE, _TYPE)],
            "percentunit",
            thresholds=[(thresholds.ERROR_RATIO, CRITICAL)],
            link=to("app-session-operations", _THIS_TYPE),
        ),
        lines(
            "Duration by type, p95",
            "95 % of the sessions that ended lasted at most this long.",
            [Series(ask.DURATION_P95_BY_TYPE, _TYPE, exemplars=True)],
            "s",
        ),
    ],
)

_OPEN: Final = Row(
    question="Who is there, and how do sessions end?",
    panels=[
        lines(
            "Active by type",
            "Sessions open, as the store counts them.",
            [Series(ask.ACTIVE_BY_TYPE, _TYPE)],
            "short",
            thresholds=[(thresholds.ACTIVE, WARNING)],
            stacked=True,
        ),
        lines(
            "Most sessions of a user",
            "Sessions open of the user who has most of them.",
            [Series(ask.USER_ACTIVE, "{{job}}")],
            "short",
            thresholds=[(thresholds.USER_SESSIONS, WARNING)],
        ),
        lines(
            "Ended by status",
            "Sessions that ended, per minute. Time-outs and cancellations are not errors.",
            [Series(ask.ENDED_BY_STATUS, f"{{{{{label(sc.STATUS)}}}}}", exemplars=True)],
            "suffix: /min",
            stacked=True,
        ),
        ranking(
            "End reasons",
            "Why the sessions ended that ended in the time shown.",
            Series(ask.ENDED_BY_REASON, f"{{{{{label(sc.END_REASON)}}}}}"),
            "short",
        ),
    ],
)

_LIFETIME: Final = Row(
    question="How long do sessions live?",
    panels=[
        distribution(
            "Lifetimes",
            "How many of the sessions that ended lasted how long. The points are examples, and lead to their traces.",
            ask.DURATIONS,
            "s",
        )
    ],
)

_USUAL: Final = Row(
    question="Is it as it was yesterday?",
    collapsed=True,
    panels=[
        lines(
            "Started within an hour",
            "Sessions started in the hour before, today and a day earlier.",
            [Series(ask.STARTED_HOURLY, "today")],
            "short",
            limits=[Series(ask.STARTED_HOURLY_YESTERDAY, "a day earlier")],
        ),
    ],
)

BOARD: Final = Board(
    uid="app-session-overview",
    description="Whether sessions do well: how many there are, how they end, what is wrong and what to do about it.",
    variables=[variables.prometheus(), variables.job(), variables.session_type()],
    rows=[_HEALTH, _ALERTS, _BY_TYPE, _OPEN, _LIFETIME, _USUAL],
)
