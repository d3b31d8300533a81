"""Alerts on conversations: response times, engagement."""

from __future__ import annotations

from typing import Final

from .. import thresholds as at
from ..recordings import TYPE
from .model import Alert, Entry, labelled

_JOB: Final = labelled("job")
_TYPE: Final = labelled(TYPE)
_DASHBOARD: Final = "app-session-conversations"
_ENOUGH: Final = f"(app_session:turns:increase5m >= {at.MIN_TURNS.scalar})"

_SLOW: Final = Entry(
    means="Users wait too long for answers, from their message to the response.",
    confirm=(
        'app_session:turn_duration_seconds:p95_5m{job="{{job}}"}',
        (
            "histogram_quantile(0.95, sum by (gen_ai_request_model, le) "
            '(rate(app_session_turn_duration_seconds_bucket{job="{{job}}"}[5m])))'
        ),
    ),
    act=(
        "See whether one model is slow or all are, and ask its provider's status page.",
        "Open the trace of a slow turn from an exemplar: the model, a tool, or the application before it.",
        "Look at [refusals](#sessionrefusalshigh) and retries, and at how busy the host is.",
    ),
)

ALERTS: Final = (
    Alert(
        name="SessionResponseSlow",
        component="conversations",
        severity="warning",
        subject="response_time",
        expr=f"(app_session:turn_duration_seconds:p95_5m > {at.RESPONSE_P95.scalar})\n  and {_ENOUGH}",
        wait="5m",
        summary="Responses are slow.",
        description=f"Response time that 95 % of the turns in {_TYPE} sessions of {_JOB} stay under.",
        unit="seconds",
        threshold=at.RESPONSE_P95,
        action="See whether one model is slow or all are, then open the trace of a slow turn.",
        dashboard=_DASHBOARD,
        entry=_SLOW,
    ),
    Alert(
        name="SessionResponseMeanHigh",
        component="conversations",
        severity="error",
        subject="response_time",
        expr=f"(app_session:turn_duration_seconds:mean_5m > {at.RESPONSE_MEAN.scalar})\n  and {_ENOUGH}",
        wait="5m",
        summary="Responses take too long on average.",
        description=f"Mean response time in {_TYPE} sessions of {_JOB}.",
        unit="seconds",
        threshold=at.RESPONSE_MEAN,
        action="See whether one model is slow or all are, and switch to another if you can.",
        dashboard=_DASHBOARD,
        entry=_SLOW,
    ),
    Alert(
        name="SessionResponseSingleSlow",
        component="conversations",
        severity="warning",
        subject="response_time",
        expr=f"app_session:turn_duration_seconds:max_5m > {at.RESPONSE_SINGLE.scalar}",
        wait="0m",
        summary="A single response took very long.",
        description=f"A turn in a {_TYPE} session of {_JOB} took up to this long, the upper bound of its bucket.",
        unit="seconds",
        threshold=at.RESPONSE_SINGLE,
        action="Open the trace of that turn from its exemplar.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="At least one turn of the last five minutes took longer than the threshold. Its value is the upper "
            "bound of the bucket it fell into, so it took less than that.",
            confirm=('app_session:turn_duration_seconds:max_5m{job="{{job}}"}',),
            act=(
                "Open the trace of that turn from its exemplar, and see what it waited for.",
                "If it comes often, give the call of the model a time limit.",
            ),
        ),
    ),
    Alert(
        name="SessionResponseDegraded",
        component="conversations",
        severity="warning",
        subject="response_baseline",
        expr=f"""\
(
  app_session:turn_duration_seconds:p95_5m
    / (avg_over_time(app_session:turn_duration_seconds:p95_5m[1h] offset 1d) > 0)
    and {_ENOUGH}
) > {at.DEGRADATION.scalar}""",
        wait="15m",
        summary="Responses are slower than the day before.",
        description=f"Response time (95 %) in {_TYPE} sessions of {_JOB}, in terms of the same hour yesterday.",
        unit="times",
        threshold=at.DEGRADATION,
        action="Find out what has changed since yesterday: a deployment, a model, the length of prompts.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="Response times are worse than in the same hour of the day before, though perhaps still good.",
            confirm=(
                'app_session:turn_duration_seconds:p95_5m{job="{{job}}"}',
                'avg_over_time(app_session:turn_duration_seconds:p95_5m{job="{{job}}"}[1h] offset 1d)',
            ),
            act=(
                "Compare the beginning with deployments, and the models that are used with those of yesterday.",
                "Compare tokens per turn: longer prompts take longer.",
            ),
        ),
    ),
    Alert(
        name="SessionEngagementLow",
        component="conversations",
        severity="info",
        subject="engagement",
        expr=f"""\
(app_session:engagement_ratio:mean_1h < {at.ENGAGEMENT.scalar})
  and (app_session:engaged:increase1h >= {at.BASELINE_MIN_SESSIONS.scalar})""",
        wait="15m",
        summary="Sessions are open for long, and hardly used.",
        description=f"The active share of {_TYPE} sessions of {_JOB} that ended in the last hour.",
        unit="ratio",
        threshold=at.ENGAGEMENT,
        action="See whether users leave early; if they do not, shorten the idle timeout.",
        dashboard=_DASHBOARD,
        entry=Entry(
            means="Of the time that durable sessions are open, users are active for a small share only. Either they "
            "leave early and the session waits for its idle timeout, or they wait for something.",
            confirm=('app_session:engagement_ratio:mean_1h{job="{{job}}"}',),
            act=(
                (
                    "Look at end reasons: mostly `idle_timeout` means that nobody ends sessions; a shorter timeout, "
                    "or an "
                    "explicit end, makes the figure say something."
                ),
                "Look at messages per session and at response times: slow answers end conversations.",
            ),
        ),
    ),
)
