"""What can be made to go wrong, so that it is seen in a dashboard or an alert."""

from __future__ import annotations

from typing import Final, NamedTuple

from ... import _semconv as sc


class Fault(NamedTuple):
    """One thing that goes wrong from the start of the traffic to its end.

    `makes` names the metrics that come of nothing else, or much later.
    """

    name: str
    about: str
    makes: tuple[sc.Metric, ...] = ()


ERRORS: Final = Fault("errors", "a third of the conversations and jobs end in an error")
SLOW: Final = Fault("slow", "answers take from 3 to 40 seconds, 12 on average, at every speed")
REFUSALS: Final = Fault("refusals", "two clients take no notice of being refused, and go on asking")
QUOTAS: Final = Fault(
    "quotas", "one user comes near the end of a quota, and uses it up", makes=(sc.QUOTA_TIME_TO_EXHAUSTION,)
)
LEASES: Final = Fault("leases", "one user holds all the slots there are")
SUSPICIOUS: Final = Fault("suspicious", "findings of suspicious activity")
ACCESS: Final = Fault("access", "somebody tries passwords: 401 and 403")
CRASHES: Final = Fault("crashes", "the worker is killed, again and again")
CROWD: Final = Fault("crowd", "120 sessions more are open, six of them one user's")
IDLE: Final = Fault("idle", "conversations in which next to nothing happens")
STORE: Final = Fault("store", "calls to the store fail")
DROPS: Final = Fault("drops", "sessions are used after they have ended, which is dropped", makes=(sc.DROPPED,))
LOGS: Final = Fault("logs", "the log file grows without end (with --log-file)")

FAULTS: Final = {
    fault.name: fault
    for fault in (
        ERRORS, SLOW, REFUSALS, QUOTAS, LEASES, SUSPICIOUS, ACCESS, CRASHES, CROWD, IDLE, STORE, DROPS, LOGS,
    )
}  # fmt: skip
