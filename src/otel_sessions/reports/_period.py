"""From when to when is asked."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

from .. import _values
from .._tally import HOUR_NS, hour_of
from ..exceptions import InvalidValueError

_DAY_NS: Final = 24 * HOUR_NS
_MOST_HOURS: Final = 72


class Period(NamedTuple):
    """From a time on, until another one; nanoseconds since the epoch."""

    since_ns: int
    until_ns: int

    def in_hours(self, now_ns: int) -> Hours:
        """The full hours that it touches, but for those that are yet to begin: nothing is in them."""
        return Hours(hour_of(self.since_ns), hour_of(min(now_ns, self.until_ns - 1)) + 1)


class Hours(NamedTuple):
    """From an hour on, until another one; since the epoch, UTC."""

    since: int
    until: int

    @property
    def are_few(self) -> bool:
        """Whether they are looked at one by one; of more, by days."""
        return self.until - self.since <= _MOST_HOURS


def period(now_ns: int, days: float | None, since: dt.datetime | None, until: dt.datetime | None) -> Period:
    """What the arguments of a report mean.

    Raises:
        InvalidValueError: one is none, or they contradict each other, or end before they begin, or begin in the future.
    """
    wrong = objection(now_ns, days, since, until)
    if wrong is not None:
        raise InvalidValueError(wrong.format(days=f"days={days}", since=f"since={since}", until=f"until={until}"))
    asked = _meant(now_ns, days, since, until)
    return asked._replace(since_ns=max(0, asked.since_ns))


def objection(now_ns: int, days: float | None, since: dt.datetime | None, until: dt.datetime | None) -> str | None:
    """What is wrong with arguments of which each is one, in words that leave room for each; None: nothing.

    Raises:
        InvalidValueError: one is none.
    """
    since_ns, until_ns = _meant(now_ns, days, since, until)
    if days is not None and since is not None:
        return "{days} and {since}: give one of them"
    if since_ns > now_ns:
        if since is None:
            return "{until} with {days} begins in the future: nothing has ended then"
        return "{since} is in the future: nothing has ended then"
    if since is not None and since_ns == until_ns:
        return "{since} is {until}: no time is in between"
    if since is not None and since_ns > until_ns:
        return "{since} is not before {until}: exchange them"
    return "{until} is before anything can have ended: use a later time" if until_ns <= 0 else None


def _meant(now_ns: int, days: float | None, since: dt.datetime | None, until: dt.datetime | None) -> Period:
    # What has ended in this moment belongs to it.
    until_ns = now_ns + 1 if until is None else _nanoseconds("until", until)
    if since is not None:
        return Period(_nanoseconds("since", since), until_ns)
    if days is not None:
        return Period((now_ns if until is None else until_ns) - nanoseconds_of(days), until_ns)
    return Period(0, until_ns)


def nanoseconds_of(days: float) -> int:
    """How long so many days are.

    Raises:
        InvalidValueError: it is no positive number, or a longer time than there is.
    """
    try:
        return int(_values.seconds("days", days) * _DAY_NS)
    except InvalidValueError:
        raise InvalidValueError(f"days={days!r}: use a positive number of days") from None


def _nanoseconds(what: str, moment: dt.datetime) -> int:
    """A time as nanoseconds; one without a time zone is that of this machine, as Python has it."""
    if not isinstance(moment, dt.datetime):
        raise InvalidValueError(f"{what}={moment!r}: use a datetime, such as datetime.now() - timedelta(days=7)")
    # Not by a float, which has no room for nanoseconds, and hardly for microseconds.
    try:
        return (moment.astimezone(dt.timezone.utc) - _EPOCH) // dt.timedelta(microseconds=1) * 1000
    except (OverflowError, ValueError):
        raise InvalidValueError(f"{what}={moment!r}: no clock says that; use a time of this century") from None


_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
