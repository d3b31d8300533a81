"""`otel-sessions export`: sessions as lines for other programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, cast, get_args

import typer

import otel_sessions as sessions

from ..reports._export import SUFFIXES, Format
from ..reports._figures import counted
from ._failure import Misuse
from ._file import Overwrite, writing
from ._filters import Ending, HasStatus, Tier, Type, User, With, about_key, conditions
from ._output import AsJson, is_terminal, plain, write_json
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
    attribute: With = None,
    days: Days = None,
    since: Since = None,
    until: Until = None,
    active: Annotated[bool, typer.Option("--active", help="Also those that are active, before the others.")] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Write the sessions that have ended, the latest end first, as JSON lines or CSV.

    A file is there as a whole or not at all, and only its owner can read it. --json says how many went into FILE.

    For example: otel-sessions export last-week.csv --store sqlite:///sessions.db --days 7 --status error
    """
    if as_json and file == _STDOUT:
        raise Misuse("--json says how many sessions were written, where they themselves go: name a FILE")
    wanted = conditions(
        type_=type_,
        user=user,
        status=status,
        end_reason=end_reason,
        tier=tier,
        attribute=attribute,
        days=days,
        since=since,
        until=until,
    )
    told = wanted | {"format": _format(file, format), "progress": _progress if _is_watched(file) else None}
    if file == _STDOUT:
        with opened(store):
            # As the formats have it, whatever the locale; lines of CSV end in a way of their own.
            cast("Any", sys.stdout).reconfigure(encoding="utf-8", newline="")
            written = sessions.export(sys.stdout, active=active, **told)
        _explain(written, wanted)
        return
    with writing(Path(file), overwrite=overwrite), opened(store):
        written = sessions.export(file, active=active, overwrite=overwrite, **told)
    if as_json:
        write_json({"sessions": written, "file": str(Path(file).absolute())})
    else:
        typer.echo(f"{counted(written)} written to {plain(file)}", err=True)
        _explain(written, wanted)


def _explain(written: int, wanted: Mapping[str, Any]) -> None:
    """Say why there may be nothing, where only sessions are read."""
    if not written and (hint := about_key(wanted)) is not None:
        typer.echo(f"otel-sessions: no session of this user was found. {hint}", err=True)


def _format(file: str, given: str | None) -> Format:
    """What the option says, or the suffix.

    Raises:
        Misuse: neither names a format.
    """
    if given is not None and given not in get_args(Format):
        raise Misuse(f"--format {plain(given)}: use one of {', '.join(get_args(Format))}")
    found = given or ("jsonl" if file == _STDOUT else SUFFIXES.get(Path(file).suffix.lower()))
    if found is None:
        raise Misuse(f"{plain(file)} does not end in one of {', '.join(SUFFIXES)}: say --format jsonl or --format csv")
    return cast("Format", found)


def _is_watched(file: str) -> bool:
    """Whether a person waits, who does not see the sessions themselves."""
    return sys.stderr.isatty() and not (file == _STDOUT and is_terminal())


def _progress(written: int) -> None:
    typer.echo(f"\r{counted(written)} \r", nl=False, err=True)
