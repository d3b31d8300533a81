"""`otel-sessions list`: which sessions there are, and were."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from ..exceptions import InvalidValueError
from ..reports import History, history
from ..reports._standing import Standing
from . import _typed
from ._failure import Misuse
from ._filters import Ending, HasStatus, Tier, Type, User, With, about_key, conditions
from ._output import AsJson, console, plain, write_json
from ._sessions import rows
from ._store import StoreUrl, opened
from ._time import Days, Since, Until

_AT_ONCE: Final = 50

Limit = Annotated[str, typer.Option(metavar="N", help="How many at most.")]
After = Annotated[
    str | None, typer.Option(metavar="TOKEN", help="Where the page before ended, as it said.", show_default=False)
]


def show(
    *,
    store: StoreUrl = None,
    type_: Type = None,
    user: User = None,
    status: HasStatus = None,
    end_reason: Ending = None,
    tier: Tier = None,
    attribute: With = None,
    days: Days = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = str(_AT_ONCE),
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """The active sessions, the latest start first, and then the ended ones, the latest end first.

    For example: otel-sessions list --type chat --status error --days 1 --attribute shop=north
    """
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
    most = _typed.whole("--limit", limit)
    _check_after(after)
    with opened(store):
        found = history(**wanted, limit=most, after=after, active=True)
    if as_json:
        write_json(found.to_dict())
    else:
        _print(found, _none(wanted) if after is None else "There are no more sessions.")


def _check_after(after: str | None) -> None:
    if after is not None:
        try:
            Standing.read(after)
        except InvalidValueError:
            raise Misuse(
                f"--after {plain(after)}: use what the page before said at its end, or leave it out for the first page"
            ) from None


def _none(wanted: Mapping[str, Any]) -> str:
    """What there is to say of no session."""
    asked = any(value is not None for value in wanted.values())
    none = "There is no such session." if asked else "There is no session yet, or it has been forgotten."
    return " ".join(filter(None, (none, about_key(wanted))))


def _print(found: History, none: str) -> None:
    out = console()
    described = found.to_dict()["sessions"]
    if not described:
        out.print(none)
        return
    out.print(rows(described))
    if found.next is not None:
        out.print()
        # Quoted: an id may hold what a shell would take for more than a word.
        after = plain(shlex.quote(found.next))
        out.print(f"There are more: the same command with --after {after}", soft_wrap=True)
