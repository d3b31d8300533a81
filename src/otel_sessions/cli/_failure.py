"""What a verb could not do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ..exceptions import SessionsError

FAILED = 1


class Failure(Exception):  # noqa: N818 - it is what is said to a person, not what went wrong in the program
    """Says what was wrong, with the value, and what to do."""


@contextmanager
def explained(code: int = FAILED) -> Iterator[None]:
    """Say a failure on standard error, and leave with 1, or with another code."""
    try:
        yield
    except (Failure, SessionsError) as failure:
        typer.echo(f"otel-sessions: {failure}", err=True)
        raise typer.Exit(code) from None
