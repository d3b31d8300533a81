"""Security: suspicious activity, refused requests, and what the logs say of both."""

from __future__ import annotations

from typing import Final

from otel_sessions import _semconv as sc

from .. import thresholds
from ..promql import label
from . import variables
from .board import STAT_HEIGHT, Board, Row
from .colours import CRITICAL, WARNING
from .lookups import records
from .panels import Series, lines, number, ranking
from .queries import security as ask

_KIND: Final = f"{{{{{label(sc.FINDING_KIND)}}}}}"
_SEVERITY: Final = f"{{{{{label(sc.FINDING_SEVERITY)}}}}}"

_SUMMARY: Final = Row(
    question="Is anything suspicious?",
    height=STAT_HEIGHT,
    panels=[
        number(
            "Findings",
            "Suspicious activity found in ten minutes: the most in the time shown.",
            ask.FINDINGS,
            "short",
            [(thresholds.FINDINGS, CRITICAL)],
            some=WARNING,
            decimals=0,
        ),
        number(
            "Severe findings",
            "Findings in the time shown that are at least 80 % sure.",
            ask.FINDINGS_SEVERE,
            "short",
            some=CRITICAL,
            decimals=0,
        ),
        number(
            "Refused requests",
            "Requests refused as unauthenticated (401) or forbidden (403) in ten minutes: the most in the time shown.",
            ask.FAILURES,
            "short",
            [(thresholds.ACCESS_FAILURES, WARNING)],
            decimals=0,
        ),
    ],
)

_FOUND: Final = Row(
    question="What was found?",
    panels=[
        lines(
            "Findings by kind",
            "Findings in the ten minutes before, by what `suspicious()` was told.",
            [Series(ask.FINDINGS_BY_KIND, _KIND)],
            "short",
            thresholds=[(thresholds.FINDINGS, CRITICAL)],
            stacked=True,
        ),
        lines(
            "Findings by severity",
            "Findings in the ten minutes before: `info`, `warn` from a score of 0.5, `error` from 0.8.",
            [Series(ask.FINDINGS_BY_SEVERITY, _SEVERITY, exemplars=True)],
            "short",
            stacked=True,
        ),
        ranking(
            "Most frequent findings",
            "Findings in the time shown, by kind and severity.",
            Series(ask.FINDINGS_RANKED, f"{_KIND} ({_SEVERITY})"),
            "short",
        ),
    ],
)

_REFUSED: Final = Row(
    question="Who is turned away?",
    panels=[
        lines(
            "Refused requests by reason",
            "Requests refused in the ten minutes before: `unauthorized` (401), `forbidden` (403).",
            [Series(ask.FAILURES_BY_REASON, f"{{{{{label(sc.ACCESS_FAILURE_REASON)}}}}}")],
            "short",
            thresholds=[(thresholds.ACCESS_FAILURES, WARNING)],
            stacked=True,
        ),
        lines(
            "Refused requests by session type",
            "Requests refused in the ten minutes before.",
            [Series(ask.FAILURES_BY_TYPE, f"{{{{{label(sc.TYPE)}}}}}", exemplars=True)],
            "short",
            stacked=True,
        ),
    ],
)

_LOGGED: Final = Row(
    question="What do the logs say?",
    height=10,
    panels=[
        records(
            "Findings",
            "The log event of each finding, whether its trace was sampled or not. Its details lead to the trace.",
            ask.LOGGED_FINDINGS,
        ),
        records(
            "Refusals by limits", "The log event of each refusal by a quota, a rate or a lease.", ask.LOGGED_REFUSALS
        ),
    ],
)

BOARD: Final = Board(
    uid="app-session-security",
    description="Suspicious activity in sessions, requests that were refused, and what the logs say of both.",
    variables=[
        variables.prometheus(),
        variables.loki(),
        variables.job(),
        variables.session_type(),
        variables.service(),
    ],
    rows=[_SUMMARY, _FOUND, _REFUSED, _LOGGED],
)
