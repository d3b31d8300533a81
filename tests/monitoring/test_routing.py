"""Who is told: the configurations, in the real programs of two versions."""

from __future__ import annotations

import json
import subprocess
from typing import Final

import pytest
import yaml
from monitoring.alerts import EVERY
from monitoring.foreign import Collector, Prometheus
from monitoring.outputs import ROOT

from .binaries import need

ALERTMANAGER: Final = ROOT / "prometheus" / "alertmanager.yaml"
PROMETHEUS: Final = ROOT / "prometheus" / "prometheus.yaml"


def run(variable: str, *arguments: str) -> str:
    done = subprocess.run([need(variable), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("amtool", ["AMTOOL", "AMTOOL3"])
class TestAlertmanager:
    def test_loads(self, amtool: str) -> None:
        """Both versions accept the configuration."""
        run(amtool, "check-config", str(ALERTMANAGER))

    @pytest.mark.parametrize(
        ("alert", "severity", "receiver"),
        [
            ("SessionErrorRateHigh", "error", "default"),
            ("SessionErrorBudgetBurn", "critical", "pager"),
            ("SessionQuotaNearLimit", "warning", "default"),
            ("SessionCreationSpike", "info", "default"),
            ("SessionSuspiciousActivity", "error", "security"),
            ("SessionTelemetryMissing", "critical", "pager"),
            ("TelemetryWatchdog", "info", "deadman"),
        ],
    )
    def test_routes(self, amtool: str, alert: str, severity: str, receiver: str) -> None:
        """Security and pages have receivers of their own, the watchdog goes outside, the rest to everybody."""
        (rule,) = (each for each in EVERY if (each.name, each.severity) == (alert, severity))
        labels = {"alertname": alert, "job": "shop/web", **rule.labels}
        found = run(
            amtool,
            "config",
            "routes",
            "test",
            f"--config.file={ALERTMANAGER}",
            *(f"{k}={v}" for k, v in labels.items()),
        )
        assert found.split() == [receiver]


@pytest.mark.parametrize("promtool", ["PROMTOOL", "PROMTOOL3"])
def test_prometheus_loads(promtool: str) -> None:
    """Both versions accept the configuration, with the rules it names."""
    run(promtool, "check", "config", str(PROMETHEUS))


def test_rules_ask_for_jobs_that_are_scraped() -> None:
    """The jobs that rules name are those of the configuration, and what applications send keeps its own job."""
    jobs = {job["job_name"]: job for job in yaml.safe_load(PROMETHEUS.read_text(encoding="utf-8"))["scrape_configs"]}
    assert {Prometheus.SESSIONS_JOB, Collector.JOB} <= jobs.keys()
    assert {name for name, job in jobs.items() if job.get("honor_labels")} == {Prometheus.SESSIONS_JOB}


def test_what_is_inhibited_is_of_one_subject() -> None:
    """Every subject with several severities is one matter, so that the worst may silence the others."""
    severities: dict[str, set[str]] = {}
    for alert in EVERY:
        severities.setdefault(alert.subject, set()).add(alert.severity)
    several = {subject for subject, found in severities.items() if len(found) > 1}
    assert several == {"error_budget", "creation", "response_time", "quota", "export"}, json.dumps(sorted(several))
