"""What a verb says: to a person in a terminal, or to another program."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for other programs.")]

_UNBOUNDED: Final = 100_000
"""Columns of what is no terminal: there nothing has to be folded."""

_GAP: Final = 2
"""Columns between two columns of a table."""

_PROSE: Final = 24
"""Columns in which sentences can be read, if they are folded."""

_BRIEF: Final = 8
"""Letters by which a long name is recognised."""

_NOTHING: Final = "-"


def is_terminal() -> bool:
    """Whether a person sees what is written; a pipe or a file gets neither colour nor progress."""
    return sys.stdout.isatty()


def console() -> Console:
    """Where text goes: as wide as the terminal, with its colours unless NO_COLOR says otherwise."""
    out = Console(width=None if is_terminal() else _UNBOUNDED, highlight=False, markup=False, emoji=False)
    if out.is_dumb_terminal:
        # Rich takes any that cannot move its cursor to be 80 columns wide.
        out.size = ConsoleDimensions(*shutil.get_terminal_size())
    return out


def write_json(value: Any) -> None:
    """A value as JSON; what is not ASCII is escaped, so that no text can steer a terminal."""
    typer.echo(json.dumps(value, indent=2 if is_terminal() else None))


def plain(text: object) -> str:
    """A text with everything escaped that a terminal would obey instead of showing it, or that turns writing round."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(text))


def cell(text: object, style: str = "") -> Text:
    """Something in a table; nothing is `-`."""
    return Text(_NOTHING if text is None or text == "" else plain(text), style=style)


def heading(text: object) -> Text:
    """What stands above something else."""
    return Text(plain(text), style="bold")


def print_parts(out: Console, parts: Iterable[RenderableType]) -> None:
    """Print something to a person, part by part, with a line between them."""
    for position, part in enumerate(parts):
        if position:
            out.print()
        out.print(part)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    about: int = 1,
    prose: bool = False,
    brief: str | None = None,
) -> RenderableType:
    """Rows under headings; where those are wider than the terminal each row becomes some lines: nothing is left out.

    Args:
        columns: the headings.
        rows: what stands in them; `Text` stays as it is, all else is escaped.
        about: how many columns, the first ones, say what a row is about.
        prose: the last column holds sentences, which may be folded.
        brief: a column of long names, of which the beginning will do, with dots, if all else fits then.
    """
    cells = [[each if isinstance(each, Text) else cell(each) for each in row] for row in rows]
    return _Rows(columns, cells, about, prose, brief)


class _Rows(NamedTuple):
    """Learns how wide it may be when it is printed."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]
    about: int
    prose: bool
    brief: str | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        for form in (self, self._abridged()):
            if form._least() <= options.max_width:
                yield form._as_table()
                return
        yield self._as_lines(options.max_width)

    def _abridged(self) -> _Rows:
        if self.brief is None:
            return self
        at = self.columns.index(self.brief)
        return self._replace(rows=[[*row[:at], _beginning(row[at]), *row[at + 1 :]] for row in self.rows])

    def _least(self) -> int:
        """How many columns it needs."""
        widths = [
            max([cell_len(name), *(row[at].cell_len for row in self.rows)]) for at, name in enumerate(self.columns)
        ]
        if self.prose:
            widths[-1] = min(widths[-1], _PROSE)
        return sum(widths) + _GAP * (len(widths) - 1)

    def _as_table(self) -> Table:
        found = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        for at, name in enumerate(self.columns, 1):
            is_prose = self.prose and at == len(self.columns)
            found.add_column(name, overflow="fold", no_wrap=not is_prose)
        for row in self.rows:
            found.add_row(*row)
        return found

    def _as_lines(self, width: int) -> Group:
        heads = Text(" ".join(filter(None, self.columns[: self.about])), style="bold")
        return Group(heads, *(line for row in self.rows for line in self._lines(row, width)))

    def _lines(self, row: Sequence[Text], width: int) -> Iterator[Text]:
        """A row as lines: what it is about, and below that what is known of it, as much in a line as goes in."""
        yield _folding(Text(" ").join(row[: self.about]))
        line = Text()
        for name, each in list(zip(self.columns, row, strict=True))[self.about :]:
            if each.plain == _NOTHING:
                continue
            named = Text.assemble((f"{name} ", "dim"), each)
            if line and line.cell_len + _GAP + named.cell_len > width:
                yield _folding(line)
                line = Text()
            line.append(" " * _GAP).append_text(named)
        if line:
            yield _folding(line)


def _beginning(text: Text) -> Text:
    return text if text.cell_len <= _BRIEF else Text.assemble(text[:_BRIEF], "...")


def _folding(text: Text) -> Text:
    """A line that goes on in the next one where it is too long."""
    text.overflow = "fold"
    return text


def facts(values: Mapping[str, object], *, title: str | None = None) -> RenderableType:
    """Names and what belongs to them, one below the other; a word that is too long to stand beside stands below."""
    rows = [(cell(name), value if isinstance(value, Text) else cell(value)) for name, value in values.items()]
    return Group(*([] if title is None else [heading(title)]), _Facts(rows))


class _Facts(NamedTuple):
    """Learns how wide it may be when it is printed."""

    rows: Sequence[tuple[Text, Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        names = max((name.cell_len for name, _ in self.rows), default=0)
        room, most = options.max_width - names - _GAP, options.max_width - _GAP
        for name, value in self.rows:
            longest = max(map(cell_len, value.plain.split()), default=0)
            if room < longest <= most:
                yield Text(name.plain, style="bold")
                yield Padding(_folding(value.copy()), (0, 0, 0, _GAP), expand=False)
                continue
            row = Table.grid(padding=(0, _GAP, 0, 0))
            row.add_column(style="bold", no_wrap=True, min_width=names)
            row.add_column(overflow="fold")
            row.add_row(name, value)
            yield row
