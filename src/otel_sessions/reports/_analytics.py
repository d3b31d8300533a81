"""What users, and all of them, have used: sums over the sessions that are active or remembered."""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from .. import _runtime, _values
from .. import _semconv as sc
from .._ledger import Ledger
from .._lifecycle import Lifecycle
from .._models import SessionRecord, Totals
from .._statistics import moment
from .._uses import Use
from .._wanted import Place, Wanted

_LOOK_BACK: Final = 10_000
"""How many ended sessions are looked at: of one user, or of everybody."""
_ASKED: Final = _LOOK_BACK + 1
"""One more, to know whether there are more."""


class UsageEntry(NamedTuple):
    """One use: when, in which session, what, how much, and for what."""

    time: dt.datetime
    session_id: str
    name: str
    amount: float
    """Negative if it was given back."""
    operation: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return self._asdict() | {"time": self.time.isoformat()}


class Analytics(NamedTuple):
    """What sessions add up to: those that are active, and the last 10,000 that have ended and are remembered.

    Of a user it is the last 10,000 of the user's own.
    """

    time: dt.datetime
    """When it was looked at."""
    user: str | None
    """The pseudonym of the user whose sessions they are; None: they are everybody's."""
    users: int
    """How many different users they are of."""
    sessions: int
    active: int
    """How many of them have not ended."""
    by_type: Mapping[str, int]
    """How many there are of each type."""
    requests: int
    errors: int
    turns: int
    messages: int
    tokens: Mapping[str, float]
    """By type."""
    cost: Mapping[str, float]
    """By currency."""
    usage: Mapping[str, float]
    """How much was used, by name, limited or not; see `SessionStatistics.usage`."""
    operations: int
    """How often something was used; several quotas at once count as one."""
    operation_counts: Mapping[str, int]
    """How often, by operation, as far as one was named. Beyond 100 in one session the rest is `_OTHER`."""
    operation_usage: Mapping[str, Mapping[str, float]]
    """How much was used, by operation and by the name of the quota."""
    is_complete: bool
    """False: the store remembers more ended sessions than are looked at, or memory has let go of some, whosever they
    were: it keeps as many as the setting `history` says. Whether a store outside the process has forgotten some is not
    known.
    """

    @property
    def most_used_operation(self) -> str | None:
        """The operation that was done most often; of several, the first by its name. None if none was named."""
        named = self.operation_counts.keys() - {sc.OTHER}
        return min(named, key=lambda name: (-self.operation_counts[name], name), default=None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values, the most used operation included."""
        return self._asdict() | {"time": self.time.isoformat(), "most_used_operation": self.most_used_operation}


class _Found(NamedTuple):
    """The sessions that were looked at, and whether they are all there are."""

    records: list[SessionRecord]
    is_complete: bool


_NONE: Final = _Found([], is_complete=True)


def usage_history(user: str, *, limit: int = 100) -> list[UsageEntry]:
    """What a user has used lately, the latest use first; what turns consume is in it where a quota counts it.

    Each session keeps its last 50 uses, for as long as it is remembered; in memory the last 1,000 that have ended do.
    The user's active sessions are looked at, and the last 10,000 that ended. Sums are in `user_analytics`.

    Args:
        user: the clear name, or the pseudonym.
        limit: how many uses at most.

    Raises:
        InvalidValueError: the user is no text, or the limit no whole number from 1 on.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    _values.sought_user(user)
    limit = _values.whole("the number of uses", limit)
    runtime = _runtime.get()
    if not runtime.enabled:
        return []
    records = _of_user(runtime.lifecycle, user).records
    lines = ((line, record.id) for record in records for line in record.totals.uses or ())
    return [_entry(Use.read(line), session_id) for line, session_id in heapq.nlargest(limit, lines)]


def user_analytics(user: str) -> Analytics:
    """What the sessions of a user add up to; zeros if there are none.

    Args:
        user: the clear name, or the pseudonym.

    Raises:
        InvalidValueError: the user is no text.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    _values.sought_user(user)
    runtime = _runtime.get()
    if not runtime.enabled:
        return _summed(_NONE, runtime.lifecycle)
    found = _of_user(runtime.lifecycle, user)
    pseudonym = next((record.user for record in found.records), None) or runtime.lifecycle.pseudonyms.user(user)
    return _summed(found, runtime.lifecycle, pseudonym)


def system_analytics() -> Analytics:
    """What all sessions add up to. It goes through every active one, which takes a while where there are many.

    Raises:
        StoreError: the store cannot be asked.
    """
    runtime = _runtime.get()
    if not runtime.enabled:
        return _summed(_NONE, runtime.lifecycle)
    ledger = _settled(runtime.lifecycle)
    # First the active ones, so that none is missed that ends meanwhile.
    active = ledger.active_or_fail()
    return _summed(_found(ledger, active, [ledger.past.ended(_ASKED)]), runtime.lifecycle)


def _entry(use: Use, session_id: str) -> UsageEntry:
    return UsageEntry(
        time=moment(use.time_ns), session_id=session_id, name=use.name, amount=use.amount, operation=use.operation
    )


def _settled(lifecycle: Lifecycle) -> Ledger:
    """The books, with what turns and instrumentations have measured until now."""
    lifecycle.limiter.measured.settle_all()
    return lifecycle.ledger


def _of_user(lifecycle: Lifecycle, user: str) -> _Found:
    ledger = _settled(lifecycle)
    names = lifecycle.pseudonyms.meant_by(user)
    active = [record for name in names for record in ledger.active_or_fail(name)]
    return _found(ledger, active, [ledger.past.history(Wanted(user=name), _ASKED) for name in names])


def _found(ledger: Ledger, active: list[SessionRecord], each: list[list[SessionRecord]]) -> _Found:
    """The active sessions, and the latest of those that had ended when they were asked for afterwards, by name."""
    ended = heapq.nlargest(_ASKED, itertools.chain(*each), key=Place.of)
    # By id: one may have ended between the two questions.
    records = {record.id: record for record in (*active, *ended[:_LOOK_BACK])}
    is_complete = len(ended) <= _LOOK_BACK and not ledger.past.has_forgotten
    return _Found(list(records.values()), is_complete)


def _summed(found: _Found, lifecycle: Lifecycle, user: str | None = None) -> Analytics:
    totals = Totals()
    for record in found.records:
        totals.add_sums(record.totals)
    counts = totals.operation_counts or {}
    return Analytics(
        time=moment(lifecycle.clock.time_ns()),
        user=user,
        users=len({record.user for record in found.records} - {None}),
        sessions=len(found.records),
        active=sum(record.is_active for record in found.records),
        by_type=dict(Counter(record.type for record in found.records)),
        requests=totals.requests,
        errors=totals.errors,
        turns=totals.turns,
        messages=int(sum((totals.messages or {}).values())),
        tokens=totals.tokens or {},
        cost=totals.cost or {},
        usage=totals.usage or {},
        operations=int(sum(counts.values())),
        operation_counts={name: int(count) for name, count in counts.items() if name},
        operation_usage=_by_operation(totals),
        is_complete=found.is_complete,
    )


def _by_operation(totals: Totals) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for key, amount in (totals.operations or {}).items():
        operation, _, name = key.partition("|")
        found.setdefault(operation, {})[name] = amount
    return found
