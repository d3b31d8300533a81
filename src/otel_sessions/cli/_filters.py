"""The options that say which sessions are asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, get_args

import typer

from .. import _values
from .._config import ENV_PREFIX
from ..exceptions import InvalidValueError
from ..security.pseudonyms import is_pseudonym
from ..typing import EndReason, Status
from ._failure import Misuse
from ._output import plain
from ._store import quiet
from ._time import times

PSEUDONYM_KEY: Final = f"{ENV_PREFIX}PSEUDONYM_KEY"

Type = Annotated[str | None, typer.Option("--type", metavar="NAME", help="Those of this type.", show_default=False)]
User = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Whose they are: the clear name, or the pseudonym.", show_default=False),
]
HasStatus = Annotated[
    str | None,
    typer.Option(
        "--status", metavar="STATUS", help="active, success, error, cancelled, expired, abandoned.", show_default=False
    ),
]
Ending = Annotated[
    str | None,
    typer.Option(
        metavar="REASON",
        help="Why they ended: completed, exception, cancelled, idle_timeout, max_duration, crashed, ...",
        show_default=False,
    ),
]
Tier = Annotated[str | None, typer.Option(metavar="NAME", help="The set of limits that applies.", show_default=False)]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        metavar="NAME=VALUE",
        help="An attribute that they have; again for another. 3, 0.5 and true are no text, '\"3\"' is.",
        show_default=False,
    ),
]


def conditions(
    *,
    type_: str | None,
    user: str | None,
    status: str | None,
    end_reason: str | None,
    tier: str | None,
    attribute: Sequence[str] | None,
    days: str | None,
    since: str | None,
    until: str | None,
) -> dict[str, Any]:
    """What the options mean, as arguments of `otel_sessions.history` and of `otel_sessions.export`.

    Raises:
        Misuse: one cannot be that.
    """
    _checked("--type", type_, lambda name: _values.label("session type", name))
    named("--user", user)
    _checked("--tier", tier, lambda name: _values.label("tier", name))
    _one_of("--status", status, get_args(Status))
    _one_of("--end-reason", end_reason, get_args(EndReason))
    return {
        "type": type_,
        "user": user,
        "status": status,
        "end_reason": end_reason,
        "tier": tier,
        "attributes": _attributes(attribute) if attribute else None,
        **times(days, since, until),
    }


def named(what: str, user: str | None) -> None:
    """See that a user who is typed has a name: an empty one is a variable of the shell that is not set.

    Raises:
        Misuse: that one has none.
    """
    _checked(what, user, _values.user_name)


def about_key(wanted: Mapping[str, Any]) -> str | None:
    """Why nothing may be known of a user who was asked for by the clear name; None if more than that was asked."""
    user, others = wanted["user"], (value for name, value in wanted.items() if name != "user")
    if user is None or is_pseudonym(user) or any(value is not None for value in others):
        return None
    if os.environ.get(PSEUDONYM_KEY, "").strip():
        return (
            f"Pseudonyms are made with the application's key: is it the one in {PSEUDONYM_KEY}? Or give the pseudonym."
        )
    return (
        f"Pseudonyms are made with the application's key: set {PSEUDONYM_KEY} to it if it has one, or give the "
        "pseudonym."
    )


def _checked(option: str, value: str | None, check: Callable[[str], object]) -> None:
    if value is not None:
        try:
            check(value)
        except InvalidValueError as error:
            raise Misuse(f"{option}: {plain(error)}") from None


def _one_of(option: str, value: str | None, values: Sequence[str]) -> None:
    if value is not None and value not in values:
        raise Misuse(f"{option} {plain(value)}: use one of {', '.join(values)}")


def _attributes(given: Sequence[str]) -> dict[str, Any]:
    """The names and the values."""
    found: dict[str, Any] = {}
    for name, value in map(_attribute, given):
        if name in found:
            raise Misuse(f"--attribute {plain(name)}: it is given twice; a session has one value of it")
        found[name] = value
    return found


def _attribute(given: str) -> tuple[str, Any]:
    """The name and the value."""
    name, equals, text = given.partition("=")
    if not name or not equals:
        raise Misuse(f"--attribute {plain(given)}: write NAME=VALUE")
    value = meant(text)
    with quiet():
        if not _values.attributes({name: value}, str):
            raise Misuse(
                f"--attribute {plain(given)}: no session has that: a value is text, true, false, a number of at most "
                "64 bits, or a list of one of them"
            )
    return name, value


def meant(text: str) -> str | bool | int | float | list[Any]:
    """The value of an attribute that was typed: what is JSON is that, anything else is text."""
    try:
        found = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, str | bool | int | float | list) else text
