"""Test files for `promtool test rules`, from the cases."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

import yaml
from monitoring import promql as pq
from monitoring.alerts import EVERY, Alert

from otel_sessions import _semconv as sc

from .rule_cases import CALM, CASES, Calm, Case, Fired

RULES: Final = Path(__file__).parents[2] / "prometheus" / "rules"
FILES: Final = ("thresholds.yaml", "recording.yaml", "bands.yaml", "alerts.yaml", "anomalies.yaml")

_SCRAPED: Final = 'up{job="app-sessions", instance="collector:9464"}'
_PROCESS: Final = re.compile(r'(?<=\{)job="[^"]+", instance="[^"]+"')
_RECORDED: Final = re.compile(r'app_session:threshold\{name="\w+"\}|app_session:[\w:]+')


def write_cases(directory: Path, major: int) -> list[str]:
    """A test file for each case, for a major version of Prometheus; returns their paths.

    Each loads, of the rules as they are shipped, those that the alert is made of: all of them, for each case, would
    take minutes.
    """
    asked: list[tuple[Case | Calm, list[dict[str, Any]]]] = [(case, _asked_of(case, major)) for case in CASES]
    asked += [(calm, [_asked(calm.alert, at, []) for at in calm.at]) for calm in CALM]
    paths = []
    for number, (case, wanted) in enumerate(asked):
        rules = directory / f"{number}.rules.yaml"
        rules.write_text(yaml.safe_dump({"groups": parts_of(case.alert)}, width=10_000), encoding="utf-8")
        length = 90 if case.every == "1m" else 2_000
        series = {_SCRAPED: f"1x{length}", **_processes(case.series, length), **case.series}
        path = directory / f"{number}.{case.alert}.yaml"
        path.write_text(_file([rules], case.every, series, wanted), encoding="utf-8")
        paths.append(str(path))
    return paths


def _processes(series: Mapping[str, str], length: int) -> dict[str, str]:
    """The processes whose series those are, reporting all the time, unless the case says what becomes of them."""
    found = {match[0] for each in series if (match := _PROCESS.search(each))}
    name = pq.name(sc.UP)
    said = any(each.startswith(name) for each in series)
    return {} if said else {f"{name}{{{process}}}": f"1x{length}" for process in sorted(found)}


def no_data() -> str:
    """A test of all rules, in which nothing but a collector is there: nothing fires but what always does."""
    names = sorted({each.name for each in EVERY} - {"TelemetryWatchdog"})
    asked = [_asked(name, at, []) for at in ("0m", "30m") for name in names]
    return _file([RULES / file for file in FILES], "5m", {_SCRAPED: "1x30"}, asked)


def without_thresholds(missing: Fired, names: Sequence[str]) -> str:
    """A test of rules of which the thresholds were not loaded."""
    alert = "TelemetryThresholdsMissing"
    fired = []
    for name in names:
        said = Fired(missing.severity, {"name": name}, missing.value, missing.threshold, missing.description + name)
        fired.append(_fired(alert, said, 2))
    asked = [_asked(alert, "4m", []), _asked(alert, "5m", fired)]
    return _file([RULES / file for file in FILES[1:]], "1m", {}, asked)


def twice(said: Fired, name: str) -> str:
    """A test of rules of which a threshold is there a second time, in a file with a label of its own."""
    alert = "TelemetryThresholdsMissing"
    copy = {f'app_session:threshold{{name="{name}", source="a copy"}}': "1x30"}
    fired = Fired(said.severity, {"name": name}, said.value, said.threshold, said.description + name)
    asked = [_asked(alert, "4m", []), _asked(alert, "5m", [_fired(alert, fired, 2)])]
    return _file([RULES / file for file in FILES], "1m", copy, asked)


def rule_of(name: str, severity: str) -> Alert:
    """The rule of that name and severity."""
    (found,) = (each for each in EVERY if (each.name, each.severity) == (name, severity))
    return found


def shipped() -> list[dict[str, Any]]:
    """All groups of all files."""
    return [group for file in FILES for group in yaml.safe_load((RULES / file).read_text(encoding="utf-8"))["groups"]]


def parts_of(alert: str) -> list[dict[str, Any]]:
    """The groups of all files, with those rules that the alert is made of."""
    groups = shipped()
    rules = [rule for group in groups for rule in group["rules"]]
    wanted: set[str] = {alert}
    while True:
        found = {name for rule in rules if _name(rule) in wanted for name in _RECORDED.findall(_text(rule))}
        if found <= wanted:
            break
        wanted |= found
    kept = ({**group, "rules": [rule for rule in group["rules"] if _name(rule) in wanted]} for group in groups)
    return [group for group in kept if group["rules"]]


def _name(rule: Mapping[str, Any]) -> str:
    if rule.get("record") == "app_session:threshold":
        return f'app_session:threshold{{name="{rule["labels"]["name"]}"}}'
    return str(rule.get("alert") or rule["record"])


def _text(rule: Mapping[str, Any]) -> str:
    return " ".join([rule["expr"], *rule.get("annotations", {}).values()])


def _file(files: Sequence[Path], step: str, series: Mapping[str, str], asked: list[dict[str, Any]]) -> str:
    groups = [group["name"] for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": given, "alert_rule_test": asked}
    return yaml.safe_dump(
        {
            "rule_files": [str(file) for file in files],
            "evaluation_interval": step,
            # Unsaid, promtool takes groups in any order.
            "group_eval_order": groups,
            "tests": [test],
        },
        sort_keys=False,
        width=10_000,
    )


def _asked_of(case: Case, major: int) -> list[dict[str, Any]]:
    quiet = [] if case.quiet is None else [_asked(case.alert, case.quiet, [])]
    return [*quiet, _asked(case.alert, case.fires, [_fired(case.alert, each, major) for each in case.fired])]


def _asked(alert: str, at: str, fired: list[dict[str, Any]]) -> dict[str, Any]:
    return {"eval_time": at, "alertname": alert, "exp_alerts": fired}


def _chosen(rule: Alert, fired: Fired) -> str:
    """What the link to the dashboard chooses there: the machine, the application, or nothing."""
    if rule.component == "resources":
        return f"?var-host={quote_plus(fired.labels['instance'])}"
    return f"?var-job={quote_plus(fired.labels['job'])}" if rule.name.startswith("Session") else ""


def _fired(alert: str, fired: Fired, major: int) -> dict[str, Any]:
    rule = rule_of(alert, fired.severity)
    value = fired.value if isinstance(fired.value, str) else fired.value[major - 2]
    said = {
        "current_value": value,
        "threshold": fired.threshold,
        "description": fired.description,
        "dashboard_url": f"http://localhost:3000/d/{rule.dashboard}{_chosen(rule, fired)}",
    }
    return {"exp_labels": {**rule.labels, **fired.labels}, "exp_annotations": {**rule.annotations, **said}}
