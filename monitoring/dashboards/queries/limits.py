"""Quotas, rates and leases.

The gauges of quotas are reported by one process of those that share a store, and by each that has a store of its own:
the highest share and the shortest time count, while actors add up.
"""

from __future__ import annotations

from otel_sessions import _semconv as sc

from ...promql import label, labels, name
from ._build import JOB, grown, of, per_minute, per_second, share, top

_QUOTA = labels(sc.LIMIT_NAME, sc.TIER, sc.LIMIT_WINDOW, sc.LIMIT_SCOPE)
_LEASE = labels(sc.LIMIT_NAME, sc.TIER)
_DECISIONS = name(sc.LIMIT_DECISIONS)
_REFUSED = (JOB, f'{label(sc.LIMIT_RESULT)}="rejected"')
_EXHAUSTED = (JOB, f'{label(sc.QUOTA_BAND)}="exhausted"')

UTILIZATION_HIGHEST = f"max ({of(name(sc.QUOTA_UTILIZATION_RATIO))})"
EXHAUSTION_SOONEST = f"min ({of(name(sc.QUOTA_TIME_TO_EXHAUSTION))})"
ACTORS_EXHAUSTED = f"sum ({of(name(sc.QUOTA_ACTORS), *_EXHAUSTED)})"
REFUSED_SHARE = share(grown(_DECISIONS, where=_REFUSED), grown(_DECISIONS))
LEASES = f"sum ({of(name(sc.LEASE_ACTIVE))})"

UTILIZATION = f"max by ({_QUOTA}) ({of(name(sc.QUOTA_UTILIZATION_RATIO))})"
EXHAUSTION = f"min by ({_QUOTA}) ({of(name(sc.QUOTA_TIME_TO_EXHAUSTION))})"
LIMIT = f"max by ({_QUOTA}) ({of(name(sc.QUOTA_LIMIT))})"
ACTORS_BY_BAND = f"sum by ({label(sc.QUOTA_BAND)}) ({of(name(sc.QUOTA_ACTORS))})"
USAGE = top(per_minute(name(sc.QUOTA_USAGE), sc.LIMIT_NAME, sc.TIER))

DECISIONS_BY_RESULT = per_second(_DECISIONS, sc.LIMIT_RESULT)
REFUSALS_BY_NAME = per_minute(_DECISIONS, sc.LIMIT_KIND, sc.LIMIT_NAME, where=_REFUSED)
REFUSED_SHARE_BY_NAME = (
    f"max by ({labels(sc.LIMIT_KIND, sc.LIMIT_NAME, sc.TIER)}) ({of('app_session:limit_refusals:ratio10m')})"
)

LEASES_BY_NAME = f"sum by ({_LEASE}) ({of(name(sc.LEASE_ACTIVE))})"
LEASE_LIMIT = f"max by ({_LEASE}) ({of(name(sc.LEASE_LIMIT))})"
LEASE_SATURATION = f"max by ({_LEASE}) ({of('app_session:lease_saturation:ratio10m')})"
