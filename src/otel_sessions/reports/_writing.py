"""Writing sessions into a stream, and a file that is there as a whole or not at all."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from .._models import SessionRecord
from ..exceptions import InvalidValueError
from ._description import describe
from ._rows import COLUMNS, csv_row, json_line


def write(
    stream: TextIO,
    pages: Iterator[list[SessionRecord]],
    *,
    at_ns: int,
    as_csv: bool,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write pages of sessions, the active ones as they are at that time; how many sessions that were."""
    written = 0
    put = _as_csv(stream) if as_csv else lambda found: stream.write(json_line(found))
    for page in pages:
        for record in page:
            put(describe(record, at_ns))
        written += len(page)
        if progress is not None and page:
            progress(written)
    return written


def _as_csv(stream: TextIO) -> Callable[[Mapping[str, Any]], object]:
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    return lambda found: writer.writerow(csv_row(found))


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[TextIO]:
    """A file that is at `path` once all is written, and never before."""
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
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink()
        raise


def _check_free(path: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(path):
        return
    # A device, a pipe or a folder would be replaced by a file.
    if not path.is_file():
        raise InvalidValueError(f"{str(path)!r} is no file: choose another name")
    if not overwrite:
        raise InvalidValueError(f"{str(path)!r} is there already: choose another name, or overwrite it")
