"""The telemetry pipeline: whether what the other dashboards show is all there is."""

from __future__ import annotations

from typing import Final

from otel_sessions import _semconv as sc

from .. import thresholds
from ..promql import label
from . import variables
from .board import STAT_HEIGHT, Board, Row
from .colours import CRITICAL, OK, WARNING
from .panels import Series, lines, number
from .queries import pipeline as ask

_SIGNALS: Final = ("spans", "metric points", "log records")
_SENT: Final = ("spans", "log records")

_SUMMARY: Final = Row(
    question="Can the other dashboards be believed?",
    height=STAT_HEIGHT,
    panels=[
        number("Processes", "Processes in which the library runs.", ask.PROCESSES, "short", some=OK, below=CRITICAL),
        number("Collectors", "Collectors that Prometheus reaches.", ask.COLLECTORS, "short", some=OK, below=CRITICAL),
        number(
            "Refused",
            "Spans, metric points and log records that the collector refused in the time shown; senders try again.",
            ask.REFUSED_ALL,
            "short",
            some=WARNING,
            decimals=0,
        ),
        number(
            "Lost on the way out",
            "What a backend refused for good or a full queue had no room for, in the time shown.",
            ask.LOST,
            "short",
            some=CRITICAL,
            decimals=0,
        ),
        number(
            "Fullest queue",
            "The share of a sending queue that is filled.",
            ask.QUEUE_HIGHEST,
            "percentunit",
            [(thresholds.QUEUE, CRITICAL)],
            none="no queues",
        ),
        number(
            "Dropped by the library",
            "What the library had to drop in the time shown.",
            ask.DROPPED,
            "short",
            some=WARNING,
            decimals=0,
        ),
    ],
)

_IN: Final = Row(
    question="Does everything arrive at the collector?",
    panels=[
        lines(
            "Received",
            "What the collector took, per second.",
            [Series(one, signal) for one, signal in zip(ask.ACCEPTED, _SIGNALS, strict=True)],
            "cps",
        ),
        lines(
            "Refused",
            "What the collector refused because it was short of memory, per second; senders try again.",
            [Series(one, signal) for one, signal in zip(ask.REFUSED, _SIGNALS, strict=True)],
            "cps",
        ),
    ],
)

_OUT: Final = Row(
    question="Does everything leave it?",
    panels=[
        lines(
            "Sent",
            "What the collector passed on, per second.",
            [Series(one, f"{signal} to {{{{exporter}}}}") for one, signal in zip(ask.SENT, _SIGNALS, strict=True)],
            "cps",
        ),
        lines(
            "Lost",
            "Refused by the backend for good, or no room in the queue, per second. A backend that is merely away shows "
            "in the queue.",
            [
                *(
                    Series(one, f"{signal} refused by {{{{exporter}}}}")
                    for one, signal in zip(ask.SEND_FAILED, _SENT, strict=True)
                ),
                *(
                    Series(one, f"{signal} without room for {{{{exporter}}}}")
                    for one, signal in zip(ask.ENQUEUE_FAILED, _SENT, strict=True)
                ),
            ],
            "cps",
        ),
        lines(
            "Queues",
            "The share of each sending queue that is filled.",
            [Series(ask.QUEUE, "{{exporter}} {{data_type}}")],
            "percentunit",
            thresholds=[(thresholds.QUEUE, CRITICAL)],
            top=1,
        ),
    ],
)

_LIBRARY: Final = Row(
    question="Does the library keep up?",
    panels=[
        lines(
            "Processes by application",
            "Processes in which the library runs.",
            [Series(ask.PROCESSES_BY_JOB, "{{job}}")],
            "short",
            stacked=True,
        ),
        lines(
            "Dropped",
            "What the library had to drop in the ten minutes before, and why.",
            [Series(ask.DROPPED_BY_REASON, f"{{{{{label(sc.DROP_REASON)}}}}}")],
            "short",
            thresholds=[(thresholds.DROPPED, WARNING)],
        ),
        lines(
            "Waiting for the store",
            "Sessions whose latest counts have not been merged into the store yet.",
            [Series(ask.PENDING, f"{{{{job}}}} {{{{{label(sc.STORE)}}}}}")],
            "short",
            thresholds=[(thresholds.PENDING, WARNING)],
        ),
    ],
)

_PROMETHEUS: Final = Row(
    question="Does Prometheus collect, and evaluate its rules?",
    collapsed=True,
    panels=[
        lines("Reached", "1 if all targets of a job are reached.", [Series(ask.SCRAPED, "{{job}}")], "short", top=1),
        lines("Failed rules", "Evaluations that failed.", [Series(ask.RULE_FAILURES, "{{rule_group}}")], "short"),
    ],
)

BOARD: Final = Board(
    uid="app-session-pipeline",
    description="Whether all telemetry arrives: what the library drops, what the collector takes and passes on.",
    variables=[variables.prometheus(), variables.job()],
    rows=[_SUMMARY, _IN, _OUT, _LIBRARY, _PROMETHEUS],
)
