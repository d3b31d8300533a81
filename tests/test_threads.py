"""What async code has waited for in threads."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from otel_sessions._threads import Threads

from .gate import Gate, until

_WHO: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


@pytest.fixture(name="threads")
def _threads() -> Iterator[Threads]:
    threads = Threads()
    yield threads
    threads.close()


class TestCall:
    def test_in_a_thread(self, threads: Threads) -> None:
        """It is called in a thread of ours, with the caller's context, and its result comes back."""

        def work(number: int, *, unit: str) -> tuple[str, str, str]:
            return threading.current_thread().name, _WHO.get(), f"{number} {unit}"

        async def main() -> Any:
            _WHO.set("me")
            return await threads.call(work, 3, unit="s")

        assert ("otel-sessions-store_0", "me", "3 s") == asyncio.run(main())

    def test_that_fails(self, threads: Threads, caplog: pytest.LogCaptureFixture) -> None:
        """What it raises comes back, and asyncio does not log it as if nobody knew of it."""

        async def main() -> None:
            with pytest.raises(ZeroDivisionError):
                await threads.call(lambda: 1 / 0)

        asyncio.run(main())
        gc.collect()
        assert [] == caplog.records

    def test_beside_the_event_loop(self, threads: Threads) -> None:
        """The event loop goes on meanwhile, also if all of its own threads wait for something."""

        async def main() -> str:
            gate = Gate()
            own = threading.Semaphore(0)
            busy = [asyncio.create_task(asyncio.to_thread(own.acquire)) for _ in range(100)]
            waiting = asyncio.create_task(threads.call(gate))
            await gate.reached()
            gate.open()
            found = await waiting
            own.release(len(busy))
            await asyncio.gather(*busy)
            return found

        assert "through" == asyncio.run(main())

    @pytest.mark.parametrize("times", [1, 3])
    def test_cancelled(self, threads: Threads, times: int) -> None:
        """However often it is cancelled meanwhile: that takes effect when it is done."""

        async def main() -> bool:
            gate = Gate()
            waiting = asyncio.create_task(threads.call(gate))
            await gate.reached()
            for _ in range(times):
                waiting.cancel()
                await asyncio.sleep(0)
                assert not waiting.done()
            gate.open()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            return gate.passed

        assert asyncio.run(main())

    def test_cancelled_and_failed(self, threads: Threads, caplog: pytest.LogCaptureFixture) -> None:
        """What it raises after a cancellation is nobody's business any more, and not logged as an error."""

        async def main() -> None:
            gate = Gate()
            waiting = asyncio.create_task(threads.call(lambda: [gate(), 1 / 0]))
            await gate.reached()
            waiting.cancel()
            await asyncio.sleep(0)
            gate.open()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        asyncio.run(main())
        gc.collect()
        assert [] == caplog.records

    def test_closed(self, threads: Threads) -> None:
        """A coroutine that is closed while it waits has it done all the same."""

        async def main() -> bool:
            gate = Gate()
            waiting = threads.call(gate)
            waiting.send(None)
            gate.open_soon()
            waiting.close()
            return gate.passed

        assert asyncio.run(main())


class TestHereAndNow:
    def test_without_an_event_loop(self, threads: Threads) -> None:
        """Without asyncio there is nothing to wait in."""
        with pytest.raises(StopIteration) as stopped:
            threads.call(threading.get_ident).send(None)
        assert threading.get_ident() == stopped.value.value

    def test_outside_of_tasks(self, threads: Threads) -> None:
        """Nor is there in an event loop that another one is the guest of."""
        found: list[int] = []

        def callback() -> None:
            with pytest.raises(StopIteration) as stopped:
                threads.call(threading.get_ident).send(None)
            found.append(stopped.value.value)

        async def main() -> None:
            asyncio.get_running_loop().call_soon(callback)
            await until(lambda: found)

        asyncio.run(main())
        assert [threading.get_ident()] == found

    def test_after_the_end(self, threads: Threads) -> None:
        """When the threads have been closed, it is done without them."""
        threads.close()
        assert threading.get_ident() == asyncio.run(threads.call(threading.get_ident))


class TestStart:
    def test_nobody_waits(self, threads: Threads) -> None:
        """It is called in a thread of ours while the event loop goes on."""
        gate = Gate()

        def work() -> None:
            gate()

        async def main() -> bool:
            started = threads.start(work)
            await gate.reached()
            gate.open()
            await until(lambda: gate.passed)
            return started

        assert asyncio.run(main())

    def test_without_an_event_loop(self, threads: Threads) -> None:
        """Where nobody would have to wait it is not called."""
        called: list[int] = []
        assert not threads.start(lambda: called.append(1))
        assert [] == called

    def test_after_the_end(self, threads: Threads) -> None:
        """Nor is it when the threads have been closed."""
        called: list[int] = []

        async def main() -> bool:
            return threads.start(lambda: called.append(1))

        threads.close()
        assert not asyncio.run(main())
        assert [] == called
