"""What `health()` checks is what Prometheus alerts on: each alert is a check, or cannot be one."""

from __future__ import annotations

import operator
import re
from collections import Counter
from typing import Final

import pytest
from monitoring import thresholds
from monitoring.alerts import EVERY, Alert

from otel_sessions import _thresholds
from otel_sessions._health.judge import RULES
from otel_sessions._health.rule import COMPARED, Rule

_SERIES: Final = "it needs what happened in each five minutes of a day, which only a monitoring system keeps"
_TURNS: Final = "it needs the single response times, of which a store keeps the sum"
_OUTSIDE: Final = "it is about what is outside of the application: a collector, or Prometheus itself"

NOT_JUDGED: Final = {
    "SessionCreationAnomalous": _SERIES,
    "SessionResponseAnomalous": _SERIES,
    "SessionResponseSlow": _TURNS,
    "SessionResponseSingleSlow": _TURNS,
    "SessionLogGrowthHigh": "log files are watched by the collector, an application does not know them",
    "SessionStorageExhaustionPredicted": "it needs how full a file system was in the last week",
    "SessionTelemetryMissing": "a process that is gone does not say so",
    "TelemetryCollectorDown": _OUTSIDE,
    "TelemetryCollectorsDown": _OUTSIDE,
    "TelemetryExportFailing": _OUTSIDE,
    "TelemetryQueueFilling": _OUTSIDE,
    "TelemetryRefused": _OUTSIDE,
    "TelemetryRulesFailing": _OUTSIDE,
    "TelemetryThresholdsMissing": _OUTSIDE,
    "TelemetryWatchdog": _OUTSIDE,
}
"""The alerts that are no checks, and why."""

_JUDGED: Final = {(rule.type, rule.severity): rule for rule in RULES}
_PAIRS: Final = [(_JUDGED[alert.name, alert.severity], alert) for alert in EVERY if alert.name not in NOT_JUDGED]


class TestChecks:
    def test_each_alert_once(self) -> None:
        """Every alert is a check, or in the table with the reason; no check is more than that."""
        checks = Counter((rule.type, rule.severity) for rule in RULES)
        assert Counter((alert.name, alert.severity) for alert in EVERY if alert.name not in NOT_JUDGED) == checks
        assert NOT_JUDGED.keys() <= {alert.name for alert in EVERY}

    @pytest.mark.parametrize(("rule", "alert"), _PAIRS, ids=[f"{rule.type}-{rule.severity}" for rule, _ in _PAIRS])
    def test_same(self, rule: Rule, alert: Alert) -> None:
        """A check has the component, the threshold, the unit and the recommended action of its alert."""
        assert (alert.component, alert.threshold, alert.unit, alert.action) == (
            rule.component,
            rule.threshold,
            rule.threshold.unit,
            rule.action,
        )

    @pytest.mark.parametrize(("rule", "alert"), _PAIRS, ids=[f"{rule.type}-{rule.severity}" for rule, _ in _PAIRS])
    def test_same_comparison(self, rule: Rule, alert: Alert) -> None:
        """It is a problem on the same side of the threshold."""
        series = re.escape(f'name="{rule.threshold.name}"')
        assert re.search(rf"(?<![<>=]){rule.comparison} scalar\([\w:]*{{{series}}}\)", alert.expr)

    def test_beside_each_other(self) -> None:
        """The rules of one check stand beside each other, so that they are one check."""
        types = [rule.type for rule in RULES]
        assert types == sorted(types, key=types.index)

    def test_comparisons(self) -> None:
        """Comparisons mean what they look like."""
        assert {">": operator.gt, ">=": operator.ge, "<": operator.lt} == COMPARED


class TestThresholds:
    def test_shared(self) -> None:
        """The thresholds that checks have are those of the rules; each of them is one that something compares with."""
        known = {each.name: each for each in thresholds.THRESHOLDS}
        assert {each.name: known[each.name] for each in _thresholds.THRESHOLDS} == _thresholds.KNOWN
        assert {rule.threshold.name for rule in RULES} <= _thresholds.KNOWN.keys()
