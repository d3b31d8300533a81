"""Conversations: how fast answers come, what is said, what the models consume and cost."""

from __future__ import annotations

from typing import Final

from otel_sessions import _semconv as sc

from .. import thresholds
from ..promql import label
from . import shared, variables
from .board import STAT_HEIGHT, Board, Row
from .colours import CRITICAL, NOTICE, WARNING
from .panels import Series, distribution, lines, number
from .queries import conversations as ask

_TYPE: Final = f"{{{{{label(sc.TYPE)}}}}}"
_MODEL: Final = f"{{{{{label(sc.GEN_AI_REQUEST_MODEL)}}}}}"
_CURRENCY: Final = f"{{{{{label(sc.COST_CURRENCY)}}}}}"

_SUMMARY: Final = Row(
    question="How do conversations go?",
    height=STAT_HEIGHT,
    panels=[
        shared.response_p95(),
        number(
            "Response time, mean",
            "From the user's message to the answer, on average of five minutes, in the slowest application and type.",
            ask.MEAN,
            "s",
            [(thresholds.RESPONSE_MEAN, CRITICAL)],
            none="no turns",
        ),
        number("Turns", "Answers given, per minute.", ask.TURNS, "suffix: /min", decimals=1),
        number("Messages", "Messages exchanged, per minute.", ask.MESSAGES, "suffix: /min", decimals=1),
        number(
            "Tokens per message",
            "Tokens consumed in the time shown, input and output, by messages exchanged.",
            ask.TOKENS_PER_MESSAGE,
            "short",
            decimals=0,
            none="no messages",
        ),
        number("Cost", "Money spent in the time shown, by currency.", ask.COST, "short", decimals=2, legend=_CURRENCY),
    ],
)

_RESPONSE: Final = Row(
    question="How long do users wait for an answer?",
    panels=[
        distribution(
            "Response times",
            "How many turns took how long. The points are examples, and lead to their traces.",
            ask.RESPONSES,
            "s",
        ),
        lines(
            "Response time",
            "Half of the turns, 95 % and 99 % of them are answered within this; their mean, and the slowest one: in "
            "the application and the type where each is highest. The lines are those of p95, the mean and the slowest.",
            [
                Series(ask.P50, "p50"),
                Series(ask.P95, "p95"),
                Series(ask.P99, "p99"),
                Series(ask.MEAN, "mean"),
                Series(ask.SLOWEST, "slowest"),
            ],
            "s",
            thresholds=[
                (thresholds.RESPONSE_P95, NOTICE),
                (thresholds.RESPONSE_MEAN, WARNING),
                (thresholds.RESPONSE_SINGLE, CRITICAL),
            ],
        ),
    ],
)

_USUAL: Final = Row(
    question="Is it as usual?",
    panels=[
        lines(
            "Response time and what is usual",
            "95 % of the turns were answered within this, the mean of 26 hours, and shaded what is usual by that and "
            "by the same hour of the day and the week before: in the application and the type where each is highest. "
            "Choose one of each to see them as the alert does. There is no band in the first day.",
            [Series(ask.P95, "p95"), Series(ask.P95_MEAN, "mean of 26 hours")],
            "s",
            band=(Series(ask.P95_LOW, "usual at least"), Series(ask.P95_HIGH, "usual at most")),
        ),
        lines(
            "Response time, in terms of that before",
            "The response time (95 %), in terms of the same hour of the day and of the week before: where it grew "
            "most. The line is that of the alert, which compares with the day before.",
            [Series(ask.P95_SINCE_DAY, "a day before"), Series(ask.P95_SINCE_WEEK, "a week before")],
            "suffix: times",
            thresholds=[(thresholds.DEGRADATION, WARNING)],
        ),
    ],
)

_MODELS: Final = Row(
    question="Which model is used, and which is slow?",
    collapsed=True,
    panels=[
        lines("Turns by model", "Answers given, per minute.", [Series(ask.TURNS_BY_MODEL, _MODEL)], "suffix: /min"),
        lines(
            "Response time by model, p95",
            "95 % of a model's turns are answered within this.",
            [Series(ask.P95_BY_MODEL, _MODEL, exemplars=True)],
            "s",
        ),
    ],
)

_TALK: Final = Row(
    question="How much is said, and do users stay?",
    panels=[
        lines(
            "Messages by role",
            "Messages per minute, by who wrote them.",
            [Series(ask.MESSAGES_BY_ROLE, f"{{{{{label(sc.MESSAGE_ROLE)}}}}}", exemplars=True)],
            "suffix: /min",
            stacked=True,
        ),
        lines(
            "Engagement",
            "Active time of all the time that durable sessions were open, on average of those that ended in an hour.",
            [Series(ask.ENGAGEMENT, _TYPE)],
            "percentunit",
            thresholds=[(thresholds.ENGAGEMENT, WARNING)],
            top=1,
        ),
    ],
)

_CONSUMPTION: Final = Row(
    question="What is consumed, and what does it cost?",
    panels=[
        lines(
            "Tokens by type",
            "Tokens per minute. Types such as `cache_read` and `reasoning` are a part of `input` and `output`.",
            [Series(ask.TOKENS_BY_TYPE, f"{{{{{label(sc.GEN_AI_TOKEN_TYPE)}}}}}", exemplars=True)],
            "suffix: /min",
        ),
        lines(
            "Tokens by model",
            "Tokens per minute, input and output together: the ten models with most.",
            [Series(ask.TOKENS_BY_MODEL, _MODEL)],
            "suffix: /min",
            stacked=True,
        ),
        lines(
            "Tokens per message",
            "Tokens consumed, input and output, by messages exchanged.",
            [Series(ask.TOKENS_PER_MESSAGE_BY_TYPE, _TYPE)],
            "short",
        ),
        lines(
            "Cost by model",
            "Money spent per hour, in the currency that is named: the ten models with most.",
            [Series(ask.COST_BY_MODEL, f"{_MODEL} {_CURRENCY}", exemplars=True)],
            "suffix: /h",
        ),
    ],
)

BOARD: Final = Board(
    uid="app-session-conversations",
    description="How fast answers come, how much is said, what the models consume and cost.",
    variables=[variables.prometheus(), variables.job(), variables.session_type()],
    rows=[_SUMMARY, _RESPONSE, _USUAL, _TALK, _CONSUMPTION, _MODELS],
)
