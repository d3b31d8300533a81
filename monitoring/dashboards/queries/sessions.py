"""Sessions: how many, how they end, how long they last."""

from __future__ import annotations

from typing import Final

from otel_sessions import _semconv as sc

from ...foreign import File, Host, Prometheus
from ...promql import bucket, count, label, name
from ._build import JOB, SESSIONS, WINDOW, grown, highest, lowest, of, or_zero, per_minute, quantile, recorded

_ENDED = count(sc.DURATION)
_FIRING = 'alertstate="firing", alertname=~"(Session|Telemetry).+", alertname!~".*Watchdog"'
# Those of the chosen applications, and of what all of them need: the machine and the telemetry have jobs of their own.
_OURS = (
    f'{Prometheus.ALERTS}{{{_FIRING}, job=~"$job|"}} or '
    f'{Prometheus.ALERTS}{{{_FIRING}, component=~"telemetry|resources"}}'
)

# Of a shared store one process reports what all hold, and the others 0; of stores in memory each reports its own. So
# the sum is right for either.
ACTIVE = f"max (sum by (job) ({of('app_session:active:sum', *SESSIONS)}))"
ACTIVE_BY_TYPE = f"sum by ({label(sc.TYPE)}) ({of('app_session:active:sum', *SESSIONS)})"
USER_ACTIVE = f"max by (job) ({of('app_session:user_active:max')})"

STARTS = f"{recorded('app_session:starts:increase5m', *SESSIONS)} / 5"
STARTS_BY_TYPE = per_minute(name(sc.STARTS), sc.TYPE, where=SESSIONS)
STARTED = recorded("app_session:starts:increase5m", *SESSIONS)
STARTED_LOW = recorded("app_session:starts:usual_low", *SESSIONS)
STARTED_MEAN = recorded("app_session:starts:mean26h", *SESSIONS)
STARTED_HIGH = recorded("app_session:starts:usual_high", *SESSIONS)


def _started_since(before: str) -> str:
    """Those of an hour, in terms of the same hour so long before; none is 0 of what there was."""
    hour = of("app_session:starts:increase1h", *SESSIONS)
    return f"sum ({hour} or {hour} offset {before} * 0) / (sum ({hour} offset {before}) > 0)"


STARTED_SINCE_DAY, STARTED_SINCE_WEEK = map(_started_since, ("1d", "7d"))

ENDED_BY_STATUS = per_minute(_ENDED, sc.STATUS, where=SESSIONS)
ENDED_BY_REASON = f"{grown(_ENDED, sc.END_REASON, where=SESSIONS)} > 0"
ERROR_RATIO = highest("app_session:ended_errors:ratio5m", where=SESSIONS)
ERROR_RATIO_BY_TYPE = highest("app_session:ended_errors:ratio5m", sc.TYPE, where=SESSIONS)
CRASH_FREE = lowest("app_session:crash_free:ratio1h", where=SESSIONS)

DURATION_P95_BY_TYPE = quantile(0.95, bucket(sc.DURATION), sc.TYPE, where=SESSIONS)
DURATIONS = grown(bucket(sc.DURATION), "le", where=SESSIONS, window=WINDOW)
_MEDIAN = of("app_session:duration_seconds:p50_1h", *SESSIONS)
DURATION_SINCE_WEEK = f"max by ({label(sc.TYPE)}) ({_MEDIAN} / (avg_over_time({_MEDIAN}[7d] offset 1d) > 0))"
RESPONSE_P95 = highest("app_session:turn_duration_seconds:p95_5m", where=SESSIONS)

FIRING = or_zero(f"count ({_OURS})")
DISTINGUISHING: Final = (
    *(label(each) for each in (sc.TYPE, sc.LIMIT_NAME, sc.LIMIT_KIND, sc.TIER, sc.LIMIT_WINDOW, sc.LIMIT_SCOPE)),
    *(label(each) for each in (sc.STORE, sc.DROP_REASON)),
    *("instance", File.PATH, Host.DEVICE, Host.PROCESS_NAME, Host.PROCESS_ID),
    *("exporter", "receiver", "rule_group", "name"),
)
"""The labels by which several alerts of one name differ; each alert has few of them, or none."""

_NAMED = "".join(f', "{each}"' for each in DISTINGUISHING)
ALERTS = f"""\
max by (alertname, severity, component, job, which) (
  label_replace(label_join({_OURS}, "which", " "{_NAMED}), "which", "$1", "which", " *(.*?) *")
)"""
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
