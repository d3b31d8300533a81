"""The linter of the dashboards: each rule catches the fault that it is there for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from monitoring import lint
from monitoring.selectors import Selector, selectors

from .boards import panel, sound

Board = dict[str, Any]


def _ask(expression: str) -> Callable[[Board], None]:
    def change(board: Board) -> None:
        board["panels"][1]["targets"][0]["expr"] = expression

    return change


def _set(*path: Any, to: Any) -> Callable[[Board], None]:
    def change(board: Board) -> None:
        at: Any = board
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = to

    return change


def _query(kind: str, expression: str) -> Callable[[Board], None]:
    def change(board: Board) -> None:
        source = {"type": kind, "uid": "${datasource}"}
        field = "query" if kind == "tempo" else "expr"
        board["panels"][1]["targets"] = [{"refId": "A", "datasource": source, field: expression}]

    return change


_STARTS = "app_session_starts_total"

FAULTS: list[tuple[str, str, Callable[[Board], None]]] = [
    ("grid", "nothing in column", _set("panels", 1, "gridPos", "w", to=11)),
    ("grid", "nothing in column", _set("panels", 2, "gridPos", "h", to=7)),
    ("grid", "overlap", _set("panels", 2, "gridPos", "x", to=11)),
    ("grid", "ends in column 25", _set("panels", 2, "gridPos", "w", to=13)),
    ("grid", "in 'How is it?' panels overlap", _set("panels", 3, "panels", 1, "gridPos", "x", to=0)),
    ("grid", "not a row", lambda board: board["panels"].pop(0)),
    ("ids", "id 2 2 times", _set("panels", 2, "id", to=2)),
    ("ids", "id 1 2 times", _set("panels", 3, "panels", 0, "id", to=1)),
    ("ids", "id None", lambda board: board["panels"][1].pop("id")),
    ("text", "panel 2 has no title", _set("panels", 1, "title", to="")),
    ("text", "panel 5 has no title, or no description", _set("panels", 3, "panels", 0, "description", to="")),
    ("text", "the dashboard has no description", _set("description", to="")),
    ("text", "is no question", _set("panels", 0, "title", to="Summary")),
    ("units", "the unit 'sec'", _set("panels", 1, "fieldConfig", "defaults", "unit", to="sec")),
    ("units", "the unit ''", _set("panels", 1, "fieldConfig", "defaults", to={})),
    (
        "number",
        "17 panels",
        lambda board: board["panels"].extend(panel(20 + n, 0, 0) for n in range(15)),
    ),
    ("inputs", "__inputs", _set("__inputs", to=[])),
    ("sources", "'prometheus'", _set("panels", 1, "datasource", to="prometheus")),
    ("sources", "'uid': 'prometheus'", _set("panels", 1, "targets", 0, "datasource", "uid", to="prometheus")),
    ("sources", "asks A of no data source", lambda board: board["panels"][1]["targets"][0].pop("datasource")),
    ("variables", "$type is not defined", _ask(f'rate({_STARTS}{{job=~"$job", app_session_type=~"$type"}}[$__range])')),
    ("variables", "$tempo is not used", lambda board: board["templating"]["list"].append({"name": "tempo"})),
    ("windows", "rate over [5m]", _ask(f'rate({_STARTS}{{job=~"$job"}}[5m])')),
    ("windows", "increase over [1h]", _ask(f'increase({_STARTS}{{job=~"$job"}}[1h])')),
    ("jobs", f"{_STARTS} without job", _ask(f"rate({_STARTS}[$__range])")),
    ("jobs", f"{_STARTS} without job", _ask(f'rate({_STARTS}{{job="shop"}}[$__range])')),
    ("jobs", "ALERTS without one of job", _ask("count (ALERTS)")),
    ("jobs", "system_memory_utilization_ratio without instance", _ask("max (system_memory_utilization_ratio)")),
    ("jobs", "app_session:starts:increase5m without job", _ask("app_session:starts:increase5m")),
    ("thresholds", 'draws name="error"', _ask('app_session:threshold{name="error"}')),
    ("series", "app_session_begins_total, which nobody makes", _ask('app_session_begins_total{job=~"$job"}')),
    ("series", "app_session:begun, which nobody makes", _ask('app_session:begun{job=~"$job"}')),
    (
        "exemplars",
        "of what has none",
        lambda board: board["panels"][1]["targets"][0].update(expr='a:b{job=~"$job"}', exemplar=True),
    ),
    ("attributes", "app_session.kind", _query("tempo", '{ span.app_session.kind = "x" }')),
    ("attributes", "app_session_kind", _query("loki", '{service_name="x"} | app_session_kind="x"')),
    ("attributes", "{ span.session.id", _query("tempo", '{ span.session.id = "x"')),
    ("links", "leads to elsewhere, which is not there", _set("links", 0, "url", to="/d/elsewhere")),
    ("links", "at another time", _set("links", 0, "keepTime", to=False)),
    (
        "links",
        "gives sound tier, which it does not have",
        _set("panels", 1, "fieldConfig", "overrides", to=[{"url": "/d/sound?${__url_time_range}&var-tier=free"}]),
    ),
]


@pytest.mark.parametrize(("rule", "says", "break_it"), FAULTS, ids=[f"{rule}: {says}" for rule, says, _ in FAULTS])
def test_fault_is_found(rule: str, says: str, break_it: Callable[[Board], None]) -> None:
    """What is wrong is found by the rule that is there for it, and said with what is wrong."""
    board = sound()
    break_it(board)

    found = lint.check({"board": board}, {"app_session:starts:increase5m"})

    assert any(each.rule == rule and says in str(each) for each in found), [*map(str, found)]


def test_every_rule_is_shown() -> None:
    """There is no rule without a fault that shows what it is good for."""
    assert {rule for rule, _, _ in FAULTS} | {"uid"} == set(lint.RULES)


def test_sound_dashboard_passes() -> None:
    """Nothing is found where nothing is wrong."""
    assert lint.check({"board": sound()}, ()) == []


def test_uid_is_used_once() -> None:
    """Two dashboards of one uid are found: Grafana would load only one of them."""
    found = lint.check({"one": sound(), "other": sound()}, ())

    assert [("uid", "one"), ("uid", "other")] == [(each.rule, each.dashboard) for each in found]


def test_what_alerts_count_may_be_counted() -> None:
    """What is drawn with an alert's threshold may be counted in the alert's window, by `increase`."""
    board = sound()
    _ask(f'increase({_STARTS}{{job=~"$job"}}[10m])')(board)

    assert lint.check({"board": board}, ()) == []


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("up", [("up", "")]),
        ('sum by (job, le) (rate(a_bucket{job=~"$job"}[5m]))', [("a_bucket", 'job=~"$job"')]),
        ('a{x="by (y) {z} or b"} or on () c offset 5m > bool 1', [("a", 'x="by (y) {z} or b"'), ("c", "")]),
        ('label_replace(a:b:c5m, "x", "$1", "y", "(.*)")', [("a:b:c5m", "")]),
        ("60000 * a / $__rate_interval_ms", [("a", "")]),
        ("histogram_quantile(0.95, a) == 1e9", [("a", "")]),
        ("sum_over_time((a unless b)[$__range:1m])", [("a", ""), ("b", "")]),
    ],
)
def test_selectors_are_found(expression: str, found: list[tuple[str, str]]) -> None:
    """The series that an expression selects are found, and nothing else is taken for one."""
    assert [Selector(*each) for each in found] == list(selectors(expression))
