"""From series to a webhook: the rules and configurations as they are, with shortened times, in the real programs."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
from monitoring import promql as pq

from otel_sessions import _semconv as sc

from .alerting import Alerting, Scraped, Told, quicker, quicker_rules, served, until

_WEB: Final = 'job="shop/web",instance="a"'
_JOBS: Final = 'job="shop/jobs",instance="b"'
_QUOTA: Final = (
    'app_session_limit_name="tokens",app_session_tier="free",app_session_limit_window="day",'
    'app_session_limit_scope="user"'
)
_LOG: Final = 'file_size_bytes{job="host",instance="box",file_name="sync.log",file_path="/var/log/sync.log"}'
_JOBS_UP: Final = f'{pq.name(sc.UP)}{{{_JOBS},app_session_store_name="memory"}}'


class Scene:
    """An application that is well, and what becomes of it."""

    def __init__(self, alerting: Alerting, scraped: Scraped, told: Told) -> None:
        self.alerting = alerting
        self.scraped = scraped
        self.told = told

    def hold(self, **values: float) -> None:
        """Report these series with one value."""
        for name, value in values.items():
            self.scraped.series[name] = functools.partial(float, value)

    def arrived(self, alert: str, receiver: str) -> dict[str, Any]:
        """The alert, as the webhook of this receiver was sent it."""
        until(lambda: self.told.firing(alert), f"{alert} to arrive")
        path, found = self.told.firing(alert)[0]
        assert path == f"/{receiver}"
        return found


@pytest.fixture(name="scene", scope="module")
def _scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scraped, told = Scraped(), Told()

    def tell(path: str, body: dict[str, Any]) -> None:
        told.alerts.extend((path, each) for each in body["alerts"] if each["status"] == "firing")

    def nothing(*_: object) -> None:
        pass

    with (
        served(scraped.text, nothing) as scraped_port,
        served(lambda: "", nothing) as own_port,
        served(lambda: "", tell) as told_port,
        Alerting(tmp_path_factory.mktemp("alerting"), scraped_port, own_port, told_port).running() as alerting,
    ):
        scene = Scene(alerting, scraped, told)
        _be_well(scene)
        _go_wrong(scene)
        yield scene


def _be_well(scene: Scene) -> None:
    """Report for long enough that windows have a beginning: ten minutes, shortened."""
    began = time.monotonic()
    ended = f'{pq.count(sc.DURATION)}{{{_WEB},app_session_type="chat",app_session_end_reason="completed"'
    scene.scraped.series[f'{ended},app_session_status="success"}}'] = lambda: int((time.monotonic() - began) * 40)
    scene.hold(**{_JOBS_UP: 1, _LOG: 1_000_000, f'{pq.name(sc.UP)}{{{_WEB},app_session_store_name="memory"}}': 1})
    until(
        lambda: (
            scene.alerting.query(f"{_LOG} offset {quicker('10m')}")
            and scene.alerting.query(f'up{{job="app-sessions"}} offset {quicker("10m")} == 1')
        ),
        "ten minutes to pass",
    )
    until(lambda: scene.alerting.query('app_session:up:sum{job="shop/jobs"}'), "the rules to run")


def _go_wrong(scene: Scene) -> None:
    """All at once."""
    began = time.monotonic()
    ended = f'{pq.count(sc.DURATION)}{{{_WEB},app_session_type="chat",app_session_end_reason="exception"'
    scene.scraped.series[f'{ended},app_session_status="error"}}'] = lambda: int((time.monotonic() - began) * 20)
    # Within ten minutes, shortened, by so much, and again: the alert waits for more than half of them.
    scene.scraped.series[_LOG] = lambda: 1_000_000 * 1.6451 ** (1 + (time.monotonic() - began) // 10)
    finding = f'{_WEB},app_session_finding_kind="scraping",app_session_finding_severity="warn"'
    scene.hold(
        **{
            f"{pq.name(sc.FINDINGS)}{{{finding}}}": 5,
            f"{pq.name(sc.QUOTA_TIME_TO_EXHAUSTION)}{{{_WEB},{_QUOTA}}}": 7_200,
            f"{pq.name(sc.QUOTA_UTILIZATION_RATIO)}{{{_WEB},{_QUOTA}}}": 0.95,
        }
    )
    del scene.scraped.series[_JOBS_UP]


def test_only_times_are_shortened() -> None:
    """Durations in brackets and after `offset` are; numbers are not."""
    rule = {"expr": "increase(x[10m]) / (y offset 1d > 60) and z:ratio5m", "for": "5m"}
    shortened = quicker_rules({"groups": [{"rules": [rule]}]})["groups"][0]["rules"][0]
    assert shortened == {"expr": "increase(x[10000ms]) / (y offset 1440000ms > 60) and z:ratio5m", "for": "5000ms"}


class TestArrive:
    def test_error_rate(self, scene: Scene) -> None:
        """One of three sessions ends in an error."""
        found = scene.arrived("SessionErrorRateHigh", "default")
        assert found["labels"]["app_session_type"] == "chat"
        assert found["annotations"]["threshold"] == "10%"

    def test_quota_prediction(self, scene: Scene) -> None:
        """A quota will be used up in two hours."""
        found = scene.arrived("SessionQuotaExhaustionPredicted", "default")
        assert found["annotations"]["current_value"] == "2h 0m 0s"

    def test_suspicious_activity(self, scene: Scene) -> None:
        """Five findings, the first that there are, come at once."""
        found = scene.arrived("SessionSuspiciousActivity", "security")
        assert found["annotations"]["current_value"] == "5 findings"

    def test_log_growth(self, scene: Scene) -> None:
        """A log file has grown by 64.51 %, and goes on."""
        found = scene.arrived("SessionLogGrowthHigh", "default")
        assert found["annotations"]["current_value"] == "64.51%"

    def test_telemetry_missing(self, scene: Scene) -> None:
        """A service reports nothing any more, and did not say that it ends."""
        found = scene.arrived("SessionTelemetryMissing", "pager")
        assert found["labels"]["job"] == "shop/jobs"

    def test_the_watchdog(self, scene: Scene) -> None:
        """The dead man's switch is held."""
        scene.arrived("TelemetryWatchdog", "deadman")


class TestInhibition:
    def test_of_one_subject_only_the_worst_arrives(self, scene: Scene) -> None:
        """A quota that is used to 95 % is critical: the warning of the same is kept quiet."""
        assert scene.arrived("SessionQuotaNearLimit", "pager")["labels"]["severity"] == "critical"
        until(lambda: scene.alerting.inhibited("SessionQuotaNearLimit", severity="warning"), "it to be inhibited")
        assert {found["labels"]["severity"] for _, found in scene.told.firing("SessionQuotaNearLimit")} == {"critical"}

    def test_of_a_service_that_is_missing_nothing_else_arrives(self, scene: Scene) -> None:
        """What was known last of a service whose telemetry is missing is kept quiet; of others it arrives."""
        scene.arrived("SessionTelemetryMissing", "pager")
        for job in (_JOBS, _WEB):
            scene.hold(**{f'{pq.name(sc.ACTIVE)}{{{job},app_session_type="chat"}}': 150})
        until(lambda: scene.alerting.inhibited("SessionActiveHigh", job="shop/jobs"), "it to be inhibited")
        assert scene.arrived("SessionActiveHigh", "default")["labels"]["job"] == "shop/web"
        assert {found["labels"]["job"] for _, found in scene.told.firing("SessionActiveHigh")} == {"shop/web"}
