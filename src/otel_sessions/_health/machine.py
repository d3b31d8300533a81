"""How busy and how full this machine is, as far as the operating system says so without another library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

_KIB: Final = 1024
_IDLE, _IOWAIT = 3, 4
_GUEST: Final = 8
"""In `/proc/stat`, what guests use is part of what users use. https://man7.org/linux/man-pages/man5/proc_stat.5.html"""


class Processors(NamedTuple):
    """How long the processors were busy since the machine started, of how long they could have been."""

    busy: int
    all: int


class Storage(NamedTuple):
    """A file system, in bytes."""

    used: int
    free: int

    @property
    def ratio(self) -> float:
        """The share of it that is used, of what can be."""
        return self.used / (self.used + self.free)


class Machine:
    """Reads it from `/proc`; where there is none, None is what is known."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def processors(self) -> Processors | None:
        """How busy they were. Waiting for disks is no work of theirs."""
        try:
            first = (self._proc / "stat").read_text(encoding="ascii").partition("\n")[0].split()
            ticks = [int(each) for each in first[1 : _GUEST + 1]]
        except (OSError, ValueError):
            return None
        if len(ticks) <= _IOWAIT:
            return None
        return Processors(sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT], sum(ticks))

    def memory_used(self) -> float | None:
        """The share of the memory that is not available to a process that asks for it."""
        known = self._meminfo()
        if "MemAvailable" not in known or not known.get("MemTotal"):
            return None
        return 1 - known["MemAvailable"] / known["MemTotal"]

    def memory_held(self) -> float | None:
        """The share of the memory that this process holds."""
        total = self._meminfo().get("MemTotal")
        try:
            pages = int((self._proc / "self" / "statm").read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):
            return None
        return pages * os.sysconf("SC_PAGE_SIZE") / total if total else None

    def _meminfo(self) -> dict[str, int]:
        """Bytes, by name."""
        try:
            lines = (self._proc / "meminfo").read_text(encoding="ascii").splitlines()
            parts = (line.partition(":") for line in lines)
            return {name: int(value.split()[0]) * _KIB for name, _, value in parts}
        except (OSError, ValueError, IndexError):
            return {}

    @staticmethod
    def storage(path: Path) -> Storage | None:
        """The file system that a file is on."""
        import shutil  # noqa: PLC0415 - it loads what unpacks archives: only where it is asked for

        try:
            found = shutil.disk_usage(path)
        except OSError:
            return None
        return Storage(found.used, found.free)
