"""Who uses the application, and what their tiers allow them."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from otel_sessions.limits import Concurrency, Quota, Rate, Tier

from ._pace import Chances, Pace

_NAMES: Final = (
    "ada", "alan", "annie", "barbara", "claude", "dennis", "donald", "dorothy", "edsger", "evelyn", "frances", "grace",
    "hedy", "ida", "jean", "joan", "john", "karen", "katherine", "ken", "kristen", "leslie", "lynn", "margaret",
    "maria", "marvin", "mary", "niklaus", "radia", "richard", "roberta", "shafi", "sophie", "stephanie", "susan",
    "tim", "tony", "vint", "whitfield",
)  # fmt: skip
_TIERS: Final = ("free",) * 5 + ("basic",) * 3 + ("pro",) + ("enterprise",)
_MOST_OPEN: Final = 4
"""How many sessions one user has open at most, unless a fault says otherwise."""


class Person(NamedTuple):
    """A user."""

    name: str
    tier: str


class People:
    """Those who have an account."""

    def __init__(self) -> None:
        self._all = [Person(f"{name}@example.com", _TIERS[number % len(_TIERS)]) for number, name in enumerate(_NAMES)]
        self._open: Counter[Person] = Counter()

    def come(self, chances: Chances) -> Person:
        """Somebody begins something; it is nobody who does too much already."""
        found = chances.choice([person for person in self._all if self._open[person] < _MOST_OPEN] or self._all)
        self._open[found] += 1
        return found

    def go(self, person: Person) -> None:
        """Whatever it was has ended."""
        self._open[person] -= 1

    def of_tier(self, tier: str, number: int = 0) -> Person:
        """One of a tier, always the same."""
        return [person for person in self._all if person.tier == tier][number]


def tiers(pace: Pace) -> list[Tier]:
    """The four tiers. Their windows are shorter than those of the ready ones: a demo does not wait for a month."""
    return [
        _tier(pace, "free", tokens=400_000, calls=600, a_minute=30, at_once=3),
        _tier(pace, "basic", tokens=1_000_000, calls=2_000, a_minute=60, at_once=4),
        _tier(pace, "pro", tokens=5_000_000, calls=10_000, a_minute=240, at_once=8),
        _tier(pace, "enterprise", tokens=None, calls=None, a_minute=1_200, at_once=20),
    ]


def _tier(pace: Pace, name: str, *, tokens: float | None, calls: float | None, a_minute: int, at_once: int) -> Tier:
    hour, minute = round(pace.seconds(3_600)), max(1, round(pace.seconds(60)))
    return Tier(
        name,
        Quota("tokens", tokens, per=f"{hour} seconds"),
        Quota("api_calls", calls, per=f"{hour} seconds"),
        Quota("cost", None if tokens is None else tokens / 20_000, per=f"{hour} seconds"),
        Quota("storage", None if tokens is None else tokens * 10_000, scope="user"),
        Rate("requests", f"{a_minute} per {minute} second"),
        Rate("messages", f"{a_minute} per {minute} second"),
        Concurrency("concurrent_requests", at_once * 2),
        Concurrency("export", at_once),
    )
