"""`otel-sessions list`: which sessions there are, and were."""

from __future__ import annotations

import json
import shlex
from typing import Annotated, Any, Final, cast

import typer

from ..reports import History, history
from ..typing import EndReason, Status
from ._failure import Failure, explained
from ._filters import Ending, HasStatus, Tier, Type, User
from ._output import AsJson, console, plain, write_json
from ._sessions import rows
from ._store import StoreUrl, opened
from ._time import Days, Since, Until

_AT_ONCE: Final = 50

With = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="An attribute that they have; again for another. 3, 0.5 and true are no text, '\"3\"' is.",
        show_default=False,
    ),
]
Limit = Annotated[int, typer.Option(metavar="N", help="How many at most.")]
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
    limit: Limit = _AT_ONCE,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """The active sessions, the latest start first, and then the ended ones, the latest end first.

    For example: otel-sessions list --type chat --status error --days 1 --attribute shop=north
    """
    with explained(), opened(store):
        found = history(
            type_,
            user=user,
            status=cast("Status | None", status),
            end_reason=cast("EndReason | None", end_reason),
            tier=tier,
            attributes=dict(_attribute(each) for each in attribute) if attribute else None,
            days=days,
            since=since,
            until=until,
            limit=limit,
            after=after,
            active=True,
        )
    if as_json:
        write_json(found.to_dict())
    else:
        _print(found, is_first=after is None)


def _attribute(given: str) -> tuple[str, Any]:
    """The name and the value: what is JSON is that, anything else is text."""
    name, equals, value = given.partition("=")
    if not name or not equals:
        raise Failure(f"--attribute {plain(given)}: write NAME=VALUE")
    try:
        found = json.loads(value, parse_constant=str)
    except (ValueError, RecursionError):
        return name, value
    return name, found if isinstance(found, str | bool | int | float | list) else value


def _print(found: History, *, is_first: bool) -> None:
    out = console()
    described = found.to_dict()["sessions"]
    if not described:
        out.print("There is no such session." if is_first else "There are no more sessions.")
        return
    out.print(rows(described, out))
    if found.next is not None:
        out.print()
        # Quoted: an id may hold what a shell would take for more than a word.
        after = plain(shlex.quote(found.next))
        out.print(f"There are more: the same command with --after {after}", soft_wrap=True)
