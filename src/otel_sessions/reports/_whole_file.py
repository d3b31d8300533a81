"""A file that is there as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ..exceptions import InvalidValueError


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[TextIO]:
    """A file that is at `path` once all is written, and never before: who opens the old one meanwhile sees the old one.

    A new one is for its owner alone; one that is replaced keeps its permissions. A symbolic link stays one: where it
    leads to is written.

    Raises:
        InvalidValueError: there is a file already, and it is not to be replaced; or it is none.
        OSError: it cannot be written.
    """
    # Of a link that leads nowhere yet, too, and before the look: it may be replaced as a file is.
    path = Path(os.path.realpath(path))
    _check_free(path, overwrite=overwrite)
    # Readable by its owner alone, and on the same file system, so that it can take its place in one step.
    number, beside = tempfile.mkstemp(prefix=".otel-sessions-", suffix=".part", dir=path.parent)
    try:
        with open(number, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - it is open already
            yield file
            file.flush()
            os.fsync(file.fileno())
        # Once more: it may have been made meanwhile.
        _check_free(path, overwrite=overwrite)
        if path.exists():
            # It was given to others, or not, by whoever keeps it.
            Path(beside).chmod(path.stat().st_mode & 0o777)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _check_free(path: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(path):
        return
    # A device, a pipe or a folder would be replaced by a file.
    if not path.is_file():
        raise InvalidValueError(f"{str(path)!r} is no file: choose another name")
    if not overwrite:
        raise InvalidValueError(f"{str(path)!r} is there already: choose another name, or overwrite it")
