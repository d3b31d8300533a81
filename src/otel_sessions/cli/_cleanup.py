"""`otel-sessions cleanup`: forget what ended long ago."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import otel_sessions as sessions

from ._failure import FAILED, Failure, explained
from ._output import AsJson, write_json
from ._store import StoreUrl, opened


def forget(
    *,
    store: StoreUrl = None,
    days: Annotated[float, typer.Option(metavar="DAYS", help="How many days back sessions are kept.")] = 90,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many they are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget the sessions that ended longer ago, and what they add up to; it cannot be undone.

    The store forgets by itself, too, after its retention. What somebody owes the export of is kept.

    For example: otel-sessions cleanup --store sqlite:///sessions.db --days 30 --dry-run
    """
    with explained(), opened(store):
        found = sessions.cleanup(days=days, dry_run=True)
        if not dry_run:
            if found and not yes:
                _ask(found, days)
            found = sessions.cleanup(days=days)
    if as_json:
        write_json({"sessions": found, "days": days, "dry_run": dry_run})
    elif dry_run:
        typer.echo(f"{_them(found, days)} would be forgotten")
    else:
        typer.echo(f"{found:,} sessions forgotten" if found else f"no session ended more than {days:g} days ago")


def _ask(found: int, days: float) -> None:
    if not sys.stdin.isatty():
        raise Failure(f"{_them(found, days)} would be forgotten for good: say --yes, or look with --dry-run")
    if not typer.confirm(f"Forget {_them(found, days)} for good?", err=True):
        typer.echo("nothing was forgotten", err=True)
        raise typer.Exit(FAILED)


def _them(found: int, days: float) -> str:
    return f"{found:,} sessions that ended more than {days:g} days ago"
