"""What Grafana is given beside the dashboards."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring import foreign, grafana_rules
from monitoring.alerts import EVERY
from monitoring.selectors import selectors

from . import rule_tests

GRAFANA = Path(__file__).parents[2] / "grafana"
SOURCES: list[dict[str, Any]] = yaml.safe_load((GRAFANA / "provisioning/datasources/sessions.yaml").read_text())[
    "datasources"
]


def _values(held: Any) -> list[Any]:
    """Every value in a structure, at every depth."""
    if isinstance(held, dict):
        return [value for child in held.values() for value in _values(child)]
    if isinstance(held, list):
        return [value for child in held for value in _values(child)]
    return [held]


def _source(uid: str) -> dict[str, Any]:
    return next(each for each in SOURCES if each["uid"] == uid)


def test_data_sources_are_those_that_dashboards_ask() -> None:
    """There is one data source of each kind, under the uid that everything refers to."""
    assert [("prometheus",) * 2, ("tempo",) * 2, ("loki",) * 2, ("alertmanager",) * 2] == [
        (each["uid"], each["type"]) for each in SOURCES
    ]
    assert ["prometheus"] == [each["uid"] for each in SOURCES if each.get("isDefault")]


def test_references_lead_to_data_sources() -> None:
    """What refers to another data source finds it."""
    text = (GRAFANA / "provisioning/datasources/sessions.yaml").read_text()

    assert set(re.findall(r"datasourceUid: (\S+)", text)) <= {each["uid"] for each in SOURCES}


@pytest.mark.parametrize("file", sorted((GRAFANA / "provisioning").rglob("*.yaml")), ids=lambda path: path.parent.name)
def test_dollars_are_escaped(file: Path) -> None:
    """Grafana fills in what follows a single dollar from its environment: what is meant for later has two."""
    held = yaml.safe_load(file.read_text())

    single = [each for each in _values(held) if isinstance(each, str) and re.search(r"(?<!\$)\$(?!\$)", each)]

    assert held["apiVersion"] == 1
    assert single == []


def test_exemplars_lead_to_traces_and_logs() -> None:
    """The way from a number to a trace and on to its logs is complete, and back."""
    [exemplar] = _source("prometheus")["jsonData"]["exemplarTraceIdDestinations"]
    to_logs = _source("tempo")["jsonData"]["tracesToLogsV2"]
    trace, session = _source("loki")["jsonData"]["derivedFields"]

    assert ("trace_id", "tempo") == (exemplar["name"], exemplar["datasourceUid"])
    assert ("loki", '{$${__tags}} | trace_id = "$${__trace.traceId}"') == (to_logs["datasourceUid"], to_logs["query"])
    assert ("label", "trace_id", "tempo") == (trace["matcherType"], trace["matcherRegex"], trace["datasourceUid"])
    assert session["url"].startswith("/d/app-session-explorer?var-session_id=")


def test_metrics_of_spans_are_those_that_are_made() -> None:
    """From a span one gets to the series that the collector makes of spans."""
    queries = _source("tempo")["jsonData"]["tracesToMetrics"]["queries"]
    names = {each.name for query in queries for each in selectors(query["query"].replace("$$__tags", ""))}

    assert {foreign.Span.CALLS, foreign.Span.DURATION_BUCKET} == names


def test_dashboards_are_provided() -> None:
    """The provider reads the folder in which the dashboards are put, and cannot be changed in the browser."""
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/sessions.yaml").read_text())["providers"]

    assert ("file", "/var/lib/grafana/dashboards", False) == (
        provider["type"],
        provider["options"]["path"],
        provider["allowUiUpdates"],
    )


@pytest.fixture(name="rules", scope="module")
def _rules() -> list[dict[str, Any]]:
    held = yaml.safe_load(grafana_rules.rules())
    return [rule for group in held["groups"] for rule in group["rules"]]


class TestRulesOfGrafana:
    """The alerts in Grafana's own form."""

    def test_every_alert_is_there(self, rules: list[dict[str, Any]]) -> None:
        """Each alert is a rule that asks Prometheus for the same expression, for the same time."""
        ours = {(each.name, each.expr, each.wait) for each in EVERY}

        assert ours == {(rule["title"].split()[0], rule["data"][0]["model"]["expr"], rule["for"]) for rule in rules}

    def test_what_they_ask_for_is_recorded_without_the_files_that_are_left_out(
        self, rules: list[dict[str, Any]]
    ) -> None:
        """What the README says to leave out of Prometheus' rules are alerts; the files that stay record the rest."""
        readme = (GRAFANA / "provisioning/alerting/README.md").read_text()
        left_out = set(re.findall(r"`(\w+\.yaml)`", readme))
        stay = {file.name: yaml.safe_load(file.read_text()) for file in rule_tests.RULES.glob("*.yaml")}
        for name in left_out:
            del stay[name]

        left = [rule for held in stay.values() for group in held["groups"] for rule in group["rules"]]
        asked = {series.name for rule in rules for series in selectors(rule["data"][0]["model"]["expr"])}

        assert [] == [rule["alert"] for rule in left if "alert" in rule]
        assert set() == {name for name in asked if ":" in name} - {rule["record"] for rule in left}

    def test_no_data_is_said(self, rules: list[dict[str, Any]]) -> None:
        """A rule says what it means that there is no data, and that an error is one."""
        assert {("OK", "Error")} == {(rule["noDataState"], rule["execErrState"]) for rule in rules}

    def test_uids_are_uids(self, rules: list[dict[str, Any]]) -> None:
        """Each rule has a uid of its own, of at most the 40 characters that Grafana takes."""
        uids = [rule["uid"] for rule in rules]

        assert len(uids) == len(set(uids))
        assert [] == [uid for uid in uids if not re.fullmatch(r"[a-z-]{1,40}", uid)]

    def test_steps_follow_each_other(self, rules: list[dict[str, Any]]) -> None:
        """A query, what says that it left something over, and the threshold that the rule goes by."""
        assert {("query", "fires", "threshold")} == {tuple(step["refId"] for step in rule["data"]) for rule in rules}
        assert {"threshold"} == {rule["condition"] for rule in rules}

    def test_templates_are_grafanas(self, rules: list[dict[str, Any]]) -> None:
        """No text has what only Prometheus' templates can do, or what Grafana would fill in too early."""
        texts = " ".join(text for rule in rules for text in rule["annotations"].values())

        assert "$" not in texts
        assert "query `" not in texts
        assert "{{ .Labels.job }}" in texts
