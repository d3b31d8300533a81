"""What one session may use: the limits of its tier and its own, with the buckets in which its use is counted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from .._counting.buckets import Bucket
from ..exceptions import InvalidValueError
from ..limits.policy import TOTAL, Concurrency, Limit, Quota, Rate, Scope, window_name

if TYPE_CHECKING:
    from .._live import Live
    from ..limits.tiers import Tier

Actor: TypeAlias = "tuple[str | None, str | None]"
"""The session's user and its tenant."""

_FOREVER_US: Final = 2**62
_MARGIN_US: Final = 3_600 * 1_000_000

RENEWALS: Final = 3
"""How often a slot is renewed in its time to live."""


class Gauge(NamedTuple):
    """One limit, as it is for one session: what is asked of a store."""

    limit: Limit
    bucket: Bucket
    window: str


class Allowances:
    """The limits of one session. It is made anew when the session's user changes.

    Args:
        round_us: the time between two rounds of the background, which renews slots.
    """

    __slots__ = ("_gauges", "_live", "_round_us", "_since_us", "_tenant", "_until_us", "own", "tier", "user")

    def __init__(
        self,
        live: Live,
        tier: Tier | None,
        tenant: str | None,
        own: Mapping[tuple[str, str], Limit],
        *,
        round_us: int,
    ) -> None:
        self.tier = tier
        self.user = live.user
        self._live = live
        self._tenant = tenant
        self._round_us = round_us
        self.own = own
        self._gauges: dict[tuple[str, str], tuple[Gauge, ...]] = {}
        self._begin()

    def _begin(self) -> None:
        self._since_us = -_FOREVER_US
        self._until_us = _FOREVER_US

    def of(self, kind: str, name: str, now_us: int) -> tuple[Gauge, ...]:
        """The limits of that kind and name; none if it is not limited."""
        if not self._since_us <= now_us < self._until_us:
            # A period of the calendar is over, or the clock was wrong. In this order: what another thread makes
            # meanwhile is made again, and not kept beyond its period.
            self._begin()
            self._gauges.clear()
        found = self._gauges.get((kind, name))
        if found is None:
            found = tuple(self._make(kind, name, now_us))
            # There are as many names that are not limited as anybody thinks of.
            if found:
                self._gauges[kind, name] = found
        return found

    def quotas(self, now_us: int) -> Mapping[str, tuple[Gauge, ...]]:
        """All quotas of the session, by name."""
        names = [] if self.tier is None else [*self.tier.quotas]
        names += [name for kind, name in self.own if kind == "quota" and name not in names]
        return {name: self.of("quota", name, now_us) for name in names}

    def _make(self, kind: str, name: str, now_us: int) -> Iterable[Gauge]:
        for limit in self._limits(kind, name):
            actor = self._actor(limit.scope)
            if isinstance(limit, Quota):
                group = None
                if self.tier is not None and (kind, name) not in self.own:
                    group = group_of(self.tier, limit)
                if limit.per in {"minute", "hour", "day", "month"}:
                    since, until = limit.period(now_us)
                    self._since_us, self._until_us = max(self._since_us, since), min(self._until_us, until)
                bucket = limit.bucket(f"{name}|{limit.per}|{actor}", now_us, group)
                yield Gauge(limit, bucket._replace(keep_us=self._keep_us(limit, bucket)), limit.per)
            elif isinstance(limit, Rate):
                for bucket, (_, seconds) in zip(limit.buckets(f"{name}|{actor}"), limit.windows, strict=True):
                    yield Gauge(limit, bucket, window_name(limit, seconds))
            else:
                bucket = limit.bucket(f"{name}|{actor}")
                # What cannot be renewed in its time would be somebody else's while it is held.
                length_us = max(bucket.length_us or 0, RENEWALS * self._round_us)
                yield Gauge(limit, bucket._replace(length_us=length_us), "")

    def _keep_us(self, quota: Quota, bucket: Bucket) -> int:
        """For how long a count is kept after its last use: of a session's own, no longer than the session can last."""
        longest_ns = self._live.beginning.max_duration_ns
        if quota.scope != "session" or longest_ns is None:
            return bucket.keep_us
        return min(bucket.keep_us, longest_ns // 1000 + _MARGIN_US)

    def _limits(self, kind: str, name: str) -> Iterable[Limit]:
        own = self.own.get((kind, name))
        if own is not None:
            return (own,)
        if self.tier is None:
            return ()
        if kind == "quota":
            return self.tier.quotas.get(name, ())
        found = (self.tier.rates if kind == "rate" else self.tier.concurrency).get(name)
        return () if found is None else (found,)

    def _actor(self, scope: Scope) -> str:
        """Whose use is counted; a session without a user or a tenant counts for itself."""
        if scope == "user" and self.user is not None:
            return f"user|{self.user}"
        if scope == "tenant" and self._tenant is not None:
            return f"tenant|{self._tenant}"
        # The client's key outlives the session: an idle hour is no way to a new allowance.
        if scope != "session":
            # By scope: what a tier has for a user and for a tenant are two quotas, also of a session that has neither.
            return f"client|{scope}|{self._live.key}"
        return f"session|{self._live.beginning.id}"


def left_by(session_id: str, quotas: Iterable[Quota]) -> Iterable[Bucket]:
    """The buckets of those quotas that nobody uses any more when the session has ended."""
    for quota in quotas:
        if quota.per == TOTAL and quota.scope == "session":
            yield quota.bucket(f"{quota.name}|{TOTAL}|session|{session_id}", 0)._replace(keep_us=0, enforced=False)


def group_of(tier: Tier, quota: Quota) -> str:
    """What a store calls the use of one quota by all who have it."""
    return json.dumps([tier.name, quota.name, quota.per, quota.scope])


def kind_of(limit: Limit) -> str:
    """What a limit is called in signals."""
    if isinstance(limit, Quota):
        return "quota"
    if isinstance(limit, Rate):
        return "rate"
    if isinstance(limit, Concurrency):
        return "concurrency"
    raise InvalidValueError(f"{limit!r} is no limit: use Quota, Rate or Concurrency of otel_sessions.limits")
