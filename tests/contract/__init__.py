"""What every store promises: the tests here run unchanged on each of `STORES`, and on those that are `SHARED`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from otel_sessions.stores import MemoryStore
from otel_sessions.stores.sqlite import SQLiteStore
from otel_sessions.typing import SharedStore, Store


def _sqlite(directory: Path) -> Callable[[], SQLiteStore]:
    return lambda: SQLiteStore(str(directory / "sessions.db"))


STORES: Final[Mapping[str, Callable[[Path], Store]]] = {
    "memory": lambda _directory: MemoryStore(),
    "sqlite": lambda directory: _sqlite(directory)(),
}
"""How to make a new, empty store of each kind, given a directory of its own."""

SHARED: Final[Mapping[str, Callable[[Path], Callable[[], SharedStore]]]] = {
    "sqlite": _sqlite,
}
"""How to make one that several processes see, given a directory of its own: the result makes one process's store, and
every store that it makes sees the same records."""
