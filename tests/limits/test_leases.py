"""Leases in trouble: cancelled tasks, forks, the garbage collector, many threads, a background that is late."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import ConcurrencyExceededError, InvalidValueError, Lease, Session, current_session, limited
from otel_sessions.limits import Concurrency, Tier
from otel_sessions.testing import RecordedSessions, record_sessions

from ..failing_store import FailingStore
from ..gate import Gate, until

TRIAL = Tier("trial", Concurrency("file", 1), Concurrency("export", 1), Concurrency("quick", 1, ttl=0.5))
MANY = Tier("trial", Concurrency("file", 1_000_000))


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    with record_sessions(tiers=[TRIAL]) as recorded:
        yield recorded


def trial(user: str = "u1") -> Session:
    """A durable session of the tier `trial`."""
    return otel_sessions.start("web", user=user, tier="trial")


def is_free(session: Session, *names: str) -> bool:
    """Whether there is a slot of each name."""
    with contextlib.ExitStack() as stack:
        try:
            for name in names or ("file",):
                stack.enter_context(session.lease(name))
        except ConcurrencyExceededError:
            return False
    return True


class TestCancelled:
    """A task that is cancelled while it asks a store outside of the process."""

    @pytest.fixture(name="store")
    def _store(self) -> FailingStore:
        return FailingStore(shared=True)

    @pytest.fixture(name="session")
    def _session(self, store: FailingStore) -> Iterator[Session]:
        with record_sessions(tiers=[TRIAL], store=store, pseudonym_key="k" * 16):
            yield trial()

    @staticmethod
    def cancel(store: FailingStore, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel `work` while its first question about limits is with the store."""

        async def main() -> None:
            gate = store.before["limits"] = Gate()
            task = asyncio.create_task(work())
            await gate.reached()
            task.cancel()
            await asyncio.sleep(0)
            gate.open()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())

    def test_on_entering(self, store: FailingStore, session: Session) -> None:
        """The slot is given back, for the block is never entered, and so never left."""
        lease = session.lease("file")

        async def work() -> None:
            async with lease:
                raise AssertionError("it was cancelled before")

        self.cancel(store, work)
        assert not lease.is_held
        assert is_free(session)

    def test_asking_for_several(self, store: FailingStore, session: Session) -> None:
        """All that was asked for is given back."""
        leases = [session.lease("file"), session.lease("export")]
        self.cancel(store, lambda: session.admit_async(leases=leases))
        assert is_free(session, "file", "export")

    def test_decorated(self, store: FailingStore, session: Session) -> None:
        """So it is when the function is decorated."""

        @limited(leases=["file", "export"])
        async def work() -> None:
            raise AssertionError("it was cancelled before")

        with session:
            self.cancel(store, work)
        assert is_free(session, "file", "export")

    def test_on_leaving(self, store: FailingStore, session: Session) -> None:
        """A task that is cancelled while it gives back its slots has given back all of them."""

        @limited(leases=["file", "export"])
        async def work() -> None:
            # From here on the next question is that of giving back.
            cancelling.append(store.before.setdefault("limits", Gate()))

        cancelling: list[Any] = []

        async def main() -> None:
            with session:
                task = asyncio.create_task(work())
                await until(lambda: cancelling)
                (gate,) = cancelling
                await gate.reached()
                task.cancel()
                await asyncio.sleep(0)
                gate.open()
                with pytest.raises(asyncio.CancelledError):
                    await task

        asyncio.run(main())
        assert is_free(session, "file", "export")

    def test_held_already(self, store: FailingStore, session: Session) -> None:
        """What was held before is not given back."""
        lease = session.lease("file")
        lease.acquire()

        async def main() -> None:
            with pytest.raises(InvalidValueError, match="held already"):
                await session.admit_async(leases=[lease])

        asyncio.run(main())
        assert lease.is_held
        assert not is_free(session)


class TestAgain:
    def test_after_a_loss(self, recorded: RecordedSessions) -> None:
        """A lease that was lost is held again once it is acquired again."""
        session = trial()
        lease, other = session.lease("file"), session.lease("file")
        lease.acquire()
        recorded.clock.advance(31)
        other.acquire()
        recorded.advance(0)
        assert lease.is_lost
        lease.release()
        other.release()
        lease.acquire()
        assert (True, False) == (lease.is_held, lease.is_lost)

    def test_free_again(self, recorded: RecordedSessions) -> None:
        """A lease that was lost stays lost, and takes no slot from anybody when its own is free again."""
        session = trial()
        lease, other = session.lease("file"), session.lease("file")
        lease.acquire()
        recorded.clock.advance(31)
        other.acquire()
        recorded.advance(0)
        other.release()
        recorded.advance(11)
        assert (False, True) == (lease.is_held, lease.is_lost)
        with session.lease("file") as third:
            lease.release()
            assert third.is_held
            assert not is_free(session)

    def test_together(self, recorded: RecordedSessions) -> None:
        """What is held cannot be asked for together with others either."""
        session = trial()
        with session.lease("file") as lease, pytest.raises(InvalidValueError, match="held already"):
            session.admit(leases=[lease])

    def test_made_outside(self, recorded: RecordedSessions) -> None:
        """A lease that was made outside of any session is given back like any other."""
        lease = current_session().lease("file")
        session = trial()
        session.admit(leases=[lease])
        assert not is_free(session)
        lease.release()
        assert is_free(session)


class TestRenewal:
    def test_given_back_meanwhile(self) -> None:
        """A slot that is given back while it is being renewed is free, whoever the store hears first."""
        store = FailingStore()
        with record_sessions(tiers=[TRIAL], store=store) as recorded:
            session = trial()
            lease = session.lease("file")
            lease.acquire()
            recorded.clock.advance(11)
            store.before["limits"] = lease.release
            recorded.advance(0)
            assert is_free(session)

    def test_acquired_anew_meanwhile(self) -> None:
        """One that is acquired anew at that moment is held."""
        store = FailingStore()
        with record_sessions(tiers=[TRIAL], store=store) as recorded:
            session = trial()
            lease = session.lease("file")
            lease.acquire()
            recorded.clock.advance(11)

            def again() -> None:
                lease.release()
                lease.acquire()

            store.before["limits"] = again
            recorded.advance(0)
            assert lease.is_held
            assert not is_free(session)

    def test_longer_than_a_round(self) -> None:
        """A time to live in which the background does not come round is as long as three rounds."""
        with record_sessions(tiers=[TRIAL], flush_interval=5) as recorded:
            session = trial()
            lease = session.lease("quick")
            lease.acquire()
            for _ in range(4):
                recorded.clock.advance(5)
                assert not is_free(session, "quick")
                recorded.advance(0)
            assert lease.is_held

    def test_many_threads(self) -> None:
        """Leases are renewed and counted while threads acquire and release others."""
        with record_sessions(tiers=[MANY]) as recorded:
            session = trial()
            kept = [session.lease("file") for _ in range(1_000)]
            for lease in kept:
                lease.acquire()
            done = threading.Event()

            def churn() -> None:
                while not done.is_set():
                    with session.lease("file"):
                        pass

            threads = [threading.Thread(target=churn) for _ in range(4)]
            before = sys.getswitchinterval()
            sys.setswitchinterval(1e-5)
            try:
                for thread in threads:
                    thread.start()
                for _ in range(300):
                    recorded.advance(0.01)
            finally:
                done.set()
                sys.setswitchinterval(before)
                for thread in threads:
                    thread.join()
            assert 1_000 == recorded.metric("app_session.lease.active")


class TestFork:
    def test_of_the_parent(self, tmp_path: Path) -> None:
        """A child process that leaves the block in which it was forked does not give back its parent's slot."""
        otel_sessions.configure(store=f"sqlite:///{tmp_path}/sessions.db", tiers=[TRIAL], pseudonym_key="k" * 16)
        session = trial()
        with session.lease("file") as lease:
            child = os.fork()
            if child == 0:
                lease.__exit__(None, None, None)
                os._exit(int(lease.is_held))
            assert (child, 0) == os.waitpid(child, 0)
            assert not is_free(session)
        assert is_free(session)


class TestCollector:
    def test_in_the_middle_of_a_call(self) -> None:
        """A generator that is collected while this thread asks the store gives its slot back in the next round."""
        store = FailingStore()
        with record_sessions(tiers=[TRIAL], store=store) as recorded:
            session = trial()
            _forget_in_a_cycle(session)
            store.before["limits"] = gc.collect
            assert not is_free(session)
            recorded.advance(0)
            assert is_free(session)


def _forget_in_a_cycle(session: Session) -> None:
    def work() -> Iterator[Lease]:
        with session.lease("file") as lease:
            yield lease

    class Cycle:
        pass

    cycle: Any = Cycle()
    cycle.itself, cycle.generator = cycle, work()
    next(cycle.generator)
