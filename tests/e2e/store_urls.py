"""Stores for servers and their workers."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests import redis_server

# Many processes on a busy machine may wait longer for a store than it takes to be thought away.
_TIMEOUT_SECONDS = 60


def store_url(name: str, directory: Path) -> str:
    """The URL of a new store of that name, for tests in which it is there all the time."""
    if name == "sqlite":
        return f"sqlite:///{directory}/sessions.db?timeout={_TIMEOUT_SECONDS}"
    return f"{redis_server.shared().url}?prefix={secrets.token_hex(4)}&timeout={_TIMEOUT_SECONDS}"
