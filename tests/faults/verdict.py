"""What is wrong with what arrived, compared with what was told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from otel_sessions import _semconv as sc
from otel_sessions.testing import ReceivedSpan

from .journal import Count, Identity, Journal, Told

_NS = 1_000_000_000
_SLACK_NS = _NS // 2
"""By how much a merge may be late: the machine is busy."""

_OF_DURABLE: Mapping[str, frozenset[str]] = {"visit": frozenset({"expired"}), "lecture": frozenset({"expired"})}


@dataclass
class Verdict:
    """What is known after one batch, or several."""

    rounds: int = 0
    sessions: int = 0
    resent: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    """How many sessions ended for which reason."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Verdict) -> None:
        self.rounds += other.rounds
        self.sessions += other.sessions
        self.resent += other.resent
        self.ends += other.ends
        self.lost += other.lost
        self.doubled += other.doubled
        self.wrong += other.wrong

    @property
    def violations(self) -> list[str]:
        return [*self.lost, *self.doubled, *self.wrong]


def judge(journal: Journal, spans: Iterable[ReceivedSpan], intervals: Mapping[int, float], last: int) -> Verdict:
    """Compare.

    Args:
        journal: what workers have told.
        spans: what has arrived.
        intervals: the seconds between two merges of each worker.
        last: the worker that ended what was left.
    """
    arrived: defaultdict[str, list[ReceivedSpan]] = defaultdict(list)
    for span in spans:
        if span.name.startswith("session "):
            arrived[span.attributes[sc.SESSION_ID]].append(span)
    verdict = Verdict(rounds=len(intervals) - 1)
    for session_id in sorted(arrived.keys() | journal.sessions.keys()):
        _Case(session_id, journal, arrived[session_id], intervals, last).judge(verdict)
    return verdict


class _Case:
    """One session."""

    def __init__(
        self, session_id: str, journal: Journal, copies: list[ReceivedSpan], intervals: Mapping[int, float], last: int
    ) -> None:
        self.id = session_id
        self.journal = journal
        self.told = journal.sessions.get(session_id, Told())
        self.copies = copies
        self.intervals = intervals
        self.last = last

    def judge(self, verdict: Verdict) -> None:
        verdict.sessions += 1
        identities = {(span.trace_id, span.span_id) for span in self.copies}
        if not identities:
            if self.told.identities:
                verdict.lost.append(self._say("lost", identities))
            return
        verdict.resent += len(self.copies) - 1
        verdict.ends[self.copies[0].attributes[sc.END_REASON]] += 1
        if len(identities | self.told.identities.keys()) > 1:
            verdict.doubled.append(self._say("doubled", identities))
            return
        verdict.wrong += [self._say(what, identities) for what in self._wrong(self.copies[0])]

    def _say(self, what: str, identities: Iterable[Identity]) -> str:
        told = self.told
        said = [
            f"told as {list(told.identities)}, arrived as {list(identities)}",
            f"lives {sorted((life, self.journal.died.get(life)) for life in told.lives)}",
            f"ending {told.ending}",
            f"ended {told.ended}",
            f"counted {len(told.counted)} of {told.counting}",
        ]
        if self.copies:
            said.append(f"{[(span.name, span.start_ns, span.end_ns, span.attributes) for span in self.copies]}")
        return "\n    ".join([f"{self.id}: {what}", *said])

    def _wrong(self, span: ReceivedSpan) -> Iterator[str]:
        summaries = {self._summary(copy) for copy in self.copies}
        if len(summaries) > 1:
            yield f"the copies differ: {summaries}"
        if len(self.told.ended) > 1:
            yield "ended twice"
        status, reason = span.attributes[sc.STATUS], span.attributes[sc.END_REASON]
        allowed = self._statuses(span)
        if status not in allowed:
            yield f"{status}/{reason}, not {sorted(allowed)}"
        # The exception that ended it is an event, too.
        count = span.attributes[sc.EVENT_COUNT] - span.attributes[sc.ERROR_COUNT]
        least = sum(self._must_be_there(count, span) for count in self.told.counted)
        if not least <= count <= self.told.counting:
            yield f"{count} counted, not {least} to {self.told.counting}"

    @staticmethod
    def _summary(span: ReceivedSpan) -> tuple[object, ...]:
        return (
            *(span.attributes[name] for name in (sc.STATUS, sc.END_REASON, sc.EVENT_COUNT, sc.ERROR_COUNT)),
            span.start_ns,
            span.end_ns,
        )

    def _statuses(self, span: ReceivedSpan) -> set[str]:
        if self.told.ended:
            return {self.told.ended[0].status}
        kind = span.attributes[sc.TYPE]
        allowed = {ending.status for ending in self.told.ending}
        if kind == "job":
            return allowed | {"abandoned", "cancelled"}
        # What nobody was told about may have been ended by the last one.
        return allowed | _OF_DURABLE.get(kind, frozenset()) | (set() if self.told.ending else {"cancelled", "success"})

    def _must_be_there(self, count: Count, span: ReceivedSpan) -> bool:
        """Whether what was counted then had to be merged before its worker died, or the session ended elsewhere.

        On a machine that is too busy a worker, or the store, may have stood still for a while before the kill.
        """
        ended = self.told.ended
        if ended and ended[0].life == count.life and self._ending_ns() > count.time_ns:
            return True
        due_ns = count.time_ns + int(self.intervals[count.life] * _NS) + _SLACK_NS
        # An abandoned one ends at the last sign of life of a worker that went on for a while.
        was_abandoned = span.attributes[sc.STATUS] == "abandoned"
        return due_ns < self.journal.answered[count.life] and (was_abandoned or due_ns < span.end_ns)

    def _ending_ns(self) -> int:
        """When the one that ended it was about to: others may have tried meanwhile, and found it ended."""
        winner = self.told.ended[0]
        return max(
            each.time_ns
            for each in self.told.ending
            if (each.life, each.thread) == (winner.life, winner.thread) and each.time_ns <= winner.time_ns
        )
