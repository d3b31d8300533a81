"""What happened in one session, in order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from .. import _runtime, _values
from .. import _semconv as sc
from .._lifecycle import Lifecycle
from .._limiting.status import QuotaStatus
from .._models import AttributeValue, SessionRecord
from .._statistics import moment
from .._uses import Use
from ..exceptions import InvalidValueError
from ._description import describe, plain_attributes

EntryKind: TypeAlias = Literal["start", "event", "use", "end"]

_NS: Final = 1_000_000_000


class Entry(NamedTuple):
    """Something that happened in a session."""

    time: dt.datetime
    offset: float
    """Seconds since the session started; negative if it happened where the clock was behind."""
    kind: EntryKind
    name: str
    """That of the event, or of what was used."""
    attributes: Mapping[str, AttributeValue]

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return self._asdict() | {"time": self.time.isoformat(), "attributes": plain_attributes(self.attributes)}


class Timeline(NamedTuple):
    """A session, and what happened in it as far as the store knows."""

    record: SessionRecord
    at_ns: int
    """When it was looked at, in nanoseconds since the epoch."""
    entries: tuple[Entry, ...]
    """Its start, events and single uses in the order of their times, and its end."""
    missing_events: int
    """How many more events it had. Those of a scoped session are on its span only, a durable one keeps the last 128,
    and memory none of a session that has ended.
    """
    missing_uses: int
    """How many more uses it had, at least: it keeps the last 50."""
    quotas: tuple[QuotaStatus, ...] | None
    """How its quotas stand now: those of its tier, as this process has it, and its own. None if it has ended, or this
    process does not know its tier.
    """

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        record = self.record
        return {
            "session": describe(record, self.at_ns),
            "limits": list((record.totals.limits or {}).values()),
            "quotas": None if self.quotas is None else [quota.to_dict() for quota in self.quotas],
            "timeline": [entry.to_dict() for entry in self.entries],
            "missing_events": self.missing_events,
            "missing_uses": self.missing_uses,
        }


def timeline(id: str, /) -> Timeline | None:  # noqa: A002 - as in `get`
    """What happened in the session with that id, active or ended; None if nothing is known of it.

    Raises:
        InvalidValueError: it is no text.
        StoreError: the store cannot be asked.
    """
    sought = _values.sought_id(id)
    runtime = _runtime.get()
    if not runtime.enabled or sought is None:
        return None
    lifecycle = runtime.lifecycle
    lifecycle.limiter.measured.settle_all()
    record = lifecycle.ledger.get_or_fail(sought)
    if record is None:
        return None
    totals = record.totals
    return Timeline(
        record=record,
        at_ns=lifecycle.clock.time_ns(),
        entries=tuple(_entries(record)),
        missing_events=max(0, totals.events - len(totals.recent or ())),
        missing_uses=totals.dropped_uses if totals.uses else int(sum((totals.operation_counts or {}).values())),
        quotas=_quotas(lifecycle, record) if record.is_active else None,
    )


def _entries(record: SessionRecord) -> Iterator[Entry]:
    started_ns, totals = record.beginning.started_ns, record.totals

    def entry(time_ns: int, kind: EntryKind, name: str, attributes: Mapping[str, AttributeValue]) -> Entry:
        return Entry(moment(time_ns), (time_ns - started_ns) / _NS, kind, name, attributes)

    yield entry(started_ns, "start", sc.EVENT_SESSION_START, {sc.TYPE: record.type})
    between = [(event.time_ns, entry(event.time_ns, "event", *event[::2])) for event in totals.recent or ()]
    for use in map(Use.read, totals.uses or ()):
        amount: dict[str, AttributeValue] = {sc.LIMIT_AMOUNT: use.amount}
        if use.operation is not None:
            amount[sc.OPERATION] = use.operation
        between.append((use.time_ns, entry(use.time_ns, "use", use.name, amount)))
    yield from (each for _, each in sorted(between, key=lambda pair: pair[0]))
    if record.ended_ns is not None:
        ending: dict[str, AttributeValue] = {sc.STATUS: record.status}
        if record.end_reason is not None:
            ending[sc.END_REASON] = record.end_reason
        yield entry(record.ended_ns, "end", sc.EVENT_SESSION_END, ending)


def _quotas(lifecycle: Lifecycle, record: SessionRecord) -> tuple[QuotaStatus, ...] | None:
    try:
        return tuple(lifecycle.limiter.quotas(lifecycle.ledger.recent.of(record)))
    except InvalidValueError:
        # Its tier is defined where the application runs, and not here.
        return None
