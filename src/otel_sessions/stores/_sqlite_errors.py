"""What errors of SQLite mean."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from pathlib import Path
from typing import Final

_OF_A_FULL_DISK: Final = {
    "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_TRUNCATE", "SQLITE_IOERR_SHMSIZE",
}  # fmt: skip
"""https://www.sqlite.org/rescode.html: what is lasting, such as a file system without locks, is called otherwise."""


def remedy(error: Exception, path: Path) -> str:
    """What comes after the words of an error about the file at that path: what to do."""
    reason = str(error)
    if "not a database" in reason:
        return "; choose another file"
    if "malformed" in reason:
        return (
            "; it is damaged: move it away, and a new one is made (the sqlite3 command's .recover reads what is left)"
        )
    if has_no_room(error, path):
        return "; see that there is space on its disk"
    if "disk I/O" in reason:
        return "; see whether its disk is sound, and its file system a local one"
    return ""


def has_no_room(error: Exception, path: Path) -> bool:
    """Whether it failed because the disk is full, as far as SQLite says."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    # Known from Python 3.11 on.
    name, text = getattr(error, "sqlite_errorname", None), str(error)
    if "unable to open" in text:
        # So it calls a log that cannot be made.
        return sys.platform != "win32" and _is_full(path.parent)
    return "is full" in text or ("disk I/O" in text and (name is None or name in _OF_A_FULL_DISK))


def _is_full(directory: Path) -> bool:
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    # Some file systems do not count their files.
    return not disk.f_bavail or (disk.f_files > 0 and not disk.f_favail)


def is_interrupted(error: sqlite3.OperationalError) -> bool:
    """Whether it was told to stop."""
    return str(error) == "interrupted"


def is_undecodable(error: sqlite3.OperationalError) -> bool:
    """Whether a text was met that is no UTF-8."""
    return str(error).startswith("Could not decode to UTF-8")


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Whether somebody else has the file, or the table."""
    # By its text: its code is known from Python 3.11 on.
    return str(error).startswith(("database is locked", "database table is locked"))
