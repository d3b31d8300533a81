"""`otel-sessions cleanup`: forget what ended long ago."""

from __future__ import annotations

import sys
from typing import Annotated, Final, Protocol, runtime_checkable

import typer

import otel_sessions as sessions

from .. import _runtime
from ..reports._figures import counted
from . import _typed
from ._failure import FAILED, Failure
from ._output import AsJson, write_json
from ._store import StoreUrl, opened

_DAY_SECONDS: Final = 86_400


_USUAL_DAYS: Final = 90
Days = Annotated[
    str | None,
    typer.Option(
        metavar="DAYS", help=f"How many days back sessions are kept; {_USUAL_DAYS} otherwise.", show_default=False
    ),
]


@runtime_checkable
class _Forgetful(Protocol):
    """A store that forgets by itself."""

    retention: float
    """After so many seconds."""


def forget(
    *,
    store: StoreUrl = None,
    days: Days = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many they are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget the sessions that ended longer ago, and what they add up to; it cannot be undone.

    The store forgets by itself, too, after its retention. What somebody owes the export of is kept.

    For example: otel-sessions cleanup --store sqlite:///sessions.db --days 30 --dry-run
    """
    kept = _USUAL_DAYS if days is None else _typed.days("--days", days)
    with opened(store, read_only=dry_run):
        found = sessions.cleanup(days=kept, dry_run=True)
        if not found and days is not None:
            _tell_of_retention(kept)
        if not dry_run:
            if found and not yes:
                _ask(found, kept)
            found = sessions.cleanup(days=kept)
    if as_json:
        write_json({"sessions": found, "days": kept, "dry_run": dry_run})
    elif dry_run:
        typer.echo(f"{_them(found, kept)} would be forgotten")
    else:
        typer.echo(f"{counted(found)} forgotten" if found else f"no session ended more than {_days(kept)} ago")


def _tell_of_retention(days: float) -> None:
    found = _runtime.get().lifecycle.ledger.store
    if isinstance(found, _Forgetful) and found.retention < days * _DAY_SECONDS:
        typer.echo(
            f"otel-sessions: --days {days:g} is more than the store keeps: as it is configured here, it forgets by "
            f"itself after {_days(found.retention / _DAY_SECONDS)}",
            err=True,
        )


def _ask(found: int, days: float) -> None:
    if not sys.stdin.isatty():
        raise Failure(f"{_them(found, days)} would be forgotten for good: say --yes, or look with --dry-run")
    if not typer.confirm(f"Forget {_them(found, days)} for good?", err=True):
        typer.echo("nothing was forgotten", err=True)
        raise typer.Exit(FAILED)


def _them(found: int, days: float) -> str:
    return f"{counted(found)} that ended more than {_days(days)} ago"


def _days(days: float) -> str:
    return "a day" if days == 1 else f"{days:g} days"
