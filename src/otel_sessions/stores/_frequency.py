"""Who has most sessions, of many users."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from ..typing import UserCounts


def user_counts(sessions: Iterable[tuple[str, int]], limit: int) -> UserCounts:
    """The `limit` users, at least one, who have most sessions, and how many users there are; each is there once."""
    total = 0

    def each() -> Iterator[tuple[str, int]]:
        nonlocal total
        for one in sessions:
            total += 1
            yield one

    most = heapq.nsmallest(limit, each(), key=lambda one: (-one[1], one[0]))
    return UserCounts(most, total)
