"""Where alerts begin, and nothing else does: rules, panels, documentation and tests take every number from here.

In Prometheus each of them is a series of its own, `app_session:threshold{name="..."}`, written into
`prometheus/rules/thresholds.yaml`. That file is the one place where a deployment changes them: the alerts compare with
the series, and the panels draw it as their line. Those with which `otel_sessions.health()` compares as well are the
package's: what is a problem there is one here.
"""

from __future__ import annotations

from typing import Final

from otel_sessions import _thresholds as shared
from otel_sessions._thresholds import Unit

__all__ = ["SERIES", "THRESHOLDS", "Threshold", "Unit"]

SERIES: Final = "app_session:threshold"


class Threshold(shared.Threshold):
    """A number that an alert compares with."""

    __slots__ = ()

    @property
    def series(self) -> str:
        """The series that holds it."""
        return f'{SERIES}{{name="{self.name}"}}'

    @property
    def scalar(self) -> str:
        """It, where an expression needs a number: nothing is compared if it is missing, and an alert says so."""
        return f"scalar({self.series})"


ERROR_RATIO: Final = Threshold(*shared.ERROR_RATIO)
ERROR_MIN_SESSIONS: Final = Threshold(*shared.ERROR_MIN_SESSIONS)
SLO_OBJECTIVE: Final = Threshold(*shared.SLO_OBJECTIVE)
BURN_FAST: Final = Threshold(*shared.BURN_FAST)
BURN_SLOW: Final = Threshold(*shared.BURN_SLOW)
MIN_TURNS: Final = Threshold(*shared.MIN_TURNS)
RESPONSE_P95: Final = Threshold("response_p95_seconds", 2, "seconds", "Response time of 95 % of all turns.")
RESPONSE_MEAN: Final = Threshold(*shared.RESPONSE_MEAN)
RESPONSE_SINGLE: Final = Threshold("response_single_seconds", 30, "seconds", "Response time of a single turn.")
DEGRADATION: Final = Threshold(*shared.DEGRADATION)
CREATION_DROP: Final = Threshold(*shared.CREATION_DROP)
CREATION_SPIKE: Final = Threshold(*shared.CREATION_SPIKE)
CREATION_MIN_RATE: Final = Threshold(*shared.CREATION_MIN_RATE)
ACTIVE: Final = Threshold(*shared.ACTIVE)
USER_SESSIONS: Final = Threshold(*shared.USER_SESSIONS)
DURATION: Final = Threshold(*shared.DURATION)
BASELINE_MIN_SESSIONS: Final = Threshold(*shared.BASELINE_MIN_SESSIONS)
ENGAGEMENT: Final = Threshold(*shared.ENGAGEMENT)
CRASH_FREE: Final = Threshold(*shared.CRASH_FREE)
QUOTA_WARNING: Final = Threshold(*shared.QUOTA_WARNING)
QUOTA_CRITICAL: Final = Threshold(*shared.QUOTA_CRITICAL)
EXHAUSTION: Final = Threshold(*shared.EXHAUSTION)
REFUSALS: Final = Threshold(*shared.REFUSALS)
MIN_DECISIONS: Final = Threshold(*shared.MIN_DECISIONS)
LEASES: Final = Threshold(*shared.LEASES)
LEASE_MIN_SLOTS: Final = Threshold(*shared.LEASE_MIN_SLOTS)
FINDINGS: Final = Threshold(*shared.FINDINGS)
ACCESS_FAILURES: Final = Threshold(*shared.ACCESS_FAILURES)
LOG_GROWTH: Final = Threshold("log_growth_ratio", 0.5, "ratio", "Growth of a log file in ten minutes.")
LOG_MIN_SIZE: Final = Threshold(
    "log_min_bytes", 100_000, "bytes", "Size of a log file below which growth says little; many are rotated at 1 MB."
)
MEMORY: Final = Threshold(*shared.MEMORY)
PROCESS_MEMORY: Final = Threshold(*shared.PROCESS_MEMORY)
CPU: Final = Threshold(*shared.CPU)
STORAGE: Final = Threshold(*shared.STORAGE)
STORAGE_EXHAUSTION: Final = Threshold(
    "storage_exhaustion_seconds", 24 * 3600, "seconds", "Time until a file system is full."
)
STORAGE_MIN_SIZE: Final = Threshold(*shared.STORAGE_MIN_SIZE)
STORE_FAILURES: Final = Threshold(*shared.STORE_FAILURES)
STORE_MIN_CALLS: Final = Threshold(*shared.STORE_MIN_CALLS)
PENDING: Final = Threshold(*shared.PENDING)
DROPPED: Final = Threshold(*shared.DROPPED)
ANOMALY_DEVIATIONS: Final = Threshold(
    "anomaly_deviations", 2, "deviations", "Standard deviations from the mean of 26 hours that are still usual."
)
ANOMALY_MARGIN: Final = Threshold(
    "anomaly_margin_ratio", 0.5, "ratio", "Distance from the mean, and from the same hour before, that is still usual."
)
ANOMALY_MIN: Final = Threshold(
    "anomaly_min_sessions",
    20,
    "sessions",
    "Sessions started in five minutes, or usual, below which nothing is unusual.",
)
QUEUE: Final = Threshold("queue_ratio", 0.8, "ratio", "The share of a sending queue that is filled.")


THRESHOLDS: Final = (
    ERROR_RATIO, ERROR_MIN_SESSIONS, SLO_OBJECTIVE, BURN_FAST, BURN_SLOW, MIN_TURNS, RESPONSE_P95, RESPONSE_MEAN,
    RESPONSE_SINGLE, DEGRADATION, CREATION_DROP, CREATION_SPIKE, CREATION_MIN_RATE, ACTIVE, USER_SESSIONS,
    DURATION, BASELINE_MIN_SESSIONS, ENGAGEMENT, CRASH_FREE, QUOTA_WARNING, QUOTA_CRITICAL, EXHAUSTION, REFUSALS,
    MIN_DECISIONS, LEASES, LEASE_MIN_SLOTS, FINDINGS, ACCESS_FAILURES, LOG_GROWTH, LOG_MIN_SIZE, MEMORY, PROCESS_MEMORY,
    CPU, STORAGE, STORAGE_EXHAUSTION, STORAGE_MIN_SIZE, STORE_FAILURES, STORE_MIN_CALLS, PENDING, DROPPED,
    ANOMALY_DEVIATIONS, ANOMALY_MARGIN, ANOMALY_MIN, QUEUE,
)  # fmt: skip
