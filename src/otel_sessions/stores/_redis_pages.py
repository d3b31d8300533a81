"""Ended sessions in their order, some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ._redis_deployment import AT_ONCE, Deployment

MS_NS: Final = 1_000_000
"""Redis has them in the order of the milliseconds in which they ended, and those of one by their ids."""

Time = str | int
"""In milliseconds, or as Redis writes the limit of a range."""


class Page(NamedTuple):
    """Some of them."""

    ids: Sequence[bytes]
    rest_ns: int
    """Those that come later ended before that time."""


def owed(deployment: Deployment, since: Time, until: Time) -> Iterator[Page]:
    """Those whose export is owed, parts of sessions too, that ended between these times; the latest end first."""
    # All at once: whatever is exported meanwhile moves the others.
    told: list[bytes] = deployment.run("unexported", since, until)
    return (_page(told[at : at + 2 * AT_ONCE]) for at in range(0, len(told), 2 * AT_ONCE))


def remembered(deployment: Deployment, since: Time, until: Time) -> Iterator[Page]:
    """The others."""
    passed = 0
    while told := deployment.run("ended", passed, AT_ONCE, since, until):
        page = _page(told)
        yield page
        passed += len(page.ids)


def _page(told: Sequence[bytes]) -> Page:
    return Page(told[::2], (int(float(told[-1])) + 1) * MS_NS)
