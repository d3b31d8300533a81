"""Quotas, limits and leases: how near they are, and whom they refuse."""

from __future__ import annotations

from typing import Final

from otel_sessions import _semconv as sc

from .. import thresholds
from ..promql import label
from . import variables
from .board import STAT_HEIGHT, Board, Row
from .colours import CRITICAL, OK, WARNING
from .links import to
from .panels import Series, lines, listing, number
from .queries import limits as ask

_NAME: Final = f"{{{{{label(sc.LIMIT_NAME)}}}}}"
_TIER: Final = f"{{{{{label(sc.TIER)}}}}}"
_QUOTA: Final = f"{_NAME} per {{{{{label(sc.LIMIT_WINDOW)}}}}} and {{{{{label(sc.LIMIT_SCOPE)}}}}}, {_TIER}"
_BANDS: Final = [(thresholds.QUOTA_WARNING, WARNING), (thresholds.QUOTA_CRITICAL, CRITICAL)]

_SUMMARY: Final = Row(
    question="Is anybody near a limit?",
    height=STAT_HEIGHT,
    panels=[
        number(
            "Highest use of a quota",
            "The share of its quota that the actor has used who has used most of it, of all quotas.",
            ask.UTILIZATION_HIGHEST,
            "percentunit",
            _BANDS,
            decimals=0,
            none="no quotas",
        ),
        number(
            "Next exhaustion",
            "When the next actor will have used up a quota, at its present rate.",
            ask.EXHAUSTION_SOONEST,
            "s",
            [(thresholds.EXHAUSTION, OK)],
            below=WARNING,
            none="none in sight",
        ),
        number(
            "Exhausted",
            "Actors (users, tenants, sessions) who have used up a quota.",
            ask.ACTORS_EXHAUSTED,
            "short",
            some=CRITICAL,
            none="no quotas",
        ),
        number(
            "Refused",
            "Of what a limit decided in the ten minutes before, the share that was refused: the highest.",
            ask.REFUSED_SHARE,
            "percentunit",
            [(thresholds.REFUSALS, WARNING)],
            decimals=1,
            none="no decisions",
        ),
        number("Leases", "Slots that are held now, in all processes.", ask.LEASES, "short", none="none"),
    ],
)

_NEXT: Final = Row(
    question="Which quota runs out next?",
    panels=[
        lines(
            "Use of quotas",
            "The share of its quota that the actor has used who has used most of it.",
            [Series(ask.UTILIZATION, _QUOTA)],
            "percentunit",
            thresholds=_BANDS,
        ),
        lines(
            "Time to exhaustion",
            "When the next actor will have used up its quota, at its present rate. No line: none will.",
            [Series(ask.EXHAUSTION, _QUOTA)],
            "s",
            thresholds=[(thresholds.EXHAUSTION, WARNING)],
        ),
    ],
)

_WHO: Final = Row(
    question="How many are near their limit?",
    panels=[
        lines(
            "Actors by band",
            "Actors who have used less than 75 % of a quota, from 75 %, from 90 %, and all of it.",
            [Series(ask.ACTORS_BY_BAND, f"{{{{{label(sc.QUOTA_BAND)}}}}}")],
            "short",
            stacked=True,
        ),
        listing(
            "Quotas",
            "Each quota: how much one actor may use, how much was used at most, and when the next one is exhausted.",
            [
                (Series(ask.UTILIZATION), "Used at most"),
                (Series(ask.LIMIT), "Limit"),
                (Series(ask.EXHAUSTION), "Exhausted in"),
            ],
            named={
                label(sc.LIMIT_NAME): "Quota",
                label(sc.TIER): "Tier",
                label(sc.LIMIT_WINDOW): "Window",
                label(sc.LIMIT_SCOPE): "Whose",
            },
            overrides=[("Used at most", {"unit": "percentunit"}), ("Exhausted in", {"unit": "s"})],
            sort="Used at most",
        ),
    ],
)

_DECISIONS: Final = Row(
    question="What do limits decide?",
    panels=[
        lines(
            "Decisions",
            "Decisions per second: allowed, allowed from 75 % on, refused, and refused if it were enforced.",
            [Series(ask.DECISIONS_BY_RESULT, f"{{{{{label(sc.LIMIT_RESULT)}}}}}", exemplars=True)],
            "ops",
            stacked=True,
        ),
        lines(
            "Refusals by limit",
            "Refusals per minute. Their exemplars lead to the trace of a refusal.",
            [Series(ask.REFUSALS_BY_NAME, f"{{{{{label(sc.LIMIT_KIND)}}}}} {_NAME}", exemplars=True)],
            "suffix: /min",
            link=to("app-session-security"),
        ),
        lines(
            "Share of refusals",
            "Of what a limit decided in the ten minutes before, the share that was refused.",
            [Series(ask.REFUSED_SHARE_BY_NAME, f"{{{{{label(sc.LIMIT_KIND)}}}}} {_NAME}, {_TIER}")],
            "percentunit",
            thresholds=[(thresholds.REFUSALS, WARNING)],
        ),
    ],
)

_SLOTS: Final = Row(
    question="What is in use?",
    panels=[
        lines(
            "Leases",
            "Slots held in all processes, by all actors. Dashed: how many one actor may hold.",
            [Series(ask.LEASES_BY_NAME, f"{_NAME}, {_TIER}")],
            "short",
            limits=[Series(ask.LEASE_LIMIT, f"{_NAME}, {_TIER}: for one actor")],
        ),
        lines(
            "Last slots",
            "Slots asked for in the ten minutes before: the share among the last quarter of an actor's, or refused.",
            [Series(ask.LEASE_SATURATION, f"{_NAME}, {_TIER}")],
            "percentunit",
            thresholds=[(thresholds.LEASES, WARNING)],
            top=1,
        ),
        lines(
            "Consumption",
            "What sessions use of what has quotas, per minute, in the quota's own unit: the ten highest.",
            [Series(ask.USAGE, f"{_NAME}, {_TIER}", exemplars=True)],
            "suffix: /min",
        ),
    ],
)

BOARD: Final = Board(
    uid="app-session-limits",
    description="How near quotas are to their end, what limits decide, and which slots are taken.",
    variables=[variables.prometheus(), variables.job()],
    rows=[_SUMMARY, _NEXT, _WHO, _DECISIONS, _SLOTS],
)
