"""Writing sessions into a stream."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from .._models import SessionRecord
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
