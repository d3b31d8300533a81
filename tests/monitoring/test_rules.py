"""The rules, in the real promtool of two versions."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from monitoring import alerts as catalogue
from monitoring.alerts import EVERY
from monitoring.thresholds import THRESHOLDS

from . import rule_tests
from .binaries import need
from .rule_cases import CASES, Fired

VERSIONS: Final = {2: "PROMTOOL", 3: "PROMTOOL3"}

COLLECTOR: Final = Path(__file__).parents[2] / "collector-config" / "collector.yaml"

_MISSING: Final = Fired(
    "error", {}, "true", "is there once", "There is not exactly one app_session:threshold of the name "
)


def promtool(major: int, *arguments: str) -> str:
    done = subprocess.run([need(VERSIONS[major]), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("major", VERSIONS)
class TestPromtool:
    def test_loads_all_rules(self, major: int) -> None:
        """Both versions accept all rule files."""
        files = sorted(rule_tests.RULES.glob("*.yaml"))
        assert {file.name for file in files} == set(rule_tests.FILES)
        promtool(major, "check", "rules", *map(str, files))

    def test_alerts_fire_when_they_should_and_not_before(self, major: int, tmp_path: Path) -> None:
        """Each alert is silent just before, and fires just after, with all that it says."""
        promtool(major, "test", "rules", *rule_tests.write_cases(tmp_path, major))

    def test_alerts_are_silent_without_data(self, major: int, tmp_path: Path) -> None:
        """Where nothing is reported, and nothing ever was, no alert fires."""
        file = tmp_path / "rules.test.yaml"
        file.write_text(rule_tests.no_data())
        promtool(major, "test", "rules", str(file))

    def test_a_missing_threshold_is_said(self, major: int, tmp_path: Path) -> None:
        """Without the thresholds every one of them is named, because without it an alert would be silent."""
        file = tmp_path / "rules.test.yaml"
        file.write_text(rule_tests.without_thresholds(_MISSING, [each.name for each in THRESHOLDS]))
        promtool(major, "test", "rules", str(file))

    def test_a_threshold_that_is_there_twice_is_said(self, major: int, tmp_path: Path) -> None:
        """It is named, because alerts cannot say which of the two they compare with, and are silent."""
        file = tmp_path / "rules.test.yaml"
        file.write_text(rule_tests.twice(_MISSING, "error_ratio"))
        promtool(major, "test", "rules", str(file))


class TestCases:
    def test_each_alert_has_one(self) -> None:
        """No alert is without a case that makes it fire, for each of its severities."""
        cased = {(case.alert, fired.severity) for case in CASES for fired in case.fired}
        cased.add(("TelemetryThresholdsMissing", "error"))
        assert {(each.name, each.severity) for each in EVERY} == cased

    def test_all_but_the_watchdog_are_silent_at_first(self) -> None:
        """Each case says when its alert is still silent."""
        assert [case.alert for case in CASES if case.quiet is None] == ["TelemetryWatchdog"]


def test_no_rule_is_there_twice() -> None:
    """A name and a severity make an alert."""
    counted = Counter((each.name, each.severity) for each in catalogue.EVERY)
    assert {key for key, count in counted.items() if count > 1} == set()


def test_growth_of_a_log_waits_until_what_was_renamed_is_forgotten() -> None:
    """As long as the collector shows what is gone, a log counts under both names."""
    [wait] = {each.wait for each in EVERY if each.name == "SessionLogGrowthHigh"}
    [shown] = re.findall(r" metric_expiration: .*:-(\d+)m\}", COLLECTOR.read_text(encoding="utf-8"))
    assert int(wait.removesuffix("m")) > int(shown)


def test_names_are_camel_case_and_ours() -> None:
    """Alerts are called Session... or Telemetry..."""
    assert [each.name for each in EVERY if not re.fullmatch(r"(Session|Telemetry)([A-Z][a-z]+)+", each.name)] == []
