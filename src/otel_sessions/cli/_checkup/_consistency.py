"""Whether what is stored fits together: sums and records, sessions and those who are to end or export them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

from ... import _process
from ..._tally import hour_of
from ...exceptions import SessionsError
from ...reports._figures import counted
from ...reports._verification import discrepancies
from ...security.redaction import redact
from ...stores._facts import Facts
from ...typing import RecountStore, SessionRecord, SharedStore, Store
from .._output import plain
from ._finding import Finding, ok, problem, warning

_NS: Final = 1_000_000_000
_SILENCE_NS: Final = 600 * _NS
"""After so long without a heartbeat a process is gone, wherever it ran."""
_OWED_NS: Final = 600 * _NS
_HOURS: Final = 3
_MOST: Final = 50_000
"""How many sessions are gone through."""


def consistency(store: Store, facts: Facts | None, *, most: int = _MOST) -> Iterator[Finding]:
    """What does not fit together in a store; nothing is said of more than so many sessions."""
    try:
        if isinstance(store, SharedStore):
            yield from _orphans(store, most)
        if facts is not None:
            yield _owed(facts)
        if isinstance(store, RecountStore):
            yield _sums(store, most)
    except SessionsError as error:
        yield problem("consistency", redact(plain(error)), "see docs/stores.md")


def _orphans(store: SharedStore, most: int) -> Iterator[Finding]:
    """Active sessions whose process is gone."""
    if sum(store.counts().values()) > most:
        yield ok("crashed processes", f"not looked for among more than {counted(most, 'active session')}")
        return
    now_ns = time.time_ns()
    beats = store.owners()
    left = [record for record in store.active() if _is_left(record, beats, now_ns)]
    if left:
        yield warning(
            "crashed processes",
            f"{counted(len(left), 'active session')} of processes that are gone",
            "a running application finishes them within a minute; if none runs: otel-sessions recover",
        )
    else:
        yield ok("crashed processes", "none has left an active session")


def _is_left(record: SessionRecord, beats: Mapping[str, int], now_ns: int) -> bool:
    owner = record.beginning.owner
    if record.beginning.topology != "scoped" or owner is None:
        return False
    # Who has taken it over has a heartbeat of its own, but stands not in the beginning: then it is looked after.
    beat_ns = beats.get(owner)
    return beat_ns is not None and (now_ns - beat_ns > _SILENCE_NS or _process.is_gone(owner))


def _owed(facts: Facts) -> Finding:
    """Ended sessions that nobody exports."""
    if facts.oldest_owed_ns is None:
        return ok("owed exports", "none")
    age_ns = time.time_ns() - facts.oldest_owed_ns
    told = f"{counted(facts.owed, 'ended session')} waiting to be exported, the first for {max(0, age_ns) / _NS:,.0f} s"
    if age_ns <= _OWED_NS:
        return ok("owed exports", told)
    return warning(
        "owed exports", told, "see whether the application's exporter gets through; if none runs: otel-sessions recover"
    )


def _sums(store: RecountStore, most: int) -> Finding:
    """Whether the sums of the last full hours are those of the sessions; `verify` looks at all of them."""
    until = hour_of(time.time_ns())
    since = until - _HOURS
    period = f"the last {_HOURS} full hours"
    ended = sum(each.tally.sessions for each in store.tallies(since, until))
    if ended > most:
        return ok("sums", f"not compared: more than {counted(most)} ended in {period}")
    recounts = {hour: store.recount_hour(hour) for hour in range(since, until)}
    apart = [
        each
        for hour, recount in recounts.items()
        if recount is not None and not recount.is_partial
        for each in discrepancies("hour", hour, recount)
    ]
    if not apart:
        return ok("sums", f"those of {period} are right: {counted(ended)}")
    return warning(
        "sums", f"in {period} the sums and the sessions differ; {apart[0]}", "see all of it with: otel-sessions verify"
    )
