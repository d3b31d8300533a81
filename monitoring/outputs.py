"""Every file that is written, and what writes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from . import dashboards, grafana_rules, rule_files, runbook

ROOT: Final = Path(__file__).parent.parent
"""The repository."""

_PART: Final = re.compile(r"(<!-- generated: (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PAGE: Final = "docs/monitoring.md"
_PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "alerts": runbook.alert_table,
    "thresholds": runbook.threshold_table,
}


def _page() -> str:
    """The page written by hand, with its generated parts made anew."""
    text = (ROOT / _PAGE).read_text(encoding="utf-8")
    return _PART.sub(lambda found: f"{found[1]}{_PARTS[found['name']]()}{found[3]}", text)


OUTPUTS: Final[dict[str, Callable[[], str]]] = {
    "prometheus/rules/thresholds.yaml": rule_files.thresholds,
    "prometheus/rules/recording.yaml": rule_files.recording,
    "prometheus/rules/alerts.yaml": rule_files.alerts,
    "prometheus/rules/bands.yaml": rule_files.bands,
    "prometheus/rules/anomalies.yaml": rule_files.anomaly,
    "docs/runbook.md": runbook.page,
    _PAGE: _page,
    "grafana/alerting/sessions.yaml": grafana_rules.rules,
    **dashboards.OUTPUTS,
}
"""What is written: paths from the root of the repository, and what makes their text."""


def stale() -> dict[str, str]:
    """The files that are not as they would be written, and their text."""
    made = {path: make() for path, make in OUTPUTS.items()}
    return {path: text for path, text in made.items() if _held(ROOT / path) != text}


def _held(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
