"""The same small site in FastAPI and in Flask: what is promised of one framework is promised of the other."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any, Protocol

import flask
from fastapi import FastAPI, Request, Response
from starlette.middleware.sessions import SessionMiddleware as FrameworkSessions
from werkzeug.middleware.proxy_fix import ProxyFix

from otel_sessions import current_session
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.flask import Sessions

from .servers import Server, serve_asgi, serve_wsgi


class Site(Protocol):
    """Builds the site and serves it.

    Args:
        secret: with it the framework keeps sessions of its own.
        headers: fields of the responses of `/`.
        gate: what `/wait` waits for.
        options: of our middleware.
    """

    def __call__(
        self,
        *,
        secret: str | None = None,
        headers: dict[str, str] | None = None,
        gate: Gate | None = None,
        **options: Any,
    ) -> AbstractContextManager[Server]: ...


class Gate:
    """Holds requests up."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def wait(self) -> dict[str, Any]:
        """Go on when it is opened."""
        self.reached.set()
        assert self.opened.wait(10)
        return who()


class SiteError(Exception):
    """What the site raises at `/boom`."""


def who() -> dict[str, Any]:
    """What a request's handler sees of its session."""
    session = current_session()
    return {"id": session.id, "previous_id": session.previous_id, "user": session.user}


def rotate() -> dict[str, Any]:
    """A login, as an application would write it."""
    current_session().rotate("login")
    return who()


def end() -> dict[str, Any]:
    """A logout, as an application would write it."""
    before = who()
    current_session().end(reason="logout")
    return before


def fastapi_site(
    *,
    secret: str | None = None,
    headers: dict[str, str] | None = None,
    gate: Gate | None = None,
    **options: Any,
) -> AbstractContextManager[Server]:
    app = FastAPI(telemetry={"tracing": False})
    app.add_middleware(SessionMiddleware, **options)
    if secret is not None:
        app.add_middleware(FrameworkSessions, secret_key=secret)

    @app.get("/")
    def root(response: Response) -> dict[str, Any]:
        response.headers.update(headers or {})
        return who()

    @app.get("/login")
    def login(request: Request, user: str) -> dict[str, Any]:
        request.session["user"] = user
        return who()

    @app.get("/logout")
    def logout(request: Request) -> dict[str, Any]:
        request.session.clear()
        return who()

    @app.get("/kept")
    def kept(request: Request) -> dict[str, Any]:
        return dict(request.session)

    @app.get("/boom")
    def boom() -> None:
        raise SiteError("boom")

    @app.get("/status/{code}")
    def status(code: int, response: Response) -> None:
        response.status_code = code

    app.get("/wait")(gate.wait if gate is not None else who)
    app.get("/rotate")(rotate)
    app.get("/end")(end)
    return serve_asgi(app)


def flask_site(
    *,
    secret: str | None = None,
    headers: dict[str, str] | None = None,
    gate: Gate | None = None,
    **options: Any,
) -> AbstractContextManager[Server]:
    app = flask.Flask(__name__)
    app.secret_key = secret
    Sessions(app, **options)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]  # as uvicorn does by default

    @app.get("/")
    def root() -> tuple[dict[str, Any], dict[str, str]]:
        return who(), headers or {}

    @app.get("/login")
    def login() -> dict[str, Any]:
        flask.session["user"] = flask.request.args["user"]
        return who()

    @app.get("/logout")
    def logout() -> dict[str, Any]:
        flask.session.clear()
        return who()

    @app.get("/kept")
    def kept() -> dict[str, Any]:
        return dict(flask.session)

    @app.get("/boom")
    def boom() -> str:
        raise SiteError("boom")

    @app.get("/status/<int:code>")
    def status(code: int) -> tuple[str, int]:
        return "", code

    app.get("/wait")(gate.wait if gate is not None else who)
    app.get("/rotate")(rotate)
    app.get("/end")(end)
    return serve_wsgi(app)
