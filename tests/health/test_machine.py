"""What is read of the machine, and what is not known where it cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from otel_sessions import HealthCheck
from otel_sessions._health.judge import Judge
from otel_sessions._health.machine import Machine, Processors, Storage
from otel_sessions._health.minutes import Minutes
from otel_sessions._runtime import get
from otel_sessions.testing import RecordedSessions, record_sessions

MEMINFO = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\nHugePages_Total:       0\n"


@pytest.fixture(name="proc")
def _proc(tmp_path: Path) -> Path:
    """What a kernel says of a machine."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "statm").write_text("900 25 10 1 0 100 0\n")
    (tmp_path / "meminfo").write_text(MEMINFO)
    spend(tmp_path, busy=0, idle=0)
    return tmp_path


def spend(proc: Path, *, busy: int, idle: int) -> None:
    """Let the processors have been so busy, half of it for guests; half of the rest they waited for disks."""
    ticks = [busy, 0, 0, idle // 2, idle // 2, 0, 0, 0, busy // 2, 0]
    (proc / "stat").write_text(f"cpu  {' '.join(map(str, ticks))}\ncpu0 1 2 3 4\n")


class TestMachine:
    def test_known(self, proc: Path) -> None:
        """Shares of the memory; processors wait for disks, and do not count guests twice."""
        machine = Machine(proc)
        spend(proc, busy=30, idle=70)
        assert 0.75 == machine.memory_used()
        assert Processors(busy=30, all=100) == machine.processors()
        held = machine.memory_held()
        assert held is not None
        assert held * 1000 * 1024 % 25 == 0

    def test_this_one(self) -> None:
        """It says it of this machine, or that it does not know."""
        machine = Machine()
        for share in (machine.memory_used(), machine.memory_held()):
            assert share is None or 0 < share < 1

    @pytest.mark.parametrize("text", ["", "MemTotal: 0 kB\nMemAvailable: 0 kB\n", "MemFree: 5 kB\n", "a\n", "b: c\n"])
    def test_strange(self, proc: Path, text: str) -> None:
        """A kernel that says something else is not understood, and nothing is made up."""
        for name in ("meminfo", "stat"):
            (proc / name).write_text(text)
        machine = Machine(proc)
        assert (None, None, None) == (machine.memory_used(), machine.memory_held(), machine.processors())

    def test_unknown(self, tmp_path: Path) -> None:
        """A platform without these files does not say."""
        machine = Machine(tmp_path)
        assert (None, None, None) == (machine.memory_used(), machine.memory_held(), machine.processors())

    def test_no_process(self, proc: Path) -> None:
        """What this process holds is not known either if only that is missing."""
        (proc / "self" / "statm").unlink()
        assert Machine(proc).memory_held() is None

    def test_storage(self, tmp_path: Path) -> None:
        """A file system is that of the file; there is none where there is no file."""
        found = Machine.storage(tmp_path)
        assert found is not None
        assert 0 <= found.ratio <= 1
        assert Machine.storage(tmp_path / "nothing") is None
        assert 0.25 == Storage(used=1, free=3).ratio


class TestChecks:
    @pytest.fixture(name="check")
    def _check(self, proc: Path) -> Callable[[str], HealthCheck]:
        """What a check finds on that machine."""
        lifecycle = get().lifecycle
        judge = Judge(lifecycle, Minutes(lifecycle, Machine(proc)))

        def check(name: str) -> HealthCheck:
            return next(each for each in judge.report().checks if each.type == name)

        return check

    @pytest.fixture(name="recorded", autouse=True)
    def _recorded(self) -> object:
        with record_sessions() as recorded:
            yield recorded

    def test_processors(self, recorded: RecordedSessions, check: Callable[[str], HealthCheck], proc: Path) -> None:
        """Processors that were hardly idle for ten minutes; before, nothing is said."""
        for minute in range(10):
            spend(proc, busy=96 * minute, idle=4 * minute)
            assert not check("SessionHostCpuHigh").is_judged
            recorded.clock.advance(60)
        spend(proc, busy=960, idle=40)
        found = check("SessionHostCpuHigh")
        assert ("warning", 0.96) == (found.severity, found.current_value)
        recorded.clock.advance(600)
        spend(proc, busy=1000, idle=1000)
        assert check("SessionHostCpuHigh").is_ok

    def test_memory(self, check: Callable[[str], HealthCheck], proc: Path) -> None:
        """Memory of which hardly any is left."""
        assert ("ok", 0.75) == check("SessionHostMemoryHigh")[2:5:2]
        (proc / "meminfo").write_text(MEMINFO.replace("250", "50"))
        assert "warning" == check("SessionHostMemoryHigh").severity

    def test_unknown(self, check: Callable[[str], HealthCheck], proc: Path) -> None:
        """Where the platform does not say, nothing is said."""
        for name in ("meminfo", "stat"):
            (proc / name).unlink()
        for name in ("SessionHostMemoryHigh", "SessionProcessMemoryHigh", "SessionHostCpuHigh"):
            found = check(name)
            assert (True, False) == (found.is_ok, found.is_judged)
            assert "platform" in str(found.reason)
