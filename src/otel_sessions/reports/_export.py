"""Sessions as lines for other programs, in a file or a stream."""

from __future__ import annotations

import datetime as dt
import heapq
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TextIO, cast, get_args

from .. import _runtime
from .._ledger import Ledger
from .._models import EndReason, SessionRecord, Status
from .._wanted import Place, Wanted
from ..exceptions import InvalidValueError
from ._question import question

Format = Literal["jsonl", "csv"]

_PAGE: Final = 500
"""How many sessions are in memory at once."""
SUFFIXES: Final[Mapping[str, Format]] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


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
        overwrite: replace a file that is there already, which keeps its permissions.
        progress: is called after each page with how many were written so far.

    Returns:
        How many sessions were written.

    Raises:
        InvalidValueError: an argument is wrong, or there is a file already.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
        OSError: the file cannot be written.
    """
    as_csv = _format(destination, format) == "csv"
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
    now_ns = runtime.lifecycle.clock.time_ns()
    pages = _pages(runtime.lifecycle.ledger, asked, active=active or status == "active")
    from ._whole_file import whole_file  # noqa: PLC0415 - most processes export nothing
    from ._writing import write  # noqa: PLC0415 - as above

    if hasattr(destination, "write"):
        return write(cast("TextIO", destination), pages, at_ns=now_ns, as_csv=as_csv, progress=progress)
    with whole_file(Path(cast("str", destination)), overwrite=overwrite) as file:
        return write(file, pages, at_ns=now_ns, as_csv=as_csv, progress=progress)


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
    if suffix.lower() not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise InvalidValueError(f"format: {str(destination)!r} does not end in one of {known}; give the format")
    return SUFFIXES[suffix.lower()]


def _pages(ledger: Ledger, asked: Sequence[Wanted], *, active: bool) -> Iterator[list[SessionRecord]]:
    written: frozenset[str] = frozenset()
    if active and asked:
        wanted = [r for r in ledger.active_or_fail() if any(each.fits(r) for each in asked)]
        yield sorted(wanted, key=lambda record: (record.beginning.started_ns, record.id), reverse=True)
        # One that ends before its turn among the ended ones is in the file already.
        written = frozenset(record.id for record in wanted)
    ended = heapq.merge(*(_ended(ledger, wanted) for wanted in asked), key=Place.of, reverse=True)
    page: list[SessionRecord] = []
    for record in ended:
        if record.id in written:
            continue
        page.append(record)
        if len(page) == _PAGE:
            yield page
            page = []
    yield page


def _ended(ledger: Ledger, wanted: Wanted) -> Iterator[SessionRecord]:
    before: Place | None = None
    while page := ledger.past.history(wanted, _PAGE, before):
        yield from page
        if len(page) < _PAGE:
            return
        before = Place.of(page[-1])
