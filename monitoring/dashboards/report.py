"""What the table of firing alerts shows beside their labels, from the alerts' own definitions."""

from __future__ import annotations

from typing import Any, Final

from ..alerts import EVERY, Alert
from ..alerts.model import RUNBOOK
from ..thresholds import Threshold
from .colours import CRITICAL, NEUTRAL, WARNING


def _key(alert: Alert) -> str:
    return f"{alert.name}/{alert.severity}"


def expected(alert: Alert) -> str:
    """What an alert compares with, as it is shipped."""
    threshold = alert.threshold
    if not isinstance(threshold, Threshold):
        return threshold
    if threshold.unit == "ratio":
        return f"{threshold.value:.4g}" if threshold.value > 1 else f"{100 * threshold.value:g} %"
    return f"{threshold.value:g} {threshold.unit}"


def _texts(texts: dict[str, str]) -> list[dict[str, Any]]:
    options = {value: {"text": text, "index": index} for index, (value, text) in enumerate(texts.items())}
    return [{"type": "value", "options": options}]


def _colours(colours: dict[str, str]) -> list[dict[str, Any]]:
    options = {value: {"color": colour, "index": index} for index, (value, colour) in enumerate(colours.items())}
    return [{"type": "value", "options": options}]


_SEVERITIES: Final = {"info": NEUTRAL, "warning": WARNING, "error": CRITICAL, "critical": "dark-red"}

COLUMNS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("Severity", {"mappings": _colours(_SEVERITIES), "custom.cellOptions": {"type": "color-text"}, "custom.width": 90}),
    ("Component", {"custom.width": 120}),
    ("Which one", {"custom.width": 200}),
    ("Threshold", {"mappings": _texts({_key(each): expected(each) for each in EVERY}), "custom.width": 160}),
    ("Recommended action", {"mappings": _texts({_key(each): each.action for each in EVERY})}),
    (
        "Runbook",
        {
            # The link needs the anchor, which is in lower case: the mapping turns the name into it.
            "mappings": _texts({each.name: each.anchor for each in EVERY}),
            "links": [{"title": "Open the runbook", "url": f"{RUNBOOK}#${{__value.text}}", "targetBlank": True}],
            "custom.width": 230,
        },
    ),
]
"""The columns' properties: texts by alert and severity."""
