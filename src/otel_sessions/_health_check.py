"""What a health check finds: values, and how they are told."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, Literal, NamedTuple, get_args

Severity = Literal["ok", "info", "warning", "error", "critical"]
Component = Literal["sessions", "conversations", "limits", "security", "resources", "store", "telemetry"]
Verdict = Literal["healthy", "degraded", "unhealthy"]

SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""The worst comes last."""

_VERDICTS: Final[dict[Severity, Verdict]] = {
    "ok": "healthy",
    "info": "healthy",
    "warning": "degraded",
    "error": "unhealthy",
    "critical": "unhealthy",
}


_LARGE: Final = 10_000


class HealthCheck(NamedTuple):
    """One thing that was looked at. It bears the name of the alert that Prometheus raises for the same."""

    timestamp: dt.datetime
    type: str
    """The alert's name: `SessionErrorRateHigh`. The runbook has a section on each."""
    severity: Severity
    """`ok`, or how serious it is."""
    component: Component
    current_value: float | None
    """None: it could not be judged, which is `ok` unless the check itself failed; `reason` says why."""
    threshold: float
    recommended_action: str
    """What to do if it is not ok."""
    unit: str
    """That of the value and of the threshold: `ratio`, `seconds`, `sessions`, ..."""
    subject: str | None = None
    """What the value is of, which is the worst there is: a type of session, a limit, a reason."""
    reason: str | None = None
    """Why it could not be judged, or what failed."""

    @property
    def is_ok(self) -> bool:
        """Whether there is nothing to say of it."""
        return self.severity == "ok"

    @property
    def is_judged(self) -> bool:
        """Whether enough is known to say how it is."""
        return self.current_value is not None

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return self._asdict() | {"timestamp": self.timestamp.isoformat()}

    def __str__(self) -> str:
        """A line, or two if there is something to do."""
        if self.current_value is None:
            said = self.reason or "too little is known"
        else:
            said = f"{told(self.current_value, self.unit)}, threshold {told(self.threshold, self.unit)}"
        subject = f" ({self.subject})" if self.subject else ""
        severity = self.severity if self.is_judged or not self.is_ok else "-"
        line = f"{severity:<8}  {self.type}{subject}: {said}"
        return line if self.is_ok else f"{line}\n{'':<10}{self.recommended_action}"


class HealthReport(NamedTuple):
    """How the sessions are, as far as this process and its store know."""

    time: dt.datetime
    verdict: Verdict
    """`unhealthy`: a check is critical, or an error. `degraded`: one is a warning. Else `healthy`."""
    checks: tuple[HealthCheck, ...]
    """One for each alert that can be judged without a monitoring system."""

    @classmethod
    def of(cls, time: dt.datetime, checks: tuple[HealthCheck, ...]) -> HealthReport:
        """The report on these checks."""
        worst: Severity = max((check.severity for check in checks), key=SEVERITIES.index, default="ok")
        return cls(time, _VERDICTS[worst], checks)

    @property
    def problems(self) -> tuple[HealthCheck, ...]:
        """The checks that are not ok, the most serious first."""
        found = (check for check in self.checks if not check.is_ok)
        return tuple(sorted(found, key=lambda check: -SEVERITIES.index(check.severity)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return {
            "time": self.time.isoformat(),
            "verdict": self.verdict,
            "checks": [check.to_dict() for check in self.checks],
        }

    def __str__(self) -> str:
        """A report for people, in plain text: problems first."""
        rest = (check for check in self.checks if check.is_ok)
        lines = (f"  {line}" for check in (*self.problems, *rest) for line in str(check).splitlines())
        return "\n".join([f"{self.verdict}, {self.time:%Y-%m-%d %H:%M:%S} UTC", *lines])


class HealthAlert(NamedTuple):
    """A check has become a problem, or a worse one, or is ok again: what the hook `alert` is told."""

    timestamp: dt.datetime
    type: str
    severity: Severity
    """How serious it is; of one that is ok again, how serious it was."""
    component: Component
    current_value: float | None
    threshold: float
    recommended_action: str
    unit: str
    subject: str | None
    reason: str | None
    resolved: bool
    """Whether it is ok again."""

    @classmethod
    def of(cls, check: HealthCheck, severity: Severity) -> HealthAlert:
        """The alert that a check raises, or resolves."""
        return cls(*check._replace(severity=severity), resolved=check.is_ok)

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible values."""
        return self._asdict() | {"timestamp": self.timestamp.isoformat()}


def told(value: float, unit: str) -> str:
    """A value as people say it: `12.5 %`, `3 sessions`, `1 session`."""
    if unit == "ratio":
        return f"{100 * value:.4g} %"
    number = f"{value:.4g}" if abs(value) < _LARGE else f"{value:,.0f}"
    said = "s" if unit == "seconds" else unit
    # Units are plurals.
    return f"{number} {said.removesuffix('s') if number == '1' and len(said) > 1 else said}"
