"""A request to FastAPI and Flask with the instrumentation that people have, with and without the session middleware.

Requests are calls of the ASGI or WSGI application in this process: sockets would only add noise. A hundred clients take
turns, each with the cookie that the middleware gave it; both applications receive exactly the same requests.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import partial
from typing import Any, Final

import flask
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import otel_sessions
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.flask import Sessions

from . import by_hand
from .harness import Case, awaits, calls
from .sdk import Providers, providers

Message = MutableMapping[str, Any]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_CLIENTS: Final = 100
_PATH: Final = "/items/7"
_HEADERS: Final = (
    (b"host", b"shop.example"),
    (b"user-agent", b"benchmark/1"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"connection", b"keep-alive"),
)


def native_fastapi(providers: Providers) -> FastAPI:
    """FastAPI with the telemetry that it has built in."""
    return FastAPI(
        telemetry={
            "tracer_provider": providers.tracers,
            "meter_provider": providers.meters,
            "logger_provider": providers.loggers,
        }
    )


def contrib_fastapi(providers: Providers) -> FastAPI:
    """FastAPI with opentelemetry-instrumentation-fastapi."""
    app = FastAPI()
    FastAPIInstrumentor.instrument_app(app, tracer_provider=providers.tracers, meter_provider=providers.meters)
    return app


def contrib_flask(providers: Providers) -> flask.Flask:
    """Flask with opentelemetry-instrumentation-flask."""
    app = flask.Flask("shop")
    instrument: Any = FlaskInstrumentor().instrument_app
    instrument(app, tracer_provider=providers.tracers, meter_provider=providers.meters)
    return app


def asgi(instrumented: Callable[[Providers], FastAPI], **settings: Any) -> list[Case]:
    """The cases of a FastAPI application."""
    loop = asyncio.new_event_loop()
    alone, hand, ours = (instrumented(sdk) for sdk in _sdks(**settings))
    hand.add_middleware(by_hand.Request)
    ours.add_middleware(SessionMiddleware)
    for app in (alone, hand, ours):
        app.get("/items/{item}")(_show)
    cookies = [loop.run_until_complete(_asgi_cookie(ours)) for _ in range(_CLIENTS)]
    return [
        awaits("alone", _asgi_request(alone, cookies), loop),
        awaits("by hand", _asgi_request(hand, cookies), loop),
        awaits("with sessions", _asgi_request(ours, cookies), loop),
    ]


def wsgi(instrumented: Callable[[Providers], flask.Flask], **settings: Any) -> list[Case]:
    """The cases of a Flask application."""
    theirs, _, ours = _sdks(**settings)
    alone, with_sessions = instrumented(theirs), instrumented(ours)
    Sessions(with_sessions)
    for app in (alone, with_sessions):
        app.get("/items/<int:item>")(_show_sync)
    cookies = [_wsgi_cookie(with_sessions.wsgi_app) for _ in range(_CLIENTS)]
    return [
        calls("alone", _wsgi_request(alone.wsgi_app, cookies)),
        calls("with sessions", _wsgi_request(with_sessions.wsgi_app, cookies)),
    ]


_VARIANTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "": {},
    "_traces": {"metrics": False},
    "_sampled_out": {"sampler": ALWAYS_OFF},
    "_unstamped": {"stamp": False},
}

SCENARIOS: Final[Mapping[str, Callable[[], list[Case]]]] = {
    **{f"fastapi{name}": partial(asgi, native_fastapi, **settings) for name, settings in _VARIANTS.items()},
    **{f"fastapi_contrib{name}": partial(asgi, contrib_fastapi, **settings) for name, settings in _VARIANTS.items()},
    **{f"flask_contrib{name}": partial(wsgi, contrib_flask, **settings) for name, settings in _VARIANTS.items()},
}


def _sdks(*, stamp: bool = True, **settings: Any) -> tuple[Providers, Providers, Providers]:
    """The SDKs of the application alone, of the one done by hand, and of the one with sessions."""
    alone, hand, ours = (providers(**settings) for _ in range(3))
    if stamp:
        hand.tracers.add_span_processor(by_hand.Stamp())
    otel_sessions.configure(
        tracer_provider=ours.tracers, meter_provider=ours.meters, logger_provider=ours.loggers, stamp=stamp
    )
    return alone, hand, ours


async def _show(item: int) -> dict[str, int]:
    return {"item": item}


def _show_sync(item: int) -> dict[str, int]:
    return {"item": item}


def _scope(cookie: bytes) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": _PATH,
        "raw_path": _PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [*_HEADERS, (b"cookie", cookie)],
        "client": ("192.0.2.1", 50_000),
        "server": ("192.0.2.2", 8_000),
        "state": {},
    }


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _asgi_request(app: AsgiApp, cookies: Iterable[bytes]) -> Callable[[], Awaitable[None]]:
    turns = itertools.cycle(cookies)

    async def send(_message: Message) -> None:
        pass

    async def request() -> None:
        await app(_scope(next(turns)), _receive, send)

    return request


async def _asgi_cookie(app: AsgiApp) -> bytes:
    """The cookie of a new client."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(_scope(b""), _receive, send)
    return next(bytes(value) for name, value in sent[0]["headers"] if name == b"set-cookie").partition(b";")[0]


def _environ(cookie: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": _PATH,
        "QUERY_STRING": "",
        "SERVER_NAME": "192.0.2.2",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "HTTP_HOST": "shop.example",
        "HTTP_USER_AGENT": "benchmark/1",
        "HTTP_ACCEPT": "*/*",
        "HTTP_COOKIE": cookie,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _wsgi_request(app: WsgiApp, cookies: Iterable[str]) -> Callable[[], None]:
    turns = itertools.cycle(cookies)

    def start_response(*_: Any) -> None:
        pass

    def request() -> None:
        response: Any = app(_environ(next(turns)), start_response)
        for _ in response:
            pass
        response.close()

    return request


def _wsgi_cookie(app: WsgiApp) -> str:
    """The cookie of a new client."""
    given: list[tuple[str, str]] = []

    def start_response(_status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        given.extend(headers)

    response: Any = app(_environ(""), start_response)
    for _ in response:
        pass
    response.close()
    return next(value for name, value in given if name == "Set-Cookie").partition(";")[0]
