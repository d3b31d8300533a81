"""Clients that send requests over kept connections, from several threads."""

from __future__ import annotations

import http.client
import itertools
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

_PATIENCE_SECONDS = 60.0
_REQUESTS_OF_A_CONNECTION = 25


def cookie() -> dict[str, str]:
    """What a client sends that has been given a cookie once, by a process that is long gone."""
    return {"Cookie": f"otel_session={secrets.token_urlsafe(32)}"}


class Answer(NamedTuple):
    """What a client got, and how long it waited for that; the status is 0 if it got nothing."""

    status: int
    text: str
    began: float
    seconds: float


class Load:
    """Requests of some clients, each client's from any thread.

    Args:
        count: how many requests; endless if not given.
        pause: seconds that each thread rests between two.
    """

    def __init__(
        self,
        url: str,
        clients: list[dict[str, str]],
        *,
        threads: int = 16,
        count: int | None = None,
        pause: float = 0.0,
        path: str = "/",
    ) -> None:
        self._address = urlsplit(url).netloc
        self._clients = clients
        self._path = path
        self._pause = pause
        self._numbers = itertools.count() if count is None else iter(range(count))
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        self.answers: list[Answer] = []

    def _run(self) -> None:
        while self._connected():
            """Connections end, so that every worker gets some."""

    def _connected(self) -> bool:
        connection = http.client.HTTPConnection(self._address, timeout=_PATIENCE_SECONDS)
        try:
            return all(self._one(connection) for _ in range(_REQUESTS_OF_A_CONNECTION))
        finally:
            connection.close()

    def _one(self, connection: http.client.HTTPConnection) -> bool:
        with self._lock:
            number = next(self._numbers, None)
        if number is None or self._stopped.is_set():
            return False
        self.answers.append(_ask(connection, self._path, self._clients[number % len(self._clients)]))
        time.sleep(self._pause)
        return True

    def start(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def join(self) -> list[Answer]:
        """Wait until all requests have been answered."""
        for thread in self._threads:
            thread.join()
        return self.answers

    def stop(self) -> list[Answer]:
        """Send no more; all that were sent are answered."""
        self._stopped.set()
        return self.join()


def _ask(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> Answer:
    began = time.monotonic()
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        status, text = response.status, response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        status, text = 0, repr(error)
    return Answer(status, text, began, time.monotonic() - began)


def ask(url: str, path: str, headers: dict[str, str]) -> Answer:
    """One request."""
    return Load(url, [headers], threads=1, count=1, path=path).start().join()[0]


@contextmanager
def under_load(load: Load) -> Iterator[Load]:
    """While requests are sent."""
    load.start()
    try:
        yield load
    finally:
        load.stop()
