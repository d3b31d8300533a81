"""Where the current session goes by itself, and where it is taken."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
import random
import threading
from collections.abc import Iterator

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context

import otel_sessions
from otel_sessions import BoundExecutor, InvalidValueError, Session, bind, current_session, session
from otel_sessions.testing import RecordedSessions

from . import portrait

THREADS = 50
TASKS = 200


def session_here() -> str:
    """Return the id of the current session."""
    return current_session().id


@pytest.fixture(name="pool")
def _pool() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        yield pool


class TestConcurrency:
    def test_threads(self, recorded_sessions: RecordedSessions) -> None:
        """Fifty threads with a session each see their own and nobody else's, whatever they call."""
        barrier = threading.Barrier(THREADS)
        seen: dict[int, list[tuple[str, str | None, str]]] = {}

        @session("inner")
        def inner() -> tuple[str, str | None]:
            return current_session().id, current_session().parent_id

        def work(number: int) -> None:
            tracer = recorded_sessions.tracer_provider.get_tracer("app")
            found = []
            with session("outer", attributes={"number": number}) as outer:
                for _ in range(10):
                    barrier.wait()
                    with tracer.start_as_current_span(f"span {number}"):
                        _, parent = inner()
                    found.append((current_session().id, parent, outer.id))
                    current_session().progress("on", number=number)
            assert "" == current_session().id
            seen[number] = found

        threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert THREADS == len(seen)
        assert all({current, parent, own} == {own} for found in seen.values() for current, parent, own in found)
        outer = [span for span in recorded_sessions.session_spans if span.name == "session outer"]
        assert THREADS == len({portrait.attributes(span)["session.id"] for span in outer})
        for span in outer:
            number = portrait.attributes(span)["number"]
            assert [number] * 10 == [attributes["number"] for _, attributes in portrait.events(span)]
            assert {portrait.attributes(span)["session.id"]} == {
                portrait.attributes(child)["session.id"]
                for child in recorded_sessions.spans
                if child.name == f"span {number}"
            }

    def test_tasks(self, recorded_sessions: RecordedSessions) -> None:
        """Two hundred tasks with a session each see their own after every await, and so do their own tasks."""

        @session("inner")
        async def inner() -> str | None:
            await asyncio.sleep(0)
            return current_session().parent_id

        async def child() -> str:
            await asyncio.sleep(0)
            return current_session().id

        async def work(seed: int) -> set[str | None]:
            pause = random.Random(seed)
            async with session("outer") as own:
                found: set[str | None] = {own.id}
                for _ in range(5):
                    for _ in range(pause.randrange(3)):
                        await asyncio.sleep(0)
                    found |= {
                        current_session().id,
                        *await asyncio.gather(inner(), child(), asyncio.create_task(child())),
                    }
            assert "" == current_session().id
            return found

        async def main() -> list[set[str | None]]:
            return await asyncio.gather(*(work(seed) for seed in range(TASKS)))

        found = asyncio.run(main())
        assert [1] * TASKS == [len(ids) for ids in found]
        assert TASKS == len(set.union(*found))
        assert TASKS * 6 == len(recorded_sessions.session_spans)

    def test_shared_session(self, recorded_sessions: RecordedSessions) -> None:
        """One session may be used by many threads at once; nothing that they count is lost."""

        def work() -> None:
            for _ in range(100):
                handle.event("x.y")
                handle.message("user")

        with session("chat") as handle:
            threads = [threading.Thread(target=work) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        found = portrait.attributes(recorded_sessions.spans[0])
        assert (2_000, 2_000) == (found["app_session.event.count"], found["app_session.message.count"])
        assert (2_000, 2_000) == (
            recorded_sessions.metric("app_session.events"),
            recorded_sessions.metric("app_session.messages"),
        )

    def test_start_by_many_threads(self, recorded_sessions: RecordedSessions) -> None:
        """Of many threads that start a durable session under one id, one begins it and all have it."""
        barrier = threading.Barrier(THREADS)
        handles: list[Session] = []

        def start() -> None:
            barrier.wait()
            handle = otel_sessions.start("chat", id="conv-42")
            handle.message("user")
            handles.append(handle)

        threads = [threading.Thread(target=start) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        otel_sessions.end("conv-42")

        assert {"conv-42"} == {handle.id for handle in handles}
        (span,) = recorded_sessions.spans
        assert THREADS == portrait.attributes(span)["app_session.message.count"]
        assert 1 == recorded_sessions.metric("app_session.starts")


class TestTravel:
    """Without being asked the session goes where the OpenTelemetry context goes, and nowhere else."""

    def test_tasks_and_threads_of_asyncio(self, recorded_sessions: RecordedSessions) -> None:
        """It goes into tasks and `asyncio.to_thread`."""

        async def main() -> list[str]:
            async with session("job") as handle:

                async def there() -> str:
                    return session_here()

                found = await asyncio.gather(there(), asyncio.to_thread(session_here))
            return [handle.id, *found]

        assert 1 == len(set(asyncio.run(main())))

    def test_not_into_threads(
        self, recorded_sessions: RecordedSessions, pool: concurrent.futures.ThreadPoolExecutor
    ) -> None:
        """It does not go into threads and pools by itself."""
        found: list[str] = []
        with session("job"):
            thread = threading.Thread(target=lambda: found.append(session_here()))
            thread.start()
            thread.join()
            found.append(pool.submit(session_here).result())

        assert ["", ""] == found

    def test_siblings(self, recorded_sessions: RecordedSessions) -> None:
        """A session that a task begins is not seen by the task that created it."""

        async def begin() -> str:
            handle = session("job").__enter__()
            await asyncio.sleep(0)
            assert handle is current_session()
            handle.__exit__(None, None, None)
            return handle.id

        async def main() -> str:
            task = asyncio.create_task(begin())
            await asyncio.sleep(0)
            here = session_here()
            await task
            return here

        assert "" == asyncio.run(main())


class TestBind:
    def test_thread(self, recorded_sessions: RecordedSessions) -> None:
        """A bound function runs in the session in which it was bound, wherever and whenever it is called."""
        found: list[Session] = []
        before = otel_context.get_current()
        with session("job") as handle:
            bound = bind(lambda: found.append(current_session()))
        thread = threading.Thread(target=bound)
        thread.start()
        thread.join()
        with session("other") as other:
            bound()
            assert other is current_session()

        assert [handle, handle] == found
        assert before == otel_context.get_current()

    def test_spans(self, recorded_sessions: RecordedSessions, pool: concurrent.futures.ThreadPoolExecutor) -> None:
        """Spans that a bound function makes belong where it was bound; baggage comes along."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")

        def work() -> object:
            with tracer.start_as_current_span("work"):
                return baggage.get_baggage("tenant")

        with session("job"):
            token = otel_context.attach(baggage.set_baggage("tenant", "contoso"))
            try:
                tenant = pool.submit(bind(work)).result()
            finally:
                otel_context.detach(token)

        work_span, own = recorded_sessions.spans
        assert ("contoso", portrait.span_id(own), portrait.attributes(own)["session.id"]) == (
            tenant,
            portrait.parent_id(work_span),
            portrait.attributes(work_span)["session.id"],
        )

    def test_arguments_result_and_exception(self, recorded_sessions: RecordedSessions) -> None:
        """What goes in and comes out is the function's; name and signature too."""

        def divide(number: int, *, by: int) -> float:
            """Divide."""
            return number / by

        before = otel_context.get_current()
        bound = bind(divide)
        assert 2.5 == bound(5, by=2)
        with pytest.raises(ZeroDivisionError):
            bound(5, by=0)
        assert before == otel_context.get_current()
        assert ("divide", "Divide.", inspect.signature(divide)) == (
            bound.__name__,
            bound.__doc__,
            inspect.signature(bound),
        )

    def test_outside(self, recorded_sessions: RecordedSessions) -> None:
        """What is bound outside of any session runs outside of any."""
        bound = bind(session_here)
        with session("job"):
            assert "" == bound()

    def test_durable(self, recorded_sessions: RecordedSessions, pool: concurrent.futures.ThreadPoolExecutor) -> None:
        """A durable session is taken along too."""
        with otel_sessions.start("chat", id="conv-42"):
            assert "conv-42" == pool.submit(bind(session_here)).result()

    def test_callables(self, recorded_sessions: RecordedSessions) -> None:
        """Methods and partial functions can be bound."""
        with session("job") as handle:
            bound = [bind(functools.partial(session_here)), bind(self.method)]
        assert [handle.id, handle.id] == [function() for function in bound]

    def method(self) -> str:
        """Return the current session's id."""
        return session_here()

    @pytest.mark.parametrize("partial", [True, False])
    def test_coroutine_function(self, *, partial: bool) -> None:
        """A coroutine function needs no binding and would run outside of it: that is said."""

        async def work() -> None: ...

        with pytest.raises(InvalidValueError, match="a task has the session in which it is created"):
            bind(functools.partial(work) if partial else work)


class TestBoundExecutor:
    def test_submit(self, recorded_sessions: RecordedSessions, pool: concurrent.futures.ThreadPoolExecutor) -> None:
        """Each task runs in the session in which it was submitted."""
        bound = BoundExecutor(pool)
        futures, ids = [], []
        for _ in range(20):
            with session("job") as handle:
                futures.append(bound.submit(session_here))
                ids.append(handle.id)
        futures.append(bound.submit(session_here))

        assert [*ids, ""] == [future.result() for future in futures]

    def test_map(self, recorded_sessions: RecordedSessions, pool: concurrent.futures.ThreadPoolExecutor) -> None:
        """`map` keeps the order of the results and the session."""
        with session("job") as handle:
            found = list(BoundExecutor(pool).map(lambda a, b: (a + b, session_here()), [1, 2, 3], [10, 20, 30]))

        assert [(11, handle.id), (22, handle.id), (33, handle.id)] == found

    def test_exception(self, recorded_sessions: RecordedSessions, pool: concurrent.futures.ThreadPoolExecutor) -> None:
        """An exception is the future's."""
        error = ValueError("x")

        def fail() -> None:
            raise error

        assert error is BoundExecutor(pool).submit(fail).exception()

    def test_shutdown(self) -> None:
        """Leaving its block shuts the wrapped executor down."""
        pool = concurrent.futures.ThreadPoolExecutor(1)
        with BoundExecutor(pool) as bound:
            assert 3 == bound.submit(lambda: 3).result()

        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            pool.submit(lambda: 3)

    def test_cancel_futures(self) -> None:
        """Shutting down may cancel what has not begun."""
        pool = concurrent.futures.ThreadPoolExecutor(1)
        bound = BoundExecutor(pool)
        began, go_on = threading.Event(), threading.Event()

        def wait() -> bool:
            began.set()
            return go_on.wait(10)

        running, waiting = bound.submit(wait), bound.submit(lambda: True)
        began.wait(10)
        bound.shutdown(wait=False, cancel_futures=True)
        go_on.set()

        assert (True, True) == (running.result(), waiting.cancelled())

    def test_run_in_executor(
        self, recorded_sessions: RecordedSessions, pool: concurrent.futures.ThreadPoolExecutor
    ) -> None:
        """It works as an executor of an event loop."""

        async def main() -> tuple[str, str]:
            async with session("job") as handle:
                return handle.id, await asyncio.get_running_loop().run_in_executor(BoundExecutor(pool), session_here)

        here, there = asyncio.run(main())
        assert here == there
