"""A file system of a megabyte, for a test of what a full disk does."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import pytest

# In a namespace of the command's own, in which it is root: the file system is there for it only, and goes with it.
_IN_NAMESPACE: Final = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'


@dataclass(frozen=True)
class SmallDisk:
    """Where it is, and the command within which it is there."""

    path: Path
    within: Sequence[str] = ()


class _CannotMountError(Exception):
    """Why it cannot be done in this way."""


@contextmanager
def _mounted(path: Path, *as_root: str) -> Iterator[SmallDisk]:
    _run(*as_root, "mount", "-t", "tmpfs", "-o", f"size=1m,mode=0700,uid={os.getuid()}", "tmpfs", str(path))
    try:
        yield SmallDisk(path)
    finally:
        # Lazy: a collector that was killed a moment ago may still hold a file.
        _run(*as_root, "umount", "--lazy", str(path))


@contextmanager
def _by_root(path: Path) -> Iterator[SmallDisk]:
    if os.geteuid() != 0:
        raise _CannotMountError(f"user {os.geteuid()} is not root")
    with _mounted(path) as disk:
        yield disk


@contextmanager
def _by_sudo(path: Path) -> Iterator[SmallDisk]:
    with _mounted(path, "sudo", "-n") as disk:
        yield disk


@contextmanager
def _in_namespace(path: Path) -> Iterator[SmallDisk]:
    within = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _IN_NAMESPACE, str(path))
    _run(*within, "true")
    yield SmallDisk(path, within)


WAYS: Final = (_by_root, _by_sudo, _in_namespace)


@contextmanager
def small_disk(*ways: Callable[[Path], AbstractContextManager[SmallDisk]]) -> Iterator[SmallDisk]:
    """Made in the first of these ways (all there are) that is possible; else the test is skipped, and fails in CI."""
    path = Path(tempfile.mkdtemp(prefix="small-disk-"))
    reasons = []
    with ExitStack() as held:
        held.callback(path.rmdir)
        for way in ways or WAYS:
            made = _made(held, way(path))
            if isinstance(made, SmallDisk):
                yield made
                return
            reasons.append(made)
        _give_up(f"no file system can be mounted here: {'; '.join(reasons)}")


def _made(held: ExitStack, way: AbstractContextManager[SmallDisk]) -> SmallDisk | str:
    try:
        return held.enter_context(way)
    except _CannotMountError as error:
        return str(error)


def _give_up(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _run(*command: str) -> None:
    if shutil.which(command[0]) is None:
        raise _CannotMountError(f"there is no {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise _CannotMountError(f"{' '.join(command)}: {done.stderr.strip()}")
