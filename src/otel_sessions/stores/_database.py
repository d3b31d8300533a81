"""One SQLite file, as one process uses it: opening, transactions, waiting, failures and forks."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, Final, Literal, ParamSpec, TypeVar
from urllib.parse import quote

from ..exceptions import ConfigurationError, StoreError
from . import _schema
from ._forks import Identity, forks, identity
from ._sql_values import text_or_bytes
from ._sqlite_errors import has_no_room, is_busy, is_interrupted, is_undecodable, remedy

P = ParamSpec("P")
T = TypeVar("T")

Synchronous = Literal["normal", "full"]

_POLL_SECONDS: Final = 0.0005
_CACHE_KIB: Final = 8 * 1024
_CHECKPOINT_PAGES: Final = 4000
"""How long the log grows before whoever writes has to move it into the file: the background does that more often."""
_MAX_WAL_BYTES: Final = 16 * 1024 * 1024
"""A log that grew beyond, because nobody could empty it, is cut when it can be."""

_COMPANIONS: Final = ("-wal", "-shm")
_OWNER_ONLY: Final = 0o600

_IMPATIENT_SECONDS: Final = 0.02
"""How long a call waits for other processes after one has done so in vain: for some ordinary writes."""

_MAX_INTERRUPTIONS: Final = 10
"""How often a question is asked again that a fork has interrupted."""


class _PassingError(StoreError):
    """Nothing is wrong with the file: somebody else had it for too long, or its disk has no room."""


class _InterruptedError(Exception):
    """This process is about to fork, and nothing has been done."""


class Database:
    """A connection under a lock, opened when it is needed and again after a failure.

    One connection, because SQLite lets one write at a time anyway: threads that wait for a lock get it at once when it
    is free, those that wait for the file have to ask again and again.

    Args:
        path: the file.
        timeout: how many seconds a call may wait for other processes and threads. Once that was in vain, nobody waits
            for the others any more until something could be written: a file that somebody keeps locked costs a
            timeout, and not one for each call.
        synchronous: what SQLite makes sure of when it writes.
        only_asked: whether nothing is ever written: then a fork need not wait for what goes on.
    """

    def __init__(self, path: str, *, timeout: float, synchronous: Synchronous, only_asked: bool = False) -> None:
        # Now: the working directory may change, and companions stand beside the file itself, not beside a link to it.
        self.path = Path(path).resolve()
        self._timeout = self._patience = timeout
        self._synchronous = synchronous
        self._lock = threading.Lock()
        self._cursor: sqlite3.Cursor | None = None
        self._file: Identity | None = None
        self.only_asked = only_asked
        forks.add(self)

    def try_out(self) -> None:
        """Open it once, so that what is wrong with it is known now; then close it, in case this process forks.

        What may be over soon is no reason to do without it: it is opened when it is needed, and again.

        Raises:
            ConfigurationError: it cannot be used.
        """
        try:
            self.read(lambda _cursor: None)
        except _PassingError:
            return
        except StoreError as error:
            raise ConfigurationError(str(error)) from error
        self.close()

    def read(self, work: Callable[Concatenate[sqlite3.Cursor, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns, which may read with one statement.

        Raises:
            StoreError: it could not be done in time, or at all.
        """

        def reading(cursor: sqlite3.Cursor) -> T:
            _schema.check_version(cursor, self.path)
            return work(cursor, *args, **kwargs)

        return self._do(reading)

    def look(self, work: Callable[Concatenate[sqlite3.Cursor, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns, which may read with several statements: all see the same moment.

        Raises:
            StoreError: it could not be done in time, or at all.
        """

        def looking(cursor: sqlite3.Cursor) -> T:
            cursor.execute("BEGIN")
            _schema.check_version(cursor, self.path)
            result = work(cursor, *args, **kwargs)
            cursor.execute("COMMIT")
            return result

        return self._do(looking)

    def write(self, work: Callable[Concatenate[sqlite3.Cursor, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns, done in one transaction: as a whole or not at all, while nobody else writes.

        Raises:
            StoreError: it could not be done in time, or at all.
        """

        def writing(cursor: sqlite3.Cursor) -> T:
            cursor.execute("BEGIN IMMEDIATE")
            _schema.check_version(cursor, self.path)
            result = work(cursor, *args, **kwargs)
            cursor.execute("COMMIT")
            self._patience = self._timeout
            return result

        return self._do(writing)

    def _do(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        for _ in range(_MAX_INTERRUPTIONS):
            with contextlib.suppress(_InterruptedError):
                return self._done(work)
            forks.wait()
        raise _PassingError(f"sqlite: {self.path}: this process forks again and again, and interrupts what is asked")

    def _done(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        deadline = time.monotonic() + self._timeout
        if not self._lock.acquire(timeout=self._timeout):
            raise self._late("other threads")
        deadline = min(deadline, time.monotonic() + self._patience)
        try:
            while True:
                try:
                    return work(self._opened())
                except sqlite3.OperationalError as error:  # noqa: PERF203 - to be tried again
                    self._undo()
                    if not self._takes_any_text_from_now_on(error):
                        self._wait(error, deadline)
        except StoreError:
            self._undo()
            raise
        except (sqlite3.Error, OSError) as error:
            # What was wrong with the file may be over when it is opened again.
            self._disconnect()
            kind = _PassingError if has_no_room(error, self.path) else StoreError
            raise kind(f"sqlite: {self._explain(error)}") from error
        except (OverflowError, TypeError, ValueError) as error:
            self._undo()
            raise StoreError(
                f"sqlite: {self.path}: a value cannot be stored or read: {error}; if it is one that was read, "
                "`otel-sessions verify` compares all that is stored"
            ) from error
        except BaseException:
            self._undo()
            raise
        finally:
            self._lock.release()

    def _wait(self, error: sqlite3.OperationalError, deadline: float) -> None:
        """Wait a moment for who has the file; raise what it is otherwise, or when it is too late."""
        if is_interrupted(error):
            raise _InterruptedError from error
        if not is_busy(error):
            raise error
        if time.monotonic() >= deadline:
            if not self.only_asked:
                self._patience = min(self._timeout, _IMPATIENT_SECONDS)
            raise self._late("other processes", "; see whether a backup or a tool keeps it locked") from error
        time.sleep(_POLL_SECONDS)

    def _takes_any_text_from_now_on(self, error: sqlite3.OperationalError) -> bool:
        """Let what is no UTF-8 come as bytes, which are no record, and fail nothing else; False if it does already.

        Not before something was met that is none: to look at each text would take time from all.
        """
        if self._cursor is None or self._cursor.connection.text_factory is text_or_bytes or not is_undecodable(error):
            return False
        self._cursor.connection.text_factory = text_or_bytes
        return True

    def _late(self, whom: str, advice: str = "") -> StoreError:
        return _PassingError(f"sqlite: {self.path} was in use by {whom} for more than {self._timeout:g} s{advice}")

    def _undo(self) -> None:
        if self._cursor is not None and self._cursor.connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._cursor.execute("ROLLBACK")

    # -- opening and closing ------------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Cursor:
        """The connection, of whoever has the lock."""
        return self._cursor or self._connect()

    def _connect(self) -> sqlite3.Cursor:
        # Not left to SQLite: it would open what it may only read, and make companions that nobody may write.
        if obstacle := self._obstacle():
            raise StoreError(f"sqlite: {obstacle}")
        with forks.opening:
            _create_private(self.path)
            # Before it is opened: if it is replaced in between, it is opened once more.
            self._file = identity(self.path)
            forks.check(self._file, self.path)
            connection = sqlite3.connect(
                self._uri(), uri=True, timeout=0, isolation_level=None, check_same_thread=False
            )
        try:
            self._cursor = self._prepare(connection.cursor())
        except BaseException:
            connection.close()
            raise
        return self._cursor

    def checkpoint(self) -> None:
        """Move what is in the log into the file, as far as nobody has to wait for it.

        Raises:
            StoreError: it could not be done.
        """
        self._do(lambda cursor: cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())

    def notice_replacement(self) -> None:
        """Open another file if the one that is open is not the one at its path now; later, if it is in use."""
        if self._lock.acquire(blocking=False):
            try:
                self._close_replaced()
            finally:
                self._lock.release()

    def _close_replaced(self) -> None:
        if self._cursor is not None and self._file != identity(self.path):
            self._disconnect()

    def _uri(self) -> str:
        return f"file:{quote(str(self.path))}?mode=rw"

    def _prepare(self, cursor: sqlite3.Cursor) -> sqlite3.Cursor:
        # First, so that nothing is done to a file that is not ours.
        _schema.check(cursor, self.path)
        (mode,) = cursor.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(
                f"sqlite: {self.path} cannot have a write-ahead log, which processes need to share it; "
                "its file system may be one of a network: choose a file on a local disk"
            )
        cursor.execute(f"PRAGMA synchronous = {self._synchronous}")
        cursor.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
        cursor.execute("PRAGMA secure_delete = FAST").fetchone()
        cursor.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}").fetchone()
        cursor.execute(f"PRAGMA journal_size_limit = {_MAX_WAL_BYTES}").fetchone()
        # Who only wants to ask is not to wait for who writes.
        if not _schema.is_present(cursor):
            cursor.execute("BEGIN IMMEDIATE")
            _schema.check(cursor, self.path)
            _schema.migrate(cursor)
            cursor.execute("COMMIT")
        return cursor

    def _disconnect(self) -> None:
        if self._cursor is not None:
            connection, self._cursor = self._cursor.connection, None
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        with self._lock:
            self._disconnect()

    # -- forks --------------------------------------------------------------------------------------------------------

    def hold(self, since: float) -> bool:
        """Close the connection and let nobody open it until `release`; False if it is in use all the time.

        Who only asks is interrupted, and asks again when that is over; who writes is waited for.

        Args:
            since: from when on, by the monotonic clock; the time is two timeouts.
        """
        until = since + 2 * self._timeout
        while not self._lock.acquire(timeout=_POLL_SECONDS if self.only_asked else max(0, until - time.monotonic())):
            if time.monotonic() >= until:
                return False
            self._interrupt()
        self._disconnect()
        return True

    def _interrupt(self) -> None:
        cursor = self._cursor
        if cursor is not None:
            with contextlib.suppress(sqlite3.Error):
                cursor.connection.interrupt()

    def release(self) -> None:
        """Let it be opened again."""
        self._lock.release()

    def start_afresh(self) -> tuple[Identity | None, sqlite3.Connection] | None:
        """Begin in a child process; what was open of which file when it was forked, if anything was."""
        self._lock = threading.Lock()
        cursor, self._cursor = self._cursor, None
        return None if cursor is None else (self._file, cursor.connection)

    # -- what is wrong ------------------------------------------------------------------------------------------------

    def _explain(self, error: Exception) -> str:
        """What failed, with what can be done."""
        return self._obstacle() or f"{self.path}: {error}{remedy(error, self.path)}"

    def _obstacle(self) -> str | None:
        """What stands in the way of any store there."""
        path, directory = self.path, self.path.parent
        if not directory.is_dir():
            return f"{path}: the directory {directory} does not exist; create it"
        if path.is_dir():
            return f"{path} is a directory; name a file"
        for file in (path, *(path.with_name(path.name + suffix) for suffix in _COMPANIONS)):
            if file.exists() and not os.access(file, os.R_OK | os.W_OK):
                return f"{file} cannot be read and written by this user; change its permissions"
        if not os.access(directory, os.W_OK | os.X_OK):
            return f"{path}: this user cannot create files in {directory}, which SQLite has to; change its permissions"
        return None


def _create_private(path: Path) -> None:
    """Create the file for its owner alone; SQLite gives its companions the same permissions."""
    # Only if it is not there: closing a file drops all locks that this process has on it, SQLite's among them.
    # https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
