"""`otel-sessions export`: sessions as lines for other programs."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer

import otel_sessions as sessions

from ..typing import EndReason, Status
from ._failure import Failure, explained
from ._filters import Ending, HasStatus, Tier, Type, User
from ._output import AsJson, write_json
from ._store import StoreUrl, opened
from ._time import Days, Since, Until

_STDOUT: Final = "-"


def write(
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="Where to write; standard output if it is -.")] = "-",
    *,
    store: StoreUrl = None,
    format: Annotated[  # noqa: A002 - what the option is called
        str | None, typer.Option(metavar="jsonl|csv", help="Otherwise what the suffix of FILE says, or jsonl.")
    ] = None,
    type_: Type = None,
    user: User = None,
    status: HasStatus = None,
    end_reason: Ending = None,
    tier: Tier = None,
    attribute: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TEXT", help="What they had; may be given several times.")
    ] = None,
    days: Days = None,
    since: Since = None,
    until: Until = None,
    active: Annotated[bool, typer.Option("--active", help="Also those that are active, before the others.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the sessions that have ended, the latest end first, as JSON lines or CSV.

    A file is there as a whole or not at all, and only its owner can read it. --json says how many went into FILE.

    For example: otel-sessions export last-week.csv --store sqlite:///sessions.db --days 7 --status error
    """
    with explained():
        if as_json and file == _STDOUT:
            raise Failure("--json says how many sessions were written, where they themselves go: name a FILE")
        wanted = _wanted(type_, user, status, end_reason, tier, attribute, (days, since, until))
        with opened(store):
            written = _write(file, format, wanted | {"active": active}, overwrite=overwrite)
    if as_json:
        write_json({"sessions": written, "file": str(Path(file).absolute())})
    elif file != _STDOUT:
        typer.echo(f"{written:,} sessions written to {file}", err=True)


def _wanted(
    type_: str | None,
    user: str | None,
    status: str | None,
    end_reason: str | None,
    tier: str | None,
    attributes: Sequence[str] | None,
    time: tuple[float | None, dt.datetime | None, dt.datetime | None],
) -> dict[str, Any]:
    """The arguments of `otel_sessions.export`, which looks at them."""
    return {
        "type": type_,
        "user": user,
        "status": cast("Status | None", status),
        "end_reason": cast("EndReason | None", end_reason),
        "tier": tier,
        "attributes": _attributes(attributes or ()) or None,
        **dict(zip(("days", "since", "until"), time, strict=True)),
    }


def _attributes(given: Sequence[str]) -> Mapping[str, str]:
    found = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not name or not equals:
            raise Failure(f"--attribute {each!r}: write a name, =, and the text that it had")
        found[name] = text
    return found


def _write(file: str, format_: str | None, wanted: dict[str, Any], *, overwrite: bool) -> int:
    told = wanted | {"progress": _progress if sys.stderr.isatty() and not _is_shown(file) else None}
    if file == _STDOUT:
        return _to_stdout(told | {"format": format_ or "jsonl"})
    try:
        return sessions.export(file, **told | {"format": format_}, overwrite=overwrite)
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}") from error


def _is_shown(file: str) -> bool:
    return file == _STDOUT and sys.stdout.isatty()


def _progress(written: int) -> None:
    typer.echo(f"\r{written:,} sessions \r", nl=False, err=True)


def _to_stdout(arguments: dict[str, Any]) -> int:
    # As the formats have it, whatever the locale; lines of CSV end in a way of their own.
    cast("Any", sys.stdout).reconfigure(encoding="utf-8", newline="")
    try:
        written = sessions.export(sys.stdout, **arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has enough. What is buffered goes nowhere, so that nothing is said about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None
    return written
