"""The one place where a telemetry failure is swallowed, counted and logged."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from otel_sessions import _guard
from otel_sessions._guard import RateLimitedLog, guarded
from otel_sessions.testing import RecordedSessions

from . import interpreter

REASSURING = "The application is not affected."


class Watch:
    """A monotonic clock in seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class TestRateLimitedLog:
    def test_first_at_once(self, caplog: pytest.LogCaptureFixture) -> None:
        """The first message about a subject is logged at once, with its arguments, at its level."""
        RateLimitedLog(Watch()).log(logging.ERROR, "disk", "%s is full: %d", "sda", 5)
        assert [("otel_sessions", logging.ERROR, "sda is full: 5")] == caplog.record_tuples

    def test_once_a_minute(self, caplog: pytest.LogCaptureFixture) -> None:
        """Then at most one a minute, which says how many were left unsaid."""
        watch = Watch()
        limited = RateLimitedLog(watch)
        for _ in range(4):
            limited.warn("disk", "%s is full", "sda")
            watch.now += 59.9 / 3
        assert ["sda is full"] == caplog.messages
        watch.now += 0.2
        limited.warn("disk", "%s is full", "sdb")
        watch.now += 60
        limited.warn("disk", "%s is full", "sdc")
        assert ["sda is full", "sdb is full (and 3 more in the last minute)", "sdc is full"] == caplog.messages

    def test_subjects_apart(self, caplog: pytest.LogCaptureFixture) -> None:
        """One subject does not silence another."""
        limited = RateLimitedLog(Watch())
        for subject in ("disk", "network", "disk"):
            limited.warn(subject, "%s", subject)
        assert ["disk", "network"] == caplog.messages

    def test_per_cent_signs(self, caplog: pytest.LogCaptureFixture) -> None:
        """Per cent signs in an argument are text."""
        watch = Watch()
        limited = RateLimitedLog(watch)
        for _ in range(3):
            limited.warn("disk", "%s", "100 %s %d")
        watch.now += 60
        limited.warn("disk", "%s", "100 %s %d")
        assert ["100 %s %d", "100 %s %d (and 2 more in the last minute)"] == caplog.messages

    def test_bounded(self) -> None:
        """Subjects that come only once do not fill the memory."""
        limited = RateLimitedLog(Watch())
        for number in range(5_000):
            limited.log(logging.DEBUG, f"subject {number}", "x")
        assert len(limited._seen) <= 1_000

    def test_threads(self, caplog: pytest.LogCaptureFixture) -> None:
        """Many threads with the same trouble log it once."""
        limited = RateLimitedLog(Watch())
        barrier = threading.Barrier(30)

        def work() -> None:
            barrier.wait()
            limited.warn("disk", "full")

        threads = [threading.Thread(target=work) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ["full"] == caplog.messages

    def test_once(self, caplog: pytest.LogCaptureFixture) -> None:
        """What need be said only once is said once, however long ago."""
        watch = Watch()
        limited = RateLimitedLog(watch)
        for _ in range(3):
            limited.once(logging.WARNING, "hint", "%s", "do this")
            watch.now += 3_600
        assert [("otel_sessions", logging.WARNING, "do this")] == caplog.record_tuples

    def test_reset(self, caplog: pytest.LogCaptureFixture) -> None:
        """After a reset everything is new again."""
        limited = RateLimitedLog(Watch())
        limited.warn("disk", "full")
        limited.reset()
        limited.warn("disk", "full")
        assert ["full", "full"] == caplog.messages

    def test_fork_while_logging(self) -> None:
        """A child process can log although another thread of the parent was about to when it forked."""
        interpreter.run("""
            import os, signal, threading
            import otel_sessions
            from otel_sessions._guard import log
            held, release = threading.Event(), threading.Event()
            def hold():
                with log._lock:
                    held.set()
                    release.wait()
            threading.Thread(target=hold, daemon=True).start()
            held.wait()
            child = os.fork()
            if not child:
                signal.alarm(10)
                log.warn("disk", "full")
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        """)


class TestGuarded:
    def test_swallowed(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """A failure is logged with its traceback, counted as dropped, and goes no further."""
        with guarded("count the sheep"):
            raise ValueError("one is missing")
        [entry] = caplog.records
        first, *_, last = entry.getMessage().splitlines()
        assert (
            "ERROR",
            f"otel-sessions could not count the sheep. {REASSURING} Traceback (most recent call last):",
            "ValueError: one is missing",
        ) == (entry.levelname, first, last)
        assert {frozenset({("app_session.drop.reason", "internal_error")}): 1} == recorded_sessions.metrics()[
            "app_session.dropped"
        ]

    def test_redacted(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """What a failure quotes is redacted before it is logged."""
        with guarded("count the sheep"):
            raise OSError("cannot reach redis://:hunter2@host")
        assert "hunter2" not in caplog.text

    def test_every_one_counted(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """Failures are counted one by one, and logged at a limited rate."""
        for _ in range(100):
            with guarded("count the sheep"):
                raise ValueError
        assert (100, 1) == (recorded_sessions.metric("app_session.dropped"), len(caplog.records))

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
    def test_not_swallowed(
        self, kind: type[BaseException], recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What asks the program to stop goes through, unlogged and uncounted."""
        with pytest.raises(kind), guarded("count the sheep"):
            raise kind
        assert ([], 0) == (caplog.records, recorded_sessions.metric("app_session.dropped"))

    def test_success(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """Where nothing fails nothing is said."""
        with guarded("count the sheep"):
            pass
        assert ([], 0) == (caplog.records, recorded_sessions.metric("app_session.dropped"))

    def test_without_runtime(self, caplog: pytest.LogCaptureFixture) -> None:
        """A failure before anything is configured is logged; it does not configure the process."""
        from otel_sessions import _runtime

        _guard.dropped("nothing")
        with guarded("count the sheep"):
            raise ValueError
        assert (1, None) == (len(caplog.records), _runtime.current)

    def test_unprintable(self) -> None:
        """An exception that cannot even be shown does no more harm."""
        completed = interpreter.run("""
            import logging
            logging.basicConfig()
            from otel_sessions._guard import guarded
            class Unprintable(Exception):
                def __repr__(self): raise RuntimeError("no")
                __str__ = __repr__
            with guarded("count the sheep"):
                raise Unprintable
            print("still here")
        """)
        assert "still here\n" == completed.stdout
