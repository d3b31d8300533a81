"""How many sessions each user has open in the memory store, for a metric that knows none of them."""

from __future__ import annotations

from collections.abc import Mapping


class UserTally:
    """Counts by user. Each step, and the answer, take the same time however many there are.

    A user is known by a hash of 64 bits, which takes two thirds of the memory that the name would: the sessions of two
    users are added up should they ever share one.
    """

    def __init__(self) -> None:
        self._sessions: dict[int, int] = {}
        self._at_least: list[int] = []
        """How many users have at least one session, two, and so on, up to what one of them has."""

    def add(self, user: str | None) -> None:
        """Count one session more; that of nobody is not counted."""
        if user is None:
            return
        known = hash(user)
        before = self._sessions.get(known, 0)
        self._sessions[known] = before + 1
        if before == len(self._at_least):
            self._at_least.append(1)
        else:
            self._at_least[before] += 1

    def remove(self, user: str | None) -> None:
        """Count one session less of a user who was counted."""
        if user is None:
            return
        known = hash(user)
        left = self._sessions[known] - 1
        if left:
            self._sessions[known] = left
        else:
            del self._sessions[known]
        self._at_least[left] -= 1
        if not self._at_least[-1]:
            self._at_least.pop()

    def most(self, besides: Mapping[str, int]) -> int:
        """How many sessions the user has who has most of them; `besides`, by user, are some that were not counted."""
        together = (sessions + self._sessions.get(hash(user), 0) for user, sessions in besides.items())
        return max(len(self._at_least), *together, 0)
