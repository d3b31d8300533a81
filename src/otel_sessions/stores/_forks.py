"""What becomes of open SQLite files when the process forks.

A connection that is open while a process forks is lost for the child and a danger to both: SQLite keeps in memory which
locks the process holds, and the child, which holds none of them, takes none either. When the parent then closes the
file it believes that it is the last, and deletes the log from under the child.
https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Final, Protocol

from ..exceptions import StoreError

Identity = tuple[int, int]
"""Of a file: its device, and its number there."""


def identity(path: Path) -> Identity | None:
    """That of the file at a path; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Connected(Protocol):
    """A connection to a file, which can be kept closed."""

    only_asked: bool
    """Whether nothing is ever written."""

    def hold(self, since: float) -> bool:
        """Close it and let nobody open it until `release`; False if it is in use for too long, seen from `since` on."""

    def release(self) -> None:
        """Let it be opened again."""

    def start_afresh(self) -> tuple[Identity | None, sqlite3.Connection] | None:
        """Begin in a child process; what was open of which file when it was forked, if anything was."""


class Shared(Protocol):
    """Connections that threads take in turn."""

    def start_afresh(self) -> None:
        """Begin in a child process."""


class Forks:
    """The connections of this process, closed while it forks."""

    def __init__(self) -> None:
        self._databases: weakref.WeakSet[Connected] = weakref.WeakSet()
        self._readers: weakref.WeakSet[Shared] = weakref.WeakSet()
        self._held: list[Connected] = []
        self._lost: dict[Identity | None, str] = {}
        """The files of which this process has inherited a connection, and what to do about that."""
        self._inherited: list[sqlite3.Connection] = []
        self._begin()

    def _begin(self) -> None:
        self._id = os.getpid()
        self.opening = threading.Lock()
        self._forking = threading.Lock()
        self._has_opening = self._has_forking = False
        """Whether it is this fork that has them."""

    def add(self, database: Connected) -> None:
        """Close it, too; while the process forks nobody makes one that would not be."""
        with self._forking:
            self._databases.add(database)

    def add_readers(self, readers: Shared) -> None:
        """Let them begin afresh in a child process."""
        with self._forking:
            self._readers.add(readers)

    def before_fork(self) -> None:
        """Close what is open, and keep it closed."""
        self._has_forking = self._forking.acquire()
        began = time.monotonic()
        # First those that let go at once: what is left of the time is for who writes.
        for database in sorted(self._databases, key=lambda database: not database.only_asked):
            if database.hold(began):
                self._held.append(database)
        self._has_opening = self.opening.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        # What was taken before: a signal whose handler raises may have cut that short, and the fork goes on.
        if self._has_opening:
            self._has_opening = False
            self.opening.release()
        held, self._held = self._held, []
        for database in held:
            database.release()
        if self._has_forking:
            self._has_forking = False
            self._forking.release()

    def after_fork_in_child(self) -> None:
        """Go on without what was open: once, whoever is the first to call it."""
        if self._id == os.getpid():
            return
        was_waited_for = self._forking.locked()
        self._begin()
        self._held = []
        for database in list(self._databases):
            inherited = database.start_afresh()
            if inherited is not None:
                self.lose(*inherited, was_waited_for=was_waited_for)
        for readers in list(self._readers):
            readers.start_afresh()

    def wait(self) -> None:
        """Wait until the process has forked, if it is about to."""
        with self._forking:
            pass

    def lose(self, file: Identity | None, connection: sqlite3.Connection, *, was_waited_for: bool) -> None:
        """Never use a file again, of which a connection was open: another one would share its lack of locks."""
        # Never closed, not even at exit: that could delete the log of the parent.
        self._inherited.append(connection)
        with contextlib.suppress(ImportError, AttributeError):
            import ctypes  # noqa: PLC0415 - rarely needed

            # The list goes when the interpreter does, and would take it along.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self._lost[file] = (
            "a call was not done in the time that a fork waits; fork before the first session, or when less is written"
            if was_waited_for
            else "fork before the first session, or by os.fork()"
        )

    def check(self, file: Identity | None, path: Path) -> None:
        """See that no connection to the file was inherited.

        Raises:
            StoreError: one was.
        """
        if file in self._lost:
            raise StoreError(
                f"sqlite: {path} was open when this process was forked, and cannot be used in it; {self._lost[file]}"
            )


forks: Final = Forks()
if sys.platform != "win32":  # pragma: no branch - where processes fork
    os.register_at_fork(
        before=forks.before_fork,
        after_in_parent=forks.after_fork_in_parent,
        after_in_child=forks.after_fork_in_child,
    )
