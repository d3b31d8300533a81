"""Alerts on the store, and on what the library could not keep."""

from __future__ import annotations

from typing import Final

from .. import thresholds as at
from ..recordings import REASON, STORE
from .model import Alert, Entry, labelled

_JOB: Final = labelled("job")
_STORE: Final = labelled(STORE)
_DASHBOARD: Final = "app-session-pipeline"

ALERTS: Final = (
    Alert(
        name="SessionStoreFailing",
        component="store",
        severity="error",
        subject="store",
        expr=f"""\
(app_session:store_failures:ratio5m > {at.STORE_FAILURES.scalar})
  and (app_session:store_operations:increase5m >= {at.STORE_MIN_CALLS.scalar})""",
        wait="5m",
        summary="Calls to the session store fail.",
        description=f"The share of the calls of {_JOB} to the {_STORE} store that failed.",
        unit="ratio",
        threshold=at.STORE_FAILURES,
        action="See whether the store can be reached from the application's hosts, and whether it is full.",
        dashboard="app-session-operations",
        entry=Entry(
            means="Calls to the store fail or take longer than its time limit. Sessions go on with what each process "
            "knows of them; quotas are decided as `limit_failure` says; what is counted waits, and a process that dies "
            "meanwhile takes it along.",
            confirm=(
                'app_session:store_failures:ratio5m{job="{{job}}"}',
                (
                    "sum by (app_session_store_operation_name) "
                    '(increase(app_session_store_operation_duration_seconds_count{job="{{job}}", error_type!=""}[5m]))'
                ),
            ),
            act=(
                "Read the application's log: it says once a minute why.",
                (
                    "Redis: reach it from the application's host, look at its memory and its slow log. SQLite: is "
                    "the disk "
                    "full, does another process hold the file?"
                ),
                "Do not restart the application before the store is back: its counts are in memory.",
            ),
        ),
    ),
    Alert(
        name="SessionStorePendingHigh",
        component="store",
        severity="warning",
        subject="store_pending",
        expr=f"app_session:store_pending:sum > {at.PENDING.scalar}",
        wait="10m",
        summary="Counts wait for the session store.",
        description=f"Sessions of {_JOB} whose counts have been waiting for the {_STORE} store for ten minutes.",
        unit="sessions",
        threshold=at.PENDING,
        action="See whether the store fails, or is too slow for so many sessions.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="What processes count is merged into the store once a second. For ten minutes more sessions than the "
            "threshold have been waiting at any time: the store is away, or too slow.",
            confirm=(
                'app_session:store_pending:sum{job="{{job}}"}',
                (
                    "histogram_quantile(0.95, sum by (app_session_store_operation_name, le) "
                    '(rate(app_session_store_operation_duration_seconds_bucket{job="{{job}}"}[5m])))'
                ),
            ),
            act=(
                "If [SessionStoreFailing](#sessionstorefailing) fires too, begin there.",
                "Else look how long `merge` takes: the store is overloaded, or far away.",
            ),
        ),
    ),
    Alert(
        name="SessionRecordsDropped",
        component="store",
        severity="warning",
        subject="dropped",
        expr=f"app_session:dropped:increase10m > {at.DROPPED.scalar}",
        wait="0m",
        summary="The library had to drop something.",
        description=f"What was dropped in {_JOB} in the last ten minutes because of {labelled(REASON)}.",
        unit="records",
        threshold=at.DROPPED,
        action="Look the reason up in the documentation: some are mistakes in the application, some a lack of room.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="Something is missing in the telemetry of sessions, for the reason that the label says. The reasons "
            "are explained under [troubleshooting](troubleshooting.md).",
            confirm=('app_session:dropped:increase10m{job="{{job}}"}',),
            act=(
                "`store_unavailable`: begin with [SessionStoreFailing](#sessionstorefailing).",
                (
                    "`session_ended`, `invalid_attribute`, `attribute_limit`, `own_metric_limit`: the application's "
                    "log "
                    "says once where; correct it there."
                ),
                "`hooks_behind`: a hook is too slow.",
                "`internal_error`: the log has a stack trace. Report it, unless it ends in a function of yours.",
            ),
        ),
    ),
)
