"""`otel-sessions usage`: what was used, by everybody or by one user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType

from ..reports import Analytics, UsageEntry, system_analytics, usage_history, user_analytics
from ..reports._figures import money
from . import _typed
from ._failure import Misuse
from ._filters import about_key, named
from ._output import AsJson, console, facts, heading, plain, print_parts, table, write_json
from ._sessions import amounts, number, used
from ._store import StoreUrl, opened

_LATEST: Final = 20

User = Annotated[
    str | None,
    typer.Argument(metavar="[USER]", help="Who: the clear name, or the pseudonym; everybody, if not given."),
]
Limit = Annotated[
    str | None,
    typer.Option(metavar="N", help=f"How many of the user's latest uses; {_LATEST}, if not given.", show_default=False),
]


def show(user: User = None, *, store: StoreUrl = None, limit: Limit = None, as_json: AsJson = False) -> None:
    """What the active sessions, and the last 10,000 that ended, have used: everybody's, or those of a user.

    Of a user the latest uses are shown as well.

    For example: otel-sessions usage ada --limit 100
    """
    if user is None and limit is not None:
        raise Misuse(f"--limit {plain(limit)}: single uses are shown of a user; name one, or leave it out")
    named("USER", user)
    most = _LATEST if limit is None else _typed.whole("--limit", limit)
    with opened(store):
        found = system_analytics() if user is None else user_analytics(user)
        latest = [] if user is None else usage_history(user, limit=most)
    if as_json:
        write_json(found.to_dict() | {"history": [use.to_dict() for use in latest]})
        return
    print_parts(console(), _parts(found, latest, user))


def _parts(found: Analytics, latest: Sequence[UsageEntry], user: str | None) -> Iterator[RenderableType]:
    whose = "Usage of everybody" if found.user is None else f"Usage of {found.user}"
    yield Group(heading(whose), facts(_figures(found)))
    if found.user is not None and not found.sessions:
        yield " ".join(filter(None, ("No session of this user is known.", about_key({"user": user}))))
    for head, sums in (("type", found.by_type), ("used", found.usage), ("tokens", found.tokens)):
        if sums:
            yield _counts(head, sums)
    if found.operation_counts:
        operations = [
            (name, number(times), amounts(found.operation_usage.get(name, {})))
            for name, times in _most_first(found.operation_counts)
        ]
        yield table(["operation", "times", "used"], operations)
    if latest:
        yield table(
            ["time (UTC)", "used", "amount", "operation", "session"],
            [
                (f"{use.time:%Y-%m-%d %H:%M:%S}", use.name, used(use.name, use.amount), use.operation, use.session_id)
                for use in latest
            ],
        )


def _figures(found: Analytics) -> Mapping[str, object]:
    return {
        "sessions": f"{found.sessions:,}" + ("" if found.is_complete else ", and more that are not looked at"),
        "active": number(found.active) or "0",
        **({"users": number(found.users) or "0"} if found.user is None else {}),
        "requests": number(found.requests) or "0",
        "turns": number(found.turns) or "0",
        "messages": number(found.messages) or "0",
        "errors": number(found.errors) or "0",
        "cost": money(found.cost),
        "operations": number(found.operations) or "0",
        "most used": found.most_used_operation,
    }


def _counts(head: str, sums: Mapping[str, float]) -> RenderableType:
    rows = [(name, used(name, sum_) if head == "used" else number(sum_)) for name, sum_ in _most_first(sums)]
    return table([head, "sessions" if head == "type" else "amount"], rows)


def _most_first(sums: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(sums.items(), key=lambda each: -each[1])
