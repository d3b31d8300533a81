"""The options that say which time is asked about."""

from __future__ import annotations

import datetime as dt
import time
from typing import Annotated, Any, Final

import typer

from ..reports._period import objection
from . import _typed
from ._failure import Misuse
from ._output import plain

USUAL_DAYS: Final = 30
"""How many days are added up, if nothing is said."""

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
    lasting = None if days is None else _typed.days("--days", days)
    began, ended = _moment("--since", since), _moment("--until", until)
    if lasting is None and began is None:
        lasting = usual
    wrong = objection(time.time_ns(), lasting, began, ended)
    if wrong is not None:
        said = f"{usual:g}" if days is None and usual is not None else plain(days)
        raise Misuse(
            wrong.format(days=f"--days {said}", since=f"--since {plain(since)}", until=f"--until {plain(until)}")
        )
    return {"days": lasting, "since": began, "until": ended}


def _moment(option: str, text: str | None) -> dt.datetime | None:
    """A time; without a zone it is that of this machine."""
    if text is None:
        return None
    try:
        # Python 3.10 does not know what Z is.
        return dt.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text).astimezone()
    except (OverflowError, ValueError) as error:
        # It says so of what is not even written like one.
        is_written = not str(error).startswith("Invalid isoformat")
        raise Misuse(
            f"{option} {plain(text)}: {'no clock says that; ' if is_written else ''}write a date or a time, such as "
            "2026-11-22, 2026-11-22T08:00 or 2026-11-22T08:00:00+00:00"
        ) from None
