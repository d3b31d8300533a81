"""The alerts as rules of Grafana's own, for those who run no Alertmanager.

They ask Prometheus for the same expressions, so the recording rules and the thresholds stay there. In Prometheus an
alert fires for every series that its expression leaves over, whatever the value; `math` says just that in Grafana.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from .alerts import EVERY, Alert
from .dashboards.report import expected
from .rule_files import _Dumper

_HEADER: Final = """\
# Written by `python -m monitoring` from monitoring/alerts. Do not edit: change that, and write it anew.
# The alerts of prometheus/rules as rules of Grafana's own. Not loaded by default: with both, each fires twice. To use
# them, leave prometheus/rules/alerts.yaml and anomalies.yaml out and copy this file to provisioning/alerting. The other
# files of prometheus/rules stay: they record what these rules ask for.
"""
_SOURCE: Final = "prometheus"
_FORMATS: Final = {"ratio": "humanizePercentage", "seconds": "humanizeDuration"}


def rules() -> str:
    """The file."""
    groups = [_group(component) for component in dict.fromkeys(each.component for each in EVERY)]
    held = {"apiVersion": 1, "groups": groups}
    return _HEADER + yaml.dump(held, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def _group(component: str) -> dict[str, Any]:
    return {
        "orgId": 1,
        "name": f"app-session-{component}",
        "folder": "Sessions",
        "interval": "1m",
        "rules": [_rule(each) for each in EVERY if each.component == component],
    }


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "uid": f"{alert.anchor.removeprefix('session')}-{alert.severity}",  # of 40 characters at most
        "title": f"{alert.name} ({alert.severity})",
        "condition": "threshold",
        "data": [
            _step("query", _SOURCE, {"expr": alert.expr, "instant": True, "range": False}),
            _step(
                "fires",
                "__expr__",
                {"type": "math", "expression": "is_number($query) || is_nan($query) || is_inf($query)"},
            ),
            _step(
                "threshold",
                "__expr__",
                {
                    "type": "threshold",
                    "expression": "fires",
                    "conditions": [{"evaluator": {"type": "gt", "params": [0]}}],
                },
            ),
        ],
        # Nothing left over is what is good; that nothing is measured at all is an alert of its own.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.wait,
        "annotations": {
            # Grafana fills in $names of its environment, in some versions but those in braces: better to have none.
            **{name: text.replace("$labels.", ".Labels.") for name, text in alert.annotations.items()},
            "current_value": _value(alert),
            "threshold": expected(alert),  # Grafana's templates cannot ask Prometheus for it
        },
        "labels": alert.labels,
        "isPaused": False,
    }


def _step(ref: str, source: str, model: dict[str, Any]) -> dict[str, Any]:
    return {
        "refId": ref,
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": source,
        "model": {"refId": ref, **model},
    }


def _value(alert: Alert) -> str:
    if alert.unit == "state":
        return "true"
    return f"{{{{ {_FORMATS.get(alert.unit, 'humanize')} .Values.query.Value }}}}"
