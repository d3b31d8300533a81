"""The rule files of Prometheus."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from .alerts import ALERTS, ANOMALIES, Alert, anomalies
from .recordings import GROUPS, Group, Recording
from .thresholds import SERIES, THRESHOLDS, Threshold

_HEADER: Final = (
    "# Written by `python -m monitoring` from monitoring/{source}. Do not edit: change that, and write it anew.\n"
)

_THRESHOLDS: Final = """\
# Written by `python -m monitoring` from monitoring/thresholds.py.
# Where alerts begin. This is the one file in which a deployment changes numbers: alerts compare with these series, and
# dashboards draw them. A name that is missing silences its alerts, which TelemetryThresholdsMissing says.
"""


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, as people would."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def thresholds() -> str:
    """The constants that alerts compare with."""
    rules = "".join(_commented(f"{each.about} In {each.unit}.", _threshold(each)) for each in THRESHOLDS)
    return f"{_THRESHOLDS}groups:\n  - name: app-session-thresholds\n    rules:\n{rules}"


def recording() -> str:
    """The recording rules."""
    return _HEADER.format(source="recordings.py") + "groups:\n" + "".join(map(_recorded, GROUPS))


def alerts() -> str:
    """The alerts; a group for each component."""
    components = dict.fromkeys(each.component for each in ALERTS)
    groups = (
        _group(f"app-session-{component}-alerts", _rules(each for each in ALERTS if each.component == component))
        for component in components
    )
    return _HEADER.format(source="alerts/") + "groups:\n" + "".join(groups)


def bands() -> str:
    """What is usual. Apart from the alerts on it, because dashboards and Grafana's own rules ask for it as well."""
    recorded = _recorded(Group("app-session-bands", anomalies.RECORDINGS))
    return f"{_HEADER.format(source='alerts/anomalies.py')}groups:\n{recorded}"


def anomaly() -> str:
    """Alerts on what is unusual. A file of its own, because it can be left out."""
    alerted = _group("app-session-anomalies-alerts", _rules(ANOMALIES))
    return f"{_HEADER.format(source='alerts/anomalies.py')}groups:\n{alerted}"


def _threshold(threshold: Threshold) -> Mapping[str, Any]:
    return {"record": SERIES, "expr": f"{threshold.value:.10g}", "labels": {"name": threshold.name}}


def _recorded(group: Group) -> str:
    return _group(group.name, "".join(_commented(each.about, _recording(each)) for each in group.recordings))


def _recording(recording: Recording) -> Mapping[str, Any]:
    return {"record": recording.name, "expr": recording.expr}


def _rules(chosen: Iterable[Alert]) -> str:
    return "".join(_item(_alert(each)) for each in chosen)


def _alert(alert: Alert) -> Mapping[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        **({} if alert.wait == "0m" else {"for": alert.wait}),
        "labels": alert.labels,
        "annotations": alert.annotations,
    }


def _group(name: str, rules: str) -> str:
    return f"  - name: {name}\n    rules:\n{rules}"


def _commented(about: str, rule: Mapping[str, Any]) -> str:
    comment = textwrap.fill(about, 112, initial_indent="      # ", subsequent_indent="      # ")
    return f"{comment}\n{_item(rule)}"


def _item(rule: Mapping[str, Any]) -> str:
    text = yaml.dump([rule], Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)
    return textwrap.indent(text, " " * 6)
