"""Limits in applications that know nothing of them: by variables, or by the configuration file, alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from fastapi import FastAPI

from otel_sessions import LimitExceededError, current_session
from otel_sessions.flask import Sessions
from otel_sessions.instrumentor import SessionsInstrumentor
from otel_sessions.limits import Quota, Rate, Tier
from otel_sessions.testing import record_sessions

from .servers import serve_asgi, serve_wsgi

TRIAL = Tier("trial", Rate("requests", "3/minute"), Quota("tokens", 100))
KNOWN = {"Authorization": "Bearer s3cr3t"}


def root() -> str:
    return current_session().id


def tokens() -> str:
    current_session().use("tokens", 101)
    raise AssertionError("it is refused")


def fastapi_application() -> FastAPI:
    app = FastAPI(telemetry={"tracing": False})
    app.get("/")(root)
    app.get("/tokens")(tokens)
    return app


def flask_application() -> flask.Flask:
    app = flask.Flask(__name__)
    app.get("/")(root)
    app.get("/tokens")(tokens)
    return app


@pytest.fixture(name="instrumented")
def _instrumented() -> Iterator[None]:
    instrumentor = SessionsInstrumentor()
    instrumentor.instrument()
    yield
    instrumentor.uninstrument()


@pytest.fixture(name="serve", params=[fastapi_application, flask_application])
def _serve(request: pytest.FixtureRequest, instrumented: None) -> Any:
    app = request.param()
    return lambda: serve_wsgi(app) if isinstance(app, flask.Flask) else serve_asgi(app)


class TestWithoutCode:
    def test_asked(self, serve: Any) -> None:
        """Each request is asked for what the setting says, and refused with all that a client needs to know."""
        with (
            record_sessions(tiers=[TRIAL], default_tier="trial", web_limits=["requests"]) as recorded,
            serve() as server,
        ):
            answers = [server.get("/", headers=KNOWN) for _ in range(4)]
            assert [200, 200, 200, 429] == [answer.status_code for answer in answers]
            assert '"requests-60s";r=2;t=60' == answers[0].headers["RateLimit"]
            assert ("60", "application/problem+json") == (
                answers[3].headers["Retry-After"],
                answers[3].headers["Content-Type"],
            )
            recorded.clock.advance(60)
            assert 200 == server.get("/", headers=KNOWN).status_code

    def test_asked_by_the_application(self, serve: Any) -> None:
        """So is what the application asks for itself."""
        with record_sessions(tiers=[TRIAL], default_tier="trial"), serve() as server:
            answer = server.get("/tokens", headers=KNOWN)
        assert (429, ["tokens-total"]) == (answer.status_code, answer.json()["violated-policies"])

    def test_strangers(self, serve: Any) -> None:
        """A client that nothing recognises belongs to no session, and is asked for nothing."""
        with record_sessions(tiers=[TRIAL], default_tier="trial", web_limits=["requests"]), serve() as server:
            assert [200] * 5 == [server.get("/").status_code for _ in range(5)]


class TestHandlersOfFlask:
    """Which handlers go before ours: the same with the extension and without code."""

    @pytest.fixture(name="app", params=["extension", "no code"])
    def _app(self, request: pytest.FixtureRequest) -> Iterator[flask.Flask]:
        app = flask_application()
        blueprint = flask.Blueprint("shop", __name__)
        blueprint.get("/shop")(tokens)
        with record_sessions(tiers=[TRIAL], default_tier="trial"):
            if request.param == "extension":
                Sessions(app)
            else:
                request.getfixturevalue("instrumented")
            app.shop = blueprint  # type: ignore[attr-defined]
            yield app

    def test_for_everything(self, app: flask.Flask) -> None:
        """A handler for whatever goes wrong does not turn a refusal into an error."""
        app.register_error_handler(Exception, lambda _error: ("mine", 500))
        with serve_wsgi(app) as server:
            assert 429 == server.get("/tokens", headers=KNOWN).status_code

    def test_for_refusals(self, app: flask.Flask) -> None:
        """One for refusals answers them."""
        app.register_error_handler(LimitExceededError, lambda _error: ("mine", 420))
        with serve_wsgi(app) as server:
            assert 420 == server.get("/tokens", headers=KNOWN).status_code

    def test_of_a_blueprint(self, app: flask.Flask) -> None:
        """That of a blueprint goes first, as it does in Flask."""
        blueprint: flask.Blueprint = app.shop  # type: ignore[attr-defined]
        blueprint.register_error_handler(Exception, lambda _error: ("mine", 400))
        app.register_blueprint(blueprint)
        with serve_wsgi(app) as server:
            assert [400, 429] == [server.get(path, headers=KNOWN).status_code for path in ("/shop", "/tokens")]
