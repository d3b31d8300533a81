"""What the demo sends is in Prometheus under the names of the catalogue; panels and rules find there what they ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import pytest
from monitoring import thresholds
from monitoring.alerts import EVERY
from monitoring.dashboards.targets import Target, annotation_targets, interpolate, targets
from monitoring.promql import SERIES, bucket
from monitoring.recordings import GROUPS
from monitoring.selectors import Selector, selectors

from otel_sessions import _semconv as sc

from .boards import committed
from .pipeline import Pipeline
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
"""As Grafana would fill them in for a Prometheus that scrapes every two seconds."""

NEVER_HERE: Final[Mapping[str, str]] = {
    "otelcol_exporter_send_failed_spans_total": "a backend that refuses for good; one that is away is asked again",
    "otelcol_exporter_send_failed_log_records_total": "the same",
    "otelcol_receiver_refused_spans_total": "",
    "otelcol_receiver_refused_log_records_total": "",
    "otelcol_receiver_refused_metric_points_total": "",
}
"""Series that no fault of the demo makes, and what would."""

FAULTS_OF_THE_MACHINE: Final[Mapping[str, str]] = {
    "SessionHostMemoryHigh": "a machine whose memory is full",
    "SessionHostCpuHigh": "ten minutes of busy processors",
    "SessionTelemetryMissing": "an application that is gone for minutes: test_alerting",
    "TelemetryCollectorDown": "a collector that is gone",
    "TelemetryCollectorsDown": "all of them gone",
    "TelemetryRulesFailing": "rules that cannot be evaluated",
    "TelemetryThresholdsMissing": "thresholds that are not loaded",
    "TelemetryRefused": "a collector without memory: test_collector_overload",
    "SessionCreationAnomalous": "a day of history of its own bands",
    "SessionResponseAnomalous": "the same",
}
"""Alerts that the demo's faults do not make; promtool has each of them fire in test_rules."""

TAKES_LONGER: Final[Mapping[str, str]] = {
    "SessionEngagementLow": "sessions that have been idle for long have to end first",
    "SessionLeasesSaturated": "a share of the decisions of ten minutes",
    "SessionStoreFailing": "a share of the calls of five minutes, and they fail for moments",
    "SessionStorePendingHigh": "a store that is away for minutes",
}
"""Alerts that the demo's faults make, in more time than a test has."""

BOARDS: Final = committed()

T = TypeVar("T")

# All of it has to start, and to have sent everything once.
pytestmark = pytest.mark.timeout(400)


def left(find: Callable[[], T], *, seconds: float = 30) -> T:
    """What is found to be missing, after some scrapes and evaluations if need be."""
    deadline = time.monotonic() + seconds
    while (found := find()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


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
        """Every query that a dashboard makes of Prometheus returns data."""
        asked = [each for each in _of_prometheus(BOARDS[board]) if not _is_never_here(each)]
        assert left(lambda: [(each.panel, each.expression) for each in asked if not _shows(server, each)]) == []


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
        asked = {(alert.name, each) for alert in EVERY for each in selectors(alert.expr) if each.name not in NEVER_HERE}
        assert left(lambda: [(name, each) for name, each in sorted(asked) if not _exists(server, each)]) == []

    def test_faults_are_noticed(self, server: PrometheusServer) -> None:
        """The faults of the demo make the alerts that they are there for."""
        expected = {alert.name for alert in EVERY} - FAULTS_OF_THE_MACHINE.keys() - TAKES_LONGER.keys()
        assert left(lambda: expected - set(_noticed(server)), seconds=90) == set()


def _of_prometheus(board: Mapping[str, Any]) -> Iterator[Target]:
    for target in (*targets(board), *annotation_targets(board)):
        if target.kind == "prometheus":
            yield target


def _is_never_here(target: Target) -> bool:
    return any(each.name in NEVER_HERE for each in selectors(interpolate(target.expression)))


def _shows(server: PrometheusServer, target: Target) -> bool:
    return any(each["value"][1] != "NaN" for each in server.query(interpolate(target.expression, VARIABLES)))


def _exists(server: PrometheusServer, selector: Selector) -> bool:
    return bool(server.query(f"last_over_time({selector.name}{{{selector.matchers}}}[10m])"))


def _noticed(server: PrometheusServer) -> Iterator[str]:
    """The alerts that are pending or firing."""
    return (rule["name"] for rule in server.rules() if rule["type"] == "alerting" and rule["alerts"])
