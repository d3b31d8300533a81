"""The checks of limits: quotas are in the store, what was refused is known to each process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from .. import _thresholds as at
from .evidence import Evidence
from .rule import Rule, Value

_NO_QUOTA: Final = "no quota of a tier has been used"
_FEW: Final = "too little was asked of limits in the last ten minutes"
_RAISE: Final = "See whether it is one actor or many, and raise the limit or let it be."
_FULL: Final = frozenset({"near_limit", "rejected", "shadow_rejected"})


def _utilization(evidence: Evidence) -> Iterator[Value]:
    for (name, tier, per, _), _limit, standing in evidence.quotas:
        yield Value(standing.highest, f"{name} per {per}, {tier}")


def _exhaustion(evidence: Evidence) -> Iterator[Value]:
    for (name, tier, per, _), _limit, standing in evidence.quotas:
        if standing.seconds is not None:
            yield Value(standing.seconds, f"{name} per {per}, {tier}")


def _refusals(evidence: Evidence) -> Iterator[Value]:
    asked: Counter[tuple[str | None, ...]] = Counter()
    refused: Counter[tuple[str | None, ...]] = Counter()
    for (kind, name, result, tier), count in _decisions(evidence):
        asked[kind, name, tier] += count
        refused[kind, name, tier] += count * (result == "rejected")
    for key, count in asked.items():
        if count >= max(evidence.at(at.MIN_DECISIONS), 1):
            yield Value(refused[key] / count, _said(key[1], key[2]))


def _saturation(evidence: Evidence) -> Iterator[Value]:
    asked: Counter[tuple[str, str]] = Counter()
    full: Counter[tuple[str, str]] = Counter()
    for (kind, name, result, tier), count in _decisions(evidence):
        if kind == "concurrency":
            asked[name or "", tier or ""] += count
            full[name or "", tier or ""] += count * (result in _FULL)
    for key, count in asked.items():
        enough = count >= max(evidence.at(at.MIN_DECISIONS), 1)
        if enough and evidence.slots(*key) >= evidence.at(at.LEASE_MIN_SLOTS):
            yield Value(full[key] / count, _said(*key))


def _decisions(evidence: Evidence) -> Iterable[tuple[tuple[str | None, ...], int]]:
    return () if evidence.lately is None else evidence.lately.decisions.items()


def _said(name: str | None, tier: str | None) -> str:
    return f"{name}, {tier}" if tier else str(name)


RULES: Final = (
    Rule(
        "SessionQuotaNearLimit",
        "warning",
        "limits",
        ">",
        at.QUOTA_WARNING,
        _RAISE,
        _utilization,
        _NO_QUOTA,
    ),
    Rule(
        "SessionQuotaNearLimit",
        "critical",
        "limits",
        ">",
        at.QUOTA_CRITICAL,
        _RAISE,
        _utilization,
        _NO_QUOTA,
    ),
    Rule(
        "SessionQuotaExhaustionPredicted",
        "warning",
        "limits",
        "<",
        at.EXHAUSTION,
        "Find out whether the use is wanted, and raise the limit before it refuses.",
        _exhaustion,
        "at its present rate nobody uses up a quota",
    ),
    Rule(
        "SessionRefusalsHigh",
        "warning",
        "limits",
        ">",
        at.REFUSALS,
        "See whether few actors are refused or many, and whether the limit fits what they do.",
        _refusals,
        _FEW,
        here_only=True,
    ),
    Rule(
        "SessionLeasesSaturated",
        "warning",
        "limits",
        ">",
        at.LEASES,
        "See how long slots are held, and whether they are given back.",
        _saturation,
        "too little was asked of concurrency limits of several slots in the last ten minutes",
        here_only=True,
    ),
)
