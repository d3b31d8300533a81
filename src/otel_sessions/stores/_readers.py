"""Several connections to one SQLite file that are only asked, so that one long question keeps no other one waiting."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Concatenate, Final, ParamSpec, TypeVar

from ._database import Database
from ._forks import forks

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE: Final = 4
"""How many questions are answered side by side: each has a connection, with files and a cache of its own."""


class Readers:
    """Connections that threads take in turn: the log lets them read side by side, and beside who writes.

    Who comes while all of them are in use waits until one is free, however long that takes: the file is well, and an
    error would tell of a store that fails.

    Args:
        another: makes a connection.
    """

    def __init__(self, another: Callable[[], Database]) -> None:
        self._another = another
        self.start_afresh()
        forks.add_readers(self)

    def start_afresh(self) -> None:
        """Begin in a child process: whoever used a connection in the parent gives none back here."""
        self._free = threading.Condition(threading.Lock())
        self._all: list[Database] = []
        self._idle: list[Database] = []
        """Those of them that nobody uses; the last is the one that was used last."""

    def read(self, work: Callable[Concatenate[sqlite3.Cursor, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns, which may read with one statement.

        Raises:
            StoreError: it could not be done.
        """
        with self._taken() as database:
            return database.read(work, *args, **kwargs)

    def look(self, work: Callable[Concatenate[sqlite3.Cursor, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns, which may read with several statements: all see the same moment.

        Raises:
            StoreError: it could not be done.
        """
        with self._taken() as database:
            return database.look(work, *args, **kwargs)

    @contextmanager
    def _taken(self) -> Iterator[Database]:
        database = self._take()
        try:
            yield database
        finally:
            with self._free:
                self._idle.append(database)
                self._free.notify()

    def _take(self) -> Database:
        with self._free:
            while not self._idle and len(self._all) == AT_ONCE:
                self._free.wait()
            if not self._idle:
                self._all.append(self._another())
                return self._all[-1]
            return self._idle.pop()

    def tidy(self) -> None:
        """Close those that nobody needs at present but one, and what is open of a file that has been replaced."""
        with self._free:
            spare, self._idle = self._idle[:-1], self._idle[-1:]
            self._all = [database for database in self._all if database not in spare]
            kept = list(self._all)
        for database in spare:
            database.close()
        for database in kept:
            database.notice_replacement()

    def close(self) -> None:
        """Close all of them, each when whoever uses it is done; the next call opens another one."""
        with self._free:
            opened = list(self._all)
        for database in opened:
            database.close()
