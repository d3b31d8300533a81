"""Health checks at an interval, and the alerts that come of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context

from .. import _semconv as sc
from .._guard import guarded
from .._health_check import SEVERITIES, HealthAlert, HealthCheck, HealthReport, Severity
from .._hook_events import ALERT
from .._hooks import hooks
from .._models import AttributeValue, Event
from .judge import UNREACHABLE

if TYPE_CHECKING:
    from .._telemetry import Telemetry
    from ..typing import Clock

_NS: Final = 1_000_000_000
_MOST: Final = 1_000
"""How many alerts are remembered."""

_NUMBERS: Final[dict[Severity, SeverityNumber]] = {
    "ok": SeverityNumber.INFO,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}


class Monitor:
    """Asks for a report every `interval` seconds, and remembers what has changed since the last.

    Args:
        report: makes one.
        interval: in seconds.
        clock: says when the next one is due.
        telemetry: is told of alerts.
    """

    def __init__(self, report: Callable[[], HealthReport], interval: float, clock: Clock, telemetry: Telemetry) -> None:
        self._report = report
        self._interval_ns = int(interval * _NS)
        self._clock = clock
        self._telemetry = telemetry
        self.after_fork()

    def after_fork(self) -> None:
        """A child process has no alerts yet."""
        self._checking = threading.Lock()
        self._checked_ns = self._clock.monotonic_ns()
        self._alerts: deque[HealthAlert] = deque(maxlen=_MOST)
        self._known: dict[str, Severity] = {}
        """What is not ok, and how serious it is."""

    def round(self) -> None:
        """Check, if it is due, and nobody else does just now."""
        if not self._checking.acquire(blocking=False):
            return
        try:
            now = self._clock.monotonic_ns()
            if now - self._checked_ns >= self._interval_ns:
                self._checked_ns = now
                self.note(self._report())
        finally:
            self._checking.release()

    def note(self, report: HealthReport) -> None:
        """Raise an alert for each check that has become a problem, or a worse one, or is ok again."""
        store_fails = any(check.type == UNREACHABLE for check in report.problems)
        for check in report.checks:
            # Nobody knows how it is while the store cannot be asked: it is as it was.
            if check.is_judged or not check.is_ok or not store_fails:
                self._note(check)

    def _note(self, check: HealthCheck) -> None:
        before = self._known.get(check.type, "ok")
        if check.is_ok:
            if self._known.pop(check.type, None) is not None:
                self._raise(HealthAlert.of(check, before))
            return
        self._known[check.type] = check.severity
        if SEVERITIES.index(check.severity) > SEVERITIES.index(before):
            self._raise(HealthAlert.of(check, check.severity))

    def _raise(self, alert: HealthAlert) -> None:
        self._alerts.append(alert)
        if ALERT in hooks.registered:
            hooks.tell(ALERT, alert)
        with guarded("emit an alert"):
            self._telemetry.bind()
            self._telemetry.event(
                Event(sc.EVENT_ALERT, self._clock.time_ns(), _described(alert)),
                {},
                severity=SeverityNumber.INFO if alert.resolved else _NUMBERS[alert.severity],
                body=alert.recommended_action,
                # It is no session's, though one may call for the check.
                context=Context(),
                always_log=True,
            )

    def alerts(self, limit: int) -> list[HealthAlert]:
        """The last ones, the latest first."""
        return list(reversed(self._alerts.copy()))[:limit]


def _described(alert: HealthAlert) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue | None] = {
        sc.ALERT_TYPE: alert.type,
        sc.ALERT_COMPONENT: alert.component,
        sc.ALERT_VALUE: alert.current_value,
        sc.ALERT_THRESHOLD: alert.threshold,
        sc.ALERT_SUBJECT: alert.subject,
        sc.ALERT_RESOLVED: alert.resolved,
    }
    return {name: value for name, value in found.items() if value is not None}
