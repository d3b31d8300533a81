"""What the demo sends is in Prometheus under the names of the catalogue; panels and rules find there what they ask."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import pytest
from monitoring import thresholds
from monitoring.alerts import EVERY
from monitoring.dashboards.targets import Target, annotation_targets, interpolate, targets
from monitoring.promql import SERIES, bucket
from monitoring.recordings import GROUPS
from monitoring.selectors import Selector, selectors
from monitoring.thresholds import Threshold

from otel_sessions import _semconv as sc

from .binaries import ROOT
from .boards import committed
from .pipeline import SENSITIVE, Pipeline, left
from .prometheus_server import PrometheusServer

VARIABLES: Final[Mapping[str, str]] = {
    "__rate_interval": "20s",
    "__rate_interval_ms": "20000",
    "__interval": "5s",
    "__range": "5m",
    "job": ".+",
    "type": ".+",
    "host": ".+",
}
"""As Grafana would fill them in for a Prometheus that scrapes every four seconds."""

ELSEWHERE: Final[Mapping[str, str]] = {
    "SessionTelemetryMissing": "test_alerting",
    "TelemetryCollectorsDown": "test_broken",
    "TelemetryCollectorDown": "test_broken",
    "TelemetryRulesFailing": "test_broken",
    "TelemetryThresholdsMissing": "test_broken",
}
"""Alerts on applications, collectors and rules that are not there, and the tests in which they are not."""

SENSITIVE_ALERTS: Final = {
    alert.name for alert in EVERY if isinstance(alert.threshold, Threshold) and alert.threshold.name in SENSITIVE
}
"""Alerts on what a machine that is well, or a test of minutes, does not reach."""

BOARDS: Final = committed()
README: Final = ROOT / "grafana" / "README.md"

# All of it has to start, and to have sent everything once.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(name="server", params=["newest", "oldest"])
def _server(request: pytest.FixtureRequest, pipeline: Pipeline) -> PrometheusServer:
    return pipeline.servers[0 if request.param == "newest" else 1]


class TestCatalogue:
    """Names."""

    def test_names(self, server: PrometheusServer) -> None:
        """Prometheus has the series of the catalogue, all of them and no other."""
        assert {name for name in server.names() if name.startswith("app_session_")} == SERIES

    def test_nobody(self, server: PrometheusServer) -> None:
        """No series has a label that says which session or which user."""
        forbidden = {"session_id", "session_previous_id", "enduser_pseudo_id", "app_session_parent_id"}
        labels = {label for each in server.query('{__name__=~"app_session_.+"}') for label in each["metric"]}
        assert labels & forbidden == set()

    def test_exemplars(self, pipeline: Pipeline) -> None:
        """A histogram leads to traces."""
        found = pipeline.newest.exemplars(bucket(sc.TURN_DURATION))
        assert any(each["labels"].get("trace_id") for series in found for each in series["exemplars"])


class TestDashboards:
    """Panels."""

    @pytest.mark.parametrize("board", sorted(BOARDS))
    def test_panels(self, server: PrometheusServer, board: str) -> None:
        """Every query that a panel makes of Prometheus returns data."""
        asked = _of_prometheus(targets(BOARDS[board]))
        assert left(lambda: [(each.panel, each.expression) for each in asked if not _shows(server, each)]) == []

    @pytest.mark.parametrize("board", sorted(BOARDS))
    def test_annotations(self, server: PrometheusServer, board: str) -> None:
        """So does every query of an annotation, which is asked about a time and not about a moment, as Grafana does."""
        asked = _of_prometheus(annotation_targets(BOARDS[board]))
        assert left(lambda: [each.panel for each in asked if not _marks(server, each)]) == []

    def test_documented_queries(self, server: PrometheusServer) -> None:
        """What the page on dashboards of one's own says can be asked."""
        section = README.read_text(encoding="utf-8").partition("## Dashboards of your own")[2].partition("\n## ")[0]
        asked = re.findall(r"^\| [^|]+ \| `(.+)` \|$", section, re.MULTILINE)
        assert len(asked) == 5
        assert left(lambda: [each for each in asked if not server.query(interpolate(each, VARIABLES))]) == []


class TestRules:
    """Recording rules and alerts."""

    def test_healthy(self, server: PrometheusServer) -> None:
        """Prometheus evaluates every rule without an error."""
        assert (
            left(lambda: [(rule["name"], rule["lastError"]) for rule in server.rules() if rule["health"] == "err"])
            == []
        )

    def test_recordings(self, server: PrometheusServer) -> None:
        """Every recording rule records something."""
        expected = {each.name for group in GROUPS for each in group.recordings} | {thresholds.SERIES}
        assert left(lambda: expected - server.names()) == set()

    def test_alerts_ask_for_what_there_is(self, server: PrometheusServer) -> None:
        """Each series that an alert asks for exists, with the labels by which it asks."""
        asked = {(alert.name, each) for alert in EVERY for each in selectors(alert.expr)}
        assert left(lambda: [(name, each) for name, each in sorted(asked) if not _exists(server, each)]) == []

    def test_faults_are_noticed(self, server: PrometheusServer) -> None:
        """Faults of the demo, of backends and of collectors make the alerts that they are there for."""
        expected = {alert.name for alert in EVERY} - ELSEWHERE.keys() - SENSITIVE_ALERTS
        assert left(lambda: expected - set(_noticed(server)), seconds=90) == set()

    def test_changed_thresholds_are_what_is_compared_with(self, pipeline: Pipeline) -> None:
        """With the thresholds of `SENSITIVE`, changed in their file, a machine that is well makes these alerts."""
        assert left(lambda: SENSITIVE_ALERTS - set(_noticed(pipeline.sensitive)), seconds=60) == set()


def _of_prometheus(found: Iterable[Target]) -> list[Target]:
    return [target for target in found if target.kind == "prometheus"]


def _shows(server: PrometheusServer, target: Target) -> bool:
    return any(each["value"][1] != "NaN" for each in server.query(interpolate(target.expression, VARIABLES)))


def _marks(server: PrometheusServer, target: Target) -> bool:
    """Whether it has marked anything since there was traffic, however long the tests have taken since."""
    return bool(server.query_range(interpolate(target.expression, VARIABLES), seconds=1_800, step=10))


def _exists(server: PrometheusServer, selector: Selector) -> bool:
    return bool(server.query(f"last_over_time({selector.name}{{{selector.matchers}}}[10m])"))


def _noticed(server: PrometheusServer) -> Iterator[str]:
    """The alerts that are pending or firing."""
    return (rule["name"] for rule in server.rules() if rule["type"] == "alerting" and rule["alerts"])
