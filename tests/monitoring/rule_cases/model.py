"""What a case is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Step = Literal["1m", "5m"]
Value = str | tuple[str, str]
"""What is said; if versions 2 and 3 of Prometheus extrapolate to different numbers, by both."""


@dataclass(frozen=True)
class Fired:
    """An alert, as it fires."""

    severity: str
    labels: Mapping[str, str]
    value: Value
    threshold: str
    description: str


@dataclass(frozen=True)
class Case:
    """Series that make an alert fire, beginning with a certain minute."""

    alert: str
    series: Mapping[str, str]
    quiet: str | None
    """The last evaluation at which it does not fire."""
    fires: str
    """The next one."""
    fired: tuple[Fired, ...]
    every: Step = "1m"
    """How often rules are evaluated; there is a value of each series for each minute."""


@dataclass(frozen=True)
class Calm:
    """Series that look like a fault, and are none."""

    why: str
    alert: str
    series: Mapping[str, str]
    at: tuple[str, ...]
    every: Step = "1m"
