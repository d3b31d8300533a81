"""What holds for all verbs: how they fail, how they are interrupted, and that nobody may read what they write."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import typer
from typer.core import TyperGroup

from ._failure import FAILED, Misuse, explained, reader
from ._output import plain

_INTERRUPTED: Final = 130
"""As a shell has it: 128, and the number of SIGINT."""

_Unreadable: Final[Any] = typer.BadParameter.__bases__[0]
"""What is raised if the command cannot be read. Some versions of typer have it from click, others bring their own."""


class Verbs(TyperGroup):
    """The verbs. What goes wrong in any of them is said in one line, and there is one code for each way to leave."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run one, and leave."""
        _stand_in()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal or a pipe that has no place for a letter gets its number.
                stream.reconfigure(errors="backslashreplace")
        # Typer would show what it cannot read in a box of several lines, and leaves with 1 where nobody reads.
        sys.exit(super().main(*args, **{**options, "standalone_mode": False}) or 0)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what stands before the verb; without one all are shown."""
        with explained(), reader(), _read():
            return super().parse_args(ctx, args if args or ctx.resilient_parsing else ["--help"])

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        with explained(), reader(), _read():
            try:
                return super().invoke(ctx)
            except (KeyboardInterrupt, typer.Abort) as end:
                # The line that was begun, `^C` or a question in it, ends here. Nobody has answered what aborts.
                typer.echo(err=True)
                raise typer.Exit(_INTERRUPTED if isinstance(end, KeyboardInterrupt) else FAILED) from None


def _stand_in() -> None:
    """Put the null device where the shell has closed a stream (`>&-`); a file would get its number otherwise."""
    # In the order of their numbers: the lowest that is free is given.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)
            # It stays open, as those do that Python itself opens.
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


@contextmanager
def _read() -> Iterator[None]:
    """Say what cannot be read as any other misuse."""
    try:
        yield
    except _Unreadable as error:
        found: Any = error
        context = found.ctx
        help_ = "" if context is None else f"; see {context.command_path} --help"
        raise Misuse(f"{plain(' '.join(found.format_message().split())).rstrip('.')}{help_}") from None
