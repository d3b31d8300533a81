"""The routes that this package serves inside an application: asking them is no part of anybody's session."""

from __future__ import annotations

from typing import Final

WHOLE: Final = ("live", "health", "statistics", "sessions", "mine")
"""What stands below a prefix."""
_BELOW: Final = "sessions/"


class OwnRoutes:
    """Where they are, in all applications of this process."""

    def __init__(self) -> None:
        self._whole: frozenset[str] = frozenset()
        self._below: tuple[str, ...] = ()

    def add(self, prefix: str) -> None:
        """They are served below `prefix`."""
        base = f"{prefix.rstrip('/')}/"
        self._whole |= {base + name + slash for name in WHOLE for slash in ("", "/")}
        self._below = tuple({*self._below, base + _BELOW})

    def __contains__(self, path: str) -> bool:
        return path in self._whole or path.startswith(self._below)


own_routes: Final = OwnRoutes()
