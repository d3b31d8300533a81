"""What is on a page: found by one room, and shown by another."""

from __future__ import annotations

from typing import NamedTuple

from .._health_check import HealthReport
from .._models import SessionRecord
from ._distribution import Distribution
from ._statistics import Statistics
from ._trend import Trend


class Contents(NamedTuple):
    """What is on a page."""

    title: str
    statistics: Statistics
    trend: Trend
    distribution: Distribution
    health: HealthReport
    """Now, as far as the store knows."""
    failed: list[SessionRecord]
    """The latest first."""
