"""Overview and health: whether sessions do well, and what to do if not."""

from __future__ import annotations

from typing import Final

from otel_sessions import _semconv as sc

from .. import thresholds
from ..promql import label
from . import report, shared, variables
from .board import STAT_HEIGHT, Board, Row
from .colours import CRITICAL, NOTICE, OK, WARNING
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
            "Sessions open now, as the store counts them, of the application that has most.",
            ask.ACTIVE,
            "short",
            [(thresholds.ACTIVE, WARNING)],
        ),
        number("Started", "Sessions started, per minute.", ask.STARTS, "suffix: /min", decimals=1),
        shared.error_ratio(link=to("app-session-operations")),
        number(
            "Crash-free sessions",
            "Of the sessions that ended in the hour before, the share whose process did not die meanwhile, in the "
            "application and the type where it is lowest.",
            ask.CRASH_FREE,
            "percentunit",
            [(thresholds.CRASH_FREE, OK)],
            below=CRITICAL,
            decimals=2,
            none="none ended",
        ),
        shared.response_p95(link=to("app-session-conversations")),
        number("Firing alerts", "Alerts that fire now, the watchdog apart.", ask.FIRING, "short", some=CRITICAL),
    ],
)

_ALERTS: Final = Row(
    question="Which alerts fire, and what is to be done?",
    height=6,
    panels=[
        listing(
            "Firing alerts",
            "What fires, and for which type, limit, store, file or machine; the threshold as it was delivered, and "
            "what to do first; the runbook has more. The value with which it began to fire is in its notification.",
            [(Series(ask.ALERTS_EXPLAINED), "Value")],
            hidden=("Time", "Value"),
            named={
                "alertname": "Alert",
                "severity": "Severity",
                "component": "Component",
                "job": "Application",
                "which": "Which one",
                "threshold": "Threshold",
                "action": "Recommended action",
                "runbook": "Runbook",
            },
            order=("alertname", "severity", "component", "job", "which", "threshold", "action", "runbook"),
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
            "Sessions open, as the store counts them. Choose one application: the line is for what one has in all.",
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
    collapsed=True,
    panels=[
        distribution(
            "Lifetimes",
            "How many of the sessions that ended lasted how long. The points are examples, and lead to their traces.",
            ask.DURATIONS,
            "s",
        ),
        lines(
            "Median duration, in terms of the week before",
            "The median of the sessions that ended in the hour before, in terms of the week before yesterday.",
            [Series(ask.DURATION_SINCE_WEEK, _TYPE)],
            "suffix: times",
            thresholds=[(thresholds.DURATION, WARNING)],
        ),
    ],
)

_USUAL: Final = Row(
    question="Is it as usual?",
    panels=[
        lines(
            "Started, and what is usual",
            "Sessions started in the five minutes before, the mean of 26 hours, and shaded what is usual by that and "
            "by the same hour of the day and the week before. Choose one application and type to see them as the "
            "alert does. There is no band in the first day.",
            [Series(ask.STARTED, "started"), Series(ask.STARTED_MEAN, "mean of 26 hours")],
            "short",
            band=(Series(ask.STARTED_LOW, "usual at least"), Series(ask.STARTED_HIGH, "usual at most")),
        ),
        lines(
            "Started, in terms of that before",
            "Sessions started in the hour before, in terms of the same hour of the day and of the week before. Between "
            "the lines no alert fires; alerts compare with the day before.",
            [Series(ask.STARTED_SINCE_DAY, "a day before"), Series(ask.STARTED_SINCE_WEEK, "a week before")],
            "suffix: times",
            thresholds=[(thresholds.CREATION_DROP, WARNING), (thresholds.CREATION_SPIKE, NOTICE)],
        ),
    ],
)

BOARD: Final = Board(
    uid="app-session-overview",
    description="Whether sessions do well: how many there are, how they end, what is wrong and what to do about it.",
    variables=[variables.prometheus(), variables.job(), variables.session_type()],
    rows=[_HEALTH, _ALERTS, _BY_TYPE, _USUAL, _OPEN, _LIFETIME],
)
