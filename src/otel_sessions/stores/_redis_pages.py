"""Ended sessions in their order, some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ..typing import Place
from . import _redis_format as form
from ._redis_deployment import AT_ONCE, Deployment

MS_NS: Final = 1_000_000
"""Redis has them in the order of the milliseconds in which they ended, and those of one by their ids."""

_LAST: Final = b"\xff"
"""Behind all stamps."""
Time = str | int
"""In milliseconds, or as Redis writes the limit of a range."""


class Page(NamedTuple):
    """Some of them."""

    ids: Sequence[bytes]
    rest_ns: int
    """Those that come later ended before that time."""


def owed(deployment: Deployment, since: Time, until: Time) -> Iterator[Page]:
    """Those whose export is owed, parts of sessions too, that ended between these times; the latest end first.

    What is exported before its page is told is one of the others by then: who asks for these afterwards misses none.
    """
    return _latest_first(deployment, "owed", since, until)


def remembered(deployment: Deployment, since: Time, until: Time) -> Iterator[Page]:
    """Those whose export nobody owes, parts too, that ended between these times; the latest end first."""
    return _latest_first(deployment, "", since, until)


def of_user(
    deployment: Deployment, user: str, since_ns: int | None, until_ns: int | None, before: Place | None
) -> Iterator[Page]:
    """Those of a user whose export nobody owes, that stand behind a place; the latest end first. No others are read."""
    since = form.stamp(since_ns or 0)
    ends = [] if until_ns is None else [form.stamp(until_ns).encode()]
    ends += [] if before is None else [form.stamp(before.ended_ns).encode() + form.encode(before.session_id)]
    end = min(ends, default=_LAST)
    while told := deployment.run("ended_of_user", AT_ONCE, form.encode(user), since, end):
        yield Page([each[form.STAMP_DIGITS :] for each in told], int(told[-1][: form.STAMP_DIGITS]) + 1)
        end = told[-1]


def past(deployment: Deployment, until: Time) -> Iterator[list[str]]:
    """The ids of those whose export nobody owes, parts too, that ended at that time or before; the earliest first."""
    return (list(map(form.decode, told[::2])) for told in _told(deployment, "past", until, AT_ONCE))


def _latest_first(deployment: Deployment, which: str, since: Time, until: Time) -> Iterator[Page]:
    for told in _told(deployment, "ended", which, AT_ONCE, since, until):
        yield Page(told[::2], (int(float(told[-1])) + 1) * MS_NS)


def _told(deployment: Deployment, script: str, *range_: Time) -> Iterator[list[bytes]]:
    """Ids and times, in turn."""
    place: tuple[bytes, ...] = ()
    # By the place of the last one, not by how many they were: others come and go meanwhile, before it too.
    while told := deployment.run(script, *range_, *place):
        yield told
        place = told[-1], told[-2]
