"""The metrics that say how limits stand, for all actors together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, TypeAlias

from .. import _semconv as sc
from .._counting.buckets import Standing
from .._ledger import Ledger
from .._telemetry import Reader, Telemetry
from ..limits.policy import Quota
from ..limits.tiers import Tier
from .allowances import group_of
from .limiter import Limiter

Values: TypeAlias = "Mapping[tuple[str | None, ...], float]"

Row: TypeAlias = "tuple[tuple[str, str, str, str], float, Standing]"
"""Which quota: its name, tier, window and scope; its limit, and how those stand who have it."""

_FRESH_SECONDS: Final = 0.5
"""One look into the store is enough for the gauges of one collection."""


def _quota_standings(limiter: Limiter) -> list[tuple[Tier, Quota, Standing]]:
    """How those stand who have a quota, for each quota of each tier that has a limit.

    Raises:
        StoreError: the store could not be asked.
    """
    limited = [
        (tier, quota)
        for tier in limiter.known.values()
        for quotas in tier.quotas.values()
        for quota in quotas
        if quota.limit is not None
    ]
    buckets = [quota.bucket("", limiter.now_us(), group_of(tier, quota)) for tier, quota in limited]
    standings = limiter.standings(buckets) if buckets else []
    return [(tier, quota, standing) for (tier, quota), standing in zip(limited, standings, strict=True)]


class LimitGauges:
    """Reads from the store how limits stand; of many processes one does."""

    def __init__(self, ledger: Ledger, telemetry: Telemetry, limiter: Limiter) -> None:
        self._ledger = ledger
        self._telemetry = telemetry
        self._limiter = limiter
        self._seen: set[tuple[str, ...]] = set()
        self._read_at: float | None = None
        self._standings: list[Row] = []
        self._readers: dict[sc.Metric, Reader] = {
            sc.QUOTA_LIMIT: self._limits,
            sc.QUOTA_UTILIZATION_RATIO: self._utilization,
            sc.QUOTA_ACTORS: self._actors,
            sc.QUOTA_TIME_TO_EXHAUSTION: self._exhaustion,
            sc.LEASE_ACTIVE: limiter.lease_counts,
            sc.LEASE_LIMIT: self._lease_limits,
        }
        for metric, read in self._readers.items():
            telemetry.observe(metric, read)

    def shutdown(self) -> None:
        """Say that nothing is held any more, and look no further."""
        for metric, read in self._readers.items():
            last = dict.fromkeys(self._limiter.lease_counts(), 0) if metric is sc.LEASE_ACTIVE else {}
            self._telemetry.replace_reader(metric, read, last)

    def standings(self) -> list[Row]:
        """How the quotas stand now that anybody has used, whichever process reports it.

        Raises:
            StoreError: the store cannot be asked.
        """
        found = self._ledger.ask("standings", _quota_standings, self._limiter)
        return [
            ((quota.name, tier.name, quota.per, quota.scope), quota.limit or 0, standing)
            for tier, quota, standing in found
            if standing.highest
        ]

    def _read(self) -> list[Row]:
        """How the quotas stand that anybody has used: by name, tier, window and scope."""
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > _FRESH_SECONDS:
            self._standings = self._ask() if self._ledger.leads else []
            self._read_at = now
        return self._standings

    def _ask(self) -> list[Row]:
        standings = self._ledger.call("standings", _quota_standings, self._limiter, failed=None)
        found: list[Row] = []
        for tier, quota, standing in standings or ():
            key = quota.name, tier.name, quota.per, quota.scope
            if standing.highest or key in self._seen:
                # What was seen once is reported as zero from then on: a series that just stops keeps its last value.
                self._seen.add(key)
                found.append((key, quota.limit or 0, standing))
        return found

    def _limits(self) -> Values:
        return {key: limit for key, limit, _ in self._read()}

    def _utilization(self) -> Values:
        return {key: standing.highest for key, _, standing in self._read()}

    def _actors(self) -> Values:
        return {
            (*key, band): count
            for key, _, standing in self._read()
            for band, count in (
                ("below", standing.below),
                ("warning", standing.warning),
                ("critical", standing.critical),
                ("exhausted", standing.exhausted),
            )
        }

    def _exhaustion(self) -> Values:
        return {key: standing.seconds for key, _, standing in self._read() if standing.seconds is not None}

    def _lease_limits(self) -> Values:
        active = self._limiter.lease_counts()
        found: dict[tuple[str | None, ...], float] = {}
        for name, tier in active:
            known = self._limiter.known.get(tier or "")
            limit = None if known is None else known.concurrency.get(name or "")
            if limit is not None:
                found[name, tier] = limit.limit
        return found
