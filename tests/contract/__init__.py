"""What every store promises: the tests here run unchanged on each of `STORES`, and on those that are `SHARED`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_sessions.stores import MemoryStore
from otel_sessions.typing import SharedStore, Store

from .. import redis_server

if TYPE_CHECKING:
    from otel_sessions.stores.redis import RedisStore


def _redis(_directory: Path) -> Callable[[], RedisStore]:
    prefix = secrets.token_hex(4)
    return lambda: redis_server.store(prefix=prefix)


STORES: Final[Mapping[str, Callable[[Path], Store]]] = {
    "memory": lambda _directory: MemoryStore(),
    "redis": lambda directory: _redis(directory)(),
}
"""How to make a new, empty store of each kind, given a directory of its own."""

SHARED: Final[Mapping[str, Callable[[Path], Callable[[], SharedStore]]]] = {
    "redis": _redis,
}
"""How to make one that several processes see, given a directory of its own: the result makes one process's store, and
every store that it makes sees the same records."""
