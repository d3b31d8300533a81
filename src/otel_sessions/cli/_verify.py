"""`otel-sessions verify`: whether what a store adds up is what its sessions say."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from ..reports import Verification, verify
from ..reports._figures import counted
from ._failure import FAILED, Failure
from ._output import AsJson, plain, write_json
from ._store import StoreUrl, opened

_SHOWN: Final = 20
"""How many things that do not fit are named to a person."""


def compare(
    *,
    store: StoreUrl = None,
    repair: Annotated[bool, typer.Option("--repair", help="Make the sums what the sessions add up to.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read all sessions, and compare what they add up to with the sums that reports are made of.

    With --repair the sums are calculated anew from the sessions that are remembered, and records that cannot be read
    are removed; applications may go on meanwhile. The exit code is 1 if something does not fit and was not repaired.

    For example: otel-sessions verify --store sqlite:///sessions.db
    """
    progress = _progress if sys.stderr.isatty() else None
    with opened(store):
        found = verify(progress=progress)
    if repair and _is_reparable(found):
        if not yes:
            _ask(found)
        with opened(store, read_only=False):
            found = verify(repair=True, progress=progress)
    if as_json:
        write_json(found.to_dict())
    else:
        _show(found)
    if not found.is_mended:
        raise typer.Exit(FAILED)


def _is_reparable(found: Verification) -> bool:
    return bool(found.unreadable) or any(each.span != "now" for each in found.discrepancies)


def _ask(found: Verification) -> None:
    told = _told(found)
    if not sys.stdin.isatty():
        raise Failure(f"{told}: say --yes to have the sums calculated anew")
    if not typer.confirm(f"{told}. Calculate the sums anew?", err=True):
        typer.echo("nothing was changed", err=True)
        raise typer.Exit(FAILED)


def _told(found: Verification) -> str:
    differing, unreadable = len(found.discrepancies), len(found.unreadable)
    parts = []
    if differing:
        parts.append(f"{counted(differing, 'sum')} {'differs' if differing == 1 else 'differ'} from the sessions")
    if unreadable:
        parts.append(f"{counted(unreadable)} cannot be read and would be removed")
    return ", ".join(parts)


def _show(found: Verification) -> None:
    since = "" if found.since is None else f" from {found.since:%Y-%m-%d %H:%M} UTC on"
    active = "none of the active ones" if found.active is None else f"{found.active:,} active"
    typer.echo(f"compared: {counted(found.sessions, 'ended session')}{since}, and {active}")
    if found.unsettled:
        typer.echo(
            f"left alone, because sessions went on ending then: {counted(found.unsettled, 'hour')}; verify again later"
        )
    if found.left_out:
        typer.echo(f"left out, because some of their sessions have been forgotten: {counted(found.left_out, 'hour')}")
    for session_id in found.unreadable[:_SHOWN]:
        typer.echo(f"cannot be read: session {plain(session_id)}")
    for each in found.discrepancies[:_SHOWN]:
        typer.echo(plain(each))
    more = len(found.unreadable[_SHOWN:]) + len(found.discrepancies[_SHOWN:])
    if more:
        typer.echo(f"... and {more:,} more: --json names them all")
    damage = [line for each in found.damage for line in each.splitlines()]
    for line in damage[:_SHOWN]:
        typer.echo(f"the file is damaged: {plain(line)}")
    typer.echo(_verdict(found))


def _verdict(found: Verification) -> str:
    if found.damage:
        return (
            "move the file away, and the application makes a new one; the sqlite3 command's .recover reads what is left"
        )
    if found.is_sound:
        return "all that was compared fits" if found.left_out or found.unsettled else "all of it fits"
    if found.repaired and found.is_mended:
        removed = "what could not be read has been removed"
        if not found.discrepancies:
            return removed
        return f"the sums have been calculated anew{f', and {removed}' if found.unreadable else ''}"
    if not found.repaired and _is_reparable(found):
        removing = "to remove what cannot be read, and calculate the sums anew"
        return f"{removing if found.unreadable else 'to calculate the sums anew'}: --repair"
    if found.unsettled:
        return "not all sums could be calculated anew: try again later"
    return "what is active is counted by the store itself; please report it, with this output"


def _progress(done: int, hours: int) -> None:
    typer.echo(f"\r{done:,} of {counted(hours, 'hour')} \r", nl=False, err=True)
