"""What a verb says: to a person in a terminal, or to another program."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for other programs.")]

_UNBOUNDED: Final = 100_000
"""Columns of what is no terminal: there nothing has to be folded."""


def is_terminal() -> bool:
    """Whether a person sees what is written; a pipe or a file gets neither colour nor progress."""
    return sys.stdout.isatty()


def console(*, err: bool = False) -> Console:
    """Where text goes: as wide as the terminal, with its colours unless NO_COLOR says otherwise."""
    stream = sys.stderr if err else sys.stdout
    return Console(
        stderr=err, width=None if stream.isatty() else _UNBOUNDED, highlight=False, markup=False, emoji=False
    )


def write_json(value: Any) -> None:
    """A value as JSON; what is not ASCII is escaped, so that no text can steer a terminal."""
    typer.echo(json.dumps(value, indent=2 if is_terminal() else None))


def plain(text: object) -> str:
    """A text with everything escaped that a terminal would obey instead of showing it, or that turns writing round."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(text))


def cell(text: object, style: str = "") -> Text:
    """Something in a table; nothing is `-`."""
    return Text("-" if text is None or text == "" else plain(text), style=style)


def heading(text: object) -> Text:
    """What stands above something else."""
    return Text(plain(text), style="bold")


def print_parts(out: Console, parts: Iterable[RenderableType]) -> None:
    """Print something to a person, part by part, with a line between them."""
    for position, part in enumerate(parts):
        if position:
            out.print()
        out.print(part)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> Table:
    """Rows under headings, as narrow as what is in them; `Text` stays as it is, all else is escaped."""
    found = Table(box=None, title=title, title_justify="left", title_style="bold", pad_edge=False, header_style="bold")
    for name in columns:
        found.add_column(name, overflow="fold")
    for row in rows:
        found.add_row(*(each if isinstance(each, Text) else cell(each) for each in row))
    return found


def facts(values: Mapping[str, object], *, title: str | None = None) -> Table:
    """Names and what belongs to them, one below the other."""
    found = Table(box=None, show_header=False, title=title, title_justify="left", title_style="bold", pad_edge=False)
    found.add_column(style="bold", no_wrap=True)
    found.add_column(overflow="fold")
    for name, value in values.items():
        found.add_row(cell(name), value if isinstance(value, Text) else cell(value))
    return found


def seconds(duration: float | None) -> str | None:
    """A duration as people say it: `0.2 s`, `3 min 20 s`, `2 h 05 min`."""
    if duration is None:
        return None
    if duration < 60:  # noqa: PLR2004 - a minute
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def percent(share: float | None) -> str | None:
    """A share as people say it."""
    return None if share is None else f"{share:.1%}"
