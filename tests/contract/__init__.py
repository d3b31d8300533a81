"""What every store promises: the tests here run unchanged on each of `STORES`, and on those that are `SHARED`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_sessions.stores import MemoryStore
from otel_sessions.stores.sqlite import SQLiteStore
from otel_sessions.typing import SharedStore, UserStore

from .. import redis_server
from ..shared_memory_store import SharedMemoryStore

if TYPE_CHECKING:
    from otel_sessions.stores.redis import RedisStore


def _memory(_directory: Path) -> Callable[[], SharedMemoryStore]:
    store = SharedMemoryStore()
    return lambda: store


def _sqlite(directory: Path) -> Callable[[], SQLiteStore]:
    return lambda: SQLiteStore(str(directory / "sessions.db"))


def _redis(_directory: Path) -> Callable[[], RedisStore]:
    prefix = secrets.token_hex(4)
    return lambda: redis_server.store(prefix=prefix)


STORES: Final[Mapping[str, Callable[[Path], UserStore]]] = {
    "memory": lambda _directory: MemoryStore(),
    "sqlite": lambda directory: _sqlite(directory)(),
    "redis": lambda directory: _redis(directory)(),
}
"""How to make a new, empty store of each kind, given a directory of its own."""

SHARED_KINDS: Final = [kind for kind in STORES if kind != "memory"]
"""Those of them that several processes see; memory is one process's own."""

SHARED: Final[Mapping[str, Callable[[Path], Callable[[], SharedStore]]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "redis": _redis,
}
"""How to make one that several processes see, given a directory of its own: the result makes one process's store, and
every store that it makes sees the same records."""
