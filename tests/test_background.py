"""The one thread of a process."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import otel_sessions
from otel_sessions import session
from otel_sessions._background import Background
from otel_sessions.testing import RecordedSessions

from . import interpreter

PATIENCE = 20.0


def threads() -> list[threading.Thread]:
    """The background threads of this process."""
    return [thread for thread in threading.enumerate() if thread.name == "otel-sessions"]


class Rounds:
    """Work that counts its rounds, and may fail."""

    def __init__(self) -> None:
        self.count = 0
        self.failing = False
        self.done = threading.Semaphore(0)

    def __call__(self) -> None:
        self.count += 1
        self.done.release()
        if self.failing:
            raise RuntimeError("this round went wrong")

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.done.acquire(timeout=PATIENCE)


@pytest.fixture(name="rounds")
def _rounds() -> Rounds:
    return Rounds()


@pytest.fixture(name="background")
def _background(rounds: Rounds) -> Iterator[Background]:
    background = Background(rounds, 0.001)
    yield background
    background.stop()
    assert [] == threads()


class TestBackground:
    def test_idle_until_started(self, background: Background) -> None:
        """There is no thread before it is needed: a process that forks workers first has none to lose."""
        assert [] == threads()

    def test_repeats(self, background: Background, rounds: Rounds) -> None:
        """The work is done again and again on one named daemon thread, which does not keep the process from ending."""
        background.start()
        rounds.wait(3)
        assert [True] == [thread.daemon for thread in threads()]

    def test_starts_once(self, background: Background, rounds: Rounds) -> None:
        """Starting from many threads at once starts one."""
        barrier = threading.Barrier(20)

        def start() -> None:
            barrier.wait()
            background.start()

        starters = [threading.Thread(target=start) for _ in range(20)]
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join()
        rounds.wait()
        assert 1 == len(threads())

    def test_stop(self, background: Background, rounds: Rounds) -> None:
        """After `stop` no round is under way and none follows; it does not start again."""
        background.start()
        rounds.wait()
        background.stop()
        count = rounds.count
        background.start()
        assert ([], count) == (threads(), rounds.count)

    def test_stop_before_start(self, background: Background) -> None:
        """What never started can be stopped, more than once."""
        background.stop()
        background.stop()
        assert [] == threads()

    def test_stop_by_itself(self) -> None:
        """The work may stop the thread that it runs on."""
        ended = threading.Event()

        def work() -> None:
            background.stop()
            ended.set()

        background = Background(work, 0.001)
        background.start()
        assert ended.wait(PATIENCE)

    def test_stop_does_not_wait_for_ever(self) -> None:
        """A round that hangs holds `stop` up only for the time-out."""
        began, release = threading.Event(), threading.Event()

        def work() -> None:
            began.set()
            release.wait()

        background = Background(work, 0.001)
        background.start()
        assert began.wait(PATIENCE)
        background.stop(timeout=0.01)
        [thread] = threads()
        release.set()
        thread.join(PATIENCE)
        assert [] == threads()

    def test_survives_failures(
        self,
        background: Background,
        rounds: Rounds,
        recorded_sessions: RecordedSessions,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A round that fails is logged, counted and followed by the next one."""
        rounds.failing = True
        background.start()
        rounds.wait(3)
        background.stop()
        assert ["this round went wrong" in message for message in caplog.messages] == [True]
        assert rounds.count == recorded_sessions.metric(
            "app_session.dropped", app_session__drop__reason="internal_error"
        )

    def test_fork(self) -> None:
        """A child process has no thread until it starts one of its own."""
        completed = interpreter.run("""
            import os, threading
            from otel_sessions._background import Background
            rounds = threading.Semaphore(0)
            background = Background(rounds.release, 0.001)
            background.start()
            rounds.acquire()
            child = os.fork()
            if child == 0:
                background.after_fork()
                before = threading.active_count()
                while rounds.acquire(blocking=False):
                    pass
                background.start()
                done = rounds.acquire(timeout=20)
                background.stop()
                print(before, done, threading.active_count(), flush=True)
                os._exit(0)
            os.waitpid(child, 0)
        """)
        assert "1 True 1\n" == completed.stdout


class TestOfSessions:
    def test_import_and_configure_start_none(self) -> None:
        """Neither importing nor configuring starts a thread; the first session does."""
        otel_sessions.configure()
        assert [] == threads()
        with session("job"):
            assert 1 == len(threads())
        otel_sessions.shutdown()
        assert [] == threads()

    def test_switched_off(self) -> None:
        """With `background=False` there is none."""
        otel_sessions.configure(background=False)
        with session("job"):
            assert [] == threads()

    def test_sweeps(self) -> None:
        """It ends expired sessions without anybody asking, with the real clock."""
        otel_sessions.configure(flush_interval=0.01)
        handle = otel_sessions.start("chat", idle_timeout=0.05)
        pause = threading.Event()
        for _ in range(2_000):
            if not handle.is_active:
                break
            pause.wait(0.01)
        assert ("expired", "idle_timeout") == (handle.status, handle.end_reason)
