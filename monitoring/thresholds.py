"""Where alerts begin, and nothing else does: rules, panels, documentation and tests take every number from here.

In Prometheus each of them is a series of its own, `app_session:threshold{name="..."}`, written into
`prometheus/rules/thresholds.yaml`. That file is the one place where a deployment changes them: the alerts compare with
the series, and the panels draw it as their line.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

SERIES: Final = "app_session:threshold"

Unit = Literal[
    "ratio", "seconds", "sessions", "turns", "findings", "times", "failures", "bytes", "decisions", "slots", "calls",
    "records", "deviations",
]  # fmt: skip


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
BURN_FAST: Final = Threshold(
    "burn_fast",
    14.4,
    "times",
    "Use of the error budget over an hour, in terms of what it allows: 2 % of 30 days' gone.",
)
BURN_SLOW: Final = Threshold(
    "burn_slow", 6, "times", "Use of the error budget over six hours, in terms of what it allows: 5 % of 30 days' gone."
)
MIN_TURNS: Final = Threshold(
    "min_turns", 20, "turns", "Turns in five minutes, below which their response time on the whole says nothing."
)
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
BASELINE_MIN_SESSIONS: Final = Threshold(
    "baseline_min_sessions", 20, "sessions", "Sessions that must have ended in an hour before it says how they are."
)
ENGAGEMENT: Final = Threshold("engagement_ratio", 0.1, "ratio", "Active time, of all the time a session is open.")
CRASH_FREE: Final = Threshold("crash_free_ratio", 0.99, "ratio", "Sessions that do not end because of a crash.")
QUOTA_WARNING: Final = Threshold("quota_warning_ratio", 0.75, "ratio", "The share of a quota that is used.")
QUOTA_CRITICAL: Final = Threshold("quota_critical_ratio", 0.90, "ratio", "The share of a quota that is used.")
EXHAUSTION: Final = Threshold("exhaustion_seconds", 4 * 3600, "seconds", "Time until a quota is used up.")
REFUSALS: Final = Threshold("refusal_ratio", 0.05, "ratio", "Decisions of limits that are refusals.")
MIN_DECISIONS: Final = Threshold(
    "min_decisions", 20, "decisions", "Decisions in ten minutes, below which their outcome on the whole says nothing."
)
LEASES: Final = Threshold(
    "lease_ratio", 0.9, "ratio", "Slots asked for that were among the last quarter of somebody's, or refused."
)
LEASE_MIN_SLOTS: Final = Threshold(
    "lease_min_slots", 4, "slots", "Slots that one must have before it says anything that most of them are taken."
)
FINDINGS: Final = Threshold("findings", 5, "findings", "Findings of suspicious activity in ten minutes.")
ACCESS_FAILURES: Final = Threshold("access_failures", 20, "failures", "Refused requests (401, 403) in ten minutes.")
LOG_GROWTH: Final = Threshold("log_growth_ratio", 0.5, "ratio", "Growth of a log file in ten minutes.")
LOG_MIN_SIZE: Final = Threshold(
    "log_min_bytes", 100_000, "bytes", "Size of a log file below which growth says little; many are rotated at 1 MB."
)
MEMORY: Final = Threshold("memory_ratio", 0.9, "ratio", "Memory of the host that is used.")
PROCESS_MEMORY: Final = Threshold("process_memory_ratio", 0.5, "ratio", "Memory of the host that one process holds.")
CPU: Final = Threshold("cpu_ratio", 0.9, "ratio", "Time that the host's processors are busy.")
STORAGE: Final = Threshold("storage_ratio", 0.9, "ratio", "Storage of a file system that is used.")
STORAGE_EXHAUSTION: Final = Threshold(
    "storage_exhaustion_seconds", 24 * 3600, "seconds", "Time until a file system is full."
)
STORAGE_MIN_SIZE: Final = Threshold(
    "storage_min_bytes", 1_000_000_000, "bytes", "Size of a file system below which its use says little."
)
STORE_FAILURES: Final = Threshold("store_failure_ratio", 0.01, "ratio", "Calls to the store that fail.")
STORE_MIN_CALLS: Final = Threshold(
    "store_min_calls", 20, "calls", "Calls to the store in five minutes, below which a failure says little."
)
PENDING: Final = Threshold(
    "store_pending", 1_000, "sessions", "Sessions whose counts have been waiting for the store for ten minutes."
)
DROPPED: Final = Threshold("dropped_records", 0, "records", "Records that the library drops in ten minutes.")
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
