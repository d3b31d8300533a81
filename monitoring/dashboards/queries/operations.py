"""Errors, requests, operations inside sessions, and the store."""

from __future__ import annotations

from otel_sessions import _semconv as sc

from ...foreign import Span
from ...promql import bucket, count, label, name
from ...thresholds import SLO_OBJECTIVE
from ._build import (
    RANGE,
    SESSIONS,
    WINDOW,
    grown,
    highest,
    lowest,
    of,
    or_zero,
    per_minute,
    per_second,
    quantile,
    share,
    top,
)

CRASH_FREE_BY_TYPE = lowest("app_session:crash_free:ratio1h", sc.TYPE, where=SESSIONS)
_BUDGET = f"(1 - {SLO_OBJECTIVE.scalar})"
BURN_HOUR, BURN_SIX_HOURS = (
    f"{highest(f'app_session:ended_errors:ratio{window}', where=SESSIONS)} / {_BUDGET}" for window in ("1h", "6h")
)

ERRORS = or_zero(grown(name(sc.ERRORS), where=SESSIONS))
ERRORS_BY_TYPE = per_minute(name(sc.ERRORS), sc.ERROR_TYPE, where=SESSIONS)
ERRORS_RANKED = f"{top(grown(name(sc.ERRORS), sc.ERROR_TYPE, sc.TYPE, where=SESSIONS))} > 0"

REQUESTS_BY_TYPE = per_minute(name(sc.REQUESTS), sc.TYPE, where=SESSIONS)
EVENTS_BY_NAME = per_minute(name(sc.EVENTS), sc.EVENT_NAME, where=SESSIONS)

# The connector counts every span; those made in a session have its type. The spans of sessions themselves are left out,
# because the overview shows them. Its counters begin with 0, so that nothing is new that was not there.
_INSIDE = (*SESSIONS, f'{label(sc.TYPE)}!=""', 'span_name!~"session .*"')
_FAILED = (*_INSIDE, 'status_code="STATUS_CODE_ERROR"')


def _calls(where: tuple[str, ...], by: str = " by (span_name)", window: str = WINDOW) -> str:
    return f"sum{by} (rate({of(Span.CALLS, *where)}[{window}]))"


CALLS = top(_calls(_INSIDE))
CALLS_FAILED = top(share(_calls(_FAILED), _calls(_INSIDE)))
CALLS_FAILED_SHARE = share(_calls(_FAILED, "", RANGE), _calls(_INSIDE, "", RANGE))
CALLS_P95 = top(
    f"histogram_quantile(0.95, sum by (le, span_name) (rate({of(Span.DURATION_BUCKET, *_INSIDE)}[{WINDOW}])))"
)

_STORE = count(sc.STORE_OPERATION_DURATION)
STORE_CALLS = per_second(_STORE, sc.STORE_OPERATION)
STORE_P99 = quantile(0.99, bucket(sc.STORE_OPERATION_DURATION), sc.STORE_OPERATION)
STORE_FAILED = highest("app_session:store_failures:ratio5m", sc.STORE)
STORE_FAILED_HIGHEST = highest("app_session:store_failures:ratio5m")

SWITCHES = f"{grown(count(sc.PLATFORM_SWITCH_DURATION), sc.PLATFORM_FROM, sc.PLATFORM_TO)} > 0"
SWITCH_P95 = quantile(0.95, bucket(sc.PLATFORM_SWITCH_DURATION), sc.PLATFORM_FROM, sc.PLATFORM_TO)
