"""`otel-sessions report`: figures and plots as one page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from ..reports import page
from ..reports._whole_file import whole_file
from ._failure import Misuse
from ._file import Overwrite, writing
from ._output import AsJson, is_terminal, plain, write_json
from ._store import StoreUrl, opened
from ._time import USUAL_DAYS, Days, Since, Until, times

_STDOUT: Final = Path("-")

File = Annotated[
    Path, typer.Argument(help="Where to write the page; - is standard output.", metavar="[FILE]", show_default=False)
]
Title = Annotated[str, typer.Option(help="The heading of the page.")]


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
    asked = times(days, since, until, usual=USUAL_DAYS)
    if file == _STDOUT:
        _check_stdout(as_json=as_json)
        with opened(store):
            sys.stdout.buffer.write(page(title=title, **asked).encode())
        return
    with writing(file, overwrite=overwrite):
        with opened(store):
            text = page(title=title, **asked)
        with whole_file(file, overwrite=overwrite) as stream:
            stream.write(text)
    if as_json:
        write_json({"file": str(file.absolute()), "bytes": len(text.encode())})
    else:
        typer.echo(f"written   {plain(file)}")


def _check_stdout(*, as_json: bool) -> None:
    """See that standard output is where a page can go."""
    if as_json:
        raise Misuse("--json says which file was written: name one, such as sessions.html")
    if is_terminal():
        raise Misuse("a page is not for a terminal: name a file, such as sessions.html, or pipe it somewhere")
