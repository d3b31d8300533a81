"""A real `redis-server` on a free port of this machine, in a directory of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import redis

    from otel_sessions.stores.redis import RedisStore


def need(program: str) -> str:
    """The path of a program; without it the test is skipped, and fails where CI has to have it."""
    found = shutil.which(program)
    if found is None:
        reason = f"{program} is not installed: run .ci/install-redis, or apt-get install redis-server"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def free_port() -> int:
    """A port to listen on later, which nobody gets meanwhile who takes any: those are above (IANA: from 49,152 on)."""
    while True:
        # Not by the random numbers that are the same in each test.
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(condition: Callable[[], object], *, seconds: float = 20) -> None:
    """Wait for another process; fail if it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.005)


class RedisServer:
    """One server. It keeps its port when it is started again."""

    def __init__(self, *options: str, port: int | None = None) -> None:
        self.program = need("redis-server")
        self.port = port or free_port()
        self.options = options
        self.directory = Path(tempfile.mkdtemp(prefix="redis-"))
        self.socket = self.directory / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        fixed = [
            *("--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket)),
            *("--dir", str(self.directory), "--save", "", "--appendonly", "no", "--logfile", "redis.log"),
        ]
        self.process = subprocess.Popen([self.program, *fixed, *self.options], stdout=subprocess.DEVNULL)
        until(self._answers)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "redis.log").read_text()
        # Without a TCP connection: its port may be one for TLS only.
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                answer = connection.recv(64)
            except OSError:
                return False
        return answer.startswith((b"+PONG", b"-NOAUTH"))

    def client(self, **options: Any) -> redis.Redis:
        """A plain client, to look behind the store."""
        import redis

        return redis.Redis(unix_socket_path=str(self.socket), **options)

    def pause(self) -> None:
        """Stop it in its tracks: connections are accepted by the kernel, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """As a power cut does."""
        self._signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def _signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


_shared: list[RedisServer] = []


def shared() -> RedisServer:
    """The server that tests use which neither stop nor fill it."""
    if not _shared:
        _shared.append(RedisServer())
    return _shared[0]


def stop_shared() -> None:
    while _shared:
        _shared.pop().stop()


def store(server: RedisServer | None = None, **options: Any) -> RedisStore:
    """A new, empty store: a deployment of its own."""
    from otel_sessions.stores.redis import RedisStore

    server = server or shared()
    return RedisStore(server.url, **{"prefix": secrets.token_hex(4), "timeout": 10, **options})
