"""What a session asks of its limits, what it is told, and what is said of it."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import math
import tracemalloc
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import otel_sessions
from otel_sessions import (
    ConcurrencyExceededError,
    InvalidValueError,
    LimitExceededError,
    LimitUnknownError,
    QuotaExceededError,
    RateLimitedError,
    current_session,
    session,
)
from otel_sessions.limits import Concurrency, Quota, Rate, Tier
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import RecordedSessions, record_sessions

from ..contract import SHARED
from ..failing_store import FailingStore

TRIAL = Tier(
    "trial",
    Quota("tokens", 100, per="day"),
    Quota("tokens", 150, per="month", scope="tenant"),
    Quota("api_calls", 10),
    Quota("storage", None, scope="user"),
    Rate("upload", "3/minute; 5/hour"),
    Concurrency("file", 2),
)
SHADOW = Tier(
    "shadow",
    Quota("tokens", 10, per="day", shadow=True),
    Rate("upload", "1/minute", shadow=True),
    Concurrency("file", 1, shadow=True),
)


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    with record_sessions(tiers=[TRIAL, SHADOW]) as recorded:
        yield recorded


def trial(user: str = "u1", **fields: Any) -> otel_sessions.Session:
    """A durable session of the tier `trial`."""
    return otel_sessions.start("web", user=user, tier="trial", **fields)


class TestUse:
    def test_counted(self, recorded: RecordedSessions) -> None:
        """What is used is counted in every window, in the session, and in the metrics."""
        with trial(attributes={"tenant": "contoso"}) as s:
            s.use("tokens", 30, operation="inference")
            s.use("tokens", 20)
            day, month = [status for status in s.quotas() if status.name == "tokens"]
        assert (50, 100, 50, 50.0, "day", "user") == (
            day.used, day.limit, day.remaining, day.percentage, day.window, day.scope,
        )  # fmt: skip
        assert (50, 150, "month", "tenant") == (month.used, month.limit, month.window, month.scope)
        assert dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc) == day.resets_at
        s.end()
        (span,) = recorded.session_spans
        assert 50 == (span.attributes or {})["app_session.usage.tokens"]
        assert 50 == recorded.metric("app_session.quota.usage", app_session__limit__name="tokens")
        assert 2 == recorded.metric("app_session.limit.decisions", app_session__limit__result="allowed")
        record = otel_sessions.get(s.id)
        assert record is not None
        assert {"inference|tokens": 30} == record.totals.operations

    def test_refused(self, recorded: RecordedSessions) -> None:
        """What is refused costs nothing anywhere; the error says all there is to say."""
        with trial(attributes={"tenant": "contoso"}) as s:
            s.use("tokens", 95)
            with pytest.raises(QuotaExceededError) as raised:
                s.use("tokens", 6, operation="inference")
            error = raised.value
            assert ("quota", "tokens", 6, 95, 100, 5) == (
                error.kind, error.name, error.amount, error.used, error.limit, error.remaining,
            )  # fmt: skip
            assert ("day", "user", 86_400.0) == (error.window, error.scope, error.retry_after)
            assert dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc) == error.reset_at
            assert [95, 95] == [status.used for status in s.quotas() if status.name == "tokens"]
            s.use("tokens", 5)
        s.end()
        (span,) = recorded.session_spans
        assert 100 == (span.attributes or {})["app_session.usage.tokens"]

    def test_refusal_is_told(self, recorded: RecordedSessions) -> None:
        """A refusal is a log event with a warning, and a count; it is no error of the session."""
        with trial() as s, pytest.raises(QuotaExceededError):
            s.use("tokens", 101, operation="inference")
        s.end()
        (event,) = recorded.events("app_session.limit.rejected")
        assert {
            "app_session.limit.kind": "quota",
            "app_session.limit.name": "tokens",
            "app_session.limit.window": "day",
            "app_session.limit.scope": "user",
            "app_session.limit.used": 0,
            "app_session.limit.capacity": 100,
            "app_session.limit.amount": 101,
            "app_session.operation.name": "inference",
            "session.id": s.id,
            "app_session.type": "web",
            "enduser.pseudo.id": s.user,
        } == event
        (log,) = [log.log_record for log in recorded.logs if log.log_record.event_name == "app_session.limit.rejected"]
        assert SeverityNumber.WARN == log.severity_number
        assert 1 == recorded.metric(
            "app_session.limit.decisions",
            app_session__limit__kind="quota",
            app_session__limit__name="tokens",
            app_session__limit__result="rejected",
            app_session__tier="trial",
        )
        (span,) = recorded.session_spans
        assert ("success", 0) == (
            (span.attributes or {})["app_session.status"], (span.attributes or {})["app_session.error.count"],
        )  # fmt: skip

    @pytest.mark.parametrize("kind", ["scoped", "in a request"])
    def test_exemplar(self, kind: str) -> None:
        """The count of refusals leads to the trace in which one came: the session's, or the request's."""
        reader = InMemoryMetricReader()
        meters = MeterProvider([reader], shutdown_on_exit=False)
        with record_sessions(tiers=[TRIAL], meter_provider=meters) as recorded:
            tracer = recorded.tracer_provider.get_tracer("server")
            if kind == "scoped":
                with session("job", tier="trial", user="u1") as s, pytest.raises(QuotaExceededError):
                    s.use("tokens", 101)
                (span,) = recorded.session_spans
            else:
                with tracer.start_as_current_span("GET /"), trial() as s, pytest.raises(QuotaExceededError):
                    s.use("tokens", 101)
                (span,) = recorded.spans
            data = reader.get_metrics_data()
        points = [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "app_session.limit.decisions"
            for point in metric.data.data_points
        ]
        meters.shutdown()
        ((exemplar,),) = [point.exemplars for point in points]
        assert span.context is not None
        assert (span.context.trace_id, span.context.span_id) == (exemplar.trace_id, exemplar.span_id)

    def test_refusal_ends_a_session_it_leaves(self, recorded: RecordedSessions) -> None:
        """Left alone, it is the application's exception like any other, and is raised unchanged."""
        with pytest.raises(QuotaExceededError), session("job", tier="trial") as s:
            s.use("api_calls", 11)
        (span,) = recorded.session_spans
        assert "otel_sessions.exceptions.QuotaExceededError" == (span.attributes or {})["error.type"]

    def test_thresholds(self, recorded: RecordedSessions) -> None:
        """Crossing 75 and 90 percent is said, once in a window, by whoever crosses it."""
        with trial() as s:
            for _ in range(20):
                s.use("tokens", 5)
        crossed = recorded.events("app_session.limit.threshold")
        day = [event for event in crossed if event["app_session.limit.window"] == "day"]
        assert [(0.75, 75), (0.9, 90)] == [
            (event["app_session.limit.threshold"], event["app_session.limit.used"]) for event in day
        ]
        assert 6 == recorded.metric("app_session.limit.decisions", app_session__limit__result="near_limit")
        recorded.clock.advance(86_400)
        with trial() as s:
            s.use("tokens", 50)
        assert [] == recorded.events("app_session.limit.threshold")[len(crossed) :][1:]

    @pytest.mark.parametrize("days", [2, 400, -1, -400])
    def test_clock_was_wrong(self, days: int) -> None:
        """A clock that was wrong for a while leaves nobody in a period that is not over for long."""
        tier = Tier("trial", Quota("tokens", 100, per="day"))
        with record_sessions(tiers=[tier]) as recorded, trial() as s:
            s.use("tokens", 1)
            recorded.clock.jump(86_400 * days)
            s.use("tokens", 1)
            recorded.clock.jump(-86_400 * days)
            s.use("tokens", 98)
            assert dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc) == s.quota("tokens").resets_at
            recorded.clock.advance(86_400)
            s.use("tokens", 100)

    def test_threshold_once(self, recorded: RecordedSessions) -> None:
        """Use that goes up and down around a threshold says so once in a window, and in the next one again."""
        with trial() as s:
            s.limit(Quota("pages", 100, per="1 hour"))
            s.use("pages", 76)
            s.count("pages", -10)
            s.use("pages", 12)
            assert 1 == len(recorded.events("app_session.limit.threshold"))
            recorded.clock.advance(3_700)
            s.use("pages", 76)
            assert 2 == len(recorded.events("app_session.limit.threshold"))

    def test_scopes(self, recorded: RecordedSessions) -> None:
        """The user's use counts in all of his sessions, the tenant's in those of all users."""
        a, b = trial("ada", attributes={"tenant": "contoso"}), trial("bob", attributes={"tenant": "contoso"})
        a.use("tokens", 90)
        with pytest.raises(QuotaExceededError) as raised:
            b.use("tokens", 61)
        assert "tenant" == raised.value.scope
        b.use("tokens", 60)
        other = trial("ada", attributes={"tenant": "fabrikam"})
        with pytest.raises(QuotaExceededError) as raised:
            other.use("tokens", 11)
        assert "user" == raised.value.scope
        a.use("api_calls", 10)
        other.use("api_calls", 10)

    @pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
    def test_neither_user_nor_tenant(self, kind: str, tmp_path: Path) -> None:
        """A session that has neither counts for itself in both scopes, each of which counts once."""
        tier = Tier("trial", Quota("tokens", 100, per="day"), Quota("tokens", 150, per="day", scope="tenant"))
        with record_sessions(tiers=[tier], store=SHARED[kind](tmp_path)()):
            s = otel_sessions.start("web", tier="trial")
            s.use("tokens", 60)
            assert {("user", 60), ("tenant", 60)} == {
                (status.scope, status.used) for status in s.quotas() if status.name == "tokens"
            }
            s.use("tokens", 40)

    def test_redacted_tenants(self, recorded: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """Tenants of whose names nothing is left, because they look like personal data, are not taken for one."""
        for name in ("ada@contoso.com", "bob@fabrikam.com"):
            trial("u1", attributes={"tenant": name}).use("tokens", 50)
        trial("u2", attributes={"tenant": "cleo@fabrikam.com"}).use("tokens", 60)
        assert "'tenant'" in caplog.text
        assert "contoso" not in caplog.text

    def test_nobody(self, recorded: RecordedSessions) -> None:
        """A session without a user counts for itself; once the user is known he counts."""
        a = otel_sessions.start("web", tier="trial")
        b = otel_sessions.start("web", tier="trial")
        a.use("tokens", 100)
        b.use("tokens", 100)
        a.identify("ada")
        a.use("tokens", 50)
        with pytest.raises(QuotaExceededError):
            trial("ada").use("tokens", 51)

    def test_unlimited(self, recorded: RecordedSessions) -> None:
        """What the tier does not limit is counted; so is everything in a session without a tier."""
        with trial() as s:
            s.use("storage", 10**12)
            assert (10**12, None, None) == (
                s.quota("storage").used,
                s.quota("storage").limit,
                s.quota("storage").remaining,
            )
            s.use("bandwidth", 5)
            assert (5, None, "session") == (
                s.quota("bandwidth").used, s.quota("bandwidth").limit, s.quota("bandwidth").scope,
            )  # fmt: skip
        with session("job") as s:
            s.use("tokens", 10**9)
            assert 10**9 == s.quota("tokens").used
            assert [] == s.quotas()

    def test_default_tier(self) -> None:
        """Sessions that are started without a tier have the default one."""
        with record_sessions(tiers=[TRIAL], default_tier="trial") as recorded, session("job", user="u1") as s:
            s.use("tokens", 100)
            with pytest.raises(QuotaExceededError):
                s.use("tokens")
            assert 1 == recorded.metric(
                "app_session.limit.decisions", app_session__limit__result="rejected", app_session__tier="trial"
            )

    def test_count(self, recorded: RecordedSessions) -> None:
        """What was used already is never refused, and counts for what comes; it can be given back."""
        with trial() as s:
            s.count("tokens", 130)
            assert (130, 0, 130.0) == (
                s.quota("tokens").used,
                s.quota("tokens").remaining,
                s.quota("tokens").percentage,
            )
            with pytest.raises(QuotaExceededError):
                s.use("tokens", 1)
            s.count("tokens", -40)
            s.use("tokens", 10)
            assert 100 == s.quota("tokens").used
        # A counter that went down would be taken for one that began anew.
        assert 140 == recorded.metric("app_session.quota.usage", app_session__limit__name="tokens")

    def test_forecast(self, recorded: RecordedSessions) -> None:
        """A status says when the quota will be used up."""
        with trial() as s:
            assert not s.quota("tokens").forecast.is_known
            for _ in range(24):
                s.use("tokens", 1)
                recorded.clock.advance(600)
            said = s.quota("tokens").forecast
            assert 76 * 600 == pytest.approx(said.seconds, rel=0.05)
            assert s.quota("tokens").to_dict()["seconds_to_exhaustion"] == said.seconds

    def test_outside(self) -> None:
        """Outside of a session there are no limits."""
        s = current_session()
        s.use("anything", 5)
        s.count("anything")
        s.check_rate("anything")
        with s.lease("anything") as lease:
            assert not lease.is_held
        assert ([], None) == (s.quotas(), s.quota("anything").limit)

    def test_ended(self, recorded: RecordedSessions) -> None:
        """A session that has ended uses nothing any more."""
        s = trial()
        s.end()
        s.use("tokens", 1000)
        s.check_rate("upload")
        assert 2 == recorded.metric("app_session.dropped", app_session__drop__reason="session_ended")


class TestWrong:
    @pytest.mark.parametrize("amount", [-1, math.nan, math.inf, True, "5", None, 2**53, 1e300])
    def test_amount(self, recorded: RecordedSessions, amount: Any) -> None:
        """An amount is a finite number that is not negative and can be counted exactly."""
        with trial() as s:
            with pytest.raises(InvalidValueError, match="tokens"):
                s.use("tokens", amount)
            assert 0 == s.quota("tokens").used

    @pytest.mark.parametrize(
        "amount", [math.nan, -math.inf, True, "5", None, -(2**53), [1], Decimal("NaN"), Decimal("sNaN")]
    )
    def test_counted_amount(self, recorded: RecordedSessions, amount: Any) -> None:
        """What is counted may be negative, and is nothing else but a number either."""
        with trial() as s:
            with pytest.raises(InvalidValueError, match="tokens"):
                s.count("tokens", amount)
            s.count("tokens", Decimal(2))  # type: ignore[arg-type]  # as money is kept
            s.count("tokens", Decimal(-1))  # type: ignore[arg-type]  # as above
            assert 1 == s.quota("tokens").used

    @pytest.mark.parametrize("amount", [0, 0.5, 99.5, 1e-9])
    def test_fractions(self, recorded: RecordedSessions, amount: float) -> None:
        """It may be a fraction, or nothing."""
        with trial() as s:
            s.use("tokens", amount)
            assert amount == s.quota("tokens").used

    @pytest.mark.parametrize("cost", [0, -1, 1.5, True, "1", None])
    def test_cost(self, recorded: RecordedSessions, cost: Any) -> None:
        """Things are done in whole numbers."""
        with trial() as s, pytest.raises(InvalidValueError, match="upload"):
            s.check_rate("upload", cost)

    def test_unknown(self, recorded: RecordedSessions) -> None:
        """A name that no tier knows is refused, with those that there are."""
        with trial() as s:
            with pytest.raises(InvalidValueError, match=r"'tokns'.*api_calls, bandwidth, cost, storage, tokens"):
                s.use("tokns")
            with pytest.raises(InvalidValueError, match="'tokns'"):
                s.count("tokns")
            with pytest.raises(InvalidValueError, match="'tokns'"):
                s.quota("tokns")
            with pytest.raises(InvalidValueError, match=r"no rate limit is called 'uplod'.*requests, upload"):
                s.check_rate("uplod")
            with pytest.raises(InvalidValueError, match=r"no concurrency limit is called 'fil'.*file"):
                s.lease("fil")
            with pytest.raises(InvalidValueError, match="is no limit"):
                s.limit("5/minute")  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", [["tokens"], {}, None, 7])
    def test_no_name(self, recorded: RecordedSessions, name: Any) -> None:
        """So is what is no name at all."""

        async def ask() -> None:
            with pytest.raises(InvalidValueError):
                await s.use_async(name)
            with pytest.raises(InvalidValueError):
                await s.check_rate_async(name)

        with trial() as s:
            for wrong in (s.use, s.count, s.check_rate, s.lease, s.quota):
                with pytest.raises(InvalidValueError):
                    wrong(name)
            asyncio.run(ask())

    def test_many_unknown(self, recorded: RecordedSessions) -> None:
        """However many wrong names are asked for, none is remembered."""

        def ask(first: int) -> int:
            for number in range(first, first + 500):
                with pytest.raises(InvalidValueError):
                    s.use(f"page_{number}")
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        with trial() as s:
            tracemalloc.start()
            try:
                before = [ask(0), ask(500)][-1]
                assert ask(1_000) - before < 20_000
            finally:
                tracemalloc.stop()

    def test_tier(self, recorded: RecordedSessions) -> None:
        """A tier that is not defined is refused where it matters."""
        with session("job", tier="gold") as s, pytest.raises(InvalidValueError, match=r"'gold'.*free, basic, pro"):
            s.use("tokens")


class TestRate:
    def test_all_windows(self, recorded: RecordedSessions) -> None:
        """Of several windows all hold; when there is room again is known, and true."""
        with trial() as s:
            for _ in range(3):
                s.check_rate("upload")
                recorded.clock.advance(1)
            with pytest.raises(RateLimitedError) as raised:
                s.check_rate("upload")
            assert ("60 s", 57.0) == (raised.value.window, raised.value.retry_after)
            recorded.clock.advance(57)
            s.check_rate("upload")
            recorded.clock.advance(2)
            s.check_rate("upload")
            recorded.clock.advance(60)
            with pytest.raises(RateLimitedError) as raised:
                s.check_rate("upload")
            assert "3600 s" == raised.value.window

    def test_own(self, recorded: RecordedSessions) -> None:
        """A session may have limits of its own, in place of the tier's; of things no tier knows, too."""
        with trial() as s:
            s.limit(Rate("upload", "1/minute"))
            s.check_rate("upload")
            with pytest.raises(RateLimitedError):
                s.check_rate("upload")
            s.limit(Quota("pages", 3))
            s.use("pages", 3)
            with pytest.raises(QuotaExceededError):
                s.use("pages")
            assert "pages" in {status.name for status in s.quotas()}
            s.limit(Quota("pages", 5))
            s.use("pages", 2)
            s.limit(Quota("pages", 1))
            assert (5, 0) == (s.quota("pages").used, s.quota("pages").remaining)

    def test_too_many(self, recorded: RecordedSessions) -> None:
        """A session has no more limits of its own than its span can show."""
        with trial() as s:
            for number in range(64):
                s.limit(Quota(f"page_{number}", 1))
            s.limit(Quota("page_0", 2))
            with pytest.raises(InvalidValueError, match="one limit too many"):
                s.limit(Quota("page_64", 1))
            s.use("page_0", 2)

    def test_names_on_metrics(self, recorded: RecordedSessions) -> None:
        """However many names sessions make up, metrics show a hundred, and those of the tiers."""
        for number in range(150):
            with trial() as s:
                s.limit(Rate(f"document_{number}", "5/minute"))
                s.limit(Quota(f"page_{number}", 5))
                s.limit(Concurrency(f"export_{number}", 5))
                s.admit(uses={f"page_{number}": 1, "tokens": 1}, rates={f"document_{number}": 1, "upload": 1})
                s.lease(f"export_{number}").acquire()
                recorded.clock.advance(1_200)
        shown: dict[str, set[object]] = {
            metric: {dict(attributes)["app_session.limit.name"] for attributes in recorded.metrics()[metric]}
            for metric in ("app_session.limit.decisions", "app_session.quota.usage", "app_session.lease.active")
        }
        assert 100 == len(set.union(*shown.values()) - {"tokens", "upload", "_OTHER"})
        assert all("_OTHER" in names for names in shown.values())
        assert {"tokens", "upload"} <= shown["app_session.limit.decisions"]

    @pytest.mark.parametrize("topology", ["scoped", "durable"])
    def test_own_after_rotation(self, recorded: RecordedSessions, topology: str) -> None:
        """They go on under the new id, as what the user has used does; what the session itself has used does not."""
        with session("job", user="u1", tier="trial") if topology == "scoped" else trial() as s:
            s.limit(Rate("upload", "1/minute"))
            s.check_rate("upload")
            s.use("api_calls", 10)
            s.rotate("login")
            with pytest.raises(RateLimitedError):
                s.check_rate("upload")
            s.use("api_calls", 10)


class TestAsync:
    @pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
    def test_all(self, kind: str, tmp_path: Path) -> None:
        """Everything that may have to wait for a store has a form that async code awaits; it does the same."""

        async def main() -> None:
            with trial() as s:
                await s.use_async("tokens", 30, operation="inference")
                await s.count_async("tokens", 20)
                await s.check_rate_async("upload")
                assert 50 == (await s.quota_async("tokens")).used
                assert {status.name: status.used for status in s.quotas()} == {
                    status.name: status.used for status in await s.quotas_async()
                }
                with pytest.raises(QuotaExceededError):
                    await s.use_async("tokens", 51)
                with pytest.raises(InvalidValueError):
                    await s.quota_async("tokns")
                async with s.lease("file"):
                    pass
            outside = current_session()
            await outside.count_async("tokens")
            assert ([], None) == (await outside.quotas_async(), (await outside.quota_async("tokens")).limit)

        with record_sessions(tiers=[TRIAL], store=SHARED[kind](tmp_path)()):
            asyncio.run(main())


class TestOwnLimits:
    def test_stay(self, recorded: RecordedSessions) -> None:
        """They stay with the session when nobody holds it for a while, and when it is rotated."""
        s = trial(id="c1")
        s.limit(Quota("tokens", 5, per="day"))
        s.limit(Rate("upload", "1/minute", strategy="fixed-window"))
        del s
        for _ in range(3):
            recorded.advance(61)
        with otel_sessions.resume("c1") as s:
            with pytest.raises(QuotaExceededError):
                s.use("tokens", 6)
            s.rotate()
        del s
        for _ in range(3):
            recorded.advance(61)
        (record,) = otel_sessions.active()
        assert record.totals.limits is not None
        assert {"quota|tokens", "rate|upload"} == set(record.totals.limits)

    @pytest.mark.parametrize("kind", ["sqlite", "redis"])
    def test_elsewhere(self, kind: str, tmp_path: Path) -> None:
        """They hold in another process that resumes it."""
        make = SHARED[kind](tmp_path)
        with record_sessions(tiers=[TRIAL], store=make()) as recorded:
            s = trial(id="c1")
            s.limit(Quota("pages", 2))
            s.limit(Concurrency("file", 1, ttl=Decimal("5.0")))  # type: ignore[arg-type]  # becomes a float
            recorded.advance(1)
            s.use("pages")
            with record_sessions(tiers=[TRIAL], store=make()), otel_sessions.resume("c1") as other:
                other.use("pages")
                with pytest.raises(QuotaExceededError):
                    other.use("pages")
                with other.lease("file"), pytest.raises(ConcurrencyExceededError):
                    other.lease("file").acquire()


class TestTogether:
    def test_nothing_of_the_others(self, recorded: RecordedSessions) -> None:
        """If one of several is refused, nothing of the others is consumed, and the longest wait is told."""
        with trial() as s:
            held = s.lease("file")
            s.admit(uses={"tokens": 10, "api_calls": 1}, rates={"upload": 1}, leases=[held])
            assert held.is_held
            second = s.lease("file")
            with pytest.raises(QuotaExceededError) as raised:
                s.admit(uses={"tokens": 91, "api_calls": 1}, rates={"upload": 3}, leases=[second])
            assert "tokens" == raised.value.name
            assert not second.is_held
            assert {("tokens", 10), ("api_calls", 1)} <= {(status.name, status.used) for status in s.quotas()}
            s.admit(uses={"tokens": 90, "api_calls": 9}, rates={"upload": 2}, leases=[second])
            assert 2 == recorded.metric("app_session.lease.active")
            held.release()
            second.release()
            results = {"allowed": 4, "near_limit": 4, "rejected": 2}
            for result, count in results.items():
                assert count == recorded.metric("app_session.limit.decisions", app_session__limit__result=result), (
                    result
                )

    @pytest.mark.parametrize(
        ("asked", "complaint"),
        [
            ({"uses": ["tokens"]}, r"uses=\['tokens'\]: use amounts by name"),
            ({"rates": "upload"}, "rates='upload': use amounts by name"),
            ({"leases": ["file"]}, r"leases=\['file'\]: use slots that were made with session.lease"),
        ],
    )
    def test_misunderstood(self, asked: Any, complaint: str, recorded: RecordedSessions) -> None:
        """What is easily mistaken is refused, with what to write."""
        with trial() as s, pytest.raises(InvalidValueError, match=complaint):
            s.admit(**asked)

    def test_two_of_one(self, recorded: RecordedSessions) -> None:
        """Two leases of one name are no one question."""
        with trial() as s, pytest.raises(InvalidValueError, match="two leases"):
            s.admit(leases=[s.lease("file"), s.lease("file")])


class TestShadow:
    def test_reports(self, recorded: RecordedSessions) -> None:
        """What would be refused is counted and told, and allowed."""
        with otel_sessions.start("web", user="u1", tier="shadow") as s:
            s.use("tokens", 11)
            s.check_rate("upload", 2)
            with s.lease("file"), s.lease("file") as second:
                assert second.is_held
            assert 11 == s.quota("tokens").used
        assert 3 == recorded.metric("app_session.limit.decisions", app_session__limit__result="shadow_rejected")
        assert [True] * 3 == [
            event["app_session.limit.shadow"] for event in recorded.events("app_session.limit.rejected")
        ]


class TestStoreAway:
    @pytest.fixture(name="store")
    def _store(self) -> FailingStore:
        return FailingStore()

    def test_open(self, store: FailingStore) -> None:
        """By default everything is allowed meanwhile, and counted in the session."""
        with record_sessions(tiers=[TRIAL], store=store) as recorded, trial() as s:
            store.failing = {"limits"}
            s.use("tokens", 1000)
            s.check_rate("upload", 10)
            with s.lease("file"), s.lease("file"), s.lease("file"):
                pass
            assert (None, None, None) == (
                s.quota("tokens").used,
                s.quota("tokens").remaining,
                s.quota("tokens").percentage,
            )
            store.failing = ()
            recorded.advance(1)
            record = otel_sessions.get(s.id)
            assert record is not None
            assert {"tokens": 1000} == record.totals.usage

    def test_closed(self, store: FailingStore) -> None:
        """By choice nothing is, and it is said why; that is no refusal by a limit."""
        with record_sessions(tiers=[TRIAL], store=store, limit_failure="closed"), trial() as s:
            store.failing = {"limits"}
            asks: list[Callable[[], None]] = [
                lambda: s.use("tokens"),
                lambda: s.check_rate("upload"),
                lambda: s.lease("file").acquire(),
            ]
            for ask in asks:
                with pytest.raises(LimitUnknownError, match="limit_failure") as raised:
                    ask()
                assert not isinstance(raised.value, LimitExceededError)
            s.use("bandwidth", 5)
            s.count("tokens", 5)


class TestLeases:
    def test_held(self, recorded: RecordedSessions) -> None:
        """As many as there are can be held at once; who leaves gives his back."""
        with trial() as s:
            with s.lease("file") as first, s.lease("file"):
                assert first.is_held
                with pytest.raises(ConcurrencyExceededError) as raised, s.lease("file"):
                    pass
                assert ("concurrency", "", 2, 1.0) == (
                    raised.value.kind, raised.value.window, raised.value.used, raised.value.retry_after,
                )  # fmt: skip
            assert not first.is_held
            with s.lease("file"), s.lease("file"):
                pass

    def test_by_hand(self, recorded: RecordedSessions) -> None:
        """Without a block, too: acquired once, released as often as one likes, and acquired anew."""
        with trial() as s:
            lease = s.lease("file")
            lease.release()
            lease.acquire()
            with pytest.raises(InvalidValueError, match="is held already"):
                lease.acquire()
            lease.release()
            lease.release()
            lease.acquire()
            lease.release()

    def test_renewed(self, recorded: RecordedSessions) -> None:
        """While the process lives its leases are renewed; what nobody refers to any more comes back by itself."""
        with trial() as s:
            kept = s.lease("file")
            kept.acquire()
            s.lease("file").acquire()
            for _ in range(4):
                recorded.advance(9)
            assert 1 == recorded.metric("app_session.lease.active")
            with s.lease("file"), pytest.raises(ConcurrencyExceededError):
                s.lease("file").acquire()
            kept.release()
            assert 0 == recorded.metric("app_session.lease.active")

    def test_lost(self, recorded: RecordedSessions) -> None:
        """A process that stood still for too long, and whose slot is somebody else's now, is told so."""
        with trial() as s:
            lost = s.lease("file")
            lost.acquire()
            recorded.clock.advance(31)
            a, b = s.lease("file"), s.lease("file")
            a.acquire()
            b.acquire()
            recorded.advance(0)
            assert (False, True) == (lost.is_held, lost.is_lost)
            lost.release()
            with pytest.raises(ConcurrencyExceededError):
                s.lease("file").acquire()
            a.release()
            b.release()

    def test_at_the_end(self) -> None:
        """When sessions are shut down, what is held is given back."""
        store = MemoryStore()
        with record_sessions(tiers=[TRIAL], store=store):
            lease = trial().lease("file")
            lease.acquire()
            (charge,) = lease.charges
        assert 0 == store.limits.levels([charge.bucket])[0].used


class TestGauges:
    def test_standing(self, recorded: RecordedSessions) -> None:
        """The gauges say how much there is, who has used most of it, and how many are in which band."""
        for number, amount in enumerate((10, 80, 95, 100)):
            trial(f"user {number}").use("tokens", amount)
        attributes = {
            "app_session__limit__name": "tokens",
            "app_session__tier": "trial",
            "app_session__limit__window": "day",
            "app_session__limit__scope": "user",
        }
        assert 100 == recorded.metric("app_session.quota.limit", **attributes)
        assert 1.0 == recorded.metric("app_session.quota.utilization_ratio", **attributes)
        for band in ("below", "warning", "critical", "exhausted"):
            assert 1 == recorded.metric("app_session.quota.actors", **attributes, app_session__quota__band=band)
        names = {
            name for key in recorded.metrics()["app_session.quota.limit"] for at, name in key if at.endswith("name")
        }
        assert {"tokens"} == names

    def test_leases(self, recorded: RecordedSessions) -> None:
        """How many leases are held, and how many there are for one actor."""
        with trial() as s, s.lease("file"):
            assert 1 == recorded.metric("app_session.lease.active", app_session__tier="trial")
            assert 2 == recorded.metric("app_session.lease.limit", app_session__limit__name="file")

    def test_exhaustion(self, recorded: RecordedSessions) -> None:
        """When the first one will have used up his quota."""
        s = trial()
        for _ in range(24):
            s.use("tokens", 1)
            recorded.clock.advance(600)
        assert 76 * 600 == pytest.approx(
            recorded.metric("app_session.quota.time_to_exhaustion", app_session__limit__window="day"), rel=0.05
        )

    def test_nothing_personal(self, recorded: RecordedSessions) -> None:
        """No metric knows a user, a tenant or a session."""
        with trial("ada@example.com", attributes={"tenant": "contoso"}) as s:
            s.use("tokens", 10)
        shown = str(recorded.metrics())
        assert not any(secret in shown for secret in (s.id, s.user or "-", "ada@", "contoso"))
