"""The checks of security, of resources and of the store: most of it is known to this process only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .. import _thresholds as at
from ..exceptions import StoreError
from .evidence import Evidence
from .minutes import Lately
from .rule import Rule, Value, here, whether

_PLATFORM: Final = "this platform does not say it without another library"
_NOT_WATCHED: Final = "this process has not watched it for ten minutes yet"


def _busy(lately: Lately) -> Iterator[Value]:
    if lately.is_whole and lately.busy is not None:
        yield Value(lately.busy)


def _storage(evidence: Evidence) -> Iterator[Value]:
    found = evidence.storage
    if found is not None and found.used + found.free >= max(evidence.at(at.STORAGE_MIN_SIZE), 1):
        yield Value(found.ratio)


def _failing(evidence: Evidence) -> Iterator[Value]:
    """Of the calls of this process; if the store has just failed, all that counts is that it does."""
    try:
        asked = evidence.active
    except StoreError:
        asked = None
    lately = evidence.lately
    if asked is None or evidence.store_failure is not None:
        yield Value(1.0, reason=str(evidence.store_failure))
    elif lately is None or lately.calls < max(evidence.at(at.STORE_MIN_CALLS), 1):
        yield Value(0.0)
    else:
        yield Value(lately.failures / lately.calls)


def _pending(lately: Lately) -> Iterator[Value]:
    if lately.is_whole:
        yield Value(lately.pending)


def _dropped(lately: Lately) -> Iterator[Value]:
    yield Value(0)
    for (reason,), count in lately.dropped.items():
        yield Value(count, reason)


RULES: Final = (
    Rule(
        "SessionSuspiciousActivity",
        "error",
        "security",
        ">=",
        at.FINDINGS,
        "Read the findings' log events, and decide whether they are one incident.",
        here(lambda lately: whether(lately.findings)),
        "",
        here_only=True,
    ),
    Rule(
        "SessionAccessFailuresHigh",
        "warning",
        "security",
        ">=",
        at.ACCESS_FAILURES,
        "See whether they come from few sessions or many, and whether a deployment broke the login.",
        here(lambda lately: whether(lately.access_failures)),
        "",
        here_only=True,
    ),
    Rule(
        "SessionHostMemoryHigh",
        "warning",
        "resources",
        ">",
        at.MEMORY,
        "Find the process that has grown, and restart it or give it more before the kernel chooses one.",
        lambda evidence: whether(evidence.machine.memory_used()),
        _PLATFORM,
        here_only=True,
    ),
    Rule(
        "SessionHostCpuHigh",
        "warning",
        "resources",
        ">",
        at.CPU,
        "Find the process that is busy, and see whether response times suffer.",
        here(_busy),
        f"{_NOT_WATCHED}, or {_PLATFORM}",
        here_only=True,
    ),
    Rule(
        "SessionProcessMemoryHigh",
        "warning",
        "resources",
        ">",
        at.PROCESS_MEMORY,
        "See whether it keeps growing, and restart it in order before the kernel kills it.",
        lambda evidence: whether(evidence.machine.memory_held()),
        _PLATFORM,
        here_only=True,
    ),
    Rule(
        "SessionHostStorageHigh",
        "error",
        "resources",
        ">",
        at.STORAGE,
        "Make room: look for what is largest, rotated logs first.",
        _storage,
        "the store is no file of this machine, or on a file system so small that its use says little",
    ),
    Rule(
        "SessionStoreFailing",
        "error",
        "store",
        ">",
        at.STORE_FAILURES,
        "See whether the store can be reached from the application's hosts, and whether it is full.",
        _failing,
        "",
    ),
    Rule(
        "SessionStorePendingHigh",
        "warning",
        "store",
        ">",
        at.PENDING,
        "See whether the store fails, or is too slow for so many sessions.",
        here(_pending),
        _NOT_WATCHED,
        here_only=True,
    ),
    Rule(
        "SessionRecordsDropped",
        "warning",
        "store",
        ">",
        at.DROPPED,
        "Look the reason up in the documentation: some are mistakes in the application, some a lack of room.",
        here(_dropped),
        "",
        here_only=True,
    ),
)
