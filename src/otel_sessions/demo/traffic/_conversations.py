"""Conversations: durable sessions, resumed for every message."""

from __future__ import annotations

import asyncio
from typing import Final

import otel_sessions as sessions

from ._faults import ERRORS, IDLE, SUSPICIOUS
from ._models import MODELS
from ._pace import Chances, Pace
from ._people import People, Person

_PLATFORMS: Final = ("web", "web", "mobile", "api")
_UNUSUAL: Final = ("device_change", "impossible_travel", "prompt_injection")


async def converse(pace: Pace, people: People, chances: Chances) -> None:
    """One conversation of somebody, from its first message to its end, or until it is left alone."""
    person = people.come(chances)
    try:
        await _Conversation(pace, person, chances).hold()
    finally:
        people.go(person)
    await pace.pause(chances, 6)


async def feast(pace: Pace, people: People, chances: Chances) -> None:
    """Somebody has very long texts read, until their quota is used up."""
    await _Conversation(pace, people.of_tier("free", 3), chances, appetite=12).hold()
    await pace.pause(chances, 2)


async def be_noticed(pace: Pace, people: People, chances: Chances) -> None:
    """Somebody does something unusual."""
    person = people.come(chances)
    with sessions.start("chat", user=person.name, tier=person.tier, platform="api") as chat:
        chat.suspicious(chances.choice(_UNUSUAL), score=round(chances.random(), 2))
        chat.end()
    people.go(person)
    await pace.pause(chances, 20 if pace.has(SUSPICIOUS) else 400)


class _Conversation:
    """One conversation; of each message it knows the conversation's id and nothing else."""

    def __init__(self, pace: Pace, person: Person, chances: Chances, *, appetite: int = 1) -> None:
        self._pace = pace
        self._person = person
        self._chances = chances
        self._appetite = appetite
        self._id = f"conversation-{chances.getrandbits(32):08x}"
        self._model = chances.choice(MODELS)

    async def hold(self) -> None:
        """Hold it."""
        platform = self._chances.choice(_PLATFORMS)
        opened = sessions.start("chat", id=self._id, user=self._person.name, tier=self._person.tier, platform=platform)
        opened.message("system")
        for _ in range(self._chances.randint(3, 8)):
            if not await self._exchange(platform):
                break
            await self._think()
        if self._chances.hit(0.15):  # left alone: it expires
            return
        failed = self._chances.hit(1 / 3 if self._pace.has(ERRORS) else 0.005)
        sessions.end(self._id, "error" if failed else "success")

    async def _think(self) -> None:
        """What the user does between two messages."""
        if self._pace.has(IDLE):
            await asyncio.sleep(self._pace.seconds(60))
        await self._pace.pause(self._chances, 9)

    async def _exchange(self, platform: str) -> bool:
        """One message and its answer; returns whether the user goes on."""
        try:
            chat = sessions.resume(self._id)
        except sessions.SessionNotFoundError:
            # Idle for too long, or the store is away.
            return False
        async with chat:
            try:
                await chat.admit_async(uses={"api_calls": 1}, rates={"messages": 1}, operation="inference")
                await self._within_budget(chat)
            except sessions.LimitExceededError as refused:
                chat.event("conversation.refused", limit=refused.name)
                return False
            async with chat.turn(model=self._model.name) as turn:
                await self._model.answer(turn, self._pace, self._chances, appetite=self._appetite)
                if self._chances.hit(0.2):  # it calls a tool
                    turn.message("tool")
            self._happen(chat, platform)
        return True

    async def _within_budget(self, chat: sessions.Session) -> None:
        """Tokens count when they are consumed; a user who has none left is refused before."""
        status = await chat.quota_async("tokens")
        if status.remaining is not None and status.remaining <= 0:
            await chat.use_async("tokens", 1, operation="inference")

    def _happen(self, chat: sessions.Session, platform: str) -> None:
        """Things that happen now and then."""
        chances = self._chances
        if chances.hit(0.04):
            duration = self._pace.seconds(chances.uniform(0.1, 1.5))
            chat.switch_platform(platform, "mobile" if platform != "mobile" else "web", duration=duration)
        if chances.hit(0.05):
            chat.event("document.attached", pages=chances.randint(1, 40))
        if chances.hit(0.1 if self._pace.has(ERRORS) else 0.005):
            chat.error("model_overloaded", "Answered by the smaller model")
