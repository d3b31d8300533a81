"""Visitors of the web application, over real HTTP."""

from __future__ import annotations

import asyncio
import http
from collections.abc import Callable
from urllib.parse import quote

from .._visitor import Visitor
from ._pace import Chances, Pace
from ._people import People, Person
from ._settings import PLAN


async def visit(pace: Pace, people: People, chances: Chances, *, address: str) -> None:
    """Somebody comes, looks around, perhaps logs in and buys something, and leaves, with or without a word."""
    person = people.come(chances)
    try:
        await _Visit(pace, person, chances, address).make()
    finally:
        people.go(person)
    await pace.pause(chances, 15)


async def try_passwords(pace: Pace, people: People, chances: Chances, *, address: str) -> None:
    """Somebody tries what is not theirs."""
    stranger = _Visit(pace, people.of_tier("free"), chances, address)
    for _ in range(chances.randint(5, 15)):
        await stranger.get(chances.choice(("/account", "/account", "/admin")))
        await pace.pause(chances, 4)


class _Visit:
    def __init__(self, pace: Pace, person: Person, chances: Chances, address: str) -> None:
        self._pace = pace
        self._person = person
        self._chances = chances
        self._address = address
        self._visitor = Visitor({PLAN.decode(): person.tier})

    async def make(self) -> None:
        await self.get("/")
        chances = self._chances
        if chances.hit(0.08):
            await self.get("/account")  # 401: not logged in
        known = chances.hit(0.8)
        if known:
            await self._post(f"/login?user={quote(self._person.name)}")
        for _ in range(chances.randint(3, 12)):
            await self._pace.pause(chances, 8)
            await self.get(f"/articles/{chances.randint(1, 500)}")
        if chances.hit(0.05):
            await self._hurry()
        if known:
            await self.get("/account")
            if chances.hit(0.02):
                await self.get("/admin")  # 403
            if chances.hit(0.5):
                await self._post("/checkout")
        if chances.hit(0.6):
            await self._post("/logout")

    async def _hurry(self) -> None:
        """More requests at once than the limit of a minute."""
        for number in range(40):
            if await self.get(f"/articles/{number}") == http.HTTPStatus.TOO_MANY_REQUESTS:
                await self._pace.pause(self._chances, 30)
                return

    async def get(self, path: str) -> int:
        return await self._request(self._visitor.get, path)

    async def _post(self, path: str) -> int:
        return await self._request(self._visitor.post, path)

    async def _request(self, method: Callable[[str], int], path: str) -> int:
        return await asyncio.to_thread(method, self._address + path)
