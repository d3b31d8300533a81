"""What panels ask, in the real promtool of two versions: what it answers where counters and alerts come and go."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from monitoring.dashboards.queries import resources, sessions
from monitoring.dashboards.queries._build import grown
from monitoring.dashboards.targets import interpolate

from . import binaries
from .rule_cases import CASES

UP: Final = 'up{job="app-sessions"}'
WATCHED: Final = 'app_session:process:watched1m{job="a"}'
"""What a rule records of the process whose series those are."""

Held = tuple[Mapping[str, str], list[dict[str, Any]]]
"""Series, and what is expected of them."""


@pytest.fixture(name="promtool", params=["PROMTOOL", "PROMTOOL3"])
def _promtool(request: pytest.FixtureRequest) -> str:
    return binaries.need(request.param)


def answers(promtool: str, directory: Path, *held: Held, interval: str = "1m") -> None:
    """Fail unless promtool gets the answers that are expected."""
    tests = [
        {
            "interval": interval,
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": expected,
        }
        for series, expected in held
    ]
    file = directory / "test.yaml"
    file.write_text(json.dumps({"evaluation_interval": "1m", "tests": tests}), encoding="utf-8")
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def expect(expression: str, moment: str, values: Mapping[str, float]) -> dict[str, Any]:
    """That an expression has these values then, by their labels."""
    samples = [{"labels": labels, "value": value} for labels, value in values.items()]
    return {"expr": expression, "eval_time": moment, "exp_samples": samples}


class TestGrown:
    """How much a counter grew."""

    @staticmethod
    def grew(series: str, moment: str, by: float | None = None) -> dict[str, Any]:
        """By how much it is to have grown in ten minutes, nothing if it was not there; whole, as it is extrapolated."""
        expression = interpolate(grown(series), {"__range": "10m", "job": ".+"})
        return expect(f"round({expression})", moment, {} if by is None else {"{}": by})

    def test_what_a_new_one_begins_with_counts(self, promtool: str, tmp_path: Path) -> None:
        """The counter of a batch job comes with its final value, and goes."""
        series = {WATCHED: "1x40", 'job_total{job="a"}': "_x9 5x5 stale _x20"}
        answers(promtool, tmp_path, (series, [self.grew("job_total", "12m30s", 5), self.grew("job_total", "25m30s")]))

    def test_one_that_was_there_grows_by_what_it_grows(self, promtool: str, tmp_path: Path) -> None:
        """Of one that was there all the time nothing is new."""
        series = {WATCHED: "1x40", 'run_total{job="a"}': "100+1x40"}
        answers(promtool, tmp_path, (series, [self.grew("run_total", "25m30s", 10)]))

    def test_after_a_standstill_nothing_is_new(self, promtool: str, tmp_path: Path) -> None:
        """Nothing was scraped for a while: what is there afterwards is as old as before."""
        series = {WATCHED: "1x5 stale _x21 1x19", 'run_total{job="a"}': "7x5 stale _x20 9x20"}
        answers(promtool, tmp_path, (series, [self.grew("run_total", "30m30s", 0)]))

    @pytest.mark.parametrize("zeros", ["0", "0 _", "0 _x3", "0 _x7"])
    def test_a_zero_that_prometheus_adds_is_not_counted_twice(self, promtool: str, tmp_path: Path, zeros: str) -> None:
        """Where created timestamps are ingested a counter begins with 0, then has its first value."""
        # Scraped every 15 seconds: the zero lies a quarter of a minute before the first value, or up to two minutes.
        series = {WATCHED: "1x160", 'job_total{job="a"}': f"_x39 {zeros} 5x100"}
        asked = [self.grew("job_total", "16m30s", 5)]
        answers(promtool, tmp_path, (series, asked), interval="15s")


class TestAlerts:
    """Which alerts are shown, and what of them."""

    WEB: Final = {"severity": "warning", "component": "limits", "job": "shop/web"}

    @staticmethod
    def firing(alert: str, **labels: str) -> str:
        """The series that Prometheus makes of an alert that fires."""
        held = {"alertname": alert, "alertstate": "firing", "subject": "s", **labels}
        return f"ALERTS{{{', '.join(f'{name}={json.dumps(value)}' for name, value in held.items())}}}"

    def test_of_one_application(self, promtool: str, tmp_path: Path) -> None:
        """With one application chosen its alerts are shown, and those that concern all; no other application's."""
        held = {
            self.firing("SessionActiveHigh", severity="warning", component="sessions", job="shop/web"): "1x5",
            self.firing("SessionActiveHigh", severity="warning", component="sessions", job="shop/other"): "1x5",
            self.firing("SessionHostCpuHigh", severity="warning", component="resources", job="host"): "1x5",
            self.firing("TelemetryCollectorDown", severity="critical", component="telemetry", job="otel"): "1x5",
            self.firing("TelemetryCollectorsDown", severity="critical", component="telemetry"): "1x5",
            self.firing("TelemetryWatchdog", severity="info", component="telemetry"): "1x5",
            self.firing("SomebodyElses", severity="critical", component="telemetry", job="shop/web"): "1x5",
            self.firing("SessionActiveHigh", severity="error", component="sessions", job="shop/web").replace(
                "firing", "pending"
            ): "1x5",
        }
        named = {
            '{alertname="SessionActiveHigh", severity="warning", component="sessions", job="shop/web"}': 1.0,
            '{alertname="SessionHostCpuHigh", severity="warning", component="resources", job="host"}': 1.0,
            '{alertname="TelemetryCollectorDown", severity="critical", component="telemetry", job="otel"}': 1.0,
            '{alertname="TelemetryCollectorsDown", severity="critical", component="telemetry"}': 1.0,
        }
        chosen = {"job": "shop/web"}
        asked = [
            expect(interpolate(sessions.ALERTS, chosen), "2m", named),
            expect(interpolate(sessions.FIRING, chosen), "2m", {"{}": 4}),
            expect(interpolate(sessions.FIRING, {"job": "shop/none"}), "2m", {"{}": 3}),
        ]
        answers(promtool, tmp_path, (held, asked))

    def test_say_which_one(self, promtool: str, tmp_path: Path) -> None:
        """Two limits of one application are two rows, and each leads to its texts as before."""
        tokens = {"app_session_limit_name": "tokens", "app_session_tier": "free", "app_session_limit_window": "day"}
        upload = {"app_session_limit_name": "upload", "app_session_limit_kind": "rate", "app_session_tier": "free"}
        name = "SessionQuotaNearLimit"
        held = {self.firing(name, **self.WEB, **more): "1x5" for more in (tokens, upload)}
        texts = {"runbook": name, "threshold": f"{name}/warning", "action": f"{name}/warning"}
        rows = {
            _labels(alertname=name, which=which, **self.WEB, **texts): 1.0
            for which in ("tokens  free day", "upload rate free")
        }
        asked = [expect(interpolate(sessions.ALERTS_EXPLAINED, {"job": "shop/web"}), "2m", rows)]
        answers(promtool, tmp_path, (held, asked))

    def test_every_label_that_tells_alerts_apart_is_said(self) -> None:
        """Each label that some alert has is in the table; a file's name is part of its path."""
        labels = {label for case in CASES for fired in case.fired for label in fired.labels}

        assert labels - {"job", "file_name"} <= set(sessions.DISTINGUISHING)


class TestHosts:
    """How busy machines are."""

    def test_one_that_is_reported_twice_is_as_busy_as_it_is(self, promtool: str, tmp_path: Path) -> None:
        """By two collectors, whose scrapes have a label of their own: panels have one line, and add nothing up."""
        held = {
            f'{name}{{job="host", instance="box", collector="{collector}"{state}}}': f"{value}x5"
            for collector, idle, load in (("a", 0.25, 6), ("b", 0.75, 2))
            for name, state, value in (
                ("system_cpu_load_average_1m", "", load),
                ("system_cpu_logical_count", "", 4),
                ("system_cpu_utilization_ratio", ', state="idle"', idle),
            )
        }
        asked = [
            expect(interpolate(query, {"host": "box"}), "2m", {'{instance="box"}': value})
            for query, value in ((resources.LOAD, 1.5), (resources.CPU_BY_HOST, 0.75))
        ]
        answers(promtool, tmp_path, (held, asked))


def _labels(**labels: str) -> str:
    return f"{{{', '.join(f'{name}={json.dumps(value)}' for name, value in labels.items())}}}"
