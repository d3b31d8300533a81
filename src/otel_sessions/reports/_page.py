"""All figures and plots of a period as one page, which needs nothing but itself."""

from __future__ import annotations

import datetime as dt
import heapq
from typing import Final

from .._models import SessionRecord, Status
from .._wanted import Place
from ._contents import Contents
from ._distribution import Distribution, distribution_of
from ._health import health
from ._history import history
from ._html.sections import rendered
from ._statistics import Statistics, statistics_of
from ._sums import Sums
from ._trend import Trend, trend_of

_FAILED: Final[tuple[Status, ...]] = ("error", "abandoned")
_MOST_FAILED: Final = 10


def page(
    *,
    title: str = "Sessions",
    days: float | None = 30,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> str:
    """A page of HTML with the figures and plots of a period, for mail or an archive.

    It loads nothing and runs no script, and its policy forbids both; it is light or dark, as its reader's system is.
    Users are pseudonyms.

    Args:
        title: its heading.
        days: how many days back, if `since` is not given; None: as long as anything is remembered.
        since: from the full hour of then on; a time without a zone is that of this machine.
        until: until the end of the hour of then; now, if it is not given or yet to come.

    Raises:
        InvalidValueError: an argument is wrong.
        ConfigurationError: the store is one of your own, and keeps no history.
        StoreError: the store cannot be asked.
    """
    is_all = since is None and days is None

    def made(sums: Sums) -> tuple[Statistics, Trend, Distribution]:
        sums = sums.from_first() if is_all else sums
        return statistics_of(sums), trend_of(sums), distribution_of(sums)

    figures = Sums.of(days=days, since=since, until=until).at_once(made, even_if_over=True)
    return rendered(Contents(title, *figures, health(in_process=False), _failed(figures[0].since, until)))


def _failed(since: dt.datetime, until: dt.datetime | None) -> list[SessionRecord]:
    """The sessions of the period that failed, the latest end first."""
    each = (history(status=status, since=since, until=until, limit=_MOST_FAILED) for status in _FAILED)
    return heapq.nlargest(_MOST_FAILED, (record for some in each for record in some), key=Place.of)
