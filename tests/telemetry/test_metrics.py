"""Metrics as a reader of the SDK sees them."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from opentelemetry import metrics as metrics_api
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    Metric,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_sessions
from otel_sessions import InvalidValueError, session
from otel_sessions import _semconv as sc
from otel_sessions._telemetry._instruments import Tally
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.limits import Concurrency, Quota, Tier
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import OTLPReceiver, RecordedSessions, record_sessions
from otel_sessions.version import __version__

from ..failing_store import FailingStore
from ..interpreter import answer

DELTA: dict[type, AggregationTemporality] = {
    Counter: AggregationTemporality.DELTA,
    UpDownCounter: AggregationTemporality.CUMULATIVE,
    Histogram: AggregationTemporality.DELTA,
    ObservableCounter: AggregationTemporality.DELTA,
    ObservableUpDownCounter: AggregationTemporality.CUMULATIVE,
    ObservableGauge: AggregationTemporality.CUMULATIVE,
}


class Meters:
    """A meter provider and what it would export."""

    def __init__(self, temporality: dict[type, AggregationTemporality] | None = None) -> None:
        self.reader = InMemoryMetricReader(preferred_temporality=temporality)
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def streams(self) -> list[Metric]:
        """Every stream that is exported now, with its scope checked."""
        data = self.reader.get_metrics_data()
        found: list[Metric] = []
        for scope in (
            scope for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics
        ):
            assert (sc.SCOPE_NAME, __version__, sc.SCHEMA_URL) == (
                scope.scope.name,
                scope.scope.version,
                scope.scope.schema_url,
            )
            found += scope.metrics
        return found

    def points(self, name: str) -> list[Any]:
        """The points of the streams called `name`."""
        return [point for stream in self.streams() if stream.name == name for point in stream.data.data_points]

    def values(self, name: str) -> dict[tuple[Any, ...], float]:
        """The value (a histogram's sum) of each series, by its attributes' values in the catalogue's order."""
        (keys,) = (metric.attributes for metric in sc.METRICS if metric.name == name)
        return {
            tuple(point.attributes.get(key) for key in keys): float(
                point.value if hasattr(point, "value") else point.sum
            )
            for point in self.points(name)
        }


@pytest.fixture(name="meters")
def _meters() -> Iterator[Meters]:
    made = Meters()
    yield made
    made.provider.shutdown()


class Failing(MemoryStore):
    """A store whose search does not work."""

    def find(self, key: str) -> Any:
        raise OSError("the disk is gone")


class Noting(MemoryStore):
    """A store that notes what is asked of it after it was shut down."""

    def __init__(self) -> None:
        super().__init__()
        self.is_shut_down = False
        self.asked_after: list[str] = []

    def counts(self) -> Mapping[tuple[str, str | None], int]:
        if self.is_shut_down:
            self.asked_after.append("counts")
        return super().counts()

    def most_of_a_user(self, besides: Mapping[str, int]) -> int:
        if self.is_shut_down:
            self.asked_after.append("most_of_a_user")
        return super().most_of_a_user(besides)

    def shutdown(self) -> None:
        self.is_shut_down = True


def serve(status: int) -> None:
    """One request of a client that is known by its credential, through the real middleware."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(_message: Any) -> None:
        return

    scope = {"type": "http", "path": "/", "headers": [(b"authorization", b"Bearer abcdefgh")], "scheme": "http"}
    asyncio.run(SessionMiddleware(app)(scope, receive, send))


LIMITED = Tier("pro", Quota("pages", 10, per="minute"), Concurrency("file", 1))


def emit_everything(recorded: RecordedSessions) -> None:
    """Do all that any metric speaks of, with all attributes."""
    for status in (200, 401, 403, 500):
        serve(status)
    with session("job", tier="pro") as s:
        with s.turn(model="m") as turn:
            recorded.clock.advance(3)
            turn.tokens(input=10, output=20)
            turn.cost(0.5, "EUR")
        s.event("cart.checkout", unusable=object())
        s.progress("half")
        s.error("Broken")
        s.switch_platform("web", "mobile", duration=0.4)
        s.suspicious("probe", score=0.9)
    otel_sessions.start("chat", tier="free")
    ended = otel_sessions.start("chat", tier="pro")
    ended.use("pages")
    recorded.clock.advance(20)
    ended.use("pages", 8)
    with ended.lease("file"):
        ended.message()
    ended.end()


KINDS: dict[str, Callable[[Any], bool]] = {
    "counter": lambda data: type(data).__name__ == "Sum" and data.is_monotonic,
    "observable_up_down_counter": lambda data: type(data).__name__ == "Sum" and not data.is_monotonic,
    "observable_gauge": lambda data: type(data).__name__ == "Gauge",
    "histogram": lambda data: type(data).__name__ == "Histogram",
}


class TestCatalogue:
    """What `_semconv.METRICS` says is what is emitted."""

    @pytest.mark.parametrize("metric", sc.METRICS, ids=[metric.name for metric in sc.METRICS])
    def test_is_emitted_as_described(self, meters: Meters, metric: sc.Metric) -> None:
        """Each metric comes with its name, unit, description, kind, buckets and exactly its attributes."""
        with record_sessions(meter_provider=meters.provider, store=Failing(), tiers=[LIMITED]) as recorded:
            emit_everything(recorded)
            (stream,) = [stream for stream in meters.streams() if stream.name == metric.name]
        assert (metric.unit, metric.description) == (stream.unit, stream.description)
        assert KINDS[metric.kind](stream.data)
        points: list[Any] = list(stream.data.data_points)
        assert set(metric.attributes) == {key for point in points for key in point.attributes}
        if metric.buckets is not None:
            assert {metric.buckets} == {tuple(point.explicit_bounds) for point in points}
        assert all(isinstance(value, str) for point in points for value in point.attributes.values())

    def test_is_complete(self, meters: Meters) -> None:
        """Nothing is emitted that the catalogue does not know."""
        with record_sessions(meter_provider=meters.provider, store=Failing(), tiers=[LIMITED]) as recorded:
            emit_everything(recorded)
            assert sorted(metric.name for metric in sc.METRICS) == sorted(stream.name for stream in meters.streams())


class TestValues:
    """The numbers are right."""

    def test_of_a_day(self, meters: Meters) -> None:
        """Every counter and histogram after a known course of events."""
        with record_sessions(meter_provider=meters.provider, tiers=[LIMITED]) as recorded:
            emit_everything(recorded)
            assert {("web", None): 1, ("job", "pro"): 1, ("chat", "free"): 1, ("chat", "pro"): 1} == meters.values(
                "app_session.starts"
            )
            assert {("web", None): 1, ("chat", "free"): 1} == {
                series: value for series, value in meters.values("app_session.active").items() if value
            }
            assert {("job", "success", "completed"): 3.0, ("chat", "success", "completed"): 20.0} == meters.values(
                "app_session.duration"
            )
            assert {("web",): 4} == meters.values("app_session.requests")
            assert {("web", "unauthorized"): 1, ("web", "forbidden"): 1} == meters.values("app_session.access_failures")
            assert {("web", "500"): 1, ("job", "Broken"): 1} == meters.values("app_session.errors")
            assert {
                ("job", "_OTHER"): 1,
                ("job", "app_session.progress"): 1,
                ("job", "exception"): 1,
                ("job", "app_session.platform_switch"): 1,
                ("job", "app_session.finding"): 1,
                ("chat", "app_session.limit.threshold"): 2,
            } == meters.values("app_session.events")
            assert {("job", "m"): 3.0} == meters.values("app_session.turn.duration")
            assert {("job", "user"): 1, ("job", "assistant"): 1, ("chat", "user"): 1} == meters.values(
                "app_session.messages"
            )
            assert {("job", "input", "m"): 10, ("job", "output", "m"): 20} == meters.values("app_session.token.usage")
            assert {("job", "EUR", "m"): 0.5} == meters.values("app_session.cost")
            assert {("web", "mobile"): 0.4} == meters.values("app_session.platform_switch.duration")
            assert {("probe", "error"): 1} == meters.values("app_session.findings")
            assert {("invalid_attribute",): 1} == meters.values("app_session.dropped")
            assert {("memory",): 1} == meters.values("app_session.up")
            assert {("chat",): 1.0} == meters.values("app_session.engagement_ratio")
            assert {("pages", "pro"): 9} == meters.values("app_session.quota.usage")
            assert {
                ("quota", "pages", "allowed", "pro"): 1,
                ("quota", "pages", "near_limit", "pro"): 1,
                ("concurrency", "file", "near_limit", "pro"): 1,
            } == meters.values("app_session.limit.decisions")
            pages = ("pages", "pro", "minute", "user")
            assert {pages: 10} == meters.values("app_session.quota.limit")
            assert {pages: 0.9} == meters.values("app_session.quota.utilization_ratio")
            assert {
                (*pages, "below"): 0,
                (*pages, "warning"): 0,
                (*pages, "critical"): 1,
                (*pages, "exhausted"): 0,
            } == (meters.values("app_session.quota.actors"))
            assert {("file", "pro"): 0} == meters.values("app_session.lease.active")
            assert {("file", "pro"): 1} == meters.values("app_session.lease.limit")

    def test_engagement(self, meters: Meters) -> None:
        """Pauses up to the gap count as active time, longer ones do not."""
        with record_sessions(meter_provider=meters.provider, active_gap=60) as recorded:
            handle = otel_sessions.start("chat")
            for pause in (30, 60, 110):
                recorded.clock.advance(pause)
                handle.message()
            handle.end()
            assert {("chat",): 90 / 200} == meters.values("app_session.engagement_ratio")

    def test_pending_falls_to_zero(self, meters: Meters) -> None:
        """What is not merged into the store yet is visible, and gone after a round of the background thread."""
        with record_sessions(meter_provider=meters.provider) as recorded:
            otel_sessions.start("chat").message()
            otel_sessions.start("chat").message()
            before = [point.value for point in meters.points("app_session.store.pending")]
            recorded.advance(1)
            after = [point.value for point in meters.points("app_session.store.pending")]
        assert ([2], [0]) == (before, after)

    def test_store_failures_are_timed_and_typed(self, meters: Meters) -> None:
        """Calls that fail are in the same histogram, with `error.type`; those that do not have none."""
        with record_sessions(meter_provider=meters.provider, store=Failing()):
            otel_sessions.start("chat", id="conv-42")
            series = {
                (point.attributes["app_session.store.operation.name"], point.attributes.get("error.type"))
                for point in meters.points("app_session.store.operation.duration")
            }
        assert ("find", None) not in series
        assert {operation for operation, error in series if error} == {"find"}
        assert ("create", None) in series

    def test_sums_that_outgrow_an_integer(self) -> None:
        """OTLP has 64 bits for an integer: a sum beyond them becomes a double, and nothing stops the export."""
        with OTLPReceiver() as receiver:
            exporter = OTLPMetricExporter(f"{receiver.endpoint}/v1/metrics")
            reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
            provider = MeterProvider([reader], shutdown_on_exit=False)
            with record_sessions(meter_provider=provider) as recorded, session("job") as s:
                for _ in range(4):
                    s.turn().tokens(input=2**62)
            provider.shutdown()
            sums = {point.name: point.value for point in receiver.points}
        assert 2.0**64 == sums["app_session.token.usage"]
        assert 1 == sums["app_session.starts"]
        assert 2.0**64 == (recorded.session_spans[0].attributes or {})["app_session.usage.tokens"]


class TestActive:
    """`app_session.active` is what the store counts."""

    def test_counts_scoped_and_durable(self, meters: Meters) -> None:
        """Sessions of both kinds count while they are open, by type and tier."""
        with record_sessions(meter_provider=meters.provider), ExitStack() as open_sessions:
            for _ in range(3):
                open_sessions.enter_context(session("job", tier="pro"))
            otel_sessions.start("chat")
            assert {("job", "pro"): 3, ("chat", None): 1} == meters.values("app_session.active")

    def test_falls_to_zero(self, meters: Meters) -> None:
        """When the last has ended, it says 0: a series that falls silent is shown with its last value for minutes."""
        with record_sessions(meter_provider=meters.provider):
            handle = otel_sessions.start("chat")
            assert [1] == [point.value for point in meters.points("app_session.active")]
            handle.end()
            assert [0] == [point.value for point in meters.points("app_session.active")]

    def test_zero_after_shutdown(self, meters: Meters) -> None:
        """A store that was shut down is not asked again; the last collection says that nothing is left."""
        store = Noting()
        with record_sessions(meter_provider=meters.provider, store=store):
            otel_sessions.start("chat")
            assert [1] == [point.value for point in meters.points("app_session.up")]
            otel_sessions.shutdown()
            observed = {
                name: [point.value for point in meters.points(name)]
                for name in (
                    "app_session.up",
                    "app_session.active",
                    "app_session.user.active",
                    "app_session.store.pending",
                    "app_session.starts",
                )
            }
        assert store.is_shut_down
        assert [] == store.asked_after
        assert {
            "app_session.up": [0],
            "app_session.active": [0],
            "app_session.user.active": [0],
            "app_session.store.pending": [0],
            "app_session.starts": [1],
        } == observed

    def test_successor_is_read(self, meters: Meters) -> None:
        """The next runtime on the same provider reports its own store, without a second instrument."""
        with record_sessions(meter_provider=meters.provider):
            otel_sessions.start("chat")
        with record_sessions(meter_provider=meters.provider):
            otel_sessions.start("web")
            assert {("web", None): 1} == {
                series: value for series, value in meters.values("app_session.active").items() if value
            }
            assert [1] == [point.value for point in meters.points("app_session.up")]


class TestUserActive:
    """`app_session.user.active` is what the user has who has most sessions open."""

    def test_scoped_and_durable(self, meters: Meters) -> None:
        """Sessions of both kinds are added up; those of nobody do not count."""
        with record_sessions(meter_provider=meters.provider, detect_user=False), ExitStack() as open_sessions:
            assert {(): 0} == meters.values("app_session.user.active")
            for user in ("ada", "ada", "ben", None, None, None, None):
                open_sessions.enter_context(session("job", user=user))
            assert {(): 2} == meters.values("app_session.user.active")
            for number in range(2):
                otel_sessions.start("chat", id=f"conv-{number}", user="ben")
            assert {(): 3} == meters.values("app_session.user.active")
            otel_sessions.end("conv-0")
            open_sessions.close()
            assert {(): 1} == meters.values("app_session.user.active")

    def test_detected(self, meters: Meters) -> None:
        """Scoped sessions that nobody gave a user are the operating system user's, as everywhere."""
        with record_sessions(meter_provider=meters.provider), session("job"), session("job"):
            otel_sessions.start("chat")
            assert {(): 2} == meters.values("app_session.user.active")

    def test_identified_later(self, meters: Meters) -> None:
        """A session counts for its user as soon as it has one."""
        with record_sessions(meter_provider=meters.provider) as recorded, session("job") as s:
            otel_sessions.start("chat", user="ada")
            handle = otel_sessions.start("chat")
            for each in (s, handle):
                each.identify("ada")
            recorded.advance(1)
            assert {(): 3} == meters.values("app_session.user.active")

    def test_nobody_is_named(self, meters: Meters) -> None:
        """It is one point without attributes, whoever has how many."""
        with record_sessions(meter_provider=meters.provider):
            for user in ("ada", "ben", "ada"):
                otel_sessions.start("chat", user=user)
            (point,) = meters.points("app_session.user.active")
        assert (2, {}) == (point.value, dict(point.attributes))

    def test_store_that_does_not_know(self, meters: Meters, caplog: pytest.LogCaptureFixture) -> None:
        """With a store that cannot say who has most there is no such metric; everything else is as ever."""

        class Unknowing(MemoryStore):
            most_of_a_user = None  # type: ignore[assignment]  # as if it had none

        with record_sessions(meter_provider=meters.provider, store=Unknowing()):
            otel_sessions.start("chat", user="ada")
            assert [] == meters.points("app_session.user.active")
            assert [1] == [point.value for point in meters.points("app_session.active")]
        assert [] == caplog.messages

    def test_store_that_fails(self, meters: Meters) -> None:
        """While the store cannot be asked there is no such point; the others come."""
        store = FailingStore()
        with record_sessions(meter_provider=meters.provider, store=store):
            otel_sessions.start("chat", user="ada")
            store.failing = {"most_of_a_user"}
            assert ([], 1) == (meters.points("app_session.user.active"), len(meters.points("app_session.active")))
            store.failing = ()
            assert {(): 1} == meters.values("app_session.user.active")


class TestThreads:
    """Increments from many threads are all counted."""

    @pytest.fixture(autouse=True)
    def _switch_often(self) -> Iterator[None]:
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(interval)

    def at_once(self, work: Callable[[], None]) -> None:
        """Call `work` 1,000 times in each of 16 threads that begin together."""
        barrier = threading.Barrier(16)

        def repeat() -> None:
            barrier.wait()
            for _ in range(1_000):
                work()

        threads = [threading.Thread(target=repeat) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_a_tally_is_exact(self) -> None:
        """16 threads adding 1,000 times to one series and to a second one."""
        tally = Tally(("a",))

        def add() -> None:
            tally.add(1, "x")
            tally.add(2, None)

        self.at_once(add)
        found = {(o.attributes or {}).get("a"): o.value for o in tally.observe(metrics_api.CallbackOptions())}
        assert {"x": 16_000, None: 32_000} == found

    def test_metrics_and_summary_agree(self, meters: Meters) -> None:
        """Messages and tokens of one durable session, while another thread merges: metric and span say the same."""
        with record_sessions(meter_provider=meters.provider) as recorded:
            handle = otel_sessions.start("chat")
            turn = handle.turn()
            done = threading.Event()

            def merge() -> None:
                while not done.is_set():
                    otel_sessions.sweep()

            def work() -> None:
                handle.message("tool")
                turn.tokens(input=2)

            merging = threading.Thread(target=merge)
            merging.start()
            self.at_once(work)
            done.set()
            merging.join()
            handle.end()
            attributes = recorded.session_spans[0].attributes or {}
            assert (16_000, 32_000) == (
                attributes["app_session.message.count"],
                attributes["app_session.usage.tokens"],
            )
            assert {("chat", "tool"): 16_000} == meters.values("app_session.messages")
            assert {("chat", "input", None): 32_000} == meters.values("app_session.token.usage")

    def test_while_collected(self, meters: Meters) -> None:
        """A reader that collects in the middle neither loses nor doubles anything."""
        delta = Meters(DELTA)
        with record_sessions(meter_provider=delta.provider), session("job") as s:
            collected: list[float] = []
            done = threading.Event()

            def collect() -> None:
                while not done.is_set():
                    collected.extend(point.value for point in delta.points("app_session.messages"))

            collecting = threading.Thread(target=collect)
            collecting.start()
            self.at_once(s.message)
            done.set()
            collecting.join()
            collected.extend(point.value for point in delta.points("app_session.messages"))
        assert 16_000 == sum(collected)


class TestFork:
    """A child process counts for itself."""

    def test_begins_at_zero(self) -> None:
        """What the parent counted is the parent's; both add up to what happened."""
        code = """
        import json, os
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        import otel_sessions
        from otel_sessions import session

        reader = InMemoryMetricReader()
        otel_sessions.configure(meter_provider=MeterProvider([reader], shutdown_on_exit=False), background=False)

        def starts():
            (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
            (metric,) = [metric for metric in scope.metrics if metric.name == "app_session.starts"]
            return [point.value for point in metric.data.data_points]

        for _ in range(3):
            with session("job"):
                pass
        read, write = os.pipe()
        if os.fork() == 0:
            with session("job"):
                pass
            os.write(write, json.dumps(starts()).encode())
            os._exit(0)
        os.wait()
        print(json.dumps([starts(), json.loads(os.read(read, 1000))]))
        """
        assert [[3], [1]] == answer(code)


class TestCardinality:
    """The number of series is bounded, whoever uses the application."""

    def test_ten_thousand_sessions(self, meters: Meters) -> None:
        """10,000 sessions of as many users: the series of the first ten, and nothing of any session on them."""
        with record_sessions(meter_provider=meters.provider, sampler=ALWAYS_OFF, events="span"):
            secrets: set[str] = set()

            def visit(number: int) -> None:
                with session("job", user=f"user-{number}", attributes={"n": number}) as s:
                    s.event("cart.checkout", cart=f"cart-{number}")
                    secrets.update((s.id, s.user or "", f"user-{number}", f"cart-{number}"))
                handle = otel_sessions.start("web", id=f"id-{number}", user=f"user-{number}")
                handle.message()
                handle.end()
                secrets.update((handle.id, handle.user or ""))

            def series() -> set[tuple[str, frozenset[tuple[str, str]]]]:
                return {
                    (stream.name, frozenset((point.attributes or {}).items()))  # type: ignore[arg-type]  # all strings
                    for stream in meters.streams()
                    for point in stream.data.data_points
                }

            for number in range(10):
                visit(number)
            first = series()
            for number in range(10, 5_000):
                visit(number)
            last = series()
        assert first == last
        assert secrets.isdisjoint({value for _, attributes in last for _, value in attributes})
        known = {key for metric in sc.METRICS for key in metric.attributes}
        assert known >= {key for _, attributes in last for key, _ in attributes}
        assert known.isdisjoint({"session.id", "session.previous_id", "enduser.pseudo.id", "app_session.parent.id"})

    def test_too_many_values_count_as_other(self, meters: Meters) -> None:
        """Of 1,500 types of error 1,000 have a series of their own, the rest share one; the sum is right."""
        with record_sessions(meter_provider=meters.provider, events="log"), session("job") as s:
            for number in range(1_500):
                s.error(f"Error{number}")
            s.error("Error0")
            found = meters.values("app_session.errors")
        assert 1_001 == len(found)
        assert 1_501 == sum(found.values())
        assert 500 == found["_OTHER", "_OTHER"]
        assert 2 == found["job", "Error0"]

    def test_sdk_does_not_overflow(self, meters: Meters) -> None:
        """The folding happens before the SDK's own limit of 2,000 would mix everything up."""
        with record_sessions(meter_provider=meters.provider), session("job") as s:
            for number in range(2_500):
                s.suspicious(f"kind{number}", score=0.1)
            points = meters.points("app_session.findings")
        assert all("otel.metric.overflow" not in point.attributes for point in points)


class TestOwnMetrics:
    """`Session.record` makes histograms of the user's own, within bounds."""

    def test_recorded(self, meters: Meters) -> None:
        """Name and unit as given; the type of the session is the only attribute."""
        with record_sessions(meter_provider=meters.provider), session("job") as s:
            s.record("sync.duration", 1.5, unit="s")
            s.record("sync.duration", 2, unit="s")
            (stream,) = [stream for stream in meters.streams() if stream.name == "sync.duration"]
        (point,) = stream.data.data_points
        assert ("s", 2, 3.5, {"app_session.type": "job"}) == (
            stream.unit,
            point.count,  # type: ignore[union-attr]  # it is a histogram's
            point.sum,  # type: ignore[union-attr]  # as above
            dict(point.attributes or {}),
        )

    def test_at_most_a_hundred(self, meters: Meters, caplog: pytest.LogCaptureFixture) -> None:
        """The hundred and first name is dropped, counted and reported once; the others go on."""
        with record_sessions(meter_provider=meters.provider), session("job") as s:
            for number in range(103):
                s.record(f"own.m{number}", 1)
            s.record("own.m0", 1)
            own = [stream.name for stream in meters.streams() if stream.name.startswith("own.")]
            assert {f"own.m{number}" for number in range(100)} == set(own)
            assert {("own_metric_limit",): 3} == meters.values("app_session.dropped")
            assert [2] == [point.count for point in meters.points("own.m0")]
        assert ["The metric 'own.m100' was not recorded: there are 100 own metrics already."] == [
            record.getMessage() for record in caplog.records if record.name == "otel_sessions"
        ]

    def test_two_units_under_one_name(self, meters: Meters, caplog: pytest.LogCaptureFixture) -> None:
        """The first unit stays, the value is kept, and a warning says so."""
        with record_sessions(meter_provider=meters.provider), session("job") as s:
            s.record("sync.size", 1, unit="By")
            s.record("sync.size", 2, unit="kBy")
            (stream,) = [stream for stream in meters.streams() if stream.name == "sync.size"]
        assert "By" == stream.unit
        assert ["The metric 'sync.size' has the unit 'By'; the unit 'kBy' was ignored."] == [
            record.getMessage() for record in caplog.records if record.levelno == logging.WARNING
        ]

    @pytest.mark.parametrize("name", ["app_session.duration", "app_session.mine", "session.x", "Own", "", "a b", "1a"])
    def test_names_that_are_refused(self, name: str) -> None:
        """Ours are not for users, and what the SDK would refuse is refused at the call."""
        with record_sessions(), session("job") as s, pytest.raises(InvalidValueError):
            s.record(name, 1)

    @pytest.mark.parametrize("unit", [None, 1, "x" * 64, "é"])
    def test_units_that_are_refused(self, unit: Any) -> None:
        """A unit is at most 63 ASCII characters, as the SDK has it."""
        with record_sessions(), session("job") as s, pytest.raises(InvalidValueError):
            s.record("own.metric", 1, unit=unit)

    @pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1", None, True])
    def test_values_that_are_refused(self, value: Any) -> None:
        """A value is a finite number that is not negative."""
        with record_sessions(), session("job") as s, pytest.raises(InvalidValueError):
            s.record("own.metric", value)


class TestExemplars:
    """Exemplars lead from a histogram to the trace of the session."""

    def of_duration(self, meters: Meters) -> list[tuple[int | None, int | None]]:
        points = meters.points("app_session.duration")
        return [(exemplar.trace_id, exemplar.span_id) for point in points for exemplar in point.exemplars]

    def test_of_a_scoped_session(self, meters: Meters) -> None:
        """The duration's exemplar is the session's span, also when it ends inside another span."""
        with record_sessions(meter_provider=meters.provider) as recorded:
            tracer = recorded.tracer_provider.get_tracer("x")
            with tracer.start_as_current_span("outer"), session("job"):
                pass
            (span,) = recorded.session_spans
            assert [(span.context.trace_id, span.context.span_id)] == self.of_duration(meters)

    def test_of_a_durable_session(self, meters: Meters) -> None:
        """Also when it is ended in a request with a trace of its own."""
        with record_sessions(meter_provider=meters.provider) as recorded:
            handle = otel_sessions.start("web")
            tracer = recorded.tracer_provider.get_tracer("server")
            with tracer.start_as_current_span("GET /logout"):
                handle.end("success", reason="logout")
            (span,) = recorded.session_spans
            assert [(span.context.trace_id, span.context.span_id)] == self.of_duration(meters)

    def test_none_of_unsampled_sessions(self, meters: Meters) -> None:
        """An exemplar never leads to a trace that was not kept."""
        with record_sessions(meter_provider=meters.provider, sampler=ALWAYS_OFF):
            with session("job"):
                pass
            otel_sessions.start("web").end()
            assert [] == self.of_duration(meters)


class TestReaders:
    """Whatever reads the provider sees the same."""

    def test_delta_temporality(self) -> None:
        """Each collection has what came since the last one; nothing is lost or repeated."""
        meters = Meters(DELTA)
        with record_sessions(meter_provider=meters.provider):
            with session("job"):
                pass
            first = [point.value for point in meters.points("app_session.starts")]
            for _ in range(2):
                with session("job"):
                    pass
            second = {stream.name: stream.data.data_points for stream in meters.streams()}
        assert [1] == first
        assert [2] == [point.value for point in second["app_session.starts"]]  # type: ignore[union-attr]  # a sum's
        assert [2] == [point.count for point in second["app_session.duration"]]  # type: ignore[union-attr]

    def test_two_readers(self) -> None:
        """A second exporter takes nothing from the first."""
        readers = InMemoryMetricReader(), InMemoryMetricReader()
        provider = MeterProvider(readers, shutdown_on_exit=False)
        with record_sessions(meter_provider=provider):
            with session("job"):
                pass
            sums = []
            for reader in readers:
                data = reader.get_metrics_data()
                assert data is not None
                (scope,) = data.resource_metrics[0].scope_metrics
                (starts,) = [metric for metric in scope.metrics if metric.name == "app_session.starts"]
                sums += [point.value for point in starts.data.data_points]  # type: ignore[union-attr]  # a sum's
        assert [1, 1] == sums

    def test_runtimes_share_the_instruments_of_a_provider(
        self, meters: Meters, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A process that is configured anew goes on counting in the same streams; the SDK sees no duplicate."""
        for _ in range(2):
            with record_sessions(meter_provider=meters.provider), session("job") as s:
                s.record("own.metric", 1)
        assert {("job", None): 2} == meters.values("app_session.starts")
        names = [stream.name for stream in meters.streams()]
        assert len(names) == len(set(names))
        assert [] == [record.getMessage() for record in caplog.records]

    def test_provider_is_not_kept_alive(self) -> None:
        """A provider that nobody else holds is given back, with its instruments."""

        def use() -> weakref.ref[MeterProvider]:
            meters = Meters()
            with record_sessions(meter_provider=meters.provider), session("job", user="ada"):
                pass
            return weakref.ref(meters.provider)

        held = use()
        gc.collect()
        assert held() is None

    def test_store_that_fails_while_collected(self, meters: Meters, caplog: pytest.LogCaptureFixture) -> None:
        """A store that cannot count costs its own series, not the collection."""

        class Uncountable(MemoryStore):
            def counts(self) -> Mapping[tuple[str, str | None], int]:
                raise OSError("the disk is gone")

        with record_sessions(meter_provider=meters.provider, store=Uncountable()):
            with session("job"):
                pass
            names = {stream.name for stream in meters.streams()}
        assert "app_session.active" not in names
        assert {"app_session.starts", "app_session.up"} <= names
        assert ["counts in the memory store"] == [
            record.args[0] for record in caplog.records if isinstance(record.args, tuple)
        ]
