"""Alerts on what is unusual: bands around the mean of a day, widened by what was so at the same hour before."""

from __future__ import annotations

from typing import Final

from .. import thresholds as at
from ..recordings import TYPE, Recording
from .model import Alert, Component, Dashboard, Entry, labelled

_JOB: Final = labelled("job")
_TYPE: Final = labelled(TYPE)

_STARTS: Final = "app_session:starts:increase5m"
_RESPONSE: Final = "app_session:turn_duration_seconds:p95_5m"


def _bands(series: str, what: str) -> tuple[Recording, ...]:
    """Between which values a series is usual. There are none in its first day."""
    name = series.rpartition(":")[0]
    mean, deviation = f"{name}:mean26h", f"{name}:stddev26h"
    usual, margin = at.ANOMALY_DEVIATIONS.scalar, at.ANOMALY_MARGIN.scalar
    seasons = [f"avg_over_time({series}[1h] offset {before})" for before in ("1d", "7d")]

    def band(sign: str, choose: str) -> str:
        # Told apart by a label, because all of them are wanted.
        arms = [f"{mean} {sign} {usual} * {deviation}", *(f"{each} * (1 {sign} {margin})" for each in (mean, *seasons))]
        named = (f'label_replace({arm}, "of", "{number}", "", "")' for number, arm in enumerate(arms))
        known = f"present_over_time({series}[1h] offset 1d)"
        return f"{choose} by (job, {TYPE}) (\n    " + "\n  or\n    ".join(named) + f"\n)\n  and {known}"

    return (
        Recording(mean, f"avg_over_time({series}[26h])", f"{what}: the mean of 26 hours."),
        Recording(deviation, f"stddev_over_time({series}[26h])", f"{what}: its standard deviation."),
        Recording(f"{name}:usual_high", band("+", "max"), f"{what}: what is usual at most."),
        Recording(f"{name}:usual_low", band("-", "min"), f"{what}: what is usual at least."),
    )


RECORDINGS: Final = (*_bands(_STARTS, "Sessions started"), *_bands(_RESPONSE, "Response time"))

RECORDED: Final = frozenset(each.name for each in RECORDINGS)


def _anomaly(
    name: str, component: Component, dashboard: Dashboard, expr: str, summary: str, what: str, entry: Entry
) -> Alert:
    return Alert(
        name=name,
        component=component,
        severity="info",
        subject="anomaly",
        expr=expr,
        wait="10m",
        summary=summary,
        description=f"{what} {_TYPE} sessions of {_JOB}, compared with the last 26 hours and the same hour of the "
        "day and "
        "the week before.",
        unit="times",
        threshold="within the usual",
        action="See whether something has changed, or the day is a special one.",
        dashboard=dashboard,
        entry=entry,
    )


ALERTS: Final = (
    _anomaly(
        "SessionCreationAnomalous",
        "sessions",
        "app-session-overview",
        f"""\
(
    {_STARTS} > app_session:starts:usual_high
  or
    {_STARTS} < app_session:starts:usual_low
)
  / (app_session:starts:mean26h > 0)
  and (
      {_STARTS} >= {at.ANOMALY_MIN.scalar}
    or
      app_session:starts:mean26h >= {at.ANOMALY_MIN.scalar}
  )""",
        "Unusually many, or few, sessions start.",
        "The number, in terms of its mean, of started",
        Entry(
            means="The number of sessions that start is outside of what was usual: further from the mean of 26 hours "
            "than two standard deviations and half the mean, and different from the same hour of the day and the week "
            "before. Needs a day of history to say anything, and a week to know weekends.",
            confirm=(
                'app_session:starts:increase5m{job="{{job}}"}',
                'app_session:starts:usual_high{job="{{job}}"}',
                'app_session:starts:usual_low{job="{{job}}"}',
            ),
            act=("Go on as for [SessionCreationDrop](#sessioncreationdrop).",),
        ),
    ),
    _anomaly(
        "SessionResponseAnomalous",
        "conversations",
        "app-session-conversations",
        f"""\
({_RESPONSE} > app_session:turn_duration_seconds:usual_high)
  / (app_session:turn_duration_seconds:mean26h > 0)
  and (app_session:turns:increase5m >= {at.MIN_TURNS.scalar})""",
        "Responses are unusually slow.",
        "The response time (95 %), in terms of its mean, in",
        Entry(
            means="Response times are outside of what was usual: further above the mean of 26 hours than two standard "
            "deviations and half the mean, and above the same hour of the day and the week before.",
            confirm=(
                'app_session:turn_duration_seconds:p95_5m{job="{{job}}"}',
                'app_session:turn_duration_seconds:usual_high{job="{{job}}"}',
            ),
            act=("Go on as for [SessionResponseDegraded](#sessionresponsedegraded).",),
        ),
    ),
)
