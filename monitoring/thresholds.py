"""Where alerts begin, and nothing else does: rules, panels, documentation and tests take every number from here.

In Prometheus each of them is a series of its own, `app_session:threshold{name="..."}`, written into
`prometheus/rules/thresholds.yaml`. That file is the one place where a deployment changes them: the alerts compare with
the series, and the panels draw it as their line.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

SERIES: Final = "app_session:threshold"

Unit = Literal["ratio", "seconds", "sessions", "findings", "times", "failures", "bytes"]


class Threshold(NamedTuple):
    """A number that an alert compares with."""

    name: str
    value: float
    unit: Unit
    about: str

    @property
    def series(self) -> str:
        """The series that holds it."""
        return f'{SERIES}{{name="{self.name}"}}'

    @property
    def scalar(self) -> str:
        """It, where an expression needs a number: nothing is compared if it is missing, and an alert says so."""
        return f"scalar({self.series})"


ERROR_RATIO: Final = Threshold("error_ratio", 0.10, "ratio", "Sessions that end in an error, of all that end.")
ERROR_MIN_SESSIONS: Final = Threshold(
    "error_min_sessions", 20, "sessions", "Sessions that must have ended before their share of errors says anything."
)
SLO_OBJECTIVE: Final = Threshold("slo_objective", 0.99, "ratio", "Sessions that are to end without an error.")
RESPONSE_P95: Final = Threshold("response_p95_seconds", 2, "seconds", "Response time of 95 % of all turns.")
RESPONSE_MEAN: Final = Threshold("response_mean_seconds", 10, "seconds", "Response time on average.")
RESPONSE_SINGLE: Final = Threshold("response_single_seconds", 30, "seconds", "Response time of a single turn.")
DEGRADATION: Final = Threshold("degradation", 1.5, "times", "Response time, in terms of the same hour a day before.")
CREATION_DROP: Final = Threshold("creation_drop", 0.5, "times", "Sessions started, in terms of the hour a day before.")
CREATION_SPIKE: Final = Threshold("creation_spike", 3, "times", "Sessions started, in terms of the hour a day before.")
CREATION_MIN_RATE: Final = Threshold(
    "creation_min_sessions", 20, "sessions", "Sessions an hour, below which a drop or a spike says nothing."
)
ACTIVE: Final = Threshold("active_sessions", 100, "sessions", "Sessions open at a time.")
USER_SESSIONS: Final = Threshold("user_sessions", 5, "sessions", "Sessions that one user has open at a time.")
DURATION: Final = Threshold("duration", 2, "times", "Duration of sessions, in terms of the week before.")
ENGAGEMENT: Final = Threshold("engagement_ratio", 0.1, "ratio", "Active time, of all the time a session is open.")
CRASH_FREE: Final = Threshold("crash_free_ratio", 0.99, "ratio", "Sessions that do not end because of a crash.")
QUOTA_WARNING: Final = Threshold("quota_warning_ratio", 0.75, "ratio", "The share of a quota that is used.")
QUOTA_CRITICAL: Final = Threshold("quota_critical_ratio", 0.90, "ratio", "The share of a quota that is used.")
EXHAUSTION: Final = Threshold("exhaustion_seconds", 4 * 3600, "seconds", "Time until a quota is used up.")
REFUSALS: Final = Threshold("refusal_ratio", 0.05, "ratio", "Decisions of limits that are refusals.")
LEASES: Final = Threshold("lease_ratio", 0.9, "ratio", "Slots that are taken.")
FINDINGS: Final = Threshold("findings", 5, "findings", "Findings of suspicious activity in ten minutes.")
ACCESS_FAILURES: Final = Threshold("access_failures", 20, "failures", "Refused requests (401, 403) in ten minutes.")
LOG_GROWTH: Final = Threshold("log_growth_ratio", 0.5, "ratio", "Growth of a log file in ten minutes.")
LOG_MIN_SIZE: Final = Threshold("log_min_bytes", 1 << 20, "bytes", "Size of a log file below which growth says little.")
MEMORY: Final = Threshold("memory_ratio", 0.9, "ratio", "Memory of the host that is used.")
CPU: Final = Threshold("cpu_ratio", 0.9, "ratio", "Time that the host's processors are busy.")
STORE_FAILURES: Final = Threshold("store_failure_ratio", 0.01, "ratio", "Calls to the store that fail.")
QUEUE: Final = Threshold("queue_ratio", 0.8, "ratio", "The share of a sending queue that is filled.")

THRESHOLDS: Final = (
    ERROR_RATIO, ERROR_MIN_SESSIONS, SLO_OBJECTIVE, RESPONSE_P95, RESPONSE_MEAN, RESPONSE_SINGLE, DEGRADATION,
    CREATION_DROP, CREATION_SPIKE, CREATION_MIN_RATE, ACTIVE, USER_SESSIONS, DURATION, ENGAGEMENT, CRASH_FREE,
    QUOTA_WARNING, QUOTA_CRITICAL, EXHAUSTION, REFUSALS, LEASES, FINDINGS, ACCESS_FAILURES, LOG_GROWTH, LOG_MIN_SIZE,
    MEMORY, CPU, STORE_FAILURES, QUEUE,
)  # fmt: skip
