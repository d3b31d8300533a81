"""Alerts on sessions as such: errors, how many there are, how long they last."""

from __future__ import annotations

from typing import Final

from .. import thresholds as at
from ..recordings import TYPE
from .model import Alert, Entry, labelled

_JOB: Final = labelled("job")
_TYPE: Final = labelled(TYPE)
_OVERVIEW: Final = "app-session-overview"
_OPERATIONS: Final = "app-session-operations"

_BUDGET: Final = f"(1 - {at.SLO_OBJECTIVE.scalar})"


def _burn(threshold: at.Threshold, long: str, short: str) -> str:
    return f"""\
(app_session:ended_errors:ratio{long} / {_BUDGET} > {threshold.scalar})
  and (app_session:ended_errors:ratio{short} / {_BUDGET} > {threshold.scalar})
  and (app_session:ended:increase{long} >= {at.ERROR_MIN_SESSIONS.scalar})"""


_ERRORS: Final = Entry(
    means="More sessions than usual end with status `error`: an exception left them, or the application said so. "
    "What their users wanted did not happen.",
    confirm=(
        'app_session:ended_errors:ratio5m{job="{{job}}"}',
        'topk(5, sum by (app_session_type, error_type) (increase(app_session_errors_total{job="{{job}}"}[15m])))',
    ),
    act=(
        "Look which `error.type` has grown, and in which type of session; open a trace of it from an exemplar.",
        "Compare the beginning with the last deployment, and roll it back if they agree.",
        "If the errors are those of a service behind, follow the trace into it.",
    ),
)

_BURN: Final = Entry(
    means="Errors use up the error budget (what the objective leaves) faster than it renews. Critical: 2 % of the "
    "budget of 30 days went in the last hour. Warning: 5 % in the last six hours. In both cases it goes on: the "
    "shorter window says so.",
    confirm=(
        'app_session:ended_errors:ratio1h{job="{{job}}"}',
        'app_session:ended_errors:ratio6h{job="{{job}}"}',
    ),
    act=(
        "Go on as for [SessionErrorRateHigh](#sessionerrorratehigh).",
        "When it is over, note what of the budget is left; if none, put reliability before features.",
    ),
)

_CREATION: Final = Entry(
    means="Far fewer, or far more, sessions start than in the same hour of the day before. Fewer: users do not get in, "
    "jobs do not run, or telemetry is lost. More: a campaign, a loop in a client, or an attack.",
    confirm=(
        'app_session:starts:increase1h{job="{{job}}"}',
        'app_session:starts:increase1h{job="{{job}}"} offset 1d',
    ),
    act=(
        (
            "Fewer: see whether [SessionTelemetryMissing](#sessiontelemetrymissing) or a TelemetryCollector alert "
            "fires; if "
            "not, try the way in yourself, and look at the scheduler of jobs."
        ),
        "More: look at findings and access failures, at the platforms, and at the number of sessions per user.",
        "If the day before was the exception (a holiday, an outage), silence the alert for a day.",
    ),
)

ALERTS: Final = (
    Alert(
        name="SessionErrorRateHigh",
        component="sessions",
        severity="error",
        subject="errors",
        expr=f"""\
(app_session:ended_errors:ratio5m > {at.ERROR_RATIO.scalar})
  and (app_session:ended:increase5m >= {at.ERROR_MIN_SESSIONS.scalar})""",
        wait="5m",
        summary="Too many sessions end in an error.",
        description=f"Of the {_TYPE} sessions of {_JOB} that ended in the last five minutes, too many ended in an "
        "error.",
        unit="ratio",
        threshold=at.ERROR_RATIO,
        action="Find the error type that has grown, and compare its beginning with the last deployment.",
        dashboard=_OPERATIONS,
        entry=_ERRORS,
    ),
    Alert(
        name="SessionErrorBudgetBurn",
        component="sessions",
        severity="critical",
        subject="error_budget",
        expr=_burn(at.BURN_FAST, "1h", "5m"),
        wait="2m",
        summary="Errors use up the error budget within days.",
        description=f"Errors of {_TYPE} sessions of {_JOB} over an hour, and still, in terms of what the objective "
        "allows.",
        unit="times",
        threshold=at.BURN_FAST,
        action="Find the error type that has grown, and stop what causes it now.",
        dashboard=_OPERATIONS,
        entry=_BURN,
    ),
    Alert(
        name="SessionErrorBudgetBurn",
        component="sessions",
        severity="warning",
        subject="error_budget",
        expr=_burn(at.BURN_SLOW, "6h", "30m"),
        wait="15m",
        summary="Errors use up the error budget within a week.",
        description=f"Errors of {_TYPE} sessions of {_JOB} over six hours, and still, in terms of what the objective "
        "allows.",
        unit="times",
        threshold=at.BURN_SLOW,
        action="Find the error type that has grown, and plan its repair for today.",
        dashboard=_OPERATIONS,
        entry=_BURN,
    ),
    Alert(
        name="SessionCrashFreeRateLow",
        component="sessions",
        severity="error",
        subject="crashes",
        expr=f"""\
(app_session:crash_free:ratio1h < {at.CRASH_FREE.scalar})
  and (app_session:ended:increase1h >= {at.ERROR_MIN_SESSIONS.scalar})""",
        wait="5m",
        summary="Processes crash, and take sessions along.",
        description=f"The share of {_TYPE} sessions of {_JOB} in the last hour that did not end by a crash of their "
        "process.",
        unit="ratio",
        threshold=at.CRASH_FREE,
        action="Find out why processes died: out of memory, a signal, a fatal error in an extension.",
        dashboard=_OPERATIONS,
        entry=Entry(
            means="Sessions end with the reason `crashed`: their process died without ending them, and another one "
            "found them later. What they were doing is lost, unless the application takes it up again.",
            confirm=(
                'app_session:crash_free:ratio1h{job="{{job}}"}',
                'app_session:ended_crashed:increase1h{job="{{job}}"}',
            ),
            act=(
                (
                    "Read the kernel's log and the orchestrator's events for processes that were killed (out of "
                    "memory, "
                    "failed health checks, deployments without a grace period)."
                ),
                "Look at [host memory](#sessionhostmemoryhigh), and at what the crashed sessions have in common.",
                "Give processes time to end: a deployment that kills them at once appears here, too.",
            ),
        ),
    ),
    Alert(
        name="SessionCreationDrop",
        component="sessions",
        severity="warning",
        subject="creation",
        expr=f"""\
(
  (app_session:starts:increase1h or app_session:starts:increase1h offset 1d * 0)
    / (app_session:starts:increase1h offset 1d >= {at.CREATION_MIN_RATE.scalar})
) < {at.CREATION_DROP.scalar}""",
        wait="15m",
        summary="Far fewer sessions start than the day before.",
        description=f"The {_TYPE} sessions of {_JOB} that started in the last hour, in terms of the same hour "
        "yesterday.",
        unit="times",
        threshold=at.CREATION_DROP,
        action="Check that users get in and jobs run: try it, then look at the way in and at the scheduler.",
        dashboard=_OVERVIEW,
        entry=_CREATION,
    ),
    Alert(
        name="SessionCreationSpike",
        component="sessions",
        severity="info",
        subject="creation",
        expr=f"""\
(
  (app_session:starts:increase1h >= {at.CREATION_MIN_RATE.scalar})
    / (app_session:starts:increase1h offset 1d > 0)
) > {at.CREATION_SPIKE.scalar}""",
        wait="15m",
        summary="Far more sessions start than the day before.",
        description=f"The {_TYPE} sessions of {_JOB} that started in the last hour, in terms of the same hour "
        "yesterday.",
        unit="times",
        threshold=at.CREATION_SPIKE,
        action="Find out whether it is wanted: a campaign, a client in a loop, or an attack.",
        dashboard=_OVERVIEW,
        entry=_CREATION,
    ),
    Alert(
        name="SessionActiveHigh",
        component="sessions",
        severity="warning",
        subject="active",
        expr=f"sum by (job) (app_session:active:sum) > {at.ACTIVE.scalar}",
        wait="5m",
        summary="More sessions are open than expected.",
        description=f"Sessions that {_JOB} has open.",
        unit="sessions",
        threshold=at.ACTIVE,
        action="See whether sessions start more often or do not end, and set the threshold to what the service "
        "carries.",
        dashboard=_OVERVIEW,
        entry=Entry(
            means="More sessions are open at a time than the threshold, which is set for a small service: set it to "
            "what yours carries.",
            confirm=('app_session:active:sum{job="{{job}}"}', 'app_session:starts:increase1h{job="{{job}}"}'),
            act=(
                (
                    "If as many start as ever, they do not end: look at `idle_timeout` and `max_duration`, and "
                    "whether the "
                    "application ends what it starts."
                ),
                "If more start, go on as for [SessionCreationSpike](#sessioncreationspike).",
                "After a process was killed its last count is added for some minutes; wait for that.",
            ),
        ),
    ),
    Alert(
        name="SessionUserSessionsHigh",
        component="sessions",
        severity="warning",
        subject="user_sessions",
        expr=f"app_session:user_active:max > {at.USER_SESSIONS.scalar}",
        wait="5m",
        summary="One user has more sessions open than expected.",
        description=f"Sessions that one user of {_JOB} has open.",
        unit="sessions",
        threshold=at.USER_SESSIONS,
        action="Find the user, and decide whether it is a shared account, a client that forgets its cookie, or abuse.",
        dashboard=_OVERVIEW,
        entry=Entry(
            means="One user has more sessions open at a time than expected: an account that is shared or taken over, a "
            "client that begins anew with each request, or sessions that are not ended.",
            confirm=('app_session:user_active:max{job="{{job}}"}',),
            act=(
                (
                    "Find the user: no metric names one. In a process that sees the store, group what "
                    "`otel_sessions.active()` returns by user."
                ),
                "Look at the platforms and addresses of these sessions in their traces.",
                "End what is not wanted, and limit it with a tier's concurrency if it comes again.",
            ),
        ),
    ),
    Alert(
        name="SessionDurationAnomalous",
        component="sessions",
        severity="info",
        subject="duration",
        expr=f"""\
(
  app_session:duration_seconds:p50_1h
    / (avg_over_time(app_session:duration_seconds:p50_1h[7d] offset 1d) > 0)
    and (app_session:ended:increase1h >= {at.BASELINE_MIN_SESSIONS.scalar})
) > {at.DURATION.scalar}""",
        wait="30m",
        summary="Sessions last much longer than in the week before.",
        description=f"The median duration of {_TYPE} sessions of {_JOB}, in terms of the week before yesterday.",
        unit="times",
        threshold=at.DURATION,
        action="See what sessions wait for: compare a long one's trace with one of last week.",
        dashboard=_OVERVIEW,
        entry=Entry(
            means="Half of the sessions last longer than usual, by the factor of the threshold. Silent until there is "
            "a day of history.",
            confirm=(
                'app_session:duration_seconds:p50_1h{job="{{job}}"}',
                'avg_over_time(app_session:duration_seconds:p50_1h{job="{{job}}"}[7d] offset 1d)',
            ),
            act=(
                "See by end reason whether they end otherwise: by `idle_timeout` instead of `logout`, say.",
                "Open the trace of a long one from an exemplar, and look what it waits for.",
            ),
        ),
    ),
)
