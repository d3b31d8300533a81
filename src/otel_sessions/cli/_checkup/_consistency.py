"""Whether what is stored fits together: sums and records, sessions and those who are to end or export them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from ... import _process
from ..._tally import HOUR_NS, hour_of
from ..._wanted import Place
from ...exceptions import SessionsError
from ...security.redaction import redact
from ...stores._facts import Facts
from ...typing import HistoryStore, SessionRecord, SharedStore, Store, Wanted
from .._output import plain
from ._finding import Finding, ok, problem, warning

_NS: Final = 1_000_000_000
_SILENCE_NS: Final = 600 * _NS
"""After so long without a heartbeat a process is gone, wherever it ran."""
_OWED_NS: Final = 600 * _NS
_HOURS: Final = 3
_PAGE: Final = 500
_MOST: Final = 50_000
"""How many sessions are gone through."""
_SUMMED: Final = ("sessions", "requests", "errors", "turns")

Sums = Mapping[tuple[int, str], int]


def consistency(store: Store, facts: Facts | None, *, most: int = _MOST) -> Iterator[Finding]:
    """What does not fit together in a store; nothing is said of more than so many sessions."""
    try:
        if isinstance(store, SharedStore):
            yield from _orphans(store, most)
        if facts is not None:
            yield _owed(facts)
        if isinstance(store, HistoryStore):
            yield _sums(store, most)
    except SessionsError as error:
        yield problem("consistency", redact(plain(error)), "see docs/stores.md")


def _orphans(store: SharedStore, most: int) -> Iterator[Finding]:
    """Active sessions whose process is gone."""
    if sum(store.counts().values()) > most:
        yield ok("crashed processes", f"not looked for among more than {most:,} active sessions")
        return
    now_ns = time.time_ns()
    beats = store.owners()
    left = [record for record in store.active() if _is_left(record, beats, now_ns)]
    if left:
        yield warning(
            "crashed processes",
            f"{len(left):,} active sessions are of processes that are gone",
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
    told = f"{facts.owed:,} ended sessions wait to be exported, the first for {max(0, age_ns) / _NS:,.0f} s"
    if age_ns <= _OWED_NS:
        return ok("owed exports", told)
    return warning(
        "owed exports", told, "see whether the application's exporter gets through; if none runs: otel-sessions recover"
    )


def _sums(store: HistoryStore, most: int) -> Finding:
    """Whether the sums of the last full hours are those of the records."""
    until = hour_of(time.time_ns())
    since = until - _HOURS
    period = f"the last {_HOURS} full hours"
    records, kept = _by_record(store, since, until, most), _by_hour(store, since, until)
    if records is not None and kept != records:
        # Once more, for a session may have been counted in between the two looks.
        records, kept = _by_record(store, since, until, most), _by_hour(store, since, until)
    if records is None:
        return ok("sums", f"not compared: more than {most:,} sessions ended in {period}")
    if kept == records:
        return ok("sums", f"those of {period} are right: {_count(records):,} sessions")
    different = sorted({name for _, name in kept.keys() | records.keys() if _of(kept, name) != _of(records, name)})
    told = ", ".join(f"{name} {_total(kept, name):,} and {_total(records, name):,}" for name in different)
    return warning(
        "sums",
        f"in {period} the sums and the records differ: {told}",
        "records that were forgotten since (cleanup, a retention of hours) explain fewer of them; else report it",
    )


def _by_record(store: HistoryStore, since: int, until: int, most: int) -> Sums | None:
    """What the records add up to; None if there are too many of them."""
    found: Counter[tuple[int, str]] = Counter()
    wanted, before, seen = Wanted(since_ns=since * HOUR_NS, until_ns=until * HOUR_NS), None, 0
    while page := store.history(wanted, _PAGE, before):
        seen += len(page)
        if seen > most:
            return None
        for record in page:
            hour, totals = hour_of(record.ended_ns or 0), record.totals
            for name, value in zip(_SUMMED, (1, totals.requests, totals.errors, totals.turns), strict=True):
                found[hour, name] += value
        before = Place.of(page[-1])
    return +found


def _by_hour(store: HistoryStore, since: int, until: int) -> Sums:
    found: Counter[tuple[int, str]] = Counter()
    for each in store.tallies(since, until):
        for name in _SUMMED:
            found[each.hour, name] += getattr(each.tally, name)
    return +found


def _of(sums: Sums, name: str) -> Mapping[int, int]:
    return {hour: value for (hour, each), value in sums.items() if each == name}


def _total(sums: Sums, name: str) -> int:
    return sum(_of(sums, name).values())


def _count(sums: Sums) -> int:
    return _total(sums, "sessions")
