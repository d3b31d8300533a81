"""What is checked."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

from .._health_check import Component, Severity
from .._thresholds import Threshold
from .evidence import Evidence
from .minutes import Lately

Comparison = Literal[">", ">=", "<"]

COMPARED: Final[dict[Comparison, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
}


class Value(NamedTuple):
    """Something measured, and what of."""

    amount: float
    subject: str | None = None
    reason: str | None = None


Measure: TypeAlias = Callable[[Evidence], Iterable[Value]]
"""Measures it; nothing if too little is known."""


class Rule(NamedTuple):
    """One alert that can be judged here, as the alert rules for Prometheus have it; the tests compare them.

    Several of one type differ in severity.
    """

    type: str
    severity: Severity
    component: Component
    comparison: Comparison
    threshold: Threshold
    action: str
    measure: Measure
    unknown: str
    """Why there may be nothing to measure."""
    here_only: bool = False
    """Whether it is this process that is looked at, and not the store."""


def here(measure: Callable[[Lately], Iterable[Value]]) -> Measure:
    """Measure what this process has counted."""
    return lambda evidence: () if evidence.lately is None else measure(evidence.lately)


def whether(amount: float | None, subject: str | None = None) -> Iterable[Value]:
    """A value, if there is one."""
    return () if amount is None else (Value(amount, subject),)
