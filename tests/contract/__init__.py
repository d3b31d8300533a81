"""What every store promises: the tests here run unchanged on each of `STORES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from otel_sessions.stores import MemoryStore
from otel_sessions.stores.sqlite import SQLiteStore
from otel_sessions.typing import Store

STORES: Final[Mapping[str, Callable[[Path], Store]]] = {
    "memory": lambda _directory: MemoryStore(),
    "sqlite": lambda directory: SQLiteStore(str(directory / "sessions.db")),
}
"""How to make a new, empty store of each kind, given a directory of its own."""
