"""The options that say which time is asked about."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final

import typer

from . import _typed
from ._failure import Misuse
from ._output import plain

USUAL_DAYS: Final = 30
"""How many days are added up, if nothing is said."""

_DAY_SECONDS: Final = 86_400

Days = Annotated[str | None, typer.Option(help="What ended within so many days.", metavar="DAYS", show_default=False)]
Since = Annotated[
    str | None, typer.Option(help="What ended then or later; this machine's time.", metavar="TIME", show_default=False)
]
Until = Annotated[
    str | None, typer.Option(help="What ended earlier; this machine's time.", metavar="TIME", show_default=False)
]


def times(days: str | None, since: str | None, until: str | None, *, usual: float | None = None) -> dict[str, Any]:
    """What the options mean, as arguments of a report.

    Args:
        days: `--days`.
        since: `--since`.
        until: `--until`.
        usual: how many days, if neither of the first two is given.

    Raises:
        Misuse: one cannot be read, or they contradict each other.
    """
    if days is not None and since is not None:
        raise Misuse(f"--days {plain(days)} and --since {plain(since)}: give one of them")
    lasting = None if days is None else _typed.days("--days", days)
    began, ended = _moment("--since", since), _moment("--until", until)
    now = dt.datetime.now(dt.timezone.utc)
    if began is not None and began > now:
        raise Misuse(f"--since {plain(since)} is in the future: nothing has ended then")
    if ended is not None:
        if began is not None and began >= ended:
            raise Misuse(f"--since {plain(since)} is not before --until {plain(until)}: exchange them")
        if ended.timestamp() <= 0:
            raise Misuse(f"--until {plain(until)} is before anything can have ended: use a later time")
        if lasting is not None and ended.timestamp() - lasting * _DAY_SECONDS > now.timestamp():
            raise Misuse(
                f"--until {plain(until)} with --days {plain(days)} begins in the future: nothing has ended then"
            )
    return {"days": usual if lasting is None and began is None else lasting, "since": began, "until": ended}


def _moment(option: str, text: str | None) -> dt.datetime | None:
    """A time; without a zone it is that of this machine."""
    if text is None:
        return None
    try:
        # Python 3.10 does not know what Z is.
        return dt.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text).astimezone()
    except (OverflowError, ValueError):
        raise Misuse(
            f"{option} {plain(text)}: write a date or a time, such as 2026-11-22, 2026-11-22T08:00 or "
            "2026-11-22T08:00:00+00:00"
        ) from None
