"""Those who make trouble: one actor for each fault that is more than a share of what happens anyway."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from pathlib import Path
from typing import Final

import otel_sessions as sessions

from ._pace import Chances, Pace
from ._people import People
from ._settings import STORE

_BURST: Final = 40
_OBSTRUCTED_SECONDS: Final = 3.0
_LINE: Final = "a request failed, and this is what is known of it: " + "." * 1_024
_LOG_SHARE: Final = 800
"""A second's lines are so small a share of the log."""
_LEAST_LINES: Final = 100
_MOST_LOG: Final = 1 << 28
_REST_SECONDS: Final = 8.0


async def hammer(pace: Pace, people: People, chances: Chances) -> None:
    """A client that takes no notice of being refused."""
    person = people.of_tier("free", 1)
    with sessions.start("api", user=person.name, tier=person.tier, platform="api") as session:
        for _ in range(50):
            for _ in range(_BURST):
                with contextlib.suppress(sessions.LimitExceededError):
                    await session.check_rate_async("messages")
            await pace.pause(chances, 2)
        session.end()


async def linger(pace: Pace, people: People, chances: Chances) -> None:
    """A session that stays open, and does next to nothing; one of twenty is always the same user's."""
    person = people.of_tier("pro", 1) if chances.hit(0.05) else people.come(chances)
    with sessions.start("chat", user=person.name, tier=person.tier, platform="web") as session:
        for _ in range(20):
            await pace.pause(chances, 100)
            session.message()
        session.end()


async def come_late(pace: Pace, _people: People, chances: Chances) -> None:
    """Something that goes on with a session after its end."""
    session = sessions.start("chat")
    session.end()
    session.event("answer.late")
    await pace.pause(chances, 5)


async def obstruct_store(_pace: Pace, _people: People, _chances: Chances) -> None:
    """Somebody keeps the store from answering for a while: locks its file, or has the server pause."""
    url = os.environ[STORE]
    if url.startswith("sqlite:///"):
        await asyncio.to_thread(_lock, url.removeprefix("sqlite:///").partition("?")[0])
    else:
        await asyncio.to_thread(_have_paused, url.partition("?")[0])
    await asyncio.sleep(_REST_SECONDS)


def can_be_obstructed(url: str) -> bool:
    """Whether it is known how: of other stores, and of memory, it is not."""
    return url.startswith(("sqlite:///", "redis://", "rediss://"))


def _lock(path: str) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(_OBSTRUCTED_SECONDS)
        connection.execute("ROLLBACK")


def _have_paused(url: str) -> None:
    import redis  # noqa: PLC0415 - only with the extra, without which there is no such store

    with contextlib.closing(redis.Redis.from_url(url)) as server:
        server.client_pause(round(_OBSTRUCTED_SECONDS * 1_000))
    time.sleep(_OBSTRUCTED_SECONDS)


async def fill_log(_pace: Pace, _people: People, _chances: Chances, *, path: Path) -> None:
    """Something writes more and more: the log is twice as long every ten minutes."""
    _fill(path)
    await asyncio.sleep(1)


def _fill(path: Path) -> None:
    size = path.stat().st_size
    if size > _MOST_LOG:
        os.truncate(path, 0)
    for _ in range(max(_LEAST_LINES, size // _LOG_SHARE // len(_LINE))):
        logging.getLogger("demo").warning(_LINE)
