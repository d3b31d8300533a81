"""Where the records of sessions live, chosen by URL."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ..exceptions import ConfigurationError, SessionsError
from ..typing import Store
from .memory import MemoryStore

__all__ = ["ENTRY_POINT_GROUP", "MemoryStore", "from_url"]

_REDIS: Final = ("redis", "rediss", "unix")

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}")  # RFC 3986, section 3.1

ENTRY_POINT_GROUP: Final = "otel_sessions_store"
"""Distributions may offer stores of their own: an entry point in this group, named by the URL's scheme, that leads to a
callable taking the URL and returning a `Store`."""


def from_url(url: str, *, history: int = 10_000, retention: float | None = None) -> Store:
    """Make the store that `url` names.

    Args:
        url: `memory://`; `sqlite:///relative.db` or `sqlite:////absolute/path.db`; `redis://`, `rediss://` (TLS) or
            `unix://` for Redis; or a URL with the scheme of an entry
            point in the group `otel_sessions_store`.
        history: how many ended sessions the memory store remembers.
        retention: for how many seconds a store that outlives the process remembers ended sessions, if its URL does not
            say; None leaves it to the store.

    Raises:
        ConfigurationError: no store answers to the scheme, or the one that does cannot be made.
        MissingExtraError: the store needs an extra that is not installed.
    """
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower() if separator and _SCHEME.fullmatch(scheme) else ""
    if scheme == "memory":
        return MemoryStore(history=history)
    if scheme == "sqlite":
        from .sqlite import SQLiteStore  # noqa: PLC0415 - loaded only where it is used

        return SQLiteStore.from_url(url) if retention is None else SQLiteStore.from_url(url, retention=retention)
    if scheme in _REDIS:
        from .redis import RedisStore  # noqa: PLC0415 - it needs an extra

        return RedisStore(url) if retention is None else RedisStore(url, retention=retention)
    from importlib.metadata import entry_points  # noqa: PLC0415 - half of this package's import time otherwise

    offered = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if scheme in offered:
        try:
            factory: Callable[[str], Store] = offered[scheme].load()
            return factory(url)
        except SessionsError:
            raise
        except Exception as error:
            # Its type alone: the text may quote the URL with its credentials.
            reason = type(error).__name__
            raise ConfigurationError(f"store: {scheme}://... cannot be used, it raised {reason}") from error
    if not scheme:
        raise ConfigurationError(
            "store: it is no URL, which begins with a scheme; of a file that is sqlite:///sessions.db, or "
            "sqlite:////var/lib/sessions.db if its path is absolute, of a server redis://host"
        )
    # Of the URL only the scheme is shown: anything after it may be a credential.
    known = ", ".join(f"{name}://" for name in sorted({"memory", "sqlite", *_REDIS, *offered}))
    raise ConfigurationError(f"store: no store answers to a URL {scheme}://...; there are {known}")
