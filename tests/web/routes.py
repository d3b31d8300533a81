"""An application that shows its sessions over HTTP, in each framework, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol

import flask
import httpx
from fastapi import FastAPI

from otel_sessions.asgi import SessionMiddleware
from otel_sessions.flask import Sessions
from otel_sessions.http import Access, Operator, Owner
from otel_sessions.http.fastapi import router
from otel_sessions.http.flask import blueprint
from otel_sessions.testing import RecordedSessions

from .servers import Server, serve_asgi, serve_wsgi

EVERYTHING: Final = ("/health", "/statistics", "/sessions", "/mine", "/sessions/s1")
ACCESS: Final = "app_session.access"


def who(request: Any) -> Access | None:
    """Operators and owners say so; a real application would have them log in."""
    role, _, user = request.headers.get("x-who", "").partition(":")
    if not role:
        return None
    return Operator(user) if role == "operator" else Owner(user)


def shop() -> dict[str, str]:
    """A route of the application's own, beside those of the package."""
    return {}


class Shown(Protocol):
    """Serves an application with the routes."""

    def __call__(self, authorize: Any = who, **options: Any) -> AbstractContextManager[Server]: ...


@contextmanager
def fastapi_routes(authorize: Any = who, *, sessions: bool = False, **options: Any) -> Iterator[Server]:
    app = FastAPI(telemetry={"tracing": False})
    if sessions:
        app.add_middleware(SessionMiddleware)
    app.include_router(router(authorize=authorize, **options))
    app.get("/monitoring/shop")(shop)
    with serve_asgi(app) as server:
        yield server


@contextmanager
def flask_routes(authorize: Any = who, *, sessions: bool = False, **options: Any) -> Iterator[Server]:
    app = flask.Flask(__name__)
    if sessions:
        Sessions(app)
    app.register_blueprint(blueprint(authorize=authorize, **options))
    app.get("/monitoring/shop")(shop)
    with serve_wsgi(app) as server:
        yield server


FRAMEWORKS: Final = (fastapi_routes, flask_routes)
"""The same application in each."""


def ask(server: Server, path: str, as_: str = "", **options: Any) -> httpx.Response:
    return server.get(f"/monitoring{path}", headers={"x-who": as_} if as_ else {}, **options)


def noted(recorded: RecordedSessions) -> list[dict[str, Any]]:
    """The events that say who looked at what."""
    return recorded.events(ACCESS)
