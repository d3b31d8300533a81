"""What an alert is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ..thresholds import Threshold, Unit

Severity = Literal["info", "warning", "error", "critical"]
Component = Literal["sessions", "conversations", "limits", "security", "resources", "store", "telemetry"]
Dashboard = Literal[
    "app-session-overview",
    "app-session-operations",
    "app-session-conversations",
    "app-session-limits",
    "app-session-security",
    "app-session-resources",
    "app-session-pipeline",
    "app-session-explorer",
]

RUNBOOK: Final = "https://github.com/otel-sessions/otel-sessions/blob/main/docs/runbook.md"
GRAFANA: Final = "http://localhost:3000/d"

_FORMATS: Final[dict[Unit, str]] = {"ratio": "humanizePercentage", "seconds": "humanizeDuration"}
_PLAIN: Final = 'printf "%.4g"'


@dataclass(frozen=True)
class Entry:
    """What the runbook says of an alert."""

    means: str
    """What has happened, and what it is for the users of the application."""
    confirm: tuple[str, ...]
    """Expressions that show it, where in `{{...}}` a label of the alert stands."""
    act: tuple[str, ...]
    """What to do, in this order."""


@dataclass(frozen=True)
class Alert:
    """One rule. Several of one name differ in severity, and have one entry in the runbook."""

    name: str
    component: Component
    severity: Severity
    subject: str
    """What it is about: of alerts with the same subject, and the same labels, the most severe silences the others."""
    expr: str
    wait: str
    """For how long it has to hold."""
    summary: str
    """One sentence, the same for all that it fires for."""
    description: str
    """What is so, in which job; may contain labels."""
    unit: Unit | Literal["state"]
    """That of its value; `state` if the value says nothing."""
    threshold: Threshold | str
    """What it compares with, or in words what is expected."""
    action: str
    """What to do first, in one sentence."""
    dashboard: Dashboard
    entry: Entry

    @property
    def labels(self) -> dict[str, str]:
        """The labels that route it."""
        return {"severity": self.severity, "component": self.component, "subject": self.subject}

    @property
    def annotations(self) -> dict[str, str]:
        """What is said to whoever gets it."""
        return {
            "summary": self.summary,
            "description": self.description,
            "current_value": self._current_value,
            "threshold": self._threshold,
            "recommended_action": self.action,
            "runbook_url": f"{RUNBOOK}#{self.anchor}",
            "dashboard_url": f"{GRAFANA}/{self.dashboard}{self._chosen}",
        }

    @property
    def anchor(self) -> str:
        """Where its section of the runbook is."""
        return self.name.lower()

    @property
    def _chosen(self) -> str:
        """What is chosen on the dashboard: the application that it is about, or the machine."""
        if not self.name.startswith("Session"):
            return ""  # The collector's and Prometheus' own jobs cannot be chosen.
        variable, label = ("host", "instance") if self.component == "resources" else ("job", "job")
        return f"?var-{variable}={{{{ $labels.{label} | urlquery }}}}"

    @property
    def _current_value(self) -> str:
        if self.unit == "state":
            return "true"
        return f"{{{{ $value | {_FORMATS.get(self.unit, _PLAIN)} }}}}{_suffix(self.unit)}"

    @property
    def _threshold(self) -> str:
        if isinstance(self.threshold, str):
            return self.threshold
        unit = self.threshold.unit
        shown = f". | first | value | {_FORMATS.get(unit, _PLAIN)}"
        # Asked for, because it may have been changed where the rules are loaded.
        return f"{{{{ with query `{self.threshold.series}` }}}}{{{{ {shown} }}}}{{{{ end }}}}{_suffix(unit)}"


def _suffix(unit: Unit) -> str:
    return "" if unit in _FORMATS else f" {unit}"


def labelled(name: str) -> str:
    """A label of the alert, in its texts."""
    return f"{{{{ $labels.{name} }}}}"
