"""Operations and errors: what goes wrong in sessions, what is slow, and whether the store answers."""

from __future__ import annotations

from typing import Final

from otel_sessions import _semconv as sc

from .. import thresholds
from ..promql import label
from . import shared, variables
from .board import STAT_HEIGHT, Board, Row
from .colours import CRITICAL, WARNING
from .links import to
from .panels import Series, lines, number, ranking
from .queries import operations as ask

_TYPE: Final = f"{{{{{label(sc.TYPE)}}}}}"
_ERROR: Final = f"{{{{{label(sc.ERROR_TYPE)}}}}}"
_CALL: Final = f"{{{{{label(sc.STORE_OPERATION)}}}}}"
_SWITCH: Final = f"{{{{{label(sc.PLATFORM_FROM)}}}}} to {{{{{label(sc.PLATFORM_TO)}}}}}"

_SUMMARY: Final = Row(
    question="What goes wrong?",
    height=STAT_HEIGHT,
    panels=[
        number(
            "Errors", "Errors in sessions in the time shown, handled ones included.", ask.ERRORS, "short", decimals=0
        ),
        shared.error_ratio(),
        number(
            "Failed operations",
            "Of the operations inside sessions in the time shown, the share that failed.",
            ask.CALLS_FAILED_SHARE,
            "percentunit",
            decimals=1,
        ),
        number(
            "Failed store calls",
            "Of the calls to a store in the five minutes before, the share that failed: the highest.",
            ask.STORE_FAILED_HIGHEST,
            "percentunit",
            [(thresholds.STORE_FAILURES, CRITICAL)],
            decimals=2,
        ),
    ],
)

_OBJECTIVES: Final = Row(
    question="Are the objectives kept?",
    panels=[
        lines(
            "Use of the error budget",
            "Errors over an hour and over six, in terms of what the objective allows: at 1 the budget of 30 days lasts "
            "30 days. The upper line is that of the hour, the lower one that of six hours.",
            [Series(ask.BURN_HOUR, "an hour"), Series(ask.BURN_SIX_HOURS, "six hours")],
            "suffix: times",
            thresholds=[(thresholds.BURN_FAST, CRITICAL), (thresholds.BURN_SLOW, WARNING)],
        ),
        lines(
            "Crash-free sessions by type",
            "Of the sessions that ended in the hour before, the share whose process did not die meanwhile.",
            [Series(ask.CRASH_FREE_BY_TYPE, _TYPE)],
            "percentunit",
            thresholds=[(thresholds.CRASH_FREE, CRITICAL)],
            top=1,
        ),
    ],
)

_ERRORS: Final = Row(
    question="Which errors are there?",
    panels=[
        lines(
            "Errors by type",
            "Errors per minute, by the exception's type, the status of a failed request, or the name given.",
            [Series(ask.ERRORS_BY_TYPE, _ERROR, exemplars=True)],
            "suffix: /min",
            stacked=True,
        ),
        ranking(
            "Most frequent errors",
            "Errors in the time shown, by type of error and of session.",
            Series(ask.ERRORS_RANKED, f"{_ERROR} in {_TYPE}"),
            "short",
            link=to("app-session-explorer"),
        ),
    ],
)

_DEMAND: Final = Row(
    question="What do sessions do?",
    panels=[
        lines(
            "Requests by session type",
            "Requests made in sessions, per minute.",
            [Series(ask.REQUESTS_BY_TYPE, _TYPE, exemplars=True)],
            "suffix: /min",
        ),
        lines(
            "Events by name",
            "Events recorded in sessions, per minute; names of your own count as `_OTHER`.",
            [Series(ask.EVENTS_BY_NAME, f"{{{{{label(sc.EVENT_NAME)}}}}}", exemplars=True)],
            "suffix: /min",
            stacked=True,
        ),
    ],
)

_CALLS: Final = Row(
    question="Which operations inside sessions are slow, or fail?",
    panels=[
        lines(
            "Operations",
            "Spans made in sessions, per second, by name: the ten most frequent. Counted before any sampling.",
            [Series(ask.CALLS, "{{span_name}}", exemplars=True)],
            "ops",
        ),
        lines(
            "Failed operations",
            "Of the spans of a name, the share with an error: the ten worst.",
            [Series(ask.CALLS_FAILED, "{{span_name}}")],
            "percentunit",
        ),
        lines(
            "Duration of operations, p95",
            "95 % of the spans of a name take at most this long: the ten slowest.",
            [Series(ask.CALLS_P95, "{{span_name}}", exemplars=True)],
            "s",
        ),
    ],
)

_STORE: Final = Row(
    question="Does the store answer?",
    panels=[
        lines(
            "Store calls", "Calls to the store per second, by what was asked.", [Series(ask.STORE_CALLS, _CALL)], "ops"
        ),
        lines(
            "Duration of store calls, p99",
            "99 % of the calls to the store take at most this long.",
            [Series(ask.STORE_P99, _CALL, exemplars=True)],
            "s",
            log=True,
        ),
        lines(
            "Failed store calls",
            "Of the calls to a store in the five minutes before, the share that failed.",
            [Series(ask.STORE_FAILED, f"{{{{{label(sc.STORE)}}}}}")],
            "percentunit",
            thresholds=[(thresholds.STORE_FAILURES, CRITICAL)],
            link=to("app-session-pipeline"),
        ),
    ],
)

_SWITCHES: Final = Row(
    question="How do sessions move between platforms?",
    collapsed=True,
    panels=[
        ranking("Platform switches", "Moves in the time shown.", Series(ask.SWITCHES, _SWITCH), "short"),
        lines(
            "Duration of switches, p95",
            "95 % of the moves took at most this long.",
            [Series(ask.SWITCH_P95, _SWITCH, exemplars=True)],
            "s",
        ),
    ],
)

BOARD: Final = Board(
    uid="app-session-operations",
    description="What goes wrong in sessions and what is slow: errors, requests, the operations inside, the store.",
    variables=[variables.prometheus(), variables.job(), variables.session_type()],
    rows=[_SUMMARY, _OBJECTIVES, _ERRORS, _DEMAND, _CALLS, _STORE, _SWITCHES],
)
