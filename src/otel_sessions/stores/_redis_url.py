"""What a Redis URL says: how to reach the server, and what is meant for the store itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, parse_qs, parse_qsl, unquote, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from ..exceptions import ConfigurationError
from ._redis_socket import Pool

SCHEMES: Final = ("redis", "rediss", "unix")
_OWN: Final = ("prefix", "retention", "timeout", "cluster")
_OURS: Final = {
    "decode_responses": "the store reads bytes",
    "encoding": "the store reads bytes",
    "encoding_errors": "the store reads bytes",
    "retry_on_error": "the store decides what is tried again",
    "retry_on_timeout": "the store decides what is tried again",
    "socket_connect_timeout": "say timeout instead",
    "socket_timeout": "say timeout instead",
}
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_CONNECTIONS: Final = 16


class Options(NamedTuple):
    """What concerns the store, not the connection."""

    prefix: str = "otel-sessions"
    retention: float = 86_400.0
    timeout: float = 1.0
    cluster: bool = False


class Address:
    """A server, or a cluster, that can be connected to. Nothing is sent before that.

    Raises:
        ConfigurationError: the URL cannot be one of a Redis server. The message shows no part of it but names.
    """

    def __init__(self, url: str, options: Options) -> None:
        self.options = _own(url, options)
        self._parts = _split(url)
        pairs = parse_qsl(self._parts.query, keep_blank_values=True)
        self._query = {name: value for name, value in pairs if name not in _OWN}
        for name in self._query:
            if name in _OURS:
                raise ConfigurationError(f"store: {name} cannot be part of a Redis URL, {_OURS[name]}")
        if self.options.cluster and (self._parts.scheme == "unix" or self._parts.path.strip("/0")):
            raise ConfigurationError(
                "store: a Redis Cluster is reached by redis:// or rediss://, and has no database but 0"
            )
        self._check()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may show."""
        found = (self._parts.password, self._query.get("password"), self._query.get("ssl_password"))
        return tuple({secret for raw in found if raw for secret in (raw, unquote(raw))})

    def connect(self) -> redis.Redis | RedisCluster:
        """A client with connections of its own. A cluster is asked for its nodes at once, a server for nothing."""
        timeout = self.options.timeout
        if self.options.cluster:
            return RedisCluster(
                url=self._url(), connection_pool_class=Pool, retry=_once(), **_settings(RedisCluster, timeout)
            )
        pool = Pool.from_url(self._url(), retry=_once(), **_settings(redis.Redis, timeout))
        return redis.Redis.from_pool(pool)

    def _url(self) -> str:
        query = urlencode({"max_connections": str(_CONNECTIONS), **self._query})
        return f"{self._parts.scheme}://{self._parts.netloc}{self._parts.path}?{query}"

    def _check(self) -> None:
        """Let the client make what it would connect with: it knows its own options."""
        try:
            pool = Pool.from_url(self._url(), retry=_once(), **_settings(redis.Redis, 1.0))
            pool.make_connection()  # type: ignore[no-untyped-call]  # it is so
        except TypeError:
            # Its text names the option, but also quotes values at times.
            known = _arguments(redis.Redis) | _arguments(redis.Connection) | {"path", "timeout"}
            unknown = ", ".join(sorted(self._query.keys() - known)) or "a parameter"
            raise ConfigurationError(f"store: the Redis client does not know {unknown} of the URL") from None
        except Exception as error:  # noqa: BLE001 - it may raise anything, with the URL in the text
            reason = type(error).__name__
            raise ConfigurationError(
                f"store: the Redis client cannot use the parameters of the URL, {reason}"
            ) from None


def _once() -> Retry:
    """One more try, at once: a connection from the pool may have been cut while it was idle."""
    return Retry(NoBackoff(), 1)


def _settings(client: Any, timeout: float) -> dict[str, Any]:
    settings: dict[str, Any] = {"timeout": timeout, "protocol": 2}
    if "maint_notifications_config" in _arguments(client):  # pragma: no branch - the other one is that of redis-py 5
        # They relax timeouts behind our back, and cost a round trip for each connection.
        from redis.maint_notifications import MaintNotificationsConfig  # noqa: PLC0415 - absent before redis-py 7

        settings["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
    return settings


def _arguments(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError("store: the Redis URL has a host or a port that cannot be one") from None
    if parts.scheme not in SCHEMES or not url[len(parts.scheme) :].startswith("://"):
        raise ConfigurationError("store: a Redis URL begins with redis://, rediss:// or unix://")
    if parts.scheme == "unix":
        if not parts.path:
            raise ConfigurationError("store: a Redis URL unix:// needs the path of the socket")
    elif not re.fullmatch(r"/?|/\d{1,9}", parts.path):
        raise ConfigurationError(
            "store: the path of a Redis URL is the number of a database, as in redis://host:6379/0"
        )
    if port == 0:
        raise ConfigurationError("store: the Redis URL has a host or a port that cannot be one")
    return parts


def _own(url: str, given: Options) -> Options:
    """The options for the store: those in the URL go before those given."""
    query = parse_qs(_split(url).query, keep_blank_values=True)
    values: dict[str, Any] = given._asdict()
    values.update({name: query[name][-1] for name in _OWN if name in query})
    return Options(
        prefix=_prefix(values["prefix"]),
        retention=_seconds("retention", values["retention"]),
        timeout=_seconds("timeout", values["timeout"]),
        cluster=_flag(values["cluster"]),
    )


def _prefix(value: Any) -> str:
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise ConfigurationError(f"store: prefix must be 1 to 64 letters, digits, or any of _.:- but it is {value!r}")
    return value


def _seconds(name: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0.001 <= seconds <= 3.2e8:  # noqa: PLR2004 - a millisecond; ten years
        raise ConfigurationError(f"store: {name} must be seconds, from 0.001 to 3.2e8, but it is {value!r}")
    return seconds


def _flag(value: Any) -> bool:
    if value not in (True, False, "true", "false"):
        raise ConfigurationError(f"store: cluster must be true or false, but it is {value!r}")
    return value in (True, "true")
