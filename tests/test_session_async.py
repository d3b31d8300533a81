"""Scoped sessions in async code: the event loop does not wait for a store that others see."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

from otel_sessions import InvalidValueError, _runtime, current_session, session
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.testing import RecordedSessions, record_sessions

from . import redis_server
from .failing_store import FailingStore
from .gate import Gate, until
from .web.exchanges import http, nothing


class BoomError(Exception):
    """What the code below raises."""


def held_by(store: FailingStore, verb: str) -> Gate:
    """A gate before the next call of a verb of the store."""
    gate = store.before[verb] = Gate()
    return gate


class Endless:
    """A body that does not return."""

    def __init__(self) -> None:
        self.runs = False

    async def __call__(self) -> None:
        self.runs = True
        await asyncio.get_running_loop().create_future()


class Closing:
    """An object whose life is a session."""

    async def work(self, body: Body) -> None:
        await body()

    async def aclose(self) -> None:
        """End it."""


Body = Callable[[], Awaitable[None]]
Run = Callable[[Body], Coroutine[Any, Any, None]]


async def pause() -> None:
    """A body that lets other tasks run."""
    await asyncio.sleep(0)


async def block(body: Body) -> None:
    async with session("job"):
        await body()


@session("job")
async def function(body: Body) -> None:
    await body()


@session("job")
async def generator(body: Body) -> AsyncIterator[int]:
    await body()
    yield 1


async def iteration(body: Body) -> None:
    async for _ in generator(body):
        assert not current_session().is_active


async def early_end(body: Body) -> None:
    steps: Any = generator(body)
    await anext(steps)
    await steps.aclose()


@pytest.fixture(name="store")
def _store() -> FailingStore:
    return FailingStore(shared=True)


@pytest.fixture(name="recorded")
def _recorded(store: FailingStore) -> Iterator[RecordedSessions]:
    with record_sessions(store=store) as recorded:
        yield recorded


@pytest.fixture(name="run", params=[block, function, iteration], ids=lambda run: run.__name__)
def _run(request: pytest.FixtureRequest) -> Run:
    found: Run = request.param
    return found


def outcomes(recorded: RecordedSessions) -> list[tuple[object, object]]:
    """How the sessions have ended."""
    return [
        ((span.attributes or {})["app_session.status"], (span.attributes or {})["app_session.end_reason"])
        for span in recorded.session_spans
    ]


async def held_up(gate: Gate, work: Awaitable[None], meanwhile: Callable[[], object] = lambda: None) -> None:
    """Run `work` in a task and let it go on when it has been held up, and `meanwhile` has been done."""
    task = asyncio.ensure_future(work)
    await gate.reached()
    meanwhile()
    for _ in range(10):
        await asyncio.sleep(0)
        assert not task.done()
    gate.open()
    await task


class TestEventLoop:
    @pytest.mark.parametrize("verb", ["beat", "create", "close"])
    def test_goes_on(self, run: Run, verb: str, store: FailingStore, recorded: RecordedSessions) -> None:
        """While the store keeps the beginning or the end of a session waiting, other tasks run."""
        gate = held_by(store, verb)
        inside: list[str] = []

        async def body() -> None:
            inside.append(current_session().id)

        asyncio.run(held_up(gate, run(body)))
        assert [(span.attributes or {})["session.id"] for span in recorded.session_spans] == inside
        assert [("success", "completed")] == outcomes(recorded)
        assert {} == store.counts()

    def test_goes_on_when_a_generator_is_left(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """So they do when an asynchronous generator is closed before its end."""
        asyncio.run(held_up(held_by(store, "close"), early_end(pause)))
        assert [("cancelled", "cancelled")] == outcomes(recorded)

    def test_goes_on_when_an_object_is_closed(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """So they do when an object whose life is a session is closed."""
        job: Any = session("job")(Closing)()
        gate = held_by(store, "close")

        async def main() -> None:
            await job.work(pause)
            await held_up(gate, job.aclose())

        asyncio.run(main())
        assert [("success", "completed")] == outcomes(recorded)

    def test_goes_on_for_the_key_of_users(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """So they do while the key for pseudonyms is read, which the first session with a user needs."""

        async def work() -> None:
            for _ in range(2):
                async with session("job", user="u1"):
                    """Nothing."""

        asyncio.run(held_up(held_by(store, "secret"), work()))
        users = {(span.attributes or {})["enduser.pseudo.id"] for span in recorded.session_spans}
        assert 1 == len(users)
        assert 1 == store.calls.count("secret")

    def test_goes_on_while_redis_stands_still(self) -> None:
        """A Redis that does not answer keeps one session waiting, and nobody else."""
        server = redis_server.RedisServer()
        gaps: list[float] = []

        async def beat() -> None:
            last = time.monotonic()
            while True:
                await asyncio.sleep(0.01)
                now = time.monotonic()
                gaps.append(now - last)
                last = now

        async def main() -> float:
            await function(pause)
            server.pause()
            heart = asyncio.create_task(beat())
            began = time.monotonic()
            await function(pause)
            heart.cancel()
            return time.monotonic() - began

        try:
            with record_sessions(store=redis_server.store(server, timeout=1)) as recorded:
                took = asyncio.run(main())
                assert [("success", "completed")] * 2 == outcomes(recorded)
                server.resume()
        finally:
            server.stop()
        assert took >= 1
        assert max(gaps) < 0.5

    def test_is_not_left_without_need(self) -> None:
        """With a store that is inside this process no thread is involved."""
        with record_sessions():
            asyncio.run(block(pause))
            runtime = _runtime.current
            assert runtime is not None
            assert "threads" not in vars(runtime.lifecycle)


class TestContext:
    def test_current(self, run: Run, recorded: RecordedSessions) -> None:
        """The session and its span are current in the task, and not after it."""
        seen: list[tuple[str, int]] = []

        async def body() -> None:
            await asyncio.sleep(0)
            seen.append((current_session().id, trace.get_current_span().get_span_context().span_id))

        async def main() -> None:
            before = otel_context.get_current()
            await run(body)
            assert before == otel_context.get_current()

        asyncio.run(main())
        (span,) = recorded.session_spans
        assert span.context is not None
        assert [((span.attributes or {})["session.id"], span.context.span_id)] == seen

    def test_parent(self, recorded: RecordedSessions) -> None:
        """Its span is a child of the one that was current."""

        async def main() -> None:
            with recorded.tracer_provider.get_tracer("test").start_as_current_span("outer"):
                await block(pause)

        asyncio.run(main())
        inner, outer = recorded.spans
        assert inner.parent == outer.context


class TestFailures:
    def test_of_the_application(self, run: Run, recorded: RecordedSessions) -> None:
        """What the application raises passes unchanged, with no frame but the wrapper's and its own."""
        boom = BoomError("boom")

        async def body() -> None:
            raise boom

        async def main() -> None:
            with pytest.raises(BoomError) as raised:
                await run(body)
            assert boom is raised.value
            assert boom.__context__ is None
            ours = [frame for frame in traceback.extract_tb(boom.__traceback__) if "otel_sessions" in frame.filename]
            assert len(ours) <= 1

        asyncio.run(main())
        assert [("error", "exception")] == outcomes(recorded)

    @pytest.mark.parametrize("verb", ["create", "close"])
    def test_of_the_store(self, run: Run, verb: str, store: FailingStore, recorded: RecordedSessions) -> None:
        """A store that cannot be reached is told later."""
        store.failing = {verb}
        asyncio.run(run(pause))
        assert [("success", "completed")] == outcomes(recorded)
        store.failing = ()
        recorded.advance(10)
        assert [("success", "completed")] == outcomes(recorded)
        assert {} == store.counts()


class TestCancellation:
    @pytest.mark.parametrize("times", [1, 2])
    def test_at_the_beginning(self, run: Run, times: int, store: FailingStore, recorded: RecordedSessions) -> None:
        """A session that is cancelled while it begins has ended, once, and its body has not run."""
        gate, ran = held_by(store, "create"), False

        async def body() -> None:
            nonlocal ran
            ran = True

        async def main() -> None:
            task = asyncio.ensure_future(run(body))
            with pytest.raises(asyncio.CancelledError):
                await held_up(gate, task, lambda: [task.cancel() for _ in range(times)])
            assert not current_session().is_active

        asyncio.run(main())
        assert not ran
        assert [("cancelled", "cancelled")] == outcomes(recorded)
        assert {} == store.counts()

    def test_at_the_end(self, run: Run, store: FailingStore, recorded: RecordedSessions) -> None:
        """A session that is cancelled while it ends ends as it would have, and the cancellation takes effect."""
        gate = held_by(store, "close")

        async def main() -> None:
            task = asyncio.ensure_future(run(pause))
            with pytest.raises(asyncio.CancelledError):
                await held_up(gate, task, task.cancel)

        asyncio.run(main())
        assert [("success", "completed")] == outcomes(recorded)
        assert {} == store.counts()

    def test_inside(self, run: Run, store: FailingStore, recorded: RecordedSessions) -> None:
        """A session whose body is cancelled ends as cancelled, in the store as well."""

        async def main() -> None:
            body = Endless()
            task = asyncio.ensure_future(run(body))
            await until(lambda: body.runs)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert [("cancelled", "cancelled")] == outcomes(recorded)
        assert {} == store.counts()

    def test_by_a_timeout(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A timeout that passes while the session begins is a timeout."""
        gate = held_by(store, "create")

        async def main() -> None:
            gate.open_soon()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(block(pause), 0.01)

        asyncio.run(main())
        assert [("cancelled", "cancelled")] == outcomes(recorded)

    def test_of_a_request(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A request that is cancelled while its session is opened does not keep that from ever being idle."""
        gate = held_by(store, "find")

        async def main() -> None:
            task = asyncio.ensure_future(SessionMiddleware(nothing)(http(), nothing, nothing))
            with pytest.raises(asyncio.CancelledError):
                await held_up(gate, task, task.cancel)

        asyncio.run(main())
        recorded.advance(1800)
        assert [("expired", "idle_timeout")] == outcomes(recorded)


class TestFirstRequest:
    def test_key_of_the_pseudonyms(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """The event loop turns while the store is asked for the key by which clients are recognised."""
        gate = held_by(store, "secret")
        asyncio.run(held_up(gate, SessionMiddleware(nothing, cookie=True)(http(), nothing, nothing)))
        assert 1 == recorded.metric("app_session.requests")


class TestClosed:
    """Coroutines that are closed, not cancelled: by hand, or because an event loop has gone."""

    @pytest.mark.parametrize("run", [block, function])
    def test_at_the_beginning(self, run: Any, store: FailingStore, recorded: RecordedSessions) -> None:
        """A session that was about to begin has ended, once."""

        async def main() -> None:
            await function(pause)
            gate = held_by(store, "create")
            coroutine = run(pause)
            coroutine.send(None)
            await gate.reached()
            gate.open_soon()
            coroutine.close()

        asyncio.run(main())
        assert [("success", "completed"), ("cancelled", "cancelled")] == outcomes(recorded)
        assert {} == store.counts()

    @pytest.mark.parametrize("run", [block, function])
    def test_inside(self, run: Any, store: FailingStore, recorded: RecordedSessions) -> None:
        """One that was open ends there and then: a coroutine that is closed cannot wait."""

        async def main() -> None:
            body = Endless()
            coroutine = run(body)
            step = coroutine.send(None)
            while not body.runs:
                await until(step.done)
                step = coroutine.send(None)
            coroutine.close()

        asyncio.run(main())
        assert [("cancelled", "cancelled")] == outcomes(recorded)
        assert {} == store.counts()

    def test_object(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """So does an object whose closing is closed."""

        class Slow:
            async def aclose(self) -> None:
                await asyncio.sleep(60)

        async def main() -> None:
            job: Any = session("job")(Slow)()
            coroutine = job.aclose()
            coroutine.send(None)
            coroutine.close()

        asyncio.run(main())
        assert [("cancelled", "cancelled")] == outcomes(recorded)


class TestWithoutAsyncio:
    @pytest.mark.parametrize("run", [block, function, iteration])
    def test_by_hand(self, run: Any, store: FailingStore, recorded: RecordedSessions) -> None:
        """A coroutine that is driven by hand, or by another event loop, has its sessions as ever."""

        async def body() -> None:
            assert current_session().is_active

        with pytest.raises(StopIteration):
            run(body).send(None)
        assert [("success", "completed")] == outcomes(recorded)
        assert {} == store.counts()


class TestDefinition:
    def test_is_for_one_at_a_time(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """A definition that is being entered cannot be entered by another task; when it was left, it can."""
        gate, job = held_by(store, "create"), session("job")

        async def enter() -> None:
            async with job:
                """Nothing."""

        async def main() -> None:
            first = asyncio.create_task(enter())
            await gate.reached()
            with pytest.raises(InvalidValueError, match="is open already"):
                await enter()
            gate.open()
            await first
            await enter()

        asyncio.run(main())
        assert [("success", "completed")] * 2 == outcomes(recorded)

    def test_after_a_cancellation(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """So it can when it was cancelled."""
        gate, job = held_by(store, "create"), session("job")

        async def enter() -> None:
            async with job:
                """Nothing."""

        async def main() -> None:
            task = asyncio.create_task(enter())
            with pytest.raises(asyncio.CancelledError):
                await held_up(gate, task, task.cancel)
            await enter()

        asyncio.run(main())
        assert [("cancelled", "cancelled"), ("success", "completed")] == outcomes(recorded)

    def test_switched_off_meanwhile(self, store: FailingStore, recorded: RecordedSessions) -> None:
        """When the library is switched off while the first session prepares itself, that is no session."""
        gate = held_by(store, "beat")

        async def main() -> None:
            with record_sessions(enabled=False):
                await held_up(gate, task)

        async def begin() -> None:
            async with session("job") as handle:
                assert not handle.is_active

        loop = asyncio.new_event_loop()
        task = loop.create_task(begin())
        loop.run_until_complete(gate.reached())
        loop.run_until_complete(main())
        loop.close()
        assert [] == recorded.session_spans

    def test_left_without_being_entered(self, recorded: RecordedSessions) -> None:
        """Leaving what was not entered does nothing."""
        asyncio.run(session("job").__aexit__(None, None, None))
        assert [] == recorded.session_spans

    def test_ended_inside(self, run: Run, store: FailingStore, recorded: RecordedSessions) -> None:
        """A session that was ended inside is left as it is."""

        async def body() -> None:
            current_session().end("error")

        asyncio.run(run(body))
        assert [("error", "exception")] == outcomes(recorded)
        assert 1 == store.calls.count("close")
