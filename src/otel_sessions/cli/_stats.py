"""`otel-sessions stats`: what the sessions of some time add up to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, cast, get_args

import typer

import otel_sessions as sessions

from ..reports import Breakdown, Dimension, breakdown
from ..reports._figures import duration, money, percent, time
from ._failure import Misuse
from ._output import AsJson, console, facts, heading, plain, table, write_json
from ._store import StoreUrl, opened
from ._time import USUAL_DAYS, Days, Since, Until, times

_BY: Final = {dimension.replace("_", "-"): dimension for dimension in get_args(Dimension)}
"""What groups are made by, as options are written."""

By = Annotated[
    str | None,
    typer.Option(
        metavar="type|tier|status|end-reason",
        help="Figures of each type, tier, status or end reason, of the sessions that ended.",
        show_default=False,
    ),
]


def show(
    *,
    store: StoreUrl = None,
    by: By = None,
    days: Days = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """What the sessions of some time add up to; of the last 30 days, if nothing is said.

    For example: otel-sessions stats --store sqlite:///sessions.db --days 7 --by type
    """
    found: sessions.Statistics | Breakdown
    dimension = None if by is None else _dimension(by)
    asked = times(days, since, until, usual=USUAL_DAYS)
    with opened(store):
        found = sessions.statistics(**asked) if dimension is None else breakdown(dimension, **asked)
    if as_json:
        write_json(found.to_dict())
    elif isinstance(found, Breakdown):
        _print_groups(found)
    else:
        _print(found)


def _dimension(by: str) -> Dimension:
    """What groups are made by; as Python and JSON have it, it is understood too.

    Raises:
        Misuse: they are not made by that.
    """
    found = _BY.get(by.replace("_", "-"))
    if found is None:
        raise Misuse(f"--by {plain(by)}: use one of {', '.join(_BY)}")
    return cast("Dimension", found)


def _print_groups(found: Breakdown) -> None:
    columns = ("ended", "success", "half", "95 %", "altogether", "errors", "turns", "tokens", "cost")
    rows = (
        (
            group.name,
            group.sessions,
            percent(group.success_rate),
            duration(group.p50_duration),
            duration(group.p95_duration),
            duration(group.total_duration),
            group.errors,
            group.turns,
            group.total_tokens,
            money(group.cost),
        )
        for group in found.groups
    )
    out = console()
    out.print(heading(_period(found)))
    if not found.groups:
        out.print("No session ended in this time.")
        return
    out.print(table([found.by.replace("_", " "), *columns], rows))


def _print(found: sessions.Statistics) -> None:
    out = console()
    out.print(facts(_figures(found), title=_period(found)))
    for title, counts in _groups(found).items():
        if counts:
            out.print()
            out.print(table([title, "sessions"], counts.items()))


def _period(found: sessions.Statistics | Breakdown) -> str:
    return f"{time(found.since)} to {time(found.until)} UTC"


def _figures(found: sessions.Statistics) -> Mapping[str, object]:
    longest = found.longest
    return {
        "sessions": found.total,
        "active": found.active,
        "ended": found.ended,
        "success": percent(found.success_rate),
        "crash-free": percent(found.crash_free_rate),
        "mean duration": duration(found.mean_duration),
        "half, 95 %, 99 %": " / ".join(
            duration(each) or "-" for each in (found.p50_duration, found.p95_duration, found.p99_duration)
        ),
        "longest": None if longest is None else f"{duration(longest.duration)}, {longest.type}, {longest.session_id}",
        "users": found.users,
        "requests": found.requests,
        "errors": found.errors,
        "turns": found.turns,
        "response time": duration(found.mean_response_time),
        "tokens": found.total_tokens,
        "cost": money(found.cost),
    }


def _groups(found: sessions.Statistics) -> Mapping[str, Mapping[str, int]]:
    return {
        "by type": found.by_type,
        "by status": found.by_status,
        "by end reason": found.by_end_reason,
        "by tier": found.by_tier,
        "by user": found.by_user,
        "by weekday (UTC)": found.by_weekday if any(found.by_weekday.values()) else {},
        "by hour (UTC)": {f"{hour:02d}": count for hour, count in found.by_hour.items() if count},
    }
