"""Sessions: how many, how they end, how long they last."""

from __future__ import annotations

from otel_sessions import _semconv as sc

from ...foreign import Prometheus
from ...promql import bucket, count, label, name
from ._build import JOB, RANGE, SESSIONS, WINDOW, grown, of, or_zero, per_minute, quantile, recorded, share

_ENDED = count(sc.DURATION)
_FAILED = (*SESSIONS, f'{label(sc.STATUS)}="error"')
_CRASHED = (*SESSIONS, f'{label(sc.END_REASON)}="crashed"')
_FIRING = 'alertstate="firing", alertname=~"(Session|Telemetry).+", alertname!~".*Watchdog"'
# Those of the chosen applications, and of what all of them need: the machine and the telemetry have jobs of their own.
_OURS = (
    f'{Prometheus.ALERTS}{{{_FIRING}, job=~"$job|"}} or '
    f'{Prometheus.ALERTS}{{{_FIRING}, component=~"telemetry|resources"}}'
)

# Of a shared store one process reports what all hold, and the others 0; of stores in memory each reports its own. So
# the sum is right for either.
ACTIVE = f"sum ({of(name(sc.ACTIVE), *SESSIONS)})"
ACTIVE_BY_TYPE = f"sum by ({label(sc.TYPE)}) ({of(name(sc.ACTIVE), *SESSIONS)})"
USER_ACTIVE = f"max by (job) ({of('app_session:user_active:max')})"

STARTS = f"{recorded('app_session:starts:increase5m', *SESSIONS)} / 5"
STARTS_BY_TYPE = per_minute(name(sc.STARTS), sc.TYPE, where=SESSIONS)
STARTED_HOURLY = recorded("app_session:starts:increase1h", *SESSIONS)
STARTED_HOURLY_YESTERDAY = f"sum ({of('app_session:starts:increase1h', *SESSIONS)} offset 1d)"

ENDED_BY_STATUS = per_minute(_ENDED, sc.STATUS, where=SESSIONS)
ENDED_BY_REASON = f"{grown(_ENDED, sc.END_REASON, where=SESSIONS)} > 0"
ERROR_RATIO = share(grown(_ENDED, where=_FAILED), grown(_ENDED, where=SESSIONS))
ERROR_RATIO_BY_TYPE = f"max by ({label(sc.TYPE)}) ({of('app_session:ended_errors:ratio5m', *SESSIONS)})"
CRASH_FREE = f"1 - {share(grown(_ENDED, where=_CRASHED), grown(_ENDED, where=SESSIONS))}"

DURATION_P95_BY_TYPE = quantile(0.95, bucket(sc.DURATION), sc.TYPE, where=SESSIONS)
DURATIONS = grown(bucket(sc.DURATION), "le", where=SESSIONS, window=WINDOW)
RESPONSE_P95 = quantile(0.95, bucket(sc.TURN_DURATION), where=SESSIONS, window=RANGE)

FIRING = or_zero(f"count ({_OURS})")
ALERTS = f"max by (alertname, severity, component, job) ({_OURS})"
ALERTS_EXPLAINED = (
    "label_join(label_join(label_join("
    f'{ALERTS}, "runbook", "", "alertname"), "threshold", "/", "alertname", "severity"),'
    ' "action", "/", "alertname", "severity")'
)
"""With labels by which the panel finds what Prometheus does not keep: texts are annotations, and it has only labels."""

_VERSIONS = f'{Prometheus.TARGET_INFO}{{{JOB}, service_version!=""}}'
DEPLOYMENTS = (
    f"(group by (job, service_version) ({_VERSIONS})"
    f" unless group by (job, service_version) ({_VERSIONS} offset 5m))"
    f" and on (job) group by (job) ({_VERSIONS} offset 5m)"
)
"""A version that was not there five minutes ago, of an application that was."""
