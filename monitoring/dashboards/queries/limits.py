"""Quotas, rates and leases.

The gauges of quotas are reported by one process of those that share a store, and by each that has a store of its own:
the highest share and the shortest time count, while actors add up.
"""

from __future__ import annotations

from otel_sessions import _semconv as sc

from ...promql import label, labels, name
from ._build import JOB, gauge, highest, lowest, per_minute, per_second, top

_QUOTA = (sc.LIMIT_NAME, sc.TIER, sc.LIMIT_WINDOW, sc.LIMIT_SCOPE)
_LEASE = (sc.LIMIT_NAME, sc.TIER)
_DECISIONS = name(sc.LIMIT_DECISIONS)
_REFUSED = (JOB, f'{label(sc.LIMIT_RESULT)}="rejected"')
_EXHAUSTED = (JOB, f'{label(sc.QUOTA_BAND)}="exhausted"')

_UTILIZATION = "app_session:quota_utilization_ratio:max"
_EXHAUSTION = "app_session:quota_time_to_exhaustion_seconds:min"
UTILIZATION_HIGHEST = highest(_UTILIZATION)
EXHAUSTION_SOONEST = lowest(_EXHAUSTION)
ACTORS_EXHAUSTED = f"sum ({gauge(name(sc.QUOTA_ACTORS), *_EXHAUSTED)})"
REFUSED_SHARE = highest("app_session:limit_refusals:ratio10m")
LEASES = f"sum ({gauge(name(sc.LEASE_ACTIVE))})"

UTILIZATION = highest(_UTILIZATION, *_QUOTA)
EXHAUSTION = lowest(_EXHAUSTION, *_QUOTA)
LIMIT = highest(name(sc.QUOTA_LIMIT), *_QUOTA)
ACTORS_BY_BAND = f"sum by ({label(sc.QUOTA_BAND)}) ({gauge(name(sc.QUOTA_ACTORS))})"
USAGE = top(per_minute(name(sc.QUOTA_USAGE), sc.LIMIT_NAME, sc.TIER))

DECISIONS_BY_RESULT = per_second(_DECISIONS, sc.LIMIT_RESULT)
REFUSALS_BY_NAME = per_minute(_DECISIONS, sc.LIMIT_KIND, sc.LIMIT_NAME, where=_REFUSED)
REFUSED_SHARE_BY_NAME = highest("app_session:limit_refusals:ratio10m", sc.LIMIT_KIND, sc.LIMIT_NAME, sc.TIER)

LEASES_BY_NAME = f"sum by ({labels(*_LEASE)}) ({gauge(name(sc.LEASE_ACTIVE))})"
LEASE_LIMIT = highest(name(sc.LEASE_LIMIT), *_LEASE)
LEASE_SATURATION = highest("app_session:lease_saturation:ratio10m", *_LEASE)
