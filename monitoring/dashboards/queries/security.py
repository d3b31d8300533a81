"""Findings of suspicious activity, refused requests, and what was logged of both."""

from __future__ import annotations

from otel_sessions import _semconv as sc

from ...promql import label, name
from ._build import ALERT_WINDOW, JOB, RANGE, SESSIONS, grown, of, or_zero, top

_FINDINGS = name(sc.FINDINGS)
_FAILURES = name(sc.ACCESS_FAILURES)


def _worst(series: str) -> str:
    """What the alerts compare: the worst ten minutes of one application."""
    return or_zero(f"max (max_over_time((sum by (job) ({of(series)}))[{RANGE}:1m]))")


FINDINGS = _worst("app_session:findings:increase10m")
_SEVERE = (JOB, f'{label(sc.FINDING_SEVERITY)}="error"')
FINDINGS_SEVERE = or_zero(grown(_FINDINGS, where=_SEVERE))
FAILURES = _worst("app_session:access_failures:increase10m")

FINDINGS_BY_KIND = f"sum by ({label(sc.FINDING_KIND)}) ({of('app_session:findings:increase10m')})"
FINDINGS_BY_SEVERITY = grown(_FINDINGS, sc.FINDING_SEVERITY, window=ALERT_WINDOW)
FINDINGS_RANKED = f"{top(grown(_FINDINGS, sc.FINDING_KIND, sc.FINDING_SEVERITY))} > 0"
FAILURES_BY_REASON = f"sum by ({label(sc.ACCESS_FAILURE_REASON)}) ({of('app_session:access_failures:increase10m')})"
FAILURES_BY_TYPE = grown(_FAILURES, sc.TYPE, where=SESSIONS, window=ALERT_WINDOW)

# Log events are found by an attribute that only they have: not every Loki keeps the event's name.
_STREAM = '{service_name=~"$service"}'
LOGGED_FINDINGS = (
    f'{_STREAM} | {label(sc.FINDING_KIND)}!="" | line_format '
    f'"{{{{.{label(sc.FINDING_SEVERITY)}}}}} {{{{.{label(sc.FINDING_KIND)}}}}}'
    f' score={{{{.{label(sc.FINDING_SCORE)}}}}} session={{{{.{label(sc.SESSION_ID)}}}}} {{{{__line__}}}}"'
)
LOGGED_REFUSALS = (
    f'{_STREAM} | {label(sc.LIMIT_AMOUNT)}!="" | {label(sc.LIMIT_SHADOW)}="" | line_format '
    f'"{{{{.{label(sc.LIMIT_KIND)}}}}} {{{{.{label(sc.LIMIT_NAME)}}}}} used={{{{.{label(sc.LIMIT_USED)}}}}}'
    f' of {{{{.{label(sc.LIMIT_CAPACITY)}}}}} session={{{{.{label(sc.SESSION_ID)}}}}}"'
)
