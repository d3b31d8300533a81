"""Alerts on quotas, rates and concurrency."""

from __future__ import annotations

from typing import Final

from .. import thresholds as at
from ..recordings import DECIDED, LIMIT, QUOTA
from .model import Alert, Dashboard, Entry, Severity, labelled

_JOB: Final = labelled("job")
_NAME, _TIER, _WINDOW, _SCOPE = map(labelled, QUOTA)
_KIND: Final = labelled(DECIDED[0])
_DASHBOARD: Final[Dashboard] = "app-session-limits"
_DECISIONS: Final = "app_session:limit_decisions:increase10m"

_NEAR: Final = Entry(
    means="The actor (a user, a tenant, a session: the label says whose quota it is) who has used most of a quota has "
    "used nearly all of it. From 100 % on, what is asked for is refused.",
    confirm=(
        'app_session:quota_utilization_ratio:max{job="{{job}}"}',
        'app_session:quota_actors:sum{job="{{job}}"}',
    ),
    act=(
        "See by bands whether it is one actor or many. Many: the limit may be too low for the tier.",
        "Find who it is in the log events `app_session.limit.threshold`; no metric names an actor.",
        "Offer a higher tier, raise the limit, or leave it: the window says when the count begins anew.",
    ),
)


def _near(threshold: at.Threshold, severity: Severity) -> Alert:
    return Alert(
        name="SessionQuotaNearLimit",
        component="limits",
        severity=severity,
        subject="quota",
        expr=f"app_session:quota_utilization_ratio:max > {threshold.scalar}",
        wait="5m",
        summary="Somebody has used nearly all of a quota.",
        description=f"Of {_NAME}, per {_WINDOW}, one {_SCOPE} of the tier {_TIER} in {_JOB} has used this share.",
        unit="ratio",
        threshold=threshold,
        action="See whether it is one actor or many, and raise the limit or let it be.",
        dashboard=_DASHBOARD,
        entry=_NEAR,
    )


ALERTS: Final = (
    _near(at.QUOTA_WARNING, "warning"),
    _near(at.QUOTA_CRITICAL, "critical"),
    Alert(
        name="SessionQuotaExhaustionPredicted",
        component="limits",
        severity="warning",
        subject="quota_forecast",
        expr=f"app_session:quota_time_to_exhaustion_seconds:min < {at.EXHAUSTION.scalar}",
        wait="10m",
        summary="Somebody will soon have used up a quota.",
        description=f"Time until one {_SCOPE} of the tier {_TIER} in {_JOB} will have used up {_NAME}, per {_WINDOW}.",
        unit="seconds",
        threshold=at.EXHAUSTION,
        action="Find out whether the use is wanted, and raise the limit before it refuses.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="At its present rate one actor will have used up a quota within the time of the threshold. The "
            "library forecasts this for each actor from its own rate, and knows when the window begins anew; a line "
            "through the highest utilisation of all would know neither.",
            confirm=(
                'app_session:quota_time_to_exhaustion_seconds:min{job="{{job}}"}',
                'app_session:quota_utilization_ratio:max{job="{{job}}"}',
                'sum by (app_session_limit_name) (rate(app_session_quota_usage_total{job="{{job}}"}[15m]))',
            ),
            act=(
                "Find out whether the use is wanted: a batch that runs once, or a client in a loop.",
                "Raise the limit or the tier if it is; slow it down with a rate if it is not.",
            ),
        ),
    ),
    Alert(
        name="SessionRefusalsHigh",
        component="limits",
        severity="warning",
        subject="refusals",
        expr=f"""\
(app_session:limit_refusals:ratio10m > {at.REFUSALS.scalar})
  and (sum by (job, {", ".join(DECIDED)}) ({_DECISIONS}) >= {at.MIN_DECISIONS.scalar})""",
        wait="10m",
        summary="A limit refuses much of what is asked for.",
        description=f"Of what was asked of the limit {_NAME} ({_KIND}, tier {_TIER}) in {_JOB}, this share was "
        "refused.",
        unit="ratio",
        threshold=at.REFUSALS,
        action="See whether few actors are refused or many, and whether the limit fits what they do.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="A limit refuses more than a few of the requests. That is what it is for, if they are those of a few "
            "who ask too much; if they are everybody's, the limit does not fit.",
            confirm=(
                'app_session:limit_refusals:ratio10m{job="{{job}}"}',
                (
                    "sum by (app_session_limit_name, app_session_limit_result) "
                    '(app_session:limit_decisions:increase10m{job="{{job}}"})'
                ),
            ),
            act=(
                "Find who is refused in the log events `app_session.limit.rejected`.",
                (
                    "One client: see whether it waits as `Retry-After` says. Many: raise the limit, or try another "
                    "with "
                    "`shadow=True` first."
                ),
            ),
        ),
    ),
    Alert(
        name="SessionLeasesSaturated",
        component="limits",
        severity="warning",
        subject="leases",
        expr=f"""\
(app_session:lease_saturation:ratio10m > {at.LEASES.scalar})
  and (
    sum by (job, {", ".join(LIMIT)}) ({_DECISIONS}{{{DECIDED[0]}="concurrency"}}) >= {at.MIN_DECISIONS.scalar}
  )
  and (app_session:lease_limit:max >= {at.LEASE_MIN_SLOTS.scalar})""",
        wait="5m",
        summary="Nearly every slot of a concurrency limit that is asked for is one of the last.",
        description=f"Of the slots of {_NAME} (tier {_TIER}) asked for in {_JOB}, this share was among the last "
        "quarter.",
        unit="ratio",
        threshold=at.LEASES,
        action="See how long slots are held, and whether they are given back.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="Whoever asks for a slot finds most of theirs taken: nearly all of those given were among the last "
            "quarter of the limit, or refused. The number of slots held by all divided by the limit of one would say "
            "nothing, so it is the decisions that are counted; limits of a few slots are left out, because there every "
            "slot is among the last.",
            confirm=(
                'app_session:lease_saturation:ratio10m{job="{{job}}"}',
                'app_session:lease_active:sum{job="{{job}}"}',
                'app_session:lease_limit:max{job="{{job}}"}',
            ),
            act=(
                "See how long slots are held: what is slow behind them keeps them taken.",
                "See whether slots come back: a lease that is kept without a block is held until it is released.",
                "Raise the limit if what is behind it can take more.",
            ),
        ),
    ),
)
