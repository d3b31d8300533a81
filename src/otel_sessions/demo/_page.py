"""Where the demo writes: plain text of at most 100 columns, coloured only on a terminal."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import Final, Literal, TextIO, TypeAlias

Style: TypeAlias = Literal["plain", "bold", "dim", "good", "bad"]

WIDTH: Final = 100

NO_BREAK: Final = "\N{NO-BREAK SPACE}"
"""Within a paragraph: a space at which no line ends."""

_CODES: Final[dict[Style, str]] = {"bold": "1", "dim": "2", "good": "32", "bad": "31;1"}


class Page:
    """Lines, paragraphs and tables.

    Args:
        out: where the text goes; None: nowhere, as nobody reads it.
    """

    def __init__(self, out: TextIO | None) -> None:
        self._out = out
        forced = bool(os.environ.get("FORCE_COLOR"))
        self._coloured = forced or (out is not None and out.isatty() and not os.environ.get("NO_COLOR"))

    def heading(self, text: str) -> None:
        """Begin a part."""
        self.line()
        self.line(text, style="bold")

    def line(self, text: str = "", *, style: Style = "plain", mark: str = "", mark_style: Style = "plain") -> None:
        """Write one line, cut at the width; `mark` stands before it, in a style of its own."""
        room = WIDTH - len(mark)
        shown = text if len(text) <= room else f"{text[: room - 3]}..."
        if self._out is not None:
            print(self._styled(mark, mark_style) + self._styled(shown, style), file=self._out, flush=True)

    def paragraph(self, text: str, *, indent: int = 0, hang: int = 0, style: Style = "plain") -> None:
        """Write text, wrapped; every line but the first is moved in by `hang` more."""
        blank = " " * indent
        wrapped = textwrap.wrap(
            text, WIDTH, initial_indent=blank, subsequent_indent=blank + " " * hang, break_on_hyphens=False
        )
        for line in wrapped:
            self.line(line.replace(NO_BREAK, " "), style=style)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[str]) -> None:
        """Write a table; the columns named in `right` are flush right."""
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        for row in (heads, *rows):
            cells = (
                cell.rjust(width) if head in right else cell.ljust(width)
                for head, cell, width in zip(heads, row, widths, strict=True)
            )
            self.line(f"  {'  '.join(cells)}".rstrip(), style="dim" if row is heads else "plain")

    def _styled(self, text: str, style: Style) -> str:
        code = _CODES.get(style)
        return f"\033[{code}m{text}\033[0m" if code and text and self._coloured else text
