"""Health checks in the background: when they are made, and which alerts come of them."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import otel_sessions
from otel_sessions import HealthAlert, InvalidValueError, alerts, on, session
from otel_sessions._health.monitor import Monitor
from otel_sessions._health_check import Component, HealthCheck, HealthReport, Severity
from otel_sessions._hooks import hooks
from otel_sessions._statistics import moment
from otel_sessions._telemetry import Telemetry
from otel_sessions.testing import ManualClock, RecordedSessions, record_sessions

from ..failing_store import EVERYTHING, FailingStore
from ..interpreter import answer, run
from ..redis_server import until

AT = moment(0)
CALM = {"memory_ratio": 1, "process_memory_ratio": 1, "storage_ratio": 1, "cpu_ratio": 1}
"""Whatever else this machine does is no problem of the tests."""


def found(severity: Severity, *, type: str = "SessionActiveHigh", value: float | None = 1) -> HealthCheck:  # noqa: A002 - as in the value
    """A check with that result."""
    component: Component = "sessions"
    return HealthCheck(AT, type, severity, component, value, 100, "Look.", "sessions")


def monitor(clock: ManualClock | None = None, **options: Any) -> Monitor:
    """One that is told what was found."""
    report = options.get("report", lambda: HealthReport.of(AT, ()))
    return Monitor(report, options.get("interval", 30), clock or ManualClock(), Telemetry())


def raised(watching: Monitor, *severities: Severity) -> list[tuple[Severity, bool]]:
    """The alerts of one check that is found to be so, one report after the other; the first comes first."""
    for severity in severities:
        watching.note(HealthReport.of(AT, (found(severity),)))
    return [(alert.severity, alert.resolved) for alert in reversed(watching.alerts(100))]


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    """A process that checks its health every 30 seconds, and expects no more than one session."""
    with record_sessions(health_interval=30, thresholds={**CALM, "active_sessions": 1}) as recorded:
        yield recorded


class TestAlerts:
    def test_raised_and_resolved(self, recorded: RecordedSessions) -> None:
        """A check that becomes a problem is an alert, once; and when it is ok again it is resolved."""
        with session("chat"), session("chat"):
            recorded.advance(29)
            assert [] == alerts()
            recorded.advance(1)
            (alert,) = alerts()
            recorded.advance(30)
            assert [alert] == alerts()
        recorded.advance(30)
        resolved, first = alerts()
        assert alert == first
        expected = {
            "timestamp": "2026-01-01T00:00:30+00:00",
            "type": "SessionActiveHigh",
            "severity": "warning",
            "component": "sessions",
            "current_value": 2,
            "threshold": 1,
            "recommended_action": "See whether sessions start more often or do not end, and set the threshold to what "
            "the service carries.",
            "unit": "sessions",
            "subject": None,
            "reason": None,
            "resolved": False,
        }
        assert expected == alert.to_dict()
        changed = {"timestamp": "2026-01-01T00:01:30+00:00", "current_value": 0, "resolved": True}
        assert {**expected, **changed} == resolved.to_dict()
        assert [resolved] == alerts(limit=1)

    @pytest.mark.parametrize(
        ("severities", "expected"),
        [
            (["ok", "ok"], []),
            (["info", "info"], [("info", False)]),
            (["warning", "critical"], [("warning", False), ("critical", False)]),
            (["critical", "warning"], [("critical", False)]),
            (["critical", "warning", "ok"], [("critical", False), ("warning", True)]),
            (["warning", "ok", "warning"], [("warning", False), ("warning", True), ("warning", False)]),
        ],
    )
    def test_changes(self, severities: list[Severity], expected: list[tuple[Severity, bool]]) -> None:
        """What becomes worse is an alert, what becomes less serious is none until it is ok."""
        assert expected == raised(monitor(), *severities)

    def test_nothing_more(self, recorded: RecordedSessions) -> None:
        """What can no longer be judged, because nothing has ended for hours, is resolved."""
        for _ in range(20):
            with pytest.raises(ValueError, match="no"), session("chat"):
                raise ValueError("no")
        recorded.advance(30)
        assert "SessionErrorRateHigh" in {alert.type for alert in alerts()}
        recorded.advance(3 * 3600)
        (resolved,) = (a for a in alerts() if a.type == "SessionErrorRateHigh" and a.resolved)
        assert ("error", None) == (resolved.severity, resolved.current_value)
        assert "too few sessions have ended" in str(resolved.reason)

    def test_store_down(self) -> None:
        """While the store cannot be asked, what was a problem in it is neither resolved nor raised anew."""
        store = FailingStore()
        with record_sessions(store=store, health_interval=30, thresholds={**CALM, "active_sessions": 0}) as recorded:
            otel_sessions.start("chat")
            recorded.advance(30)
            store.failing = EVERYTHING
            recorded.advance(30)
            store.failing = ()
            for _ in range(11):
                recorded.advance(60)
            said = [(alert.type, alert.resolved) for alert in reversed(alerts())]
        assert ("SessionActiveHigh", False) == said[0]
        assert [("SessionStoreFailing", False), ("SessionStoreFailing", True)] == said[1:3]

    def test_store_down_from_the_start(self) -> None:
        """A store that others share and that has never answered is an alert of each process: none of them leads."""
        store = FailingStore(shared=True)
        store.failing = EVERYTHING
        with record_sessions(store=store, health_interval=30, thresholds=CALM) as recorded:
            with session("chat"):
                recorded.advance(30)
            said = [(alert.type, alert.resolved) for alert in alerts()]
            store.failing = ()
        assert [("SessionStoreFailing", False)] == said

    def test_bounded(self) -> None:
        """The last 1,000 are remembered."""
        watching = monitor()
        for _ in range(501):
            raised(watching, "warning", "ok")
        assert 1000 == len(watching.alerts(5000))

    def test_limit(self) -> None:
        """The number that is asked for is one."""
        with pytest.raises(InvalidValueError, match="0 cannot be the number of alerts"):
            alerts(limit=0)

    def test_never(self) -> None:
        """Without the setting nothing is checked."""
        with record_sessions(thresholds={**CALM, "active_sessions": 0}) as recorded, session("chat"):
            recorded.advance(3600)
            assert [] == alerts()


class TestHook:
    def test_told(self, recorded: RecordedSessions) -> None:
        """A hook is told of alerts."""
        heard: list[HealthAlert] = []
        with on("alert", heard.append), session("chat"), session("chat"):
            recorded.advance(30)
            hooks.drain()
        assert alerts() == heard


class TestEvent:
    def test_emitted(self, recorded: RecordedSessions) -> None:
        """An alert is a log event, of no session, whose severity is its own; one that is resolved is only noted."""
        with session("chat"), session("chat"):
            recorded.advance(30)
        recorded.advance(30)
        records = [log.log_record for log in recorded.logs if log.log_record.event_name == "app_session.alert"]
        common = {
            "app_session.alert.type": "SessionActiveHigh",
            "app_session.alert.component": "sessions",
            "app_session.alert.threshold": 1,
        }
        assert [
            {**common, "app_session.alert.value": 2, "app_session.alert.resolved": False},
            {**common, "app_session.alert.value": 0, "app_session.alert.resolved": True},
        ] == [dict(record.attributes or {}) for record in records]
        assert ["WARN", "INFO"] == [record.severity_number.name for record in records if record.severity_number]
        assert {alerts()[0].recommended_action} == {record.body for record in records}


class TestRounds:
    def test_never_two_at_once(self) -> None:
        """While a check is under way nobody begins another one."""
        began, goes_on = threading.Event(), threading.Event()
        made: list[int] = []

        def report() -> HealthReport:
            made.append(1)
            began.set()
            goes_on.wait(10)
            return HealthReport.of(AT, ())

        clock = ManualClock()
        watching = monitor(clock, report=report)
        clock.advance(30)
        first = threading.Thread(target=watching.round)
        first.start()
        assert began.wait(10)
        clock.advance(30)
        watching.round()
        assert [1] == made
        goes_on.set()
        first.join()
        watching.round()
        assert [1, 1] == made

    def test_thread(self) -> None:
        """Checks are made in a thread of their own, once there is a session, and it ends with the rest."""
        heard: list[HealthAlert] = []
        alerted = threading.Event()
        clock = ManualClock()
        otel_sessions.configure(
            health_interval=30,
            flush_interval=0.01,
            thresholds={**CALM, "active_sessions": 0},
            clock=clock,
            detect_user=False,
        )

        @on("alert")
        def hear(alert: HealthAlert) -> None:
            heard.append(alert)
            alerted.set()

        with hear, session("chat"):
            assert "otel-sessions-health" in {thread.name for thread in threading.enumerate()}
            clock.advance(30)
            assert alerted.wait(10)
        otel_sessions.shutdown()
        assert "otel-sessions-health" not in {thread.name for thread in threading.enumerate()}
        assert ["SessionActiveHigh"] == [alert.type for alert in heard if not alert.resolved]

    def test_nobody_waits(self) -> None:
        """While a check waits for the store the rounds of the background go on, and what they keep in time."""
        store = FailingStore()
        goes_on = threading.Event()
        store.before["most_of_a_user"] = lambda: goes_on.wait(20)
        otel_sessions.configure(store=store, health_interval=0.02, flush_interval=0.01, detect_user=False)
        with session("chat"):
            until(lambda: "most_of_a_user" in store.calls)
            rounds = store.calls.count("due")
            until(lambda: store.calls.count("due") > rounds + 3)
            assert 1 == store.calls.count("most_of_a_user")
            goes_on.set()
        otel_sessions.shutdown()

    def test_nobody_is_kept(self) -> None:
        """A process ends although a check is still waiting for its store, and does not wait for it for long."""
        code = """
        import threading, time
        import otel_sessions
        from tests.failing_store import FailingStore

        store, asked = FailingStore(), threading.Event()
        def wait():
            asked.set()
            threading.Event().wait()
        store.before["most_of_a_user"] = wait
        otel_sessions.configure(store=store, health_interval=0.02, flush_interval=0.01, detect_user=False)
        with otel_sessions.session("chat"):
            assert asked.wait(10)
        began = time.monotonic()
        otel_sessions.shutdown()
        print(time.monotonic() - began)
        """
        assert answer(code) < 5

    def test_no_thread(self) -> None:
        """Who does not want checks has no thread for them."""
        otel_sessions.configure(detect_user=False)
        with session("chat"):
            assert "otel-sessions-health" not in {thread.name for thread in threading.enumerate()}

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
    def test_child(self, recorded: RecordedSessions) -> None:
        """A child process has alerts of its own."""
        with session("chat"), session("chat"):
            recorded.advance(30)
        pid = os.fork()
        if pid == 0:
            os._exit(len(alerts()))
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert 1 == len(alerts())

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
    def test_thread_of_a_child(self) -> None:
        """A child process has no thread until it has a session, and then one, however often it is forked."""
        code = """
        import json, os, threading
        import otel_sessions

        def threads():
            return sum(thread.name == "otel-sessions-health" for thread in threading.enumerate())

        def use():
            before = threads()
            for _ in range(3):
                with otel_sessions.session("chat"):
                    pass
            return 10 * before + threads()

        def fork(work):
            pid = os.fork()
            if pid == 0:
                os._exit(work())
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

        otel_sessions.configure(health_interval=0.02, flush_interval=0.01, detect_user=False)
        print(json.dumps([use(), fork(use), fork(lambda: (use(), fork(use))[1]), threads()]))
        """
        # Not `answer`: newer Pythons warn of each fork beside a thread.
        assert [1, 1, 1, 1] == json.loads(run(code).stdout)
