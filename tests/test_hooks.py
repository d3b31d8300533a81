"""Hooks: what they are told, and that they neither break nor slow what they are told of."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.trace import Span

import otel_sessions
from otel_sessions import (
    ConcurrencyExceededError,
    Hook,
    InvalidValueError,
    QuotaExceededError,
    RateLimitedError,
    RejectionEvent,
    Session,
    ThresholdEvent,
    UsageEvent,
    current_session,
    on,
)
from otel_sessions._hook_events import HOOK_NAMES, HookName
from otel_sessions._hooks import Hooks, hooks
from otel_sessions.limits import Concurrency, Quota, Rate, Tier
from otel_sessions.testing import RecordedSessions, record_sessions

from . import interpreter
from .calls_of_models import tracer_of
from .failing_store import FailingStore
from .gate import Gate
from .shared_memory_store import SharedMemoryStore

TRIAL = Tier(
    "trial",
    Quota("tokens", 100, per="day"),
    Quota("tokens", 120, per="month", scope="tenant"),
    Quota("storage", None, scope="user"),
    Rate("upload", "3/minute"),
    Concurrency("file", 1),
)
SHADOW = Tier("shadow", Quota("tokens", 10, shadow=True))
START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
"""When the clock of the tests starts."""

EVENT = UsageEvent(START, "s", "chat", None, None, "tokens", 1, None)


class Told:
    """A callback that remembers what it was told."""

    def __init__(self) -> None:
        self._events: list[Any] = []

    def __call__(self, event: Any) -> None:
        self._events.append(event)

    @property
    def events(self) -> list[Any]:
        """What it was told up to now."""
        hooks.drain()
        return self._events


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    with record_sessions(tiers=[TRIAL, SHADOW]) as recorded:
        yield recorded


@pytest.fixture(name="told")
def _told() -> Told:
    return Told()


@pytest.fixture(autouse=True)
def _none_left() -> Iterator[None]:
    yield
    assert {} == hooks.registered, "a test left a hook registered"


def trial(tier: str = "trial", **fields: Any) -> Session:
    """A durable session."""
    return otel_sessions.start("web", user="ada", tier=tier, **fields)


def threads() -> list[threading.Thread]:
    """The threads in which hooks are called."""
    return [thread for thread in threading.enumerate() if thread.name == "otel-sessions-hooks"]


class TestUsage:
    def test_told(self, recorded: RecordedSessions, told: Told) -> None:
        """A use is told with all there is to say, the window of which the largest share is used among it."""
        with on("usage", told):
            s = trial(attributes={"tenant": "contoso"})
            recorded.clock.advance(1.5)
            s.use("tokens", 30, operation="inference")
            assert [
                UsageEvent(
                    time=START + dt.timedelta(seconds=1.5),
                    session_id=s.id,
                    session_type="web",
                    tier="trial",
                    user=s.user,
                    name="tokens",
                    amount=30,
                    operation="inference",
                    used=30,
                    limit=100,
                    window="day",
                    scope="user",
                )
            ] == told.events

    def test_unlimited(self, recorded: RecordedSessions, told: Told) -> None:
        """What is only counted has no limit; what has no quota in the tier, no standing either."""
        with on("usage", told):
            s = trial()
            s.use("storage", 5)
            s.count("storage", -2)
            trial("shadow", id="other").use("storage", 5)
            assert [
                (5, 5, None, "total", "user"),
                (-2, 3, None, "total", "user"),
                (5, None, None, None, None),
            ] == [(e.amount, e.used, e.limit, e.window, e.scope) for e in told.events]

    def test_several_at_once(self, recorded: RecordedSessions, told: Told) -> None:
        """What was used together is told one by one."""
        with on("usage", told):
            trial().admit(uses={"tokens": 1, "storage": 2}, rates={"upload": 1}, operation="export")
            assert [("tokens", 1, "export"), ("storage", 2, "export")] == [
                (e.name, e.amount, e.operation) for e in told.events
            ]

    def test_store_away(self, told: Told) -> None:
        """What is used while the store cannot be asked is told, and how the quota stands is not known."""
        store = FailingStore()
        with record_sessions(tiers=[TRIAL], store=store), on("usage", told):
            s = trial()
            store.failing = {"limits"}
            s.use("tokens", 1)
            assert [(1, None, None)] == [(e.amount, e.used, e.limit) for e in told.events]
            store.failing = ()


class TestThreshold:
    def test_told_once(self, recorded: RecordedSessions, told: Told) -> None:
        """The use that crosses a threshold is told, once for each of them."""
        with on("quota.threshold", told):
            s = trial(attributes={"tenant": "contoso"})
            for amount in (70, 4, 2, 10, 14):
                s.use("tokens", amount, operation="inference")
            assert [
                (0.75, 2, 76, 100, "day", "user", "inference"),
                (0.75, 14, 100, 120, "month", "tenant", "inference"),
                (0.9, 14, 100, 100, "day", "user", "inference"),
            ] == sorted((e.threshold, e.amount, e.used, e.limit, e.window, e.scope, e.operation) for e in told.events)
        assert {ThresholdEvent} == {type(event) for event in told.events}


class TestRejected:
    def test_told(self, recorded: RecordedSessions, told: Told) -> None:
        """Refusals of every kind are told, before the application gets its exception, with what they were asked for."""
        with on("limit.rejected", told):
            s = trial()
            s.use("tokens", 95)
            with pytest.raises(QuotaExceededError):
                s.use("tokens", 6, operation="inference")
            with pytest.raises(RateLimitedError):
                s.check_rate("upload", 4)
            with s.lease("file"), pytest.raises(ConcurrencyExceededError):
                s.lease("file").acquire()
            assert [
                ("quota", "tokens", 6, "inference", 95, 100, "day", "user", False),
                ("rate", "upload", 4, None, 0, 3, "60 s", "user", False),
                ("concurrency", "file", 1, None, 1, 1, "", "user", False),
            ] == [
                (e.kind, e.name, e.amount, e.operation, e.used, e.limit, e.window, e.scope, e.shadow)
                for e in told.events
            ]
        assert {(RejectionEvent, s.id, "trial")} == {(type(e), e.session_id, e.tier) for e in told.events}

    def test_shadow(self, recorded: RecordedSessions, told: Told) -> None:
        """What would be refused is told as such, and so is its use."""
        with on("limit.rejected", told), on("usage", told):
            trial("shadow").use("tokens", 11, operation="inference")
            rejection, use = told.events
        assert (True, "inference", 11) == (rejection.shadow, rejection.operation, use.amount)


class TestRegistering:
    def test_decorator(self, recorded: RecordedSessions) -> None:
        """It decorates a function, which can be called as before, and is its own means to be taken off."""
        found: list[float] = []

        @on("usage")
        def note(event: UsageEvent) -> None:
            """Notes."""
            found.append(event.amount)

        s = trial()
        s.use("tokens", 1)
        hooks.drain()
        note(EVENT._replace(amount=7))
        note.remove()
        note.remove()
        s.use("tokens", 2)
        hooks.drain()
        assert ([1, 7], "note", "Notes.", False) == (found, note.__name__, note.__doc__, note.is_registered)  # type: ignore[attr-defined]  # a wrapped function's
        assert repr(note).startswith("<Hook of usage: ")

    def test_several(self, recorded: RecordedSessions, told: Told) -> None:
        """Several hooks of a name are called in the order in which they were registered; one twice, if it was."""
        order: list[str] = []
        with (
            on("usage", lambda _: order.append("a")) as first,
            on("usage", lambda _: order.append("b")),
            on("usage", first),
        ):
            trial().use("tokens", 1)
            hooks.drain()
        assert ["a", "b", "a"] == order

    def test_only_of_its_name(self, recorded: RecordedSessions, told: Told) -> None:
        """A hook is told of nothing but its own."""
        with on("limit.rejected", told):
            trial().use("tokens", 80)
            assert [] == told.events

    def test_removed_meanwhile(self, told: Told) -> None:
        """What is taken off is not even told what waited for it; what comes later is not told what was before."""
        own, gate = Hooks(), Gate()
        held_up: Hook[UsageEvent] = own.add("usage", lambda _: gate())
        removed = own.add("usage", told)
        own.tell("usage", EVENT)
        removed.remove()
        own.add("usage", told)
        gate.open()
        own.drain()
        assert (True, []) == (held_up.is_registered, told.events)

    @pytest.mark.parametrize("name", ["", "quota", "usage ", None, 3, []])
    def test_unknown(self, name: Any) -> None:
        """A name that does not exist is refused, with those that do."""
        with pytest.raises(
            InvalidValueError, match=r"is no hook: there are usage, quota\.threshold, limit\.rejected, alert$"
        ):
            on(name, print)

    @pytest.mark.parametrize("callback", ["print", 3, []])
    def test_not_callable(self, callback: Any) -> None:
        """So is what cannot be called."""
        with pytest.raises(InvalidValueError, match="cannot be called when there is usage: give"):
            on("usage", callback)

    def test_coroutine_function(self) -> None:
        """So is a coroutine function: there is no event loop in which it could run."""

        async def callback(event: UsageEvent) -> None: ...

        with pytest.raises(InvalidValueError, match="is a coroutine function"):
            on("usage", callback)

    @pytest.mark.parametrize("wrap", [lambda each: each, functools.partial])
    def test_asynchronous_object(self, wrap: Callable[[Any], Any]) -> None:
        """So is an object whose call gives a coroutine: nobody would wait for it."""

        class Callback:
            async def __call__(self, event: UsageEvent) -> None: ...

        with pytest.raises(InvalidValueError, match="is a coroutine function"):
            on("usage", wrap(Callback()))

    @pytest.mark.parametrize("event", [
        EVENT,
        ThresholdEvent(*EVENT[:8], 75, 100, "day", "user", 0.75),
        RejectionEvent(*EVENT[:8], 75, 100, "day", "user", "quota", shadow=False),
    ], ids=lambda event: type(event).__name__)  # fmt: skip
    def test_json(self, event: Any) -> None:
        """What hooks are told is JSON as a dictionary."""
        found = json.loads(json.dumps(event.to_dict()))
        assert ("2026-01-01T00:00:00+00:00", "s", "tokens") == (found["time"], found["session_id"], found["name"])
        assert list(event._fields) == list(found)


class TestHarmless:
    def test_raises(self, recorded: RecordedSessions, told: Told, caplog: pytest.LogCaptureFixture) -> None:
        """What a hook raises is logged once for each kind; the caller and the other hooks do not notice."""

        def broken(event: UsageEvent) -> None:
            raise (RuntimeError if event.amount < 3 else ValueError)("password=hunter2")

        s = trial()
        with on("usage", broken), on("usage", told):
            s.use("tokens", 1)
            s.use("tokens", 2)
            s.use("tokens", 3)
            assert [1, 2, 3] == [event.amount for event in told.events]
        said = [r.getMessage() for r in caplog.records if r.name == "otel_sessions" and r.levelno == logging.ERROR]
        assert 2 == len(said)
        for each, kind in zip(said, ("RuntimeError", "ValueError"), strict=True):
            assert each.startswith("<Hook of usage: ")
            assert "broken> raised an exception. It is the application's to mend; nothing else is affected." in each
            assert kind in each
            assert "hunter2" not in each

    @pytest.mark.parametrize("name", HOOK_NAMES)
    def test_drops_nothing(self, name: HookName) -> None:
        """A hook that raises is no lost telemetry, of which the health check and an alert would speak."""
        calls: list[object] = []

        def broken(event: object) -> None:
            calls.append(event)
            raise RuntimeError

        thresholds = dict.fromkeys(("memory_ratio", "process_memory_ratio", "storage_ratio", "cpu_ratio"), 1)
        settings: dict[str, Any] = {"thresholds": {**thresholds, "active_sessions": 0}, "health_interval": 30}
        with record_sessions(tiers=[TRIAL], **settings) as recorded, hooks.add(name, broken):
            s = trial()
            s.use("tokens", 80)
            with pytest.raises(QuotaExceededError):
                s.use("tokens", 80)
            recorded.advance(30)
            hooks.drain()
            assert calls
            (check,) = [each for each in otel_sessions.health().checks if each.type == "SessionRecordsDropped"]
            assert (True, 0) == (check.is_ok, check.current_value)
            assert "app_session.dropped" not in recorded.metrics()

    def test_exits(self, recorded: RecordedSessions, told: Told) -> None:
        """A hook that calls `sys.exit()` ends nothing: neither the process nor the hooks."""
        s = trial()
        with on("usage", lambda _: sys.exit(3)), on("usage", told):
            s.use("tokens", 1)
            s.use("tokens", 2)
            assert [1, 2] == [event.amount for event in told.events]

    def test_blocks(self, recorded: RecordedSessions, told: Told) -> None:
        """A hook that blocks holds up other hooks, and nobody else; what waits is told when it goes on."""
        gate = Gate()
        s = trial()
        with on("usage", lambda _: gate()), on("usage", told):
            for number in range(3):
                s.use("tokens", number)
            assert (3, False, []) == (s.quota("tokens").used, gate.passed, told._events)
            gate.open()
            assert [0, 1, 2] == [event.amount for event in told.events]

    def test_bounded(self, recorded: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """So much can wait and no more: the rest is dropped, counted, and warned of at a limited rate."""
        own, gate, count = Hooks(), Gate(), 0

        def slow(_: UsageEvent) -> None:
            nonlocal count
            gate()
            count += 1

        own.add("usage", slow)
        for _ in range(10_100):
            own.tell("usage", EVENT)
        dropped = recorded.metric("app_session.dropped", app_session__drop__reason="hooks_behind")
        # One is under way, perhaps.
        assert 99 <= dropped <= 100
        gate.open()
        own.drain()
        assert 10_100 == count + dropped
        assert ["A usage event was dropped: the hooks are behind, and 10000 wait already."] == [
            record.getMessage() for record in caplog.records if record.name == "otel_sessions"
        ]

    def test_told_nothing_of_itself(self, recorded: RecordedSessions, told: Told) -> None:
        """What a hook uses itself is counted and not told: it would go on for ever. No session is current in it."""
        s = trial()
        current: list[bool] = []

        def use_more(event: UsageEvent) -> None:
            current.append(current_session().is_active)
            otel_sessions.resume(event.session_id).use("tokens", 5)

        with s, on("usage", use_more), on("usage", told):
            s.use("tokens", 1)
            assert [1] == [event.amount for event in told.events]
        assert (6, [False]) == (s.quota("tokens").used, current)

    def test_told_nothing_of_its_turns(self, told: Told) -> None:
        """Nor of what its turns measure, which another store is told by the background; the application's is told."""
        with record_sessions(tiers=[TRIAL], store=SharedMemoryStore()) as recorded, on("usage", told):
            s = trial()

            def talk(event: UsageEvent) -> None:
                with s.turn() as turn:
                    turn.tokens(input=5)

            with on("usage", talk):
                for _ in range(3):
                    with s.turn() as turn:
                        turn.tokens(input=1)
                    # Whoever has it counted: a round of the background, or a hook that asks.
                    recorded.advance(1)
                    hooks.drain()
                    recorded.advance(1)
                assert [1, 1, 1] == [event.amount for event in told.events]
            assert 18 == s.quota("tokens").used

    def test_asks_how_much_is_used(self, told: Told) -> None:
        """What the application has used is told, though it is a hook that has it counted."""
        found: list[float | None] = []
        asked = threading.Event()
        with record_sessions(tiers=[TRIAL], store=SharedMemoryStore()), on("usage", told):
            s, other = trial(), trial(id="other")

            def ask(event: UsageEvent) -> None:
                found.append(s.quota("tokens").used)
                asked.set()

            with on("usage", ask):
                with s.turn() as turn:
                    turn.tokens(input=7)
                other.use("storage", 1)
                assert asked.wait(10)
                assert ["storage", "tokens"] == [event.name for event in told.events]
            assert [7, 7] == found

    @pytest.mark.parametrize("store", ["memory", "shared"])
    def test_told_nothing_of_its_coroutines(self, told: Told, store: str) -> None:
        """Nor of what it has an event loop do: the context of a hook goes along."""

        async def use_more(session_id: str) -> None:
            await otel_sessions.resume(session_id).use_async("tokens", 5)

        async def main() -> None:
            loop = asyncio.get_running_loop()

            def hand_over(event: UsageEvent) -> None:
                asyncio.run_coroutine_threadsafe(use_more(event.session_id), loop).result(10)

            with on("usage", hand_over):
                await s.use_async("tokens", 1)
                await asyncio.to_thread(hooks.drain)

        place = SharedMemoryStore() if store == "shared" else "memory://"
        with record_sessions(tiers=[TRIAL], store=place), on("usage", told):
            s = trial()
            asyncio.run(main())
            assert [1] == [event.amount for event in told.events]
            assert 6 == s.quota("tokens").used

    def test_told_nothing_of_its_bound_threads(self, recorded: RecordedSessions, told: Told) -> None:
        """Nor of what `bind` carries into a thread; and what was bound before is still the hook's to use."""
        s = trial()

        def use_more() -> None:
            s.use("tokens", 5)

        def hand_over(event: UsageEvent) -> None:
            before()
            thread = threading.Thread(target=otel_sessions.bind(use_more))
            thread.start()
            thread.join()

        before = otel_sessions.bind(use_more)
        with on("usage", hand_over), on("usage", told):
            s.use("tokens", 1)
            assert [1] == [event.amount for event in told.events]
        assert 11 == s.quota("tokens").used

    def test_told_nothing_of_its_calls(self, recorded: RecordedSessions, told: Told) -> None:
        """Nor of a call of a model that begins in it, wherever that ends; one of the application's is told."""
        s, asked, spans = trial(), threading.Event(), []

        def begin(tokens: int) -> Span:
            with s:
                return tracer_of(recorded).start_span("chat", attributes={"gen_ai.usage.input_tokens": tokens})

        def ask(event: UsageEvent) -> None:
            if event.amount == 1:
                spans.append(begin(5))
                mine.end()
                asked.set()

        mine = begin(7)
        with on("usage", ask), on("usage", told):
            s.use("tokens", 1)
            assert asked.wait(10)
            spans[0].end()
            assert ([1, 7], 13) == ([event.amount for event in told.events], s.quota("tokens").used)

    def test_from_many_threads(self, told: Told) -> None:
        """Many threads that tell something first at once start one thread, and nothing is lost."""
        own, barrier = Hooks(), threading.Barrier(20)
        own.add("usage", told)
        before = len(threads())

        def tell() -> None:
            barrier.wait()
            for _ in range(50):
                own.tell("usage", EVENT)

        tellers = [threading.Thread(target=tell) for _ in range(20)]
        for teller in tellers:
            teller.start()
        for teller in tellers:
            teller.join()
        assert 1 == len(threads()) - before
        own.drain()
        assert 1_000 == len(told.events)


class TestThread:
    def test_only_when_needed(self, recorded: RecordedSessions, told: Told) -> None:
        """There is no thread before a hook is told something; then one, which does not keep the process from ending."""
        s = trial()
        s.use("tokens", 1)
        with on("usage", told):
            assert [] == threads()
            s.use("tokens", 1)
            assert [True] == [thread.daemon for thread in threads()]
            hooks.drain()
            assert [] == threads()

    def test_survives_shutdown(self, told: Told) -> None:
        """Hooks stay registered when what is configured ends, and are told what waits before it does."""
        gate = Gate()
        with on("usage", lambda _: gate()), on("usage", told):
            otel_sessions.configure(tiers=[TRIAL], background=False)
            trial().use("tokens", 1)
            gate.open_soon()
            otel_sessions.shutdown()
            assert ([1], []) == ([event.amount for event in told._events], threads())
            otel_sessions.configure(tiers=[TRIAL], background=False, history=5)
            trial().use("tokens", 2)
            assert [1, 2] == [event.amount for event in told.events]

    def test_what_was_measured_last(self, told: Told) -> None:
        """The end waits also for what turns have measured and the store was not told of yet."""
        gate = Gate()
        with on("usage", lambda _: gate()), on("usage", told):
            otel_sessions.configure(tiers=[TRIAL], store=SharedMemoryStore(), background=False)
            with trial().turn() as turn:
                turn.tokens(input=5)
            gate.open_soon()
            otel_sessions.shutdown()
            assert ([5], []) == ([event.amount for event in told._events], threads())

    def test_waits_no_longer(self, recorded: RecordedSessions, caplog: pytest.LogCaptureFixture, told: Told) -> None:
        """A hook that hangs holds the end up for a bounded time; what is not told by then is dropped and counted."""
        own, gate = Hooks(), Gate()
        own.add("usage", lambda _: gate())
        own.add("usage", told)
        for _ in range(4):
            own.tell("usage", EVENT)
        (hanging,) = threads()
        own.drain(0.05)
        assert 3 == recorded.metric("app_session.dropped", app_session__drop__reason="hooks_behind")
        assert ["3 events were dropped: the hooks were not done within 0.05 s."] == [
            record.getMessage() for record in caplog.records if record.name == "otel_sessions"
        ]
        gate.open()
        hanging.join(10)
        assert (1, False) == (len(told.events), hanging.is_alive())
        own.tell("usage", EVENT)
        own.drain()
        assert 2 == len(told.events)

    def test_shutdown_by_a_hook(self, told: Told) -> None:
        """A hook may shut everything down: it does not wait for itself."""
        ended = threading.Event()

        def stop(_: UsageEvent) -> None:
            otel_sessions.shutdown()
            ended.set()

        otel_sessions.configure(tiers=[TRIAL], background=False)
        with on("usage", stop):
            trial().use("tokens", 1)
            assert ended.wait(10)
            hooks.drain()

    def test_end_of_process(self) -> None:
        """At the end of the process the hooks are told what waits for them."""
        code = """
        import threading, time
        import otel_sessions
        from otel_sessions.limits import Quota, Tier

        @otel_sessions.on("usage")
        def slow(event):
            time.sleep(0.05)
            print(event.amount)

        otel_sessions.configure(tiers=[Tier("t", Quota("tokens", 100))])
        s = otel_sessions.start("chat", tier="t")
        for amount in range(3):
            s.use("tokens", amount)
        """
        assert ["0", "1", "2"] == interpreter.run(code).stdout.split()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="processes fork here")
    def test_fork(self) -> None:
        """A child process has its parent's hooks, and a thread of its own; what waits in the parent is told there."""
        code = """
        import json, os, sys, threading
        import otel_sessions
        from otel_sessions._hooks import hooks
        from otel_sessions.limits import Quota, Tier

        begun, go_on, told = threading.Event(), threading.Event(), []

        @otel_sessions.on("usage")
        def note(event):
            begun.set()
            go_on.wait(10)
            told.append(event.amount)

        otel_sessions.configure(tiers=[Tier("t", Quota("tokens", 100))], background=False)
        s = otel_sessions.start("chat", tier="t")
        s.use("tokens", 1)
        s.use("tokens", 2)
        begun.wait(10)
        read, write = os.pipe()
        if os.fork() == 0:
            go_on = threading.Event()
            go_on.set()
            otel_sessions.start("chat", tier="t").use("tokens", 3)
            hooks.drain()
            os.write(write, json.dumps(told).encode())
            os._exit(0)
        os.wait()
        go_on.set()
        hooks.drain()
        print(json.dumps([json.loads(os.read(read, 100)), told]))
        """
        # Python 3.12 and later warn of a fork in a process with threads, which is what is tried here.
        assert [[3], [1, 2]] == json.loads(interpreter.run(code).stdout)


def test_a_hook_is_generic() -> None:
    """What a hook is told stands in its type."""
    callback: Callable[[UsageEvent], None] = lambda _: None  # noqa: E731 - to be compared with
    with on("usage", callback) as hook:
        assert (True, "usage") == (isinstance(hook, Hook), hook.name)
