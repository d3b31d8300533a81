"""A process's name tells whether it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from otel_sessions import _process

from . import interpreter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only the silence of a process tells")

NAME = "from otel_sessions import _process; print(_process.mint(), flush=True)"


class TestName:
    def test_alive(self) -> None:
        """The process that asks is not gone, nor are others that run."""
        assert not _process.is_gone(_process.mint())
        with subprocess.Popen(
            [sys.executable, "-c", f"{NAME}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None
            assert not _process.is_gone(other.stdout.readline().strip())
            other.communicate("\n")

    def test_ended(self) -> None:
        """A process that has ended is gone."""
        assert _process.is_gone(interpreter.run(NAME).stdout.strip())

    def test_killed_and_not_waited_for(self) -> None:
        """A killed process is gone even before its parent has taken notice."""
        with subprocess.Popen(
            [sys.executable, "-c", f"{NAME}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            name = other.stdout.readline().decode().strip()
            os.kill(other.pid, signal.SIGKILL)
            deadline = time.monotonic() + 10
            while not _process.is_gone(name):
                assert time.monotonic() < deadline
                os.sched_yield()

    def test_number_used_again(self) -> None:
        """Another process that was given the same number is not mistaken for it."""
        age, place, process, started, token = _process.mint().split(".")
        assert _process.is_gone(f"{age}.{place}.{process}.{int(started) + 1}.{token}")

    def test_elsewhere(self) -> None:
        """Of a process on another machine nothing can be known."""
        age, _, _, started, token = _process.mint().split(".")
        assert not _process.is_gone(f"{age}.{'0' * 16}.1.{started}.{token}")

    @pytest.mark.parametrize("name", ["", "a", "..", "a.b.c.d.e", f"0.{_process.mint().split('.')[1]}.x"])
    def test_not_a_name(self, name: str) -> None:
        """What is no such name says nothing."""
        assert not _process.is_gone(name)

    def test_of_its_own(self) -> None:
        """Two names of one process differ, for it may start anew, and the older one sorts first."""
        names = [_process.mint() for _ in range(3)]
        assert sorted(set(names)) == names


class TestSiblings:
    def test_workers(self) -> None:
        """Processes that one parent has started in the same way see each other; others do not count."""
        code = """
            import subprocess, sys
            work = "print(flush=True); input(); from otel_sessions import _process; print(_process.siblings())"
            workers = [subprocess.Popen([sys.executable, "-c", work], stdin=-1, stdout=-1, text=True) for _ in range(3)]
            other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, text=True)
            for worker in workers:
                worker.stdout.readline()
            # One after the other: each is gone when the next one looks.
            print([worker.communicate("go")[0].strip() for worker in workers])
            other.communicate("go")
        """
        assert "['2', '1', '0']\n" == interpreter.run(code).stdout
