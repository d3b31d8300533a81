"""A Prometheus that is not as it should be says so itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..redis_server import free_port, until
from .prometheus_server import PrometheusServer

# Several series on both sides match each other.
_FAILING = """
groups:
  - name: ambiguous
    rules:
      - record: app_session:ambiguous
        expr: up * on () up
"""


@pytest.fixture(name="server", params=["PROMETHEUS3", "PROMETHEUS"])
def _server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PrometheusServer]:
    """No thresholds, a rule that fails, and no collector where there should be one."""
    ambiguous = tmp_path / "ambiguous.yaml"
    ambiguous.write_text(_FAILING)
    nobody = f"127.0.0.1:{free_port()}"
    with PrometheusServer(
        tmp_path / "server",
        {"app-sessions": [nobody], "otel-collector": [nobody]},
        program=request.param,
        rules=[*(f"rules/{each}.yaml" for each in ("recording", "bands", "alerts", "anomalies")), str(ambiguous)],
        scrape_interval="1s",
        scrape_timeout="1s",
        evaluation_interval="1s",
    ) as server:
        yield server


def test_what_is_missing_is_said(server: PrometheusServer) -> None:
    """Thresholds that are not loaded, a rule that fails, collectors that are not reached: each has its alert."""
    expected = {
        "TelemetryThresholdsMissing",
        "TelemetryRulesFailing",
        "TelemetryCollectorDown",
        "TelemetryCollectorsDown",
        "TelemetryWatchdog",
    }
    until(lambda: {rule["name"] for rule in server.rules() if rule.get("alerts")} >= expected)
