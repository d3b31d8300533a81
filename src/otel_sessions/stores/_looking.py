"""One SQLite file that is only looked at: nothing in it is changed, and nothing is made beside it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, Final, NoReturn, ParamSpec, TypeVar

from ..exceptions import StoreError
from . import _schema
from ._database import Database
from ._forks import forks, identity

P = ParamSpec("P")
T = TypeVar("T")

_CACHE_KIB: Final = 8 * 1024
_TRIES: Final = 5
"""How often an answer is asked for anew that others may have written into meanwhile."""

_Stand = tuple[int, int, int, int, int]


class ReadOnlyDatabase(Database):
    """A connection that cannot write, for who has no permission to, or no reason.

    While processes use the file its log and the index of that stand beside it, and reading them is enough. When the
    last one has closed it, both are gone, and SQLite would make them for whoever reads: as files of that user, into
    which the application may not write; or not at all where that user may not. Such a file is read as one that nobody
    changes, and what was read is thrown away if somebody has: https://www.sqlite.org/wal.html#read_only_databases.
    """

    _stand: _Stand | None = None
    """How the file stood when it was opened as one that nobody changes; None if others may."""

    def write(
        self,
        work: Callable[Concatenate[sqlite3.Cursor, P], T],  # noqa: ARG002 - it is not done
        *args: P.args,  # noqa: ARG002 - as above
        **kwargs: P.kwargs,  # noqa: ARG002 - as above
    ) -> NoReturn:
        """Refuse.

        Raises:
            StoreError: always.
        """
        raise StoreError(f"sqlite: {self.path} is open for reading only (mode=ro)")

    def _do(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        for _ in range(_TRIES):
            try:
                found = super()._do(work)
            except StoreError:
                if self._is_as_it_was():
                    raise
            else:
                if self._is_as_it_was():
                    return found
            # Somebody uses it now, so that there is a log.
            self.close()
        raise StoreError(f"sqlite: {self.path} is replaced again and again while it is read; try again")

    def _is_as_it_was(self) -> bool:
        return self._stand is None or self._stand == _stand(self.path)

    def _opened(self) -> sqlite3.Cursor:
        # One that somebody has removed would go on answering, as long as it is open.
        self._close_replaced()
        return super()._opened()

    def _connect(self) -> sqlite3.Cursor:
        self._stand = None
        if obstacle := self._obstacle():
            raise StoreError(f"sqlite: {obstacle}")
        # Before it is opened: what is written from now on is noticed.
        self._stand = _stand(self.path) if self._is_at_rest() else None
        self._file = identity(self.path)
        forks.check(self._file, self.path)
        uri = f"{self._uri()}&immutable=1" if self._stand else self._uri()
        with forks.opening:
            connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._cursor = self._prepare(connection.cursor())
        except BaseException:
            connection.close()
            raise
        return self._cursor

    def _uri(self) -> str:
        return super()._uri().replace("?mode=rw", "?mode=ro")

    def _prepare(self, cursor: sqlite3.Cursor) -> sqlite3.Cursor:
        cursor.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
        _schema.check_readable(cursor, self.path)
        return cursor

    def obstacle_to_writing(self) -> str | None:
        """What keeps this user from writing there; None if nothing does."""
        return super()._obstacle()

    def _is_at_rest(self) -> bool:
        """Whether nobody has it open, as far as the files beside it say."""
        log = _beside(self.path, "-wal")
        if not log.exists():
            return True
        # Left behind, or copied along, and empty: there is nothing to read in it.
        return not self._may_index() and not _beside(self.path, "-shm").exists() and log.stat().st_size == 0

    def _may_index(self) -> bool:
        """Whether this user may make the index of a log, as a file that the application can write into."""
        is_ours = not hasattr(os, "geteuid") or os.geteuid() in {0, self.path.stat().st_uid}
        return is_ours and os.access(self.path.parent, os.W_OK | os.X_OK)

    def _obstacle(self) -> str | None:
        path, log, index = self.path, _beside(self.path, "-wal"), _beside(self.path, "-shm")
        if path.is_dir():
            return f"{path} is a directory; name a file"
        if not path.exists():
            return f"there is no file {path}"
        for file in (path, log, index):
            if file.exists() and not os.access(file, os.R_OK):
                return f"{file} cannot be read by this user; change its permissions"
        if log.exists() and log.stat().st_size and not index.exists() and not self._may_index():
            return (
                f"{path}: its log {log.name} was left by a process that did not close it, and this user may not make "
                f"the file that is needed to read it; look as the user whose file it is, or start the application once"
            )
        return None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _stand(path: Path) -> _Stand | None:
    """How a file and its log stand; None if there is no file."""
    try:
        found = path.stat()
        log = _beside(path, "-wal")
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, log.stat().st_size if log.exists() else -1
    except OSError:
        return None
