"""How a verb that did not succeed leaves: what it could not do, what it could not be asked, and nobody who reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ..exceptions import InvalidValueError, SessionsError
from ._output import plain

FAILED = 1
MISUSED = 2


class Failure(Exception):  # noqa: N818 - it is what is said to a person, not what went wrong in the program
    """Says what was wrong, with the value, and what to do."""


class Misuse(Failure):
    """Says what is wrong with what was typed: the option, its value, and what to write instead."""


@contextmanager
def explained(code: int | None = None) -> Iterator[None]:
    """Say a failure on standard error, and leave with 1, with 2 if it is in what was typed, or with another code."""
    try:
        yield
    except (Failure, SessionsError) as failure:
        is_misuse = isinstance(failure, Misuse | InvalidValueError)
        left = (MISUSED if is_misuse else FAILED) if code is None else code
        with reader(left):
            typer.echo(f"otel-sessions: {_told(failure)}", err=True)
        raise typer.Exit(left) from None


def _told(failure: Failure | SessionsError) -> str:
    """Its text, in which nothing steers a terminal. What is escaped already stays as it is."""
    # The package says everything in one line, and may quote what a server says, or a path; a verb may have several.
    lines = str(failure).split("\n") if isinstance(failure, Failure) else [str(failure)]
    return "\n".join(map(plain, lines))


@contextmanager
def reader(code: int = 0) -> Iterator[None]:
    """Write in this block: if nobody reads any more (`| head -1`), leave with this code, and without a word.

    A code with which the block itself leaves goes before.

    Raises:
        Failure: it cannot be written for another reason: a disk is full.
    """
    try:
        try:
            yield
        except typer.Exit as left:
            code = left.exit_code
            raise
        finally:
            # Now: when the interpreter does it at its end it complains.
            sys.stdout.flush()
            sys.stderr.flush()
    except SystemExit as left:
        # So does rich leave, with a code of its own.
        if isinstance(left.__context__, BrokenPipeError):
            raise typer.Exit(code) from None
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        _let_go()
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(code) from None
        raise Failure(f"what was found cannot be written: {error.strerror}") from error


def _let_go() -> None:
    """What is buffered for who does not read goes nowhere."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # noqa: PERF203 - there are two
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
