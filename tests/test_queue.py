"""Where questions wait that may take long."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from otel_sessions._queue import Queue

from .gate import Gate
from .interpreter import answer

_WHO: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")

Ask = Callable[[Callable[[], str], Callable[[], str]], str]


@pytest.fixture(name="queue")
def _queue(request: pytest.FixtureRequest) -> Iterator[Queue]:
    """One is answered at a time, and one may wait: not for long if somebody else is `busy`."""
    queue = Queue("test", 1, waiting=1, patience=0.01 if "busy" in request.fixturenames else 10)
    yield queue
    queue.close()


@pytest.fixture(name="ask", params=["call", "call_async"])
def _ask(request: pytest.FixtureRequest, queue: Queue) -> Ask:
    """Ask in this thread, or in an event loop."""
    if request.param == "call":
        return queue.call
    return lambda function, instead: asyncio.run(queue.call_async(function, instead))


@pytest.fixture(name="busy")
def _busy(queue: Queue) -> Iterator[Gate]:
    """Somebody is being answered."""
    gate = Gate()

    def ask() -> str:
        # Until its turn comes, however slow this machine is at present.
        return queue.call(gate, ask)

    with ThreadPoolExecutor(1) as others:
        asked = others.submit(ask)
        asyncio.run(gate.reached())
        yield gate
        gate.open()
        assert asked.result() == "through"


class Called:
    """What has been called."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def function(self) -> str:
        self.names.append("function")
        return "yes"

    def instead(self) -> str:
        self.names.append("instead")
        return "no"


def yes() -> str:
    return "yes"


def no() -> str:
    return "no"


def fail() -> str:
    raise ZeroDivisionError


class TestCall:
    def test_in_a_thread(self, ask: Ask) -> None:
        """It is called in a thread of the queue, with the caller's context."""
        _WHO.set("me")
        assert ask(lambda: f"{_WHO.get()} in {threading.current_thread().name}", no) == "me in otel-sessions-test_0"

    def test_that_fails(self, ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
        """What it raises comes back, and what is there instead is not called."""
        called = Called()
        with pytest.raises(ZeroDivisionError):
            ask(fail, called.instead)
        gc.collect()
        assert ([], []) == (called.names, caplog.records)

    def test_after_another(self, ask: Ask, queue: Queue) -> None:
        """However many there have been, there is room for the next."""
        assert [ask(yes, no) for _ in range(5)] == ["yes"] * 5

    def test_without_an_event_loop(self, queue: Queue) -> None:
        """Under trio it is called here and now."""
        with pytest.raises(StopIteration) as stopped:
            queue.call_async(threading.current_thread, threading.main_thread).send(None)
        assert threading.current_thread() is stopped.value.value


class TestBusy:
    def test_its_turn_does_not_come(self, ask: Ask, busy: Gate) -> None:
        """After its patience it gets what there is instead, and is not called later."""
        called = Called()
        assert ask(called.function, no) == "no"
        assert ask(yes, no) == "no"
        busy.open()
        assert called.names == []

    def test_too_many_wait(self) -> None:
        """Who finds no room to wait in does not wait."""
        patient = Queue("patient", 1, waiting=1, patience=10)

        async def main() -> tuple[float, list[str]]:
            gate = Gate()
            first = asyncio.create_task(patient.call_async(gate, no))
            await gate.reached()
            second = asyncio.create_task(patient.call_async(yes, no))
            await asyncio.sleep(0)
            began = time.monotonic()
            third = await patient.call_async(yes, no), patient.call(yes, no)
            waited = time.monotonic() - began
            assert not gate.passed
            gate.open()
            return waited, [await first, await second, *third]

        waited, found = asyncio.run(main())
        patient.close()
        assert found == ["through", "yes", "no", "no"]
        assert waited < 5

    def test_closed(self, ask: Ask, queue: Queue) -> None:
        """When it is closed nothing is taken."""
        queue.close()
        assert ask(yes, no) == "no"

    def test_closed_meanwhile(self) -> None:
        """Who waits while it is closed is not kept waiting; what is under way goes on."""
        queue = Queue("test", 1, patience=10)

        async def main() -> list[str]:
            gate = Gate()
            first = asyncio.create_task(queue.call_async(gate, no))
            await gate.reached()
            second = asyncio.create_task(queue.call_async(yes, no))
            third = asyncio.create_task(asyncio.to_thread(queue.call, yes, no))
            await asyncio.sleep(0.05)
            queue.close()
            found = [await second, await third]
            gate.open()
            return [*found, await first]

        assert asyncio.run(main()) == ["no", "no", "through"]


class TestCancelled:
    def test_while_it_waits(self, queue: Queue, busy: Gate) -> None:
        """It is never called, what there is instead is, once, and its room is free again."""
        called = Called()

        async def main() -> None:
            waiting = asyncio.create_task(queue.call_async(called.function, called.instead))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        asyncio.run(main())
        asyncio.run(main())
        busy.open()
        assert called.names == ["instead", "instead"]

    @pytest.mark.parametrize("later", [0.0, 1.1])
    def test_while_it_is_answered(self, later: float, caplog: pytest.LogCaptureFixture) -> None:
        """Its task ends at once; the thread is free when it is done, and nobody is told what came of it."""
        queue, gate = Queue("test", 1, patience=1), Gate()

        async def main() -> None:
            asked = asyncio.create_task(queue.call_async(lambda: gate() + fail(), no))
            await gate.reached()
            await asyncio.sleep(later)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked

        asyncio.run(main())
        assert not gate.passed
        gate.open()
        assert queue.call(yes, no) == "yes"
        queue.close()
        gc.collect()
        assert [] == caplog.records

    @pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals of threads here")
    def test_by_the_server(self) -> None:
        """What a server raises in a thread that waits takes its question out of the queue."""
        called = Called()
        queue, gate = Queue("test", 1, patience=10), Gate()
        first = threading.Thread(target=queue.call, args=(gate, no))
        first.start()
        asyncio.run(gate.reached())

        def abort(_number: int, _frame: object) -> None:
            raise SystemExit(1)

        before = signal.signal(signal.SIGUSR1, abort)
        threading.Timer(0.3, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1)).start()
        try:
            with pytest.raises(SystemExit):
                queue.call(called.function, called.instead)
        finally:
            signal.signal(signal.SIGUSR1, before)
        gate.open()
        first.join()
        assert (called.names, queue.call(yes, no)) == (["instead"], "yes")
        queue.close()


class TestFork:
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_a_child_has_its_own(self) -> None:
        """A process that is forked while all threads of its parent are busy is answered."""
        code = """
        import json, os, threading, warnings
        from otel_sessions import _runtime
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        reached, go_on = threading.Semaphore(0), threading.Event()

        def wait():
            reached.release()
            go_on.wait(30)

        def ask(function):
            return _runtime.get().queues.reports.call(function, lambda: "busy")

        asking = [threading.Thread(target=ask, args=(wait,)) for _ in range(11)]
        for each in asking:
            each.start()
        for _ in range(3):
            reached.acquire()
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.write(writing, ask(lambda: "answered").encode())
            os._exit(0)
        os.close(writing)
        found = os.read(reading, 100).decode()
        os.wait()
        go_on.set()
        for each in asking:
            each.join()
        print(json.dumps(found))
        """
        assert answer(code) == "answered"
