"""`health`: every check, just before and just after it becomes a problem."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

import otel_sessions
from otel_sessions import (
    HealthCheck,
    InvalidValueError,
    LimitExceededError,
    _runtime,
    current_session,
    health,
    session,
)
from otel_sessions._health.judge import Judge
from otel_sessions._health.machine import Machine
from otel_sessions._health.minutes import Lately, Minutes
from otel_sessions._health_check import SEVERITIES
from otel_sessions.flask import Sessions
from otel_sessions.limits import Concurrency, Quota, Rate, Tier
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import RecordedSessions, record_sessions

from ..contract import STORES
from ..failing_store import EVERYTHING, FailingStore

HOUR = 3600
DAY = 24 * HOUR
TIER = Tier(
    "trial",
    Quota("tokens", 100, per="day"),
    Rate("upload", "30/minute"),
    Concurrency("export", 4),
    Concurrency("one", 1),
)
THRESHOLDS = {"memory_ratio": 1, "process_memory_ratio": 1, "storage_ratio": 1}
"""Whatever else this machine does is no problem of the tests."""
SETTINGS: dict[str, Any] = {
    "pseudonym_key": "k" * 32,
    "detect_user": False,
    "tiers": [TIER],
    "default_tier": "trial",
    "thresholds": THRESHOLDS,
}


@pytest.fixture(name="store")
def _store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(name="recorded")
def _recorded(store: MemoryStore) -> Iterator[RecordedSessions]:
    """A process with a store of its own, at midnight."""
    with record_sessions(store=store, **SETTINGS) as recorded:
        yield recorded


def check(name: str, **options: Any) -> HealthCheck:
    """The check of that name."""
    (found,) = (each for each in health(**options).checks if each.type == name)
    return found


def run(count: int, errors: int = 0, session_type: str = "chat") -> None:
    """Sessions that end, some in an error."""
    for number in range(count):
        with contextlib.suppress(ValueError), session(session_type):
            if number < errors:
                raise ValueError("no")


def last(recorded: RecordedSessions, count: int, seconds: float) -> None:
    """Sessions that last so long, all at the same time."""
    opened = [otel_sessions.start("chat") for _ in range(count)]
    recorded.clock.advance(seconds)
    for each in opened:
        each.end()


def answer(recorded: RecordedSessions, count: int, seconds: float) -> None:
    """A session with turns that take so long."""
    with session("chat") as current:
        for _ in range(count):
            with current.turn():
                recorded.clock.advance(seconds)


class TestNothing:
    @pytest.mark.parametrize("kind", STORES)
    def test_of_nothing(self, kind: str, tmp_path: Path) -> None:
        """On an empty store, in a process without sessions, everything is well; what is not known is not said."""
        with record_sessions(store=STORES[kind](tmp_path), **SETTINGS):
            report = health()
            assert ("healthy", ()) == (report.verdict, report.problems)
            unknown = [each for each in report.checks if not each.is_judged]
            assert all(each.is_ok and each.reason for each in unknown)
            assert {"SessionErrorRateHigh", "SessionCreationDrop", "SessionQuotaNearLimit"} <= {u.type for u in unknown}
            assert 24 == len(report.checks) == len({each.type for each in report.checks})
            assert 0 == check("SessionActiveHigh").current_value
            assert "healthy, 2026-01-01 00:00:00 UTC" == str(report).splitlines()[0]
            json.dumps(report.to_dict(), allow_nan=False)

    def test_switched_off(self) -> None:
        """A process whose sessions are switched off has nothing to judge."""
        with record_sessions(enabled=False):
            assert ("healthy", ()) == health()[1:]
            assert [] == otel_sessions.alerts()


class TestForm:
    def test_whole(self, recorded: RecordedSessions) -> None:
        """Every check says everything that there is to say, whether it could be judged or not."""
        for each in health().checks:
            assert each.component in {"sessions", "conversations", "limits", "security", "resources", "store"}
            assert each.severity in SEVERITIES
            assert (float, True) == (type(float(each.threshold)), bool(each.unit))
            assert each.recommended_action.endswith(".")
            assert each.timestamp == dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
            assert (each.current_value is None) == (each.reason is not None), each.type

    def test_only_active(self, recorded: RecordedSessions) -> None:
        """Sessions that go on are counted; what is known by an end only is not guessed at."""
        for number in range(30):
            started = otel_sessions.start("chat", id=f"s{number}", user="ada" if number else "bob")
            with started.turn(model="m"):
                recorded.clock.advance(1)
        report = health(thresholds={"active_sessions": 29, "user_sessions": 28})
        assert {"SessionActiveHigh": 30, "SessionUserSessionsHigh": 29} == {
            each.type: each.current_value for each in report.problems
        }
        unknown = {each.type for each in report.checks if not each.is_judged}
        by_ends = {"ErrorRateHigh", "ErrorBudgetBurn", "CrashFreeRateLow", "DurationAnomalous", "EngagementLow"}
        assert {*(f"Session{name}" for name in by_ends), "SessionCreationDrop", "SessionResponseMeanHigh"} <= unknown

    def test_no_names(self, recorded: RecordedSessions) -> None:
        """No session, no user and no message of an error is in it, in whatever form it is told."""
        for number in range(25):
            current = otel_sessions.start("chat", id=f"secret-id-{number}", user="secret-user")
            current.suspicious("device_change")
            current.error(RuntimeError("secret-text"))
            if number < 20:
                current.end("error")
        pseudonym = otel_sessions.active()[0].user
        report = health(thresholds={"active_sessions": 0, "user_sessions": 0, "findings": 1})
        assert len(report.problems) > 3
        told = f"{report}{report!r}{json.dumps(report.to_dict())}"
        assert not [word for word in ("secret", str(pseudonym)) if word in told]

    def test_check(self, recorded: RecordedSessions) -> None:
        """A check says what was found, what it is compared with, and what to do."""
        run(20, errors=3)
        expected = {
            "timestamp": "2026-01-01T00:00:00+00:00",
            "type": "SessionErrorRateHigh",
            "severity": "error",
            "component": "sessions",
            "current_value": 0.15,
            "threshold": 0.1,
            "recommended_action": "Find the error type that has grown, and compare its beginning with the last "
            "deployment.",
            "unit": "ratio",
            "subject": "chat",
            "reason": None,
        }
        assert expected == health().to_dict()["checks"][0]

    def test_text(self, recorded: RecordedSessions) -> None:
        """As text, problems come first, the worst of them at the top, each with what to do."""
        run(20, errors=3)
        for _ in range(3):
            otel_sessions.start("chat")
        report = health(thresholds={"active_sessions": 2, "exhaustion_seconds": 20_000})
        lines = str(report).splitlines()
        assert "unhealthy, 2026-01-01 00:00:00 UTC" == lines[0]
        assert "  critical  SessionErrorBudgetBurn (chat): 15 times, threshold 14.4 times" == lines[1]
        assert lines[2].startswith("            Find the error type")
        assert "  error     SessionErrorRateHigh (chat): 15 %, threshold 10 %" == lines[3]
        assert "  warning   SessionActiveHigh: 3 sessions, threshold 2 sessions" == lines[5]
        assert any(line.startswith("  -         SessionQuotaExhaustionPredicted: at its") for line in lines)
        assert ["critical", "error", "warning"] == [each.severity for each in report.problems]

    @pytest.mark.parametrize(
        ("thresholds", "verdict"),
        [
            ({}, "healthy"),
            ({"engagement_ratio": 2}, "healthy"),
            ({"active_sessions": 0}, "degraded"),
            ({"active_sessions": 0, "error_ratio": 0}, "unhealthy"),
            ({"burn_fast": 1}, "unhealthy"),
        ],
    )
    def test_verdict(self, recorded: RecordedSessions, thresholds: dict[str, float], verdict: str) -> None:
        """A warning makes it degraded, an error or worse unhealthy; what is only of interest changes nothing."""
        last(recorded, 19, 60)
        run(1, errors=1)
        otel_sessions.start("chat")
        assert verdict == health(thresholds=thresholds).verdict


class TestThresholds:
    def test_setting(self) -> None:
        """The setting changes thresholds, an argument goes before it."""
        with record_sessions(thresholds={"active_sessions": 1}):
            otel_sessions.start("chat")
            otel_sessions.start("chat")
            assert ("warning", 1) == (check("SessionActiveHigh").severity, check("SessionActiveHigh").threshold)
            assert check("SessionActiveHigh", thresholds={"active_sessions": 2}).is_ok

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"errors": 1}, "there is no threshold 'errors'; there are access_failures, active_sessions"),
            ({"error_ratio": "high"}, "error_ratio='high': use a number, 0 or more"),
            ({"error_ratio": True}, "error_ratio=True: use a number, 0 or more"),
            ({"error_ratio": float("nan")}, "error_ratio=nan: use a number, 0 or more"),
            ({"error_ratio": -0.5}, "error_ratio=-0.5: use a number, 0 or more"),
            ({"slo_objective": 1}, "slo_objective=1: use a number, 0 or more, and less than 1"),
            ([1], "[1]: use a mapping of names to numbers"),
        ],
    )
    def test_wrong(self, wrong: Any, said: str) -> None:
        """What is no threshold is refused, with those that there are."""
        with pytest.raises(InvalidValueError) as raised:
            health(thresholds=wrong)
        assert str(raised.value).startswith(f"thresholds: {said}")
        with pytest.raises(otel_sessions.ConfigurationError) as raised_too:
            otel_sessions.configure(thresholds=wrong)
        assert str(raised_too.value) == str(raised.value)


class TestErrors:
    def test_ratio(self, recorded: RecordedSessions) -> None:
        """Of 20 sessions of a type that ended, two errors are not too many, three are; of 19 nothing is said."""
        run(18, errors=2)
        run(1)
        run(5, errors=5, session_type="rare")
        assert not check("SessionErrorRateHigh").is_judged
        run(1)
        found = check("SessionErrorRateHigh")
        assert ("ok", 0.1, "chat") == (found.severity, found.current_value, found.subject)
        run(1, errors=1)
        assert "error" == check("SessionErrorRateHigh").severity

    def test_hours(self, recorded: RecordedSessions) -> None:
        """The hour before counts as long as too few have ended in this one; what is over is over then."""
        recorded.advance(HOUR - 60)
        run(20, errors=10)
        recorded.advance(120)
        run(10)
        assert 1 / 3 == check("SessionErrorRateHigh").current_value
        run(10)
        assert 0 == check("SessionErrorRateHigh").current_value

    def test_fast_burn(self, recorded: RecordedSessions) -> None:
        """The budget of an objective of 99 % burns 14.4 times as fast as it may: critical."""
        run(1000, errors=144)
        assert ("warning", 6) == (check("SessionErrorBudgetBurn").severity, check("SessionErrorBudgetBurn").threshold)
        run(1, errors=1)
        found = check("SessionErrorBudgetBurn")
        assert ("critical", 14.4) == (found.severity, found.threshold)
        assert check("SessionErrorBudgetBurn", thresholds={"slo_objective": 0.5}).is_ok

    def test_slow_burn(self, recorded: RecordedSessions) -> None:
        """Six times as fast over six hours, and still: a warning. What is over is none."""
        run(100, errors=7)
        recorded.advance(5 * HOUR)
        run(1, errors=1)
        assert "warning" == check("SessionErrorBudgetBurn").severity
        recorded.advance(HOUR)
        run(1)
        found = check("SessionErrorBudgetBurn")
        assert ("ok", 0) == (found.severity, found.current_value)

    def test_crashes(self, recorded: RecordedSessions, store: MemoryStore) -> None:
        """One of 20 sessions whose process crashed is more than one of a hundred."""
        run(19)
        started = otel_sessions.start("chat")
        now = recorded.clock.time_ns()
        assert store.close(started.id, status="abandoned", reason="crashed", ended_ns=now) is not None
        found = check("SessionCrashFreeRateLow")
        assert ("error", 0.95, "chat") == (found.severity, found.current_value, found.subject)
        run(80)
        assert check("SessionCrashFreeRateLow").is_ok


class TestCreation:
    def test_drop(self, recorded: RecordedSessions) -> None:
        """Fewer than half of the sessions of the hour a day before; those that have not ended count as well."""
        last(recorded, 20, 60)
        recorded.advance(DAY)
        run(4)
        opened = [otel_sessions.start("chat") for _ in range(5)]
        recorded.clock.advance(HOUR)
        found = check("SessionCreationDrop")
        assert ("warning", 0.45, "chat") == (found.severity, found.current_value, found.subject)
        assert check("SessionCreationDrop", thresholds={"creation_drop": 0.45}).is_ok
        assert not check("SessionCreationDrop", thresholds={"creation_min_sessions": 21}).is_judged
        opened[0].end()
        assert 0.45 == check("SessionCreationDrop").current_value

    @pytest.mark.parametrize(("count", "severity"), [(30, "ok"), (31, "info")])
    def test_spike(self, recorded: RecordedSessions, count: int, severity: str) -> None:
        """More than three times as many: of interest."""
        run(10)
        recorded.advance(DAY)
        run(count)
        recorded.advance(HOUR)
        assert (severity, count / 10) == check("SessionCreationSpike")[2:5:2]
        assert not check("SessionCreationSpike", thresholds={"creation_min_sessions": 32}).is_judged

    def test_too_many(self, recorded: RecordedSessions) -> None:
        """Where so many are active that it would take long to look at each, nothing is said."""
        run(20)
        recorded.advance(DAY + HOUR)
        for _ in range(2000):
            otel_sessions.start("chat")
        assert 0 == check("SessionCreationDrop").current_value
        otel_sessions.start("chat")
        assert not check("SessionCreationDrop").is_judged


class TestActive:
    def test_active(self, recorded: RecordedSessions) -> None:
        """A hundred are expected, scoped and durable ones together; one more is not."""
        for _ in range(99):
            otel_sessions.start("chat")
        with session("job"):
            assert ("ok", 100) == (check("SessionActiveHigh").severity, check("SessionActiveHigh").current_value)
            with session("job"):
                assert ("warning", 101) == check("SessionActiveHigh")[2:5:2]

    def test_user(self, recorded: RecordedSessions) -> None:
        """Five of one user are expected, a sixth is not; the user is not named."""
        for _ in range(5):
            otel_sessions.start("chat", user="ada")
        assert check("SessionUserSessionsHigh").is_ok
        with session("job", user="ada"):
            found = check("SessionUserSessionsHigh")
        assert ("warning", 6, None) == (found.severity, found.current_value, found.subject)

    def test_duration(self, recorded: RecordedSessions) -> None:
        """A median of more than twice that of the week before yesterday is of interest."""
        last(recorded, 20, 10)
        assert not check("SessionDurationAnomalous").is_judged
        recorded.advance(2 * DAY)
        last(recorded, 20, 19)
        assert check("SessionDurationAnomalous").is_ok
        last(recorded, 25, 60)
        found = check("SessionDurationAnomalous")
        assert ("info", "chat") == (found.severity, found.subject)
        assert found.current_value == pytest.approx(6, rel=0.03)


class TestConversations:
    def test_mean(self, recorded: RecordedSessions) -> None:
        """Answers that take more than ten seconds on average, of twenty turns or more."""
        answer(recorded, 19, 11)
        assert not check("SessionResponseMeanHigh").is_judged
        answer(recorded, 1, 11)
        found = check("SessionResponseMeanHigh")
        assert ("error", 11, "seconds", "chat") == (found.severity, found.current_value, found.unit, found.subject)
        answer(recorded, 20, 9)
        assert check("SessionResponseMeanHigh").is_ok

    def test_degraded(self, recorded: RecordedSessions) -> None:
        """More than one and a half times as long as in the same hours of the day before."""
        answer(recorded, 5, 2)
        assert not check("SessionResponseDegraded").is_judged
        recorded.advance(DAY)
        answer(recorded, 20, 3)
        assert ("ok", 1.5) == check("SessionResponseDegraded")[2:5:2]
        answer(recorded, 1, 4)
        assert "warning" == check("SessionResponseDegraded").severity

    def test_engagement(self, recorded: RecordedSessions) -> None:
        """Sessions that are open for long and hardly used are of interest; those without a duration say nothing."""
        run(20, session_type="instant")
        assert not check("SessionEngagementLow").is_judged
        last(recorded, 20, 600)
        found = check("SessionEngagementLow")
        assert ("info", 0, "chat") == (found.severity, found.current_value, found.subject)
        assert check("SessionEngagementLow", thresholds={"engagement_ratio": 0}).is_ok


class TestLimits:
    def test_quota(self, recorded: RecordedSessions) -> None:
        """Most of a quota is a warning, nearly all of it critical."""
        with session("chat", user="ada") as current:
            current.use("tokens", 75)
            assert ("ok", 0.75) == check("SessionQuotaNearLimit")[2:5:2]
            current.use("tokens", 15)
            found = check("SessionQuotaNearLimit")
            assert ("warning", 0.75, "tokens per day, trial") == (found.severity, found.threshold, found.subject)
            current.use("tokens", 1)
            found = check("SessionQuotaNearLimit")
            assert ("critical", 0.9, 0.91) == (found.severity, found.threshold, found.current_value)

    def test_forecast(self, recorded: RecordedSessions) -> None:
        """At its present rate somebody will have used up a quota within four hours."""
        with session("chat", user="ada") as current:
            for _ in range(24):
                current.use("tokens", 3)
                recorded.clock.advance(600)
            found = check("SessionQuotaExhaustionPredicted")
            assert ("warning", "seconds", "tokens per day, trial") == (found.severity, found.unit, found.subject)
            assert found.current_value == pytest.approx(28 / 3 * 600, rel=0.05)
            assert check("SessionQuotaExhaustionPredicted", thresholds={"exhaustion_seconds": 60}).is_ok

    def test_refusals(self, recorded: RecordedSessions) -> None:
        """A limit that refuses more than a twentieth of at least 20 decisions of the last ten minutes."""
        with session("chat", user="ada") as current:
            for _ in range(19):
                current.check_rate("upload")
            assert not check("SessionRefusalsHigh").is_judged
            for _ in range(11):
                current.check_rate("upload")
            assert ("ok", 0) == check("SessionRefusalsHigh")[2:5:2]
            for _ in range(2):
                with pytest.raises(LimitExceededError):
                    current.check_rate("upload")
        found = check("SessionRefusalsHigh")
        assert ("warning", 2 / 32, "upload, trial") == (found.severity, found.current_value, found.subject)
        for _ in range(11):
            recorded.advance(60)
        assert not check("SessionRefusalsHigh").is_judged

    def test_leases(self, recorded: RecordedSessions) -> None:
        """Nearly all slots asked for are the last ones of somebody's; limits of few slots say nothing."""
        with session("chat", user="ada") as current:
            for _ in range(20):
                with current.lease("one"):
                    current.check_rate("upload")
            with contextlib.ExitStack() as held:
                for _ in range(2):
                    held.enter_context(current.lease("export"))
                for _ in range(18):
                    with current.lease("export"):
                        pass
                found = check("SessionLeasesSaturated")
                assert ("ok", 0.9, "export, trial") == (found.severity, found.current_value, found.subject)
                with current.lease("export"):
                    pass
        assert "warning" == check("SessionLeasesSaturated").severity


class TestHere:
    def test_findings(self, recorded: RecordedSessions) -> None:
        """Five findings within ten minutes, whenever these began; not those of before."""
        with session("chat"):
            for _ in range(4):
                recorded.advance(60)
                current_session().suspicious("device_change")
            assert check("SessionSuspiciousActivity").is_ok
            recorded.advance(300)
            current_session().suspicious("device_change")
        assert ("error", 5) == check("SessionSuspiciousActivity")[2:5:2]
        for _ in range(11):
            recorded.advance(60)
        assert 0 == check("SessionSuspiciousActivity").current_value

    def test_without_sdk(self) -> None:
        """What a process has counted is known without an SDK as well."""
        otel_sessions.configure(background=False, detect_user=False)
        with session("chat"):
            for _ in range(5):
                current_session().suspicious("device_change")
        assert 5 == check("SessionSuspiciousActivity").current_value

    def test_access_failures(self, recorded: RecordedSessions) -> None:
        """Twenty requests that were refused as unauthenticated or forbidden within ten minutes."""
        app = Flask(__name__)
        app.add_url_rule("/", view_func=lambda: ("no", 403))
        Sessions(app)
        client = app.test_client()
        for _ in range(19):
            client.get("/").close()
        assert check("SessionAccessFailuresHigh").is_ok
        client.get("/").close()
        assert ("warning", 20) == check("SessionAccessFailuresHigh")[2:5:2]

    def test_dropped(self, recorded: RecordedSessions) -> None:
        """Anything that was dropped is worth a warning, and its reason is said."""
        assert check("SessionRecordsDropped").is_ok
        with session("chat") as current:
            current.set_attributes(unfit=object())
        found = check("SessionRecordsDropped")
        assert ("warning", 1, "invalid_attribute") == (found.severity, found.current_value, found.subject)

    @pytest.mark.parametrize("name", ["memory_ratio", "process_memory_ratio"])
    def test_memory(self, recorded: RecordedSessions, name: str) -> None:
        """The memory of the machine, and what this process holds of it."""
        wanted = {"memory_ratio": "SessionHostMemoryHigh", "process_memory_ratio": "SessionProcessMemoryHigh"}[name]
        assert ("warning", "ratio") == (check(wanted, thresholds={name: 0}).severity, check(wanted).unit)

    def test_storage(self, tmp_path: Path) -> None:
        """The file system of the store's file, unless it is a small one."""
        with record_sessions(store=STORES["sqlite"](tmp_path), **SETTINGS):
            assert "error" == check("SessionHostStorageHigh", thresholds={"storage_ratio": 0}).severity
            assert not check("SessionHostStorageHigh", thresholds={"storage_min_bytes": 1e18}).is_judged

    def test_left_out(self, recorded: RecordedSessions) -> None:
        """Of a process that only looks into a store nothing is said, not even that it is well."""
        names = {each.type for each in health(in_process=False).checks}
        assert {"SessionErrorRateHigh", "SessionStoreFailing", "SessionHostStorageHigh"} <= names
        assert not {"SessionSuspiciousActivity", "SessionHostMemoryHigh", "SessionRefusalsHigh"} & names


class TestStore:
    def test_down(self) -> None:
        """A store that is down makes it unhealthy: it is asked once, and nothing is said of what is in it."""
        store = FailingStore()
        with record_sessions(store=store, **SETTINGS):
            otel_sessions.start("chat")
            store.failing = EVERYTHING
            store.calls.clear()
            report = health()
            assert 1 == len(store.calls)
            found = check("SessionStoreFailing")
            store.failing = ()
        assert ("unhealthy", ["SessionStoreFailing"]) == (report.verdict, [each.type for each in report.problems])
        assert ("error", 1) == (found.severity, found.current_value)
        assert "the line is cut" in str(found.reason)
        unknown = {each.type: each.reason for each in report.checks if not each.is_judged}
        assert "the store cannot be asked" == unknown["SessionActiveHigh"] == unknown["SessionQuotaNearLimit"]

    def test_failing(self, recorded: RecordedSessions) -> None:
        """More than one of a hundred calls of the last ten minutes, if there were twenty."""
        store = FailingStore()
        with record_sessions(store=store, **SETTINGS):
            store.failing = {"find"}
            otel_sessions.start("chat", id="c1")
            store.failing = ()
            assert (0, "ok") == (check("SessionStoreFailing").current_value, check("SessionStoreFailing").severity)
            for number in range(100):
                otel_sessions.start("chat", id=f"d{number}")
            found = check("SessionStoreFailing", thresholds={"store_failure_ratio": 0})
        assert "error" == found.severity
        assert found.current_value is not None
        assert 0 < found.current_value < 0.05

    def test_pending(self) -> None:
        """More sessions than expected wait for the store, at any time of ten minutes."""
        store = FailingStore()
        with record_sessions(store=store, idle_timeout=None, **SETTINGS) as recorded:
            started = otel_sessions.start("chat")
            store.failing = {"merge"}
            started.event("note")
            assert not check("SessionStorePendingHigh").is_judged
            for _ in range(10):
                recorded.advance(60)
            assert 0 == check("SessionStorePendingHigh").current_value
            recorded.advance(60)
            found = check("SessionStorePendingHigh", thresholds={"store_pending": 0})
            store.failing = ()
        assert ("warning", 1) == (found.severity, found.current_value)

    def test_without_history(self) -> None:
        """A store of one's own that keeps no history is not judged by it."""
        with record_sessions(store=FailingStore(), **SETTINGS):
            assert "keeps no history" in str(check("SessionErrorRateHigh").reason)
            assert "healthy" == health().verdict

    def test_that_does_not_count_users(self) -> None:
        """A store of one's own that does not know users is not judged by them."""
        with record_sessions(store=_WithoutUsers(), **SETTINGS):
            assert "does not say how many" in str(check("SessionUserSessionsHigh").reason)

    def test_broken(self) -> None:
        """A check that itself fails is an error, with the reason; the others go on."""
        store = FailingStore()
        store.before["most_of_a_user"] = lambda: 1 / 0
        with record_sessions(store=store, **SETTINGS):
            found = check("SessionUserSessionsHigh")
        assert ("error", None, "the check itself failed: ZeroDivisionError") == (
            found.severity,
            found.current_value,
            found.reason,
        )
        assert "error     SessionUserSessionsHigh: the check itself failed" in str(found)
        assert "Look into the log" in str(found)

    def test_broken_counts(self, recorded: RecordedSessions) -> None:
        """Where the counts of the process cannot be had, what asks the store only is still judged."""
        lifecycle = _runtime.get().lifecycle
        report = Judge(lifecycle, _Broken(lifecycle, Machine())).report()
        broken = {each.type for each in report.checks if each.reason == "the check itself failed: RuntimeError"}
        assert {"SessionRefusalsHigh", "SessionSuspiciousActivity", "SessionRecordsDropped"} <= broken
        assert 24 == len(report.checks)
        whole = {each.type: each.current_value for each in report.checks}
        assert (0, 0) == (whole["SessionActiveHigh"], whole["SessionUserSessionsHigh"])

    def test_back(self) -> None:
        """When a store is back what is in it is judged at once; its failures are told for ten minutes."""
        store = FailingStore()
        with record_sessions(store=store, **SETTINGS) as recorded:
            recorded.advance(60)
            store.failing = EVERYTHING
            for number in range(30):
                otel_sessions.start("chat", id=f"d{number}")
            assert {"SessionStoreFailing"} == {each.type for each in health().problems}
            assert not check("SessionActiveHigh").is_judged
            store.failing = ()
            recorded.advance(1)
            assert 30 == check("SessionActiveHigh").current_value
            failing = check("SessionStoreFailing")
            assert ("error", None) == (failing.severity, failing.reason)
            for _ in range(11):
                recorded.advance(60)
            assert ("ok", 0) == (check("SessionStoreFailing").severity, check("SessionStoreFailing").current_value)


class _Broken(Minutes):
    """Counts that cannot be looked at."""

    def lately(self) -> Lately:
        raise RuntimeError("session s1 of ada")


class _WithoutUsers(FailingStore):
    most_of_a_user = None  # type: ignore[assignment]  # hidden: it is not there


class TestFork:
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
    def test_child(self, recorded: RecordedSessions) -> None:
        """A child process counts from its own beginning."""
        with session("chat"):
            for _ in range(5):
                current_session().suspicious("device_change")
        pid = os.fork()
        if pid == 0:
            os._exit(int(check("SessionSuspiciousActivity").current_value or 0))
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert 5 == check("SessionSuspiciousActivity").current_value
        assert dt.timezone.utc == health().time.tzinfo
