"""Where a problem begins: the numbers that `health()` and the alert rules for Prometheus compare with.

The rules have some more, of what one process cannot judge; see `monitoring/thresholds.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from .exceptions import ConfigurationError

Unit = Literal[
    "ratio", "seconds", "sessions", "turns", "findings", "times", "failures", "bytes", "decisions", "slots", "calls",
    "records", "deviations",
]  # fmt: skip


class Threshold(NamedTuple):
    """A number that something is compared with."""

    name: str
    value: float
    unit: Unit
    about: str


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
RESPONSE_MEAN: Final = Threshold("response_mean_seconds", 10, "seconds", "Response time on average.")
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
MEMORY: Final = Threshold("memory_ratio", 0.9, "ratio", "Memory of the host that is used.")
PROCESS_MEMORY: Final = Threshold("process_memory_ratio", 0.5, "ratio", "Memory of the host that one process holds.")
CPU: Final = Threshold("cpu_ratio", 0.9, "ratio", "Time that the host's processors are busy.")
STORAGE: Final = Threshold("storage_ratio", 0.9, "ratio", "Storage of a file system that is used.")
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

THRESHOLDS: Final = (
    ERROR_RATIO, ERROR_MIN_SESSIONS, SLO_OBJECTIVE, BURN_FAST, BURN_SLOW, MIN_TURNS, RESPONSE_MEAN, DEGRADATION,
    CREATION_DROP, CREATION_SPIKE, CREATION_MIN_RATE, ACTIVE, USER_SESSIONS, DURATION, BASELINE_MIN_SESSIONS,
    ENGAGEMENT, CRASH_FREE, QUOTA_WARNING, QUOTA_CRITICAL, EXHAUSTION, REFUSALS, MIN_DECISIONS, LEASES,
    LEASE_MIN_SLOTS, FINDINGS, ACCESS_FAILURES, MEMORY, PROCESS_MEMORY, CPU, STORAGE, STORAGE_MIN_SIZE,
    STORE_FAILURES, STORE_MIN_CALLS, PENDING, DROPPED,
)  # fmt: skip

KNOWN: Final[Mapping[str, Threshold]] = {each.name: each for each in THRESHOLDS}


def check(given: object) -> dict[str, float]:
    """Check thresholds that are given by name.

    Raises:
        ConfigurationError: there is none of that name, or a value cannot be one.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{given!r}: use a mapping of names to numbers, such as {{'error_ratio': 0.2}}")
    for name, value in given.items():
        if name not in KNOWN:
            raise ConfigurationError(f"there is no threshold {name!r}; there are {', '.join(sorted(KNOWN))}")
        if not _is_number(value) or (name == SLO_OBJECTIVE.name and value >= 1):
            most = "0 or more, and less than 1" if name == SLO_OBJECTIVE.name else "0 or more"
            given = f"{value:g}" if isinstance(value, float) else repr(value)
            raise ConfigurationError(f"{name}={given}: use a number, {most}")
    return dict(given)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def parse(raw: str) -> dict[str, float]:
    """Read thresholds from a text such as `error_ratio=0.2,active_sessions=500`.

    Raises:
        ConfigurationError: it is none.
    """
    found: dict[str, float] = {}
    for part in filter(None, map(str.strip, raw.split(","))):
        name, equals, value = part.partition("=")
        try:
            found[name.strip()] = float(value if equals else "")
        except ValueError:
            raise ConfigurationError(f"{part!r}: use NAME=NUMBER, such as error_ratio=0.2") from None
    return check(found)
