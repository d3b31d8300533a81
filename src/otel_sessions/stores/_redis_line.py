"""The line to Redis: runs scripts, within a timeout, and says in our words what went wrong."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final

import redis
from redis.cluster import RedisCluster

from ..exceptions import StoreError
from ._breaker import Breaker
from ._redis_errors import explain
from ._redis_socket import within
from ._redis_url import Address

FORMAT: Final = 2
"""The version of what is stored; the scripts have it, too."""
_OLDEST: Final = (6, 0)

_inherited: list[object] = []
"""Clients of the parent process. They are not let go of: that would take locks that may be held for ever."""


class Script:
    """A script, with what stands before every one of its directory, and the name Redis knows it by."""

    def __init__(self, name: str) -> None:
        script = files(__package__) / "lua" / f"{name}.lua"
        prelude = files(__package__) / "lua" / name.rpartition("/")[0] / "prelude.lua"
        self.source = prelude.read_text("utf-8") + script.read_text("utf-8")
        self.digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


script: Final = cache(Script)


class Line:
    """Runs scripts on one server or cluster, from any thread.

    Args:
        pause: how many seconds the server is left alone after it did not answer.
        clock: seconds from an arbitrary origin, never going back.
    """

    def __init__(self, address: Address, *, pause: float, clock: Callable[[], float]) -> None:
        self._address = address
        self.timeout = address.options.timeout
        self._pause = pause
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self._client: redis.Redis | RedisCluster | None = None
        self._breaker = Breaker(self._pause, self._clock)
        self._wrong = ""
        """Why it is left alone."""
        self._calls = 0
        self._quiet = threading.Condition()

    def run(self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes | str | int]) -> Any:
        """What the script returned.

        Raises:
            StoreError: it did not run, or nobody knows whether it did.
        """
        if not self._breaker.admits():
            raise StoreError(f"redis: {self._wrong} (left alone since then; asked again after {self._pause:g} s)")
        try:
            with self._call(), within(self.timeout):
                result = _evaluate(self._connected(), script(name), keys, arguments)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - a client that is told nonsense raises anything
            text, cause = self._explain(error)
            if isinstance(error, redis.ResponseError) and not isinstance(error, redis.exceptions.ClusterError):
                # It did answer.
                self._breaker.succeeded()
            else:
                # First: whoever is not let through meanwhile says it.
                self._wrong = text
                self._breaker.failed()
            raise StoreError(f"redis: {text}") from cause
        self._breaker.succeeded()
        return result

    @contextmanager
    def _call(self) -> Iterator[None]:
        """While a call is under way nobody closes its connection."""
        with self._quiet:
            self._calls += 1
        try:
            yield
        finally:
            with self._quiet:
                self._calls -= 1
                self._quiet.notify_all()

    def _connected(self) -> redis.Redis | RedisCluster:
        client = self._client
        if client is None:
            # Without a lock: who waits for another's timeout would wait longer than for its own.
            client = self._address.connect()
            _check_version(client)
            self._client = client
        return client

    def _explain(self, error: Exception) -> tuple[str, Exception | None]:
        """What is wrong, and the cause, unless its text has a credential in it."""
        text = str(error)
        for secret in self._address.secrets:
            text = text.replace(secret, "***")
        # A server that does not know a command repeats its arguments.
        cause = error if text == str(error) and "args beginning with" not in text else None
        return explain(error, text, timeout=self.timeout, known_format=FORMAT), cause

    def after_fork(self) -> None:
        """Begin anew in a child process, with connections of its own."""
        _inherited.append(self._client)
        self._begin()

    def shutdown(self) -> None:
        """Close the connections, once the calls that are under way have been answered or given up.

        A thread that goes on while its process ends would otherwise take the closed line for a failing server.
        """
        client, self._client = self._client, None
        if client is not None:
            with self._quiet:
                self._quiet.wait_for(lambda: not self._calls, self.timeout)
            client.close()


def _evaluate(client: Any, one: Script, keys: Sequence[bytes], arguments: Sequence[bytes | str | int]) -> Any:
    try:
        return client.evalsha(one.digest, len(keys), *keys, *arguments)
    except redis.exceptions.NoScriptError:
        # It has been started anew.
        return client.eval(one.source, len(keys), *keys, *arguments)


def _check_version(client: Any) -> None:
    try:
        version = client.info("server")["redis_version"]
    except redis.exceptions.NoPermissionError:
        return
    except (KeyError, TypeError):
        raise redis.exceptions.InvalidResponse("no version") from None
    found = tuple(int(number) for number in re.findall(r"\d+", str(version))[:2])
    if found < _OLDEST:
        raise StoreError(f"redis: the server is Redis {version}, 6.0 or newer is needed")
