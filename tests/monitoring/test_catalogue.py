"""What rules are made of: series that exist, thresholds from one place, and texts that lead on."""

from __future__ import annotations

import platform
import re
import sys
from typing import Final

import pytest
import yaml
from monitoring import alerts, foreign
from monitoring import promql as pq
from monitoring.__main__ import main
from monitoring.alerts import EVERY, anomalies
from monitoring.outputs import OUTPUTS, ROOT
from monitoring.recordings import RECORDED
from monitoring.thresholds import SERIES, THRESHOLDS

from . import rule_tests
from .boards import committed

_KNOWN: Final = pq.SERIES | foreign.SERIES | RECORDED | anomalies.RECORDED | {SERIES}

_STRINGS: Final = re.compile(r'"[^"]*"')
_GROUPING: Final = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)")
_DURATIONS: Final = re.compile(r"\[\d+[smhd](?::\w*)?\]|offset \d+[smhd]")
_MATCHERS: Final = re.compile(r"\{[^}]*\}")
_NAME: Final = re.compile(r"(?<![\w.:])[a-zA-Z_:][\w:]*(?![\w:]|\s*\()")
_NUMBER: Final = re.compile(r"(?<![\w.:])\d+(?:\.\d+)?(?![\w:])")
_WORDS: Final = frozenset({"and", "or", "unless", "bool", "offset"})


def bare(expr: str) -> str:
    """An expression without what are neither series nor numbers."""
    for pattern in (_MATCHERS, _STRINGS, _GROUPING, _DURATIONS):
        expr = pattern.sub(" ", expr)
    return expr


def expressions() -> list[str]:
    return [rule["expr"] for group in rule_tests.shipped() for rule in group["rules"]]


def queries() -> list[str]:
    return [query for alert in EVERY for query in alert.entry.confirm]


def test_every_series_is_made_by_somebody() -> None:
    """No rule, and no query of the runbook, asks for a series that nobody emits."""
    asked = {name for expr in (*expressions(), *queries()) for name in _NAME.findall(bare(expr))} - _WORDS
    assert asked - _KNOWN == set()


def test_every_recording_is_of_use_or_shown() -> None:
    """What is recorded carries the name of what it is, and exists once."""
    names = [rule["record"] for group in rule_tests.shipped() for rule in group["rules"] if "record" in rule]
    others = [name for name in names if name != SERIES]
    assert len(others) == len(set(others))
    assert [name for name in others if not re.fullmatch(r"app_session:\w+:\w+", name)] == []


def test_thresholds_stand_in_one_place() -> None:
    """No alert has a number in its expression, but none and one: the rest are thresholds."""
    literals = {
        (alert.name, number)
        for alert in EVERY
        for number in _NUMBER.findall(bare(alert.expr.replace("vector(1)", "")))
        if number not in {"0", "1"}
    }
    assert literals == set()


def test_every_threshold_is_used() -> None:
    """A number that can be changed does something."""
    text = "".join(expressions())
    assert [each.name for each in THRESHOLDS if f"scalar({each.series})" not in text] == []


def test_the_forecast_is_confirmed_by_what_it_is_made_of() -> None:
    """What the runbook asks about storage are parts of the alert's expression, for one machine."""
    [alert] = [each for each in EVERY if each.name == "SessionStorageExhaustionPredicted"]
    asked = [query.replace('{instance="{{instance}}"}', "") for query in alert.entry.confirm if "{{" in query]
    assert len(asked) == 2
    assert [query for query in asked if query not in alert.expr] == []


@pytest.mark.parametrize("alert", EVERY, ids=lambda alert: f"{alert.name}-{alert.severity}")
class TestAnnotations:
    def test_say_all_seven_things(self, alert: alerts.Alert) -> None:
        """What, how bad, where, how much, how much would do, what to do; and where to read on."""
        assert set(alert.labels) == {"severity", "component", "subject"}
        assert [key for key, text in alert.annotations.items() if not text.strip()] == []
        assert "{{" not in alert.summary

    def test_lead_to_the_runbook(self, alert: alerts.Alert) -> None:
        """Its link is the anchor that GitHub makes of its heading."""
        headings = re.findall(r"^## (.+)$", (ROOT / "docs/runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
        anchor = alert.annotations["runbook_url"].rpartition("#")[2]
        assert [heading.lower() for heading in headings].count(anchor) == 1

    def test_lead_to_a_dashboard(self, alert: alerts.Alert) -> None:
        """Its dashboard is one of those that there are, and has the variable that the link fills in."""
        uid, _, query = alert.annotations["dashboard_url"].removeprefix("http://localhost:3000/d/").partition("?")
        boards = {board["uid"]: board for board in committed().values()}
        variables = {each["name"] for each in boards[uid]["templating"]["list"]}
        assert set(re.findall(r"\bvar-(\w+)=", query)) <= variables

    def test_name_labels_that_it_has(self, alert: alerts.Alert) -> None:
        """A label in a text is one that the case of the alert shows, so that no text has a gap."""
        from .rule_cases import CASES

        shown = {label for case in CASES if case.alert == alert.name for each in case.fired for label in each.labels}
        named = set(re.findall(r"\$labels\.(\w+)", " ".join(alert.annotations.values())))
        assert named <= shown | {"name"}


def test_the_runbook_links_to_sections_that_exist() -> None:
    """No link inside the runbook leads nowhere."""
    page = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    anchors = {heading.lower() for heading in re.findall(r"^## (.+)$", page, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", page)) <= anchors


def left_out() -> str:
    """What is said first where not everything can be made."""
    if sys.version_info >= (3, 11):
        return ""
    return f"left out: the dashboards, which need Python 3.11 to be built; this is {platform.python_version()}\n"


class TestOutputs:
    def test_are_up_to_date(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What is committed is what the code writes."""
        assert (main(["--check"]), capsys.readouterr().out) == (0, left_out())

    def test_what_changed_is_named(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """The check fails, names the file, and writes nothing."""
        monkeypatch.setitem(OUTPUTS, "prometheus/rules/none.yaml", lambda: "groups: []\n")
        assert main(["--check"]) == 1
        told = "out of date, run `make monitoring`: prometheus/rules/none.yaml\n"
        assert capsys.readouterr().out == left_out() + told
        assert not (ROOT / "prometheus/rules/none.yaml").exists()

    def test_say_that_they_are_written(self) -> None:
        """Each rule file says in its first line what wrote it."""
        heads = [(ROOT / path).read_text(encoding="utf-8").partition("\n")[0] for path in OUTPUTS if "rules/" in path]
        assert [head for head in heads if not head.startswith("# Written by `python -m monitoring`")] == []

    def test_every_rule_file_is_loaded(self) -> None:
        """prometheus.yaml loads all of them."""
        config = yaml.safe_load((ROOT / "prometheus/prometheus.yaml").read_text(encoding="utf-8"))
        assert sorted(f"prometheus/{path}" for path in config["rule_files"]) == sorted(
            path for path in OUTPUTS if "rules/" in path
        )
