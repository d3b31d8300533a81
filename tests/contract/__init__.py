"""What every store promises: the tests here run unchanged on each of `STORES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from otel_sessions.stores import MemoryStore
from otel_sessions.typing import Store

from .. import redis_server

STORES: Final[Mapping[str, Callable[[Path], Store]]] = {
    "memory": lambda _directory: MemoryStore(),
    "redis": lambda _directory: redis_server.store(),
}
"""How to make a new, empty store of each kind, given a directory of its own."""
