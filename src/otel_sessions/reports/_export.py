"""Sessions as lines for other programs, in a file or a stream."""

from __future__ import annotations

import csv
import datetime as dt
import heapq
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TextIO, cast, get_args

from .. import _runtime
from .._ledger import Ledger
from .._models import EndReason, SessionRecord, Status
from .._wanted import Place, Wanted
from ..exceptions import InvalidValueError
from ._description import describe
from ._question import question
from ._rows import COLUMNS, csv_row, json_line

Format = Literal["jsonl", "csv"]

_PAGE: Final = 500
"""How many sessions are in memory at once."""
_SUFFIXES: Final[Mapping[str, Format]] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


def export(
    destination: str | os.PathLike[str] | TextIO,
    *,
    format: Format | None = None,  # noqa: A002 - what it is
    type: str | None = None,  # noqa: A002 - the session's, as everywhere
    user: str | None = None,
    status: Status | None = None,
    end_reason: EndReason | None = None,
    tier: str | None = None,
    attributes: Mapping[str, object] | None = None,
    days: float | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    active: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write the sessions that have ended, the latest end first, as `docs/export-and-retention.md` describes.

    They are read page by page, and those that end meanwhile are not among them. A file is there as a whole or not at
    all, and only its owner can read it: pseudonyms are personal data.

    Args:
        destination: a path, or a text stream (of a file: opened with `newline=""`), which is not closed.
        format: `jsonl` or `csv`; if not given, what the suffix of the path says: `.jsonl`, `.ndjson`, `.csv`.
        type: those of this type.
        user: whose they were: the clear name, or the pseudonym.
        status: how they ended; `active` asks for those that have not.
        end_reason: why they ended.
        tier: the set of limits that applied.
        attributes: attributes that they had, with these values.
        days: those that ended within so many days.
        since: those that ended then or later; a time without a zone is that of this machine.
        until: those that ended earlier.
        active: before them those that are active, the latest start first; all of these are read at once.
        overwrite: replace a file that is there already.
        progress: is called after each page with how many were written so far.

    Returns:
        How many sessions were written.

    Raises:
        InvalidValueError: an argument is wrong, or there is a file already.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
        OSError: the file cannot be written.
    """
    chosen = _format(destination, format)
    runtime = _runtime.get()
    asked = question(
        runtime,
        type=type,
        user=user,
        status=status,
        end_reason=end_reason,
        tier=tier,
        attributes=attributes,
        days=days,
        since=since,
        until=until,
    )
    pages = _pages(runtime.lifecycle.ledger, asked, active=active or status == "active")
    if hasattr(destination, "write"):
        return _write(cast("TextIO", destination), chosen, pages, progress)
    with _whole_file(Path(cast("str", destination)), overwrite=overwrite) as file:
        return _write(file, chosen, pages, progress)


def _format(destination: object, given: str | None) -> Format:
    if given is not None:
        if given not in get_args(Format):
            raise InvalidValueError(f"format={given!r}: use one of {', '.join(get_args(Format))}")
        return cast("Format", given)
    if hasattr(destination, "write"):
        raise InvalidValueError("format: a stream does not say it; give format='jsonl' or format='csv'")
    if not isinstance(destination, str | os.PathLike):
        raise InvalidValueError(f"destination={destination!r}: use a path or a text stream")
    suffix = Path(destination).suffix
    if suffix.lower() not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise InvalidValueError(f"format: {str(destination)!r} does not end in one of {known}; give the format")
    return _SUFFIXES[suffix.lower()]


def _pages(ledger: Ledger, asked: Sequence[Wanted], *, active: bool) -> Iterator[list[SessionRecord]]:
    if active and asked:
        wanted = [r for r in ledger.active_or_fail() if any(each.fits(r) for each in asked)]
        yield sorted(wanted, key=lambda record: (record.beginning.started_ns, record.id), reverse=True)
    ended = heapq.merge(*(_ended(ledger, wanted) for wanted in asked), key=Place.of, reverse=True)
    page: list[SessionRecord] = []
    for record in ended:
        page.append(record)
        if len(page) == _PAGE:
            yield page
            page = []
    yield page


def _ended(ledger: Ledger, wanted: Wanted) -> Iterator[SessionRecord]:
    before: Place | None = None
    while page := ledger.history(wanted, _PAGE, before):
        yield from page
        if len(page) < _PAGE:
            return
        before = Place.of(page[-1])


def _write(
    stream: TextIO, chosen: Format, pages: Iterator[list[SessionRecord]], progress: Callable[[int], object] | None
) -> int:
    written = 0
    put = _as_csv(stream) if chosen == "csv" else lambda found: stream.write(json_line(found))
    for page in pages:
        for record in page:
            put(describe(record))
        written += len(page)
        if progress is not None and page:
            progress(written)
    return written


def _as_csv(stream: TextIO) -> Callable[[Mapping[str, Any]], object]:
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    return lambda found: writer.writerow(csv_row(found))


@contextmanager
def _whole_file(path: Path, *, overwrite: bool) -> Iterator[TextIO]:
    """A file that is at `path` once all is written, and never before."""
    _check_free(path, overwrite=overwrite)
    # Readable by its owner alone, and on the same file system, so that it can take its place in one step.
    number, beside = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
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
