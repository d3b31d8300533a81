"""Limits of applications that are mounted in others, and of middleware inside middleware."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from fastapi import FastAPI
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from otel_sessions import current_session
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.flask import Sessions
from otel_sessions.limits import Concurrency, Quota, Rate, Tier
from otel_sessions.testing import RecordedSessions, record_sessions

from .servers import serve_asgi, serve_wsgi

TRIAL = Tier(
    "trial",
    Quota("calls", 10, per="day"),
    Quota("tokens", 100, per="day"),
    Rate("requests", "2/minute", strategy="fixed-window"),
    Concurrency("at_once", 1),
)


@pytest.fixture(name="recorded")
def _recorded() -> Any:
    with record_sessions(tiers=[TRIAL], default_tier="trial") as recorded:
        yield recorded


def fastapi_site(outer_limits: Any, inner_limits: Any) -> Any:
    inner = FastAPI(telemetry={"tracing": False})
    inner.add_middleware(SessionMiddleware, limits=inner_limits)

    @inner.get("/tokens/{amount}")
    async def tokens(amount: int) -> str:
        current_session().use("tokens", amount)
        return current_session().id

    outer = FastAPI(telemetry={"tracing": False})
    outer.add_middleware(SessionMiddleware, limits=outer_limits)
    outer.mount("/inner", inner)
    return serve_asgi(outer)


def flask_site(outer_limits: Any, inner_limits: Any) -> Any:
    inner = flask.Flask("inner")
    Sessions(inner, limits=inner_limits)

    @inner.get("/tokens/<int:amount>")
    def tokens(amount: int) -> str:
        current_session().use("tokens", amount)
        return current_session().id

    outer = flask.Flask("outer")
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/inner": inner})  # type: ignore[method-assign]
    Sessions(outer, limits=outer_limits)
    return serve_wsgi(outer)


@pytest.fixture(name="site", params=[fastapi_site, flask_site], ids=["fastapi", "flask"])
def _site(request: pytest.FixtureRequest) -> Any:
    return request.param


class TestMounted:
    @pytest.mark.parametrize("outer", [None, (), ("calls",), ("requests", "at_once")])
    def test_limits_of_both(self, outer: Any, site: Any, recorded: RecordedSessions) -> None:
        """The limits of the inner application hold, and each limit is asked once, whichever of them names it."""
        with site(outer, ["requests", "at_once"]) as server, server.client() as client:
            answers = [client.get("/inner/tokens/1") for _ in range(3)]
        assert [200, 200, 429] == [answer.status_code for answer in answers]
        assert ["requests-60s"] == answers[2].json()["violated-policies"]
        assert "requests-60s" in answers[0].headers["RateLimit"]
        assert 3 == recorded.metric("app_session.limit.decisions", app_session__limit__name="requests")
        assert 0 == recorded.metric("app_session.lease.active", app_session__limit__name="at_once")

    def test_refused_inside(self, site: Any, recorded: RecordedSessions) -> None:
        """What the inner application asks is answered with 429, too."""
        with site((), None) as server, server.client() as client:
            answer = client.get("/inner/tokens/101")
        assert (429, ["tokens-day"]) == (answer.status_code, answer.json()["violated-policies"])

    def test_one_session(self, site: Any, recorded: RecordedSessions) -> None:
        """The outermost opens the session; a request counts once."""
        with site(None, ["calls"]) as server, server.client() as client:
            assert 1 == len({client.get("/inner/tokens/1").text for _ in range(3)})
        assert 3 == recorded.metric("app_session.requests")
