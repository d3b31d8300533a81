"""Decisions about limits, beside the library `limits`, and a limited request, beside slowapi."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import limits
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

import otel_sessions
from otel_sessions.limits import Concurrency, Quota, Rate, Tier
from otel_sessions.stores import MemoryStore
from otel_sessions.typing import Bucket, Charge, LimitStore

from .harness import Case, awaits, calls

_PLENTY: Final = 10**9
_MANY: Final = 100
"""So many are allowed in a moving window: it is full, and moves."""


def memory() -> list[Case]:
    """In this process."""
    return [
        calls("a lock and an addition", _bare()),
        calls("limits, fixed window", _theirs(FixedWindowRateLimiter(MemoryStorage()), f"{_PLENTY}/day")),
        calls("limits, moving window", _theirs(MovingWindowRateLimiter(MemoryStorage()), f"{_MANY}/second")),
        *_ours(MemoryStore().limits, calls),
    ]


def redis() -> list[Case]:
    """In a Redis on this machine. Waiting for the answer is most of it: the time is the clock's on the wall."""
    import redis as client

    from otel_sessions.stores.redis import RedisStore

    url = f"unix://{_server()}"
    plain = client.Redis.from_url(url)
    script = plain.script_load("return redis.call('INCR', KEYS[1])")
    storage = RedisStorage(url.replace("unix://", "redis+unix://"))
    fixed, moving = FixedWindowRateLimiter(storage), MovingWindowRateLimiter(storage)
    three = [_theirs(fixed, f"{_PLENTY}/{window}") for window in ("day", "hour", "minute")]
    return [
        _waits("EVALSHA of an INCR", lambda: plain.evalsha(script, 1, "bare")),
        _waits("limits, fixed window", three[0]),
        _waits("limits, moving window", _theirs(moving, f"{_MANY}/second")),
        _waits("limits, three fixed windows", lambda: [ask() for ask in three]),
        *_ours(RedisStore(url, prefix=secrets.token_hex(4)).limits, _waits),
    ]


def requests() -> list[Case]:
    """A FastAPI request, with a limit in memory."""
    loop = asyncio.new_event_loop()
    otel_sessions.configure(
        tiers=[Tier("bench", Rate("requests", f"{_PLENTY}/minute", strategy="fixed-window"))],
        default_tier="bench",
        background=False,
    )
    return [
        awaits("alone", _request(_site()), loop),
        awaits("with slowapi", _request(_slowapi_site()), loop),
        awaits("in sessions", _request(_session_site([])), loop),
        awaits("in sessions, limited", _request(_session_site(["requests"])), loop),
    ]


SCENARIOS: Final[Mapping[str, Callable[[], list[Case]]]] = {
    "memory": memory,
    "redis": redis,
    "requests": requests,
}


def _waits(name: str, function: Callable[[], Any]) -> Case:
    """A case in which somebody else works: another process's time counts, too."""

    def loop(number: int) -> int:
        began = time.perf_counter_ns()
        for _ in repeat(None, number):
            function()
        return time.perf_counter_ns() - began

    return Case(name, loop)


def _bare() -> Callable[[], bool]:
    lock = threading.Lock()
    used = 0

    def ask() -> bool:
        nonlocal used
        with lock:
            if used + 1 > _PLENTY:
                return False
            used += 1
            return True

    return ask


def _theirs(limiter: limits.strategies.RateLimiter, rate: str) -> Callable[[], bool]:
    item = limits.parse(rate)
    return lambda: limiter.hit(item, "user")


def _ours(store: LimitStore, case: Callable[[str, Callable[[], Any]], Case]) -> list[Case]:
    now = time.time_ns() // 1000
    quota = Charge(Quota("tokens", _PLENTY, per="day").bucket("tokens|user", now))
    (bucket,) = Rate("upload", f"{_PLENTY}/day", strategy="fixed-window").buckets("upload|user")
    (moving,) = Rate("upload", f"{_MANY}/second").buckets("moving|user")
    others: Sequence[Bucket] = [
        Quota("api_calls", _PLENTY, per="month").bucket("calls|user", now),
        Concurrency("file", _MANY).bucket("file|user"),
    ]
    others = [quota.bucket._replace(name="together"), *others]
    together = [Charge(each, 1, "me") for each in others]
    fixed, rate = [Charge(bucket)], [Charge(moving)]
    return [
        case("one rate", lambda: store.admit(fixed)),
        case("one rate, moving window", lambda: store.admit(rate)),
        case("one quota", lambda: store.admit([quota])),
        case("two quotas and a slot together", lambda: store.admit(together)),
    ]


def _server() -> Path:
    """The socket of a Redis that lives as long as this process."""
    if shutil.which("redis-server") is None:
        raise SystemExit("redis-server is not installed")
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    socket = directory / "redis.sock"
    process = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(directory), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    import atexit

    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(process.kill)
    while not socket.exists():
        time.sleep(0.01)
    return socket


def _site() -> Any:
    from fastapi import FastAPI

    app = FastAPI(telemetry={"tracing": False})

    @app.get("/")
    async def root() -> dict[str, bool]:
        return {"ok": True}

    return app


def _slowapi_site() -> Any:
    from fastapi import FastAPI, Request
    from slowapi import Limiter
    from slowapi.util import get_remote_address

    limiter = Limiter(key_func=get_remote_address)
    app = FastAPI(telemetry={"tracing": False})
    app.state.limiter = limiter

    async def root(request: Request) -> dict[str, bool]:
        return {"ok": bool(request)}

    # With objects: here annotations are texts, which FastAPI would look up in this module.
    root.__annotations__ = {"request": Request, "return": dict[str, bool]}
    app.get("/")(limiter.limit(f"{_PLENTY}/minute")(root))
    return app


def _session_site(asked: Sequence[str]) -> Any:
    from otel_sessions.asgi import SessionMiddleware

    app = _site()
    app.add_middleware(SessionMiddleware, limits=asked)
    return app


def _request(app: Any) -> Callable[[], Any]:
    headers = [(b"host", b"localhost"), (b"authorization", b"Bearer 0123456789abcdef")]

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        return

    async def ask() -> None:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": "/",
            "raw_path": b"/", "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
            "client": ("127.0.0.1", 50_000), "server": ("localhost", 80), "state": {},
        }  # fmt: skip
        await app(scope, receive, send)

    return ask
