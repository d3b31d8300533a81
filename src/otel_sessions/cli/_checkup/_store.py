"""Whether the store can be had, what is in it, and whether the clocks agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from ...exceptions import SessionsError
from ...reports._figures import counted
from ...security.redaction import redact
from ...stores import from_url
from ...stores._facts import Facts
from ...typing import HistoryStore, RetentionStore, SharedStore, Store, Wanted
from .._failure import Failure
from .._output import plain
from .._store import check, looking, place
from ._finding import Finding, ok, problem, warning

_CHECK: Final = "store"
_NS: Final = 1_000_000_000
_LARGEST: Final = 2**62
_OFF_NS: Final = 5 * _NS
"""How much clocks may differ."""
_SLOW_SECONDS: Final = 0.1
_TRIES: Final = 3
_MIB: Final = 2**20
_AWAY: Final = "see docs/stores.md; the application goes on, and says so in its log"


@runtime_checkable
class _Factual(Protocol):
    """A store that knows more of itself."""

    def facts(self) -> Facts:
        """What there is to know."""


@dataclass
class Reached:
    """The store, once it has been made: others look into it as well."""

    store: Store | None = None
    facts: Facts | None = None
    answers: bool = False
    """Whether it has answered all that it was asked."""


def store(url: str | None, reached: Reached) -> Iterator[Finding]:
    """What there is to say of the store; if it can be made it is `reached`, and the caller's to shut down."""
    if url is None or url.startswith("memory:"):
        yield ok(_CHECK, "memory: each process keeps its sessions to itself, and nothing of them can be seen from here")
        return
    try:
        reached.store = found = from_url(looking(check(url)))
        yield from _looked_at(found, url, reached)
        reached.answers = True
    except (Failure, SessionsError) as error:
        yield problem(_CHECK, redact(plain(error)), _AWAY)


def _looked_at(found: Store, url: str, reached: Reached) -> Iterator[Finding]:
    found.secret()
    seconds, active = min(
        (_timed(lambda: sum(found.counts().values())) for _ in range(_TRIES)), key=lambda each: each[0]
    )
    facts = reached.facts = found.facts() if isinstance(found, _Factual) else None
    told = [f"{found.name} at {place(url)}"]
    if facts is not None:
        told.append(f"version {facts.version} of what is stored")
        told += [] if facts.bytes is None else [f"{facts.bytes / _MIB:,.1f} MiB"]
    told.append(counted(active, "active session"))
    if isinstance(found, RetentionStore):
        told.append(f"{found.purgeable(_LARGEST):,} ended")
    yield ok(_CHECK, ", ".join(told))
    if facts is not None and facts.obstacle is not None:
        yield warning(
            "permission",
            f"this user can read the store, and not write: {plain(facts.obstacle)}",
            "nothing is to be done if the application runs as another user; it has to write",
        )
    yield round_trip(seconds)
    if facts is not None and facts.evicts:
        yield warning(
            "eviction", "the server lets go of keys when its memory is full", "set its maxmemory-policy to noeviction"
        )
    yield from clock(found, facts)


def _timed(ask: Callable[[], int]) -> tuple[float, int]:
    began = time.perf_counter()
    told = ask()
    return time.perf_counter() - began, told


def round_trip(seconds: float) -> Finding:
    """How long a question takes."""
    told = f"a question takes {seconds * 1000:.1f} ms"
    if seconds > _SLOW_SECONDS:
        return warning("round trip", told, "move the store nearer: each start and each end waits for it")
    return ok("round trip", told)


def clock(found: Store, facts: Facts | None) -> Iterator[Finding]:
    """Whether clocks differ: the server's from ours, and those of whoever wrote from ours."""
    now_ns = time.time_ns()
    ahead = {
        "the store was written": None if facts is None else facts.changed_ns,
        "a process showed a heartbeat": _last_beat(found),
        "a session ended": _last_end(found, now_ns),
    }
    late = [
        f"{what} {(at - now_ns) / _NS:,.0f} s in the future"
        for what, at in ahead.items()
        if at is not None and at - now_ns > _OFF_NS
    ]
    if facts is not None and facts.clock_ns is not None and abs(facts.clock_ns - now_ns) > _OFF_NS:
        late.insert(0, f"the server's differs by {(facts.clock_ns - now_ns) / _NS:+,.0f} s")
    if late:
        yield warning("clock", "; ".join(late), "have all machines keep their clocks by NTP")
    else:
        yield ok("clock", "nothing is in the future" if facts is None or facts.clock_ns is None else "as the server's")


def _last_beat(found: Store) -> int | None:
    return max(found.owners().values(), default=None) if isinstance(found, SharedStore) else None


def _last_end(found: Store, now_ns: int) -> int | None:
    """When the session ended that ended last, if that is yet to come."""
    if not isinstance(found, HistoryStore):
        return None
    last = found.history(Wanted(since_ns=now_ns + _OFF_NS), 1)
    return last[0].ended_ns if last else None
