"""Which process this is, said in a way by which others can tell that it is gone."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from typing import Final

_NUMBER: Final = re.compile(rb"\d+")
_START_TIME: Final = 19  # of the fields after the command's name; field 22 of proc_pid_stat(5)
_BEHIND: Final = "z"
"""Sorts after all numbers."""


def mint(*, emits: bool = True) -> str:
    """A new name for this process: the time, where it runs, its number, when it started, and something random.

    Names sort by age, as far as the clocks of their machines agree; those of processes that cannot emit what others
    leave stand behind those that can.
    """
    process, rank = os.getpid(), "" if emits else _BEHIND
    return f"{rank}{time.time_ns():016x}.{_place()}.{process}.{_started(process)}.{secrets.token_hex(8)}"


def is_gone(name: str) -> bool:
    """Whether the process of that name has ended, as far as that can be seen from here: only on the same machine."""
    _, place, process, started, _ = [*name.split("."), "", "", "", "", ""][:5]
    if not place or place != _place() or not process.isdigit():
        return False
    return _started(int(process)) != started


def siblings() -> int:
    """How many other processes have the same parent and the same command line: workers of one server, most likely.

    0 where that cannot be seen.
    """
    try:
        parent, own, command = os.getppid(), os.getpid(), _command("self")
        children = _read(f"{parent}/task/{parent}/children").decode().split()
    except OSError:
        return 0
    return sum(_command(child) == command for child in children if child != str(own))


def _command(process: str) -> bytes:
    try:
        # Workers that are spawned and not forked have file numbers of their own in it.
        return _NUMBER.sub(b"0", _read(f"{process}/cmdline"))
    except OSError:
        return b""


def _place() -> str:
    """What all processes share that see the same process numbers; empty where that cannot be known.

    Not the host's name: containers may share that, and number their processes from 1 each.
    """
    try:
        boot = _read("sys/kernel/random/boot_id").decode()
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - pathlib takes longer to load than most of this
    except OSError:
        return ""
    return hashlib.blake2b(f"{boot}{namespace}".encode(), digest_size=8).hexdigest()


def _started(process: int) -> str:
    """When the process with that number started, in ticks since the machine did; empty if there is none.

    The number alone would be given to another process one day. One that has ended and that nobody has waited for yet
    is gone.
    """
    try:
        stat = _read(f"{process}/stat").decode(errors="replace")
    except OSError:
        return ""
    # The name of the command stands in parentheses and may contain anything.
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in {"Z", "X"} else fields[_START_TIME - 1]


def _read(path: str) -> bytes:
    with open(f"/proc/{path}", "rb") as file:  # noqa: PTH123 - as above
        return file.read()
