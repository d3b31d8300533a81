"""`otel-sessions report`: figures and plots as one page."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from ..reports import page
from ._failure import Failure, explained
from ._output import AsJson, is_terminal, plain, write_json
from ._store import StoreUrl, opened
from ._time import Days, Since, Until

_STDOUT: Final = Path("-")

File = Annotated[
    Path, typer.Argument(help="Where to write the page; - is standard output.", metavar="[FILE]", show_default=False)
]
Title = Annotated[str, typer.Option(help="The heading of the page.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]


def write(
    file: File = _STDOUT,
    *,
    store: StoreUrl = None,
    days: Days = None,
    since: Since = None,
    until: Until = None,
    title: Title = "Sessions",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Figures and plots of some time as a page of HTML, for mail or an archive; of 30 days back, if nothing is said.

    The page loads nothing and runs no script. With --json, what is said on standard output is which file was written.

    For example: otel-sessions report sessions.html --store sqlite:///sessions.db --days 7
    """
    with explained():
        _check(file, overwrite=overwrite, as_json=as_json)
        with opened(store):
            text = page(title=title, days=30 if days is None and since is None else days, since=since, until=until)
        if file == _STDOUT:
            sys.stdout.buffer.write(text.encode())
            return
        _write(file, text.encode())
    if as_json:
        write_json({"file": str(file.absolute()), "bytes": len(text.encode())})
    else:
        typer.echo(f"written   {plain(file)}")


def _check(file: Path, *, overwrite: bool, as_json: bool) -> None:
    """Say before the work what would make it useless."""
    if file != _STDOUT:
        if not overwrite and file.exists():
            raise Failure(f"{plain(file)} is there already: --overwrite replaces it")
    elif as_json:
        raise Failure("--json says which file was written: name one, such as sessions.html")
    elif is_terminal():
        raise Failure("a page is not for a terminal: name a file, such as sessions.html, or pipe it somewhere")


def _write(file: Path, content: bytes) -> None:
    """All of it or nothing: who opens the old page meanwhile sees the old one."""
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".otel-sessions-")
    except OSError as error:
        raise Failure(f"{plain(file)} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        if file.exists():
            # It was given to others, or not, by whoever keeps it; a new one is for its owner alone.
            Path(name).chmod(file.stat().st_mode & 0o777)
        Path(name).replace(file)
    except OSError as error:
        raise Failure(f"{plain(file)} cannot be written: {error.strerror}") from error
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()
