"""Alerts on suspicious activity and refused access."""

from __future__ import annotations

from typing import Final

from .. import thresholds as at
from .model import Alert, Entry, labelled

_JOB: Final = labelled("job")

ALERTS: Final = (
    Alert(
        name="SessionSuspiciousActivity",
        component="security",
        severity="error",
        subject="findings",
        expr=f"sum by (job) (app_session:findings:increase10m) >= {at.FINDINGS.scalar}",
        wait="0m",
        summary="Suspicious activity has been found several times.",
        description=f"Findings in sessions of {_JOB} in the last ten minutes.",
        unit="findings",
        threshold=at.FINDINGS,
        action="Read the findings' log events, and decide whether they are one incident.",
        dashboard="app-session-security",
        entry=Entry(
            means="Sessions were reported as suspicious, by the application or by a detector, as often in ten minutes "
            "as the threshold says.",
            confirm=(
                'app_session:findings:increase10m{job="{{job}}"}',
                'sum by (app_session_finding_severity) (increase(app_session_findings_total{job="{{job}}"}[10m]))',
            ),
            act=(
                "Read the log events `app_session.finding`: kind, score, session, pseudonym of the user.",
                (
                    "If they are one actor's, end their sessions and lock the account; if one kind's of many, think "
                    "of an "
                    "attack, and limit the way in."
                ),
                "If the detector is wrong, correct it: an alert that is ignored protects nobody.",
            ),
        ),
    ),
    Alert(
        name="SessionAccessFailuresHigh",
        component="security",
        severity="warning",
        subject="access_failures",
        expr=f"sum by (job) (app_session:access_failures:increase10m) >= {at.ACCESS_FAILURES.scalar}",
        wait="0m",
        summary="Many requests are refused as unauthenticated or forbidden.",
        description=f"Requests to {_JOB} in the last ten minutes that were answered with 401 or 403.",
        unit="failures",
        threshold=at.ACCESS_FAILURES,
        action="See whether they come from few sessions or many, and whether a deployment broke the login.",
        dashboard="app-session-security",
        entry=Entry(
            means="Somebody tries what they may not, or what they may has broken: an expired credential, a login that "
            "does not work since the last deployment.",
            confirm=('app_session:access_failures:increase10m{job="{{job}}"}',),
            act=(
                (
                    "By reason: `unauthorized` in great number is a broken login or guessed passwords, `forbidden` a "
                    "wrong "
                    "permission or somebody looking around."
                ),
                "Find the sessions by their traces with status 401 or 403, and limit their addresses in the proxy.",
            ),
        ),
    ),
)
