"""The dashboards as they are shipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from monitoring import dashboards, lint, promql
from monitoring.alerts import EVERY, anomalies
from monitoring.dashboards.targets import Json, Target, annotation_targets, interpolate, panels, targets
from monitoring.recordings import GROUPS, RECORDED
from monitoring.selectors import Selector, selectors
from monitoring.thresholds import THRESHOLDS, Threshold

from otel_sessions import _semconv as sc

from . import binaries
from .boards import FOLDER, committed, sound

VERSIONS = ["PROMTOOL", "PROMTOOL3"]
_NONE = Selector("", "")


def test_nothing_is_wrong() -> None:
    """No dashboard has anything that Grafana would show wrongly, or silently not at all."""
    assert [] == [*map(str, lint.check(committed(), RECORDED | anomalies.RECORDED))]


@pytest.mark.parametrize("promtool", VERSIONS)
def test_every_expression_is_valid(promtool: str, tmp_path: Path) -> None:
    """Every expression of every panel and annotation is one to the oldest and to the newest Prometheus."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(lint.rules(committed()), encoding="utf-8")

    done = subprocess.run(
        [binaries.need(promtool), "check", "rules", rules], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_invalid_expression_is_noticed(tmp_path: Path) -> None:
    """An expression that is none is noticed, by the same check."""
    board = sound()
    board["panels"][1]["targets"][0]["expr"] = 'sum (rate(up{job=~"$job"}[$__range])'
    rules = tmp_path / "rules.yaml"
    rules.write_text(lint.rules({"board": board}), encoding="utf-8")

    done = subprocess.run(
        [binaries.need("PROMTOOL"), "check", "rules", rules], capture_output=True, text=True, check=False
    )

    assert done.returncode != 0


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the SDK that builds them needs Python 3.11")
def test_files_are_those_of_the_code() -> None:
    """What is committed is what the code makes, and there is no file that it does not make."""
    made = {path: text() for path, text in dashboards.OUTPUTS.items()}
    held = {f"grafana/dashboards/{path.name}": path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}

    assert held == made


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the SDK that builds them needs Python 3.11")
def test_the_same_code_makes_the_same_files() -> None:
    """A dashboard is the same in every process, whatever its hash seed."""
    program = "from monitoring import dashboards; print(dashboards.text('overview'), end='')"
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=FOLDER.parents[1],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert {(FOLDER / "overview.json").read_text(encoding="utf-8")} == made


def test_every_metric_is_shown() -> None:
    """Each of the library's metrics is asked for somewhere, itself or by a recording rule."""
    recorded = {each.name: each.expr for group in GROUPS for each in group.recordings}
    asked = {target.expression for board in committed().values() for target in targets(board)}
    seen: set[str] = set()
    while asked:
        names = {each.name for expression in asked for each in selectors(expression)} - seen
        seen |= names
        asked = {recorded[name] for name in names & recorded.keys()}

    assert [] == [metric.name for metric in sc.METRICS if not seen.intersection(promql.series(metric))]


UNITS = {"ratio": "percentunit", "seconds": "s", "times": "suffix: times", "bytes": "bytes"}
"""The units in which panels show what thresholds are in; what is counted has none."""


def _compared() -> set[tuple[str, Threshold]]:
    """The series that alerts compare, each with its threshold: an expression asks first for what it compares."""
    return {
        (next(selectors(each.expr)).name, each.threshold) for each in EVERY if isinstance(each.threshold, Threshold)
    }


def _defaults(panel: Json) -> Json:
    """How a panel shows its values; one that shows text has nothing to say."""
    found: Json = panel.get("fieldConfig", {}).get("defaults", {})
    return found


def _begun(panel: Json) -> set[tuple[str, float]]:
    """What alerts begin with that the panel could show: the names and the values of their thresholds."""
    asked = {each.name for target in panel.get("targets", []) for each in selectors(target.get("expr", ""))}
    unit = _defaults(panel).get("unit")
    fitting = (limit for name, limit in _compared() if name in asked and UNITS.get(limit.unit, "short") == unit)
    return {(each.name, each.value) for each in fitting}


def _lines(panel: Json) -> set[str]:
    """The thresholds that are drawn, by name."""
    by_series = {each.series: each.name for each in THRESHOLDS}
    return {by_series[target["expr"]] for target in panel.get("targets", []) if target.get("expr") in by_series}


def _every_panel() -> list[Json]:
    return [panel for board in committed().values() for panel in panels(board)]


def test_colours_begin_where_alerts_do() -> None:
    """A number changes its colour where the alert on this very number begins; a count, as soon as it is not 0."""
    wrong = []
    for panel in _every_panel():
        defaults = _defaults(panel)
        usual = {None, 1} if defaults.get("unit") == "short" else {None}
        begun = {value for _, value in _begun(panel)}
        steps = defaults.get("thresholds", {}).get("steps", [])
        wrong += [(panel["title"], step["value"]) for step in steps if step["value"] not in usual | begun]

    assert wrong == []


def test_lines_are_those_of_alerts_on_what_is_drawn() -> None:
    """A dashed line is the threshold of an alert on what the panel draws, in the unit in which it draws it."""
    wrong = {panel["title"]: left for panel in _every_panel() if (left := _lines(panel) - dict(_begun(panel)).keys())}

    assert wrong == {}


def test_every_alert_can_be_seen_coming() -> None:
    """For each alert with a threshold there is a panel that draws it together with what is compared with it."""
    drawn = {name for panel in _every_panel() for name in _lines(panel) & dict(_begun(panel)).keys()}

    assert drawn == {threshold.name for _, threshold in _compared()}


def test_panels_are_on_the_dashboard_that_alerts_lead_to() -> None:
    """Whoever follows the link of an alert finds there what it compares, drawn or as a number."""
    shown = {
        board["uid"]: {each.name for target in targets(board) for each in selectors(target.expression)}
        for board in committed().values()
    }
    lost = [each.name for each in EVERY if next(selectors(each.expr), _NONE).name not in shown[each.dashboard] | {""}]

    assert lost == []


@pytest.mark.parametrize(
    ("expression", "unit", "begun"),
    [
        ("max (app_session:turn_duration_seconds:p95_5m)", "s", {("response_p95_seconds", 2)}),
        ("max (app_session:turn_duration_seconds:mean_5m)", "s", {("response_mean_seconds", 10)}),
        ("app_session:turn_duration_seconds:p95_5m / b", "suffix: times", {("degradation", 1.5)}),
        # What an alert merely needs enough of is not what it compares.
        ("sum (app_session:turns:increase5m)", "short", set()),
        ("max (app_session_turn_duration_seconds_bucket)", "s", set()),
    ],
)
def test_alert_of_a_panel_is_found(expression: str, unit: str, begun: set[tuple[str, float]]) -> None:
    """Which alert a panel belongs to depends on the series and on the unit."""
    panel = {"targets": [{"expr": expression}], "fieldConfig": {"defaults": {"unit": unit}}}

    assert begun == _begun(panel)


@pytest.mark.parametrize(
    ("name", "series", "shown"),
    [
        ("overview.json", "starts", "app_session:starts:increase5m"),
        ("conversations.json", "turn_duration_seconds", "app_session:turn_duration_seconds:p95_5m"),
    ],
)
def test_bands_are_shaded(name: str, series: str, shown: str) -> None:
    """What is compared with the usual is drawn with its mean, between the lowest and the highest that is usual."""
    asks = {f"app_session:{series}:{part}" for part in ("usual_low", "usual_high", "mean26h")} | {shown}
    [panel] = (
        each
        for each in panels(committed()[name])
        if asks == {one.name for target in each["targets"] for one in selectors(target["expr"])}
    )
    legends = {target["refId"]: target["legendFormat"] for target in panel["targets"]}
    filled = [
        (override["matcher"]["options"], each["value"])
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if each["id"] == "custom.fillBelowTo"
    ]

    assert filled == [("BH", legends["BL"])]


@pytest.mark.parametrize("name", [path.name for path in sorted(FOLDER.glob("*.json"))])
def test_numbers_are_on_top(name: str) -> None:
    """A dashboard begins with a row of numbers, but for the explorer, which begins with sessions to choose."""
    board = committed()[name]
    first = [panel["type"] for panel in board["panels"][1:] if panel["gridPos"]["y"] == 1]

    assert set(first) == ({"table"} if name == "explorer.json" else {"stat"})


class TestTargets:
    """Reading what panels ask."""

    def test_collapsed_rows_are_read(self) -> None:
        """Panels of collapsed rows are panels; rows are none."""
        assert [2, 3, 5, 6] == [panel["id"] for panel in panels(sound())]

    def test_target_says_where_it_is(self) -> None:
        """A target is found with its panel, its reference and the kind of its data source."""
        first = next(iter(targets(sound())))

        assert ("panel 2", "A", "prometheus") == (first.panel, first.ref, first.kind)

    def test_kind_is_that_of_the_panel_if_need_be(self) -> None:
        """A target without a data source has its panel's."""
        board = sound()
        board["panels"][1]["targets"] = [{"refId": "A", "query": "{ true }"}]
        board["panels"][1]["datasource"] = {"type": "tempo", "uid": "${tempo}"}

        assert Target("panel 2", "A", "tempo", "{ true }") == next(iter(targets(board)))

    def test_annotations_are_read(self) -> None:
        """Annotations that are queries are found."""
        boards: list[Any] = [*committed().values()]

        assert [2] * len(boards) == [len([*annotation_targets(board)]) for board in boards]

    @pytest.mark.parametrize("form", ["$job", "${job}", "${job:regex}"])
    def test_variables_are_filled_in(self, form: str) -> None:
        """Each form of a variable is filled in."""
        assert 'up{job=~"a|b"}' == interpolate(f'up{{job=~"{form}"}}', {"job": "a|b"})

    def test_unknown_variable_is_an_error(self) -> None:
        """A variable without a value does not stay as it is."""
        with pytest.raises(KeyError, match="job"):
            interpolate("$job", {})
