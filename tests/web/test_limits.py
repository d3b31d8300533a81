"""What web clients are told of limits: on real servers, by a client that does as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import anyio
import flask
import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from werkzeug.test import EnvironBuilder

from otel_sessions import ConfigurationError, InvalidValueError, LimitExceededError, QuotaExceededError, current_session
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.flask import Sessions
from otel_sessions.limits import Concurrency, Quota, Rate, Tier
from otel_sessions.testing import RecordedSessions, record_sessions

from ..failing_store import FailingStore
from .servers import Server, serve_asgi, serve_wsgi

TRIAL = Tier(
    "trial",
    Quota("api_calls", 5, per="day"),
    Quota("tokens", 100, per="month"),
    Rate("requests", "3/minute", strategy="fixed-window"),
    Rate("upload", "1/hour"),
    Concurrency("concurrent_requests", 1),
)
LIMITS = ("api_calls", "requests", "concurrent_requests")
"""What each request is asked for."""


def fastapi_site(limits: Any = LIMITS) -> AbstractContextManager[Server]:
    app = FastAPI(telemetry={"tracing": False})
    app.add_middleware(SessionMiddleware, limits=limits)

    @app.get("/")
    async def root() -> dict[str, str]:
        return {"id": current_session().id}

    @app.get("/tokens/{amount}")
    async def tokens(amount: int) -> dict[str, float | None]:
        session = current_session()
        await session.use_async("tokens", amount)
        return {"remaining": session.quota("tokens").remaining}

    @app.get("/late")
    async def late() -> StreamingResponse:
        async def chunks() -> Any:
            yield b"begun"
            current_session().use("tokens", 1000)

        return StreamingResponse(chunks())

    return serve_asgi(app)


def flask_site(limits: Any = LIMITS) -> AbstractContextManager[Server]:
    app = flask.Flask(__name__)
    Sessions(app, limits=limits)

    @app.get("/")
    def root() -> dict[str, str]:
        return {"id": current_session().id}

    @app.get("/tokens/<int:amount>")
    def tokens(amount: int) -> dict[str, float | None]:
        session = current_session()
        session.use("tokens", amount)
        return {"remaining": session.quota("tokens").remaining}

    return serve_wsgi(app)


SITES = {"fastapi": fastapi_site, "flask": flask_site}


@pytest.fixture(name="site", params=SITES)
def _site(request: pytest.FixtureRequest) -> Callable[..., AbstractContextManager[Server]]:
    site: Callable[..., AbstractContextManager[Server]] = SITES[request.param]
    return site


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    with record_sessions(tiers=[TRIAL], default_tier="trial") as recorded:
        yield recorded


class TestAllowed:
    def test_fields(self, site: Any, recorded: RecordedSessions) -> None:
        """Each response says how the limits stand, in the fields of the draft."""
        with site() as server, server.client() as client:
            client.get("/")
            recorded.clock.advance(20)
            response = client.get("/")
        assert 200 == response.status_code
        assert (
            '"api_calls-day";q=5;w=86400, "requests-60s";q=3;w=60, "concurrent_requests";q=1;qu="concurrent-requests"'
        ) == response.headers["RateLimit-Policy"]
        assert ('"api_calls-day";r=3;t=86380, "requests-60s";r=1;t=40, "concurrent_requests";r=0') == response.headers[
            "RateLimit"
        ]

    def test_policies(self, site: Any) -> None:
        """Each limit has a name of its own; what is only tried out is not told."""
        tier = Tier(
            "trial",
            Quota("calls", 5, per="day"),
            Quota("calls", 50, per="day", scope="tenant"),
            Quota("calls", 2, per="day", scope="session"),
            Quota("calls", 20),
            Quota("calls", 200, scope="user"),
            Quota("calls", 1, per="24 hours", shadow=True),
            Rate("requests", "1/day", shadow=True),
        )
        with (
            record_sessions(tiers=[tier], default_tier="trial"),
            site(["calls", "requests"]) as server,
            server.client() as client,
        ):
            told = [client.get("/").headers["RateLimit-Policy"] for _ in range(2)][-1]
            refused = client.get("/").json()["violated-policies"]
        assert ["calls-day", "calls-day-tenant", "calls-day-session", "calls-total", "calls-total-user"] == [
            policy.partition(";")[0].strip('"') for policy in told.split(", ")
        ]
        assert ["calls-day-session"] == refused

    def test_without(self, site: Any, recorded: RecordedSessions) -> None:
        """Who asks no limits says nothing of any, and is asked for none."""
        with site(None) as server, server.client() as client:
            headers = [client.get("/").headers for _ in range(10)]
        assert not any("RateLimit" in each or "RateLimit-Policy" in each for each in headers)
        assert {} == recorded.metrics().get("app_session.limit.decisions", {})

    def test_by_setting(self, site: Any) -> None:
        """Which limits are asked can also be set."""
        with (
            record_sessions(tiers=[TRIAL], default_tier="trial", web_limits=["requests"]),
            site(None) as server,
            server.client() as client,
        ):
            assert [200, 200, 200, 429] == [client.get("/").status_code for _ in range(4)]

    def test_wrong_setting(self) -> None:
        """A limit that no tier has is refused where it is set."""
        with pytest.raises(ConfigurationError, match=r"'request'.*requests"), record_sessions(web_limits=["request"]):
            pass

    def test_tier_of(self, site: Any) -> None:
        """The tier of a client's session can be found out from its first request."""
        with (
            record_sessions(tiers=[TRIAL], tier_of=lambda _request: "trial") as recorded,
            site() as server,
            server.client() as client,
        ):
            assert [200, 200, 200, 429] == [client.get("/").status_code for _ in range(4)]
            assert 4 == recorded.metric(
                "app_session.limit.decisions", app_session__limit__name="requests", app_session__tier="trial"
            )

    @pytest.mark.parametrize("limits", ["requests", 5, ["no name"]])
    @pytest.mark.parametrize(
        "add", [lambda limits: SessionMiddleware(_nothing, limits=limits), lambda limits: Sessions(limits=limits)]
    )
    def test_wrong_argument(self, add: Any, limits: Any) -> None:
        """What is no list of names is refused where it is given; one text is not several."""
        with pytest.raises(InvalidValueError):
            add(limits)


class TestTiers:
    def test_asked_once(self, site: Any) -> None:
        """Which tier a client has is asked when its session begins, not with every request."""
        asked: list[object] = []

        def tier_of(request: object) -> str:
            asked.append(request)
            return "trial"

        with (
            record_sessions(tiers=[TRIAL], tier_of=tier_of),
            site(["api_calls"]) as server,
            server.client() as client,
        ):
            assert [200] * 5 + [429] == [client.get("/").status_code for _ in range(6)]
        assert 1 == len(asked)

    @pytest.mark.parametrize("default", ["trial", None])
    def test_wrong(self, site: Any, default: str | None, caplog: pytest.LogCaptureFixture) -> None:
        """A tier that there is not is told, and the default one holds."""
        with (
            record_sessions(tiers=[TRIAL], default_tier=default, tier_of=lambda _request: "gold"),
            site() as server,
            server.client() as client,
        ):
            assert [200, 200, 200, 429 if default else 200] == [client.get("/").status_code for _ in range(4)]
        assert "tier_of() returned 'gold'" in caplog.text

    def test_none(self, site: Any, caplog: pytest.LogCaptureFixture) -> None:
        """Whoever asks limits of sessions without a tier is told, once, that there are none."""
        with record_sessions(tiers=[TRIAL]), site() as server, server.client() as client:
            assert [200] * 5 == [client.get("/").status_code for _ in range(5)]
        (warning,) = [record.getMessage() for record in caplog.records if "no tier" in record.getMessage()]
        assert "api_calls, requests, concurrent_requests" in warning
        assert "OTEL_SESSIONS_DEFAULT_TIER" in warning

    def test_not_any_more(self, site: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A session whose tier was defined when it began, by an earlier deployment, is told of and not stopped."""
        store = f"sqlite:///{tmp_path}/sessions.db"
        known: dict[str, Any] = {"store": store, "pseudonym_key": "k" * 16}
        with (
            record_sessions(tiers=[TRIAL], tier_of=lambda _request: "trial", **known),
            site() as server,
            server.client() as client,
        ):
            first = client.get("/").json()
            cookies = client.cookies
        with record_sessions(**known), site(["requests"]) as server, server.client(cookies=cookies) as client:
            assert first == client.get("/").json()
        assert "'trial' is not defined any more" in caplog.text


async def _nothing(*_: object) -> None:
    """An application that does nothing."""


class TestRefused:
    def test_answer(self, site: Any, recorded: RecordedSessions) -> None:
        """A refused request is answered with 429, a problem document, and when to come again."""
        with site() as server, server.client() as client:
            for _ in range(3):
                assert 200 == client.get("/").status_code
            recorded.clock.advance(20.5)
            response = client.get("/")
        assert (429, "application/problem+json") == (response.status_code, response.headers["Content-Type"])
        assert ("40", "no-store") == (response.headers["Retry-After"], response.headers["Cache-Control"])
        assert '"requests-60s";q=3;w=60' == response.headers["RateLimit-Policy"]
        assert '"requests-60s";r=0;t=40' == response.headers["RateLimit"]
        assert {
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Request cannot be satisfied as assigned quota has been exceeded",
            "status": 429,
            "detail": "rate: 1 of requests asked for by this user, 3 of 3 per 60 s used; there will be room in 39.5 s",
            "violated-policies": ["requests-60s"],
        } == response.json()

    def test_nothing_consumed(self, site: Any, recorded: RecordedSessions) -> None:
        """Refused requests cost nothing of the other limits, and no slot stays taken."""
        with site() as server, server.client() as client:
            codes = [client.get("/").status_code for _ in range(10)]
            recorded.clock.advance(60)
            codes += [client.get("/").status_code for _ in range(3)]
        assert [200] * 3 + [429] * 7 + [200] * 2 + [429] == codes
        assert 0 == recorded.metric("app_session.lease.active")
        assert 0 == recorded.metric("app_session.errors")

    def test_honoured(self, site: Any, recorded: RecordedSessions) -> None:
        """A client that waits as long as it is told then succeeds."""

        def patient(client: httpx.Client) -> list[int]:
            codes = []
            while True:
                response = client.get("/")
                codes.append(response.status_code)
                if response.status_code != 429:
                    return codes
                recorded.clock.advance(int(response.headers["Retry-After"]))

        with site() as server, server.client() as client:
            seen = [patient(client) for _ in range(4)]
        assert [[200], [200], [200], [429, 200]] == seen

    def test_inside(self, site: Any, recorded: RecordedSessions) -> None:
        """So is what the application asked for itself."""
        with site(None) as server, server.client() as client:
            assert {"remaining": 10} == client.get("/tokens/90").json()
            response = client.get("/tokens/11")
            assert (429, ["tokens-month"]) == (response.status_code, response.json()["violated-policies"])
            # The fields count requests: of tokens they say nothing.
            assert ("2678400", True) == (response.headers["Retry-After"], "RateLimit" not in response.headers)
            never = client.get("/tokens/101")
            assert 429 == never.status_code
            assert "Retry-After" not in never.headers
            assert {"remaining": 0} == client.get("/tokens/10").json()
        assert 0 == recorded.metric("app_session.errors")
        assert 2 == recorded.metric("app_session.limit.decisions", app_session__limit__result="rejected")

    def test_nothing_personal(self, site: Any, recorded: RecordedSessions) -> None:
        """An answer names neither the session nor its user."""
        with site() as server, server.client() as client:
            session_id = client.get("/").json()["id"]
            told = [client.get("/") for _ in range(4)]
        assert not any(session_id in json.dumps([each.text, *each.headers.values()]) for each in told[2:])

    def test_store_away(self, site: Any) -> None:
        """When nobody can be asked, and that means no, the answer is 503."""
        store = FailingStore()
        with (
            record_sessions(store=store, tiers=[TRIAL], default_tier="trial", limit_failure="closed"),
            site() as server,
            server.client() as client,
        ):
            assert 200 == client.get("/").status_code
            store.failing = {"limits"}
            response = client.get("/")
            assert (503, "1") == (response.status_code, response.headers["Retry-After"])
            assert response.json()["type"].endswith("#temporary-reduced-capacity")
            store.failing = ()


class TestOwnHandler:
    def test_fastapi(self, recorded: RecordedSessions) -> None:
        """An application's own exception handler answers before ours."""
        app = FastAPI(telemetry={"tracing": False})
        app.add_middleware(SessionMiddleware)

        async def mine(_request: Request, error: Exception) -> JSONResponse:
            return JSONResponse({"mine": type(error).__name__}, 420)

        app.add_exception_handler(LimitExceededError, mine)

        @app.get("/")
        async def root() -> None:
            current_session().use("tokens", 101)

        with serve_asgi(app) as server:
            response = server.get("/")
        assert (420, {"mine": "QuotaExceededError"}) == (response.status_code, response.json())

    @pytest.mark.parametrize("first", ["handler", "extension"])
    def test_flask(self, recorded: RecordedSessions, first: str) -> None:
        """So does an error handler of Flask's, whichever is registered first."""
        app = flask.Flask(__name__)
        steps: list[Callable[[], Any]] = [
            lambda: app.register_error_handler(LimitExceededError, lambda error: ({"mine": error.name}, 420)),
            lambda: Sessions(app),
        ]
        for step in steps if first == "handler" else reversed(steps):
            step()

        @app.get("/")
        def root() -> str:
            current_session().use("tokens", 101)
            return ""

        with serve_wsgi(app) as server:
            response = server.get("/")
        assert (420, {"mine": "tokens"}) == (response.status_code, response.json())


class TestAsgi:
    def test_late(self, recorded: RecordedSessions) -> None:
        """When the response is under way already, a refusal is an error like any other."""
        with fastapi_site(None) as server, pytest.raises(httpx.RemoteProtocolError):
            server.get("/late")
        assert 1 == recorded.metric("app_session.errors")

    def test_own_fields(self, recorded: RecordedSessions) -> None:
        """An application that sends the fields itself is left to it."""
        app = FastAPI(telemetry={"tracing": False})
        app.add_middleware(SessionMiddleware, limits=LIMITS)

        @app.get("/")
        async def root() -> PlainTextResponse:
            return PlainTextResponse("", headers={"RateLimit": '"mine";r=1'})

        with serve_asgi(app) as server:
            assert ['"mine";r=1'] == server.get("/").headers.get_list("RateLimit")

    def test_unknown(self, recorded: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """A limit that no tier has is said, once, with those that there are; it stops no request."""
        with fastapi_site(["request"]) as server, server.client() as client:
            assert [200, 200] == [client.get("/").status_code for _ in range(2)]
        (told,) = [record.getMessage() for record in caplog.records if "'request'" in record.getMessage()]
        assert told.endswith(
            "There are api_calls, bandwidth, concurrent_requests, cost, requests, storage, tokens, upload."
        )

    def test_slot_of_a_stream(self, recorded: RecordedSessions) -> None:
        """A slot is held until the last of the response is out."""
        app = FastAPI(telemetry={"tracing": False})
        app.add_middleware(SessionMiddleware, limits=["concurrent_requests"])
        seen: list[float] = []

        @app.get("/")
        async def root() -> StreamingResponse:
            async def chunks() -> Any:
                seen.append(recorded.metric("app_session.lease.active"))
                yield b"x"

            return StreamingResponse(chunks())

        with serve_asgi(app) as server:
            assert 200 == server.get("/").status_code
        assert ([1], 0) == (seen, recorded.metric("app_session.lease.active"))

    def test_cancelled(self, tmp_path: Path) -> None:
        """A request that is cancelled is over: its session is under way no longer, and its slot comes back."""
        began = anyio.Event()

        async def app(_scope: Any, _receive: Any, _send: Any) -> None:
            began.set()
            await anyio.sleep_forever()

        async def serve() -> None:
            request = {"type": "http", "method": "GET", "path": "/", "headers": []}
            middleware: Any = SessionMiddleware(app, limits=["concurrent_requests"])
            async with anyio.create_task_group() as group:
                group.start_soon(middleware, request, anyio.sleep_forever, anyio.sleep_forever)
                await began.wait()
                group.cancel_scope.cancel()

        store = f"sqlite:///{tmp_path}/sessions.db"
        with record_sessions(tiers=[TRIAL], default_tier="trial", store=store, idle_timeout=60) as recorded:
            anyio.run(serve)
            assert 0 == recorded.metric("app_session.lease.active")
            recorded.advance(61)
            assert ["idle_timeout"] == [span.attributes["app_session.end_reason"] for span in recorded.session_spans]  # type: ignore[index]


@pytest.mark.parametrize("server", [serve_asgi, serve_wsgi], ids=["fastapi", "flask"])
def test_preflight(server: Any, recorded: RecordedSessions) -> None:
    """A browser's own question about another origin (CORS) uses nothing up, although its client is recognised."""
    app: Any
    if server is serve_asgi:
        app = FastAPI(telemetry={"tracing": False})
        app.add_middleware(CORSMiddleware, allow_origins=["*"])
        app.add_middleware(SessionMiddleware, limits=["requests"])
    else:
        app = flask.Flask(__name__)
        Sessions(app, limits=["requests"])
        app.add_url_rule("/", view_func=lambda: "")
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET", "Authorization": "Bearer abcdefgh"}
    with server(app) as running, running.client() as client:
        assert {200} == {client.options("/", headers=asked).status_code for _ in range(5)}
    assert 0 == recorded.metric("app_session.limit.decisions")


class TestFile:
    @pytest.mark.parametrize("limits", [(), ("concurrent_requests",)])
    def test_slot(self, limits: Any, recorded: RecordedSessions) -> None:
        """A slot is held until a file is out; without one the server sends it by itself."""
        app = flask.Flask(__name__)
        Sessions(app, limits=limits)
        app.add_url_rule("/", view_func=lambda: flask.send_file(__file__))
        environ = {**EnvironBuilder().get_environ(), "wsgi.file_wrapper": FileWrapper}
        response: Any = app.wsgi_app(environ, lambda *_: None)  # type: ignore[arg-type]
        assert isinstance(response, FileWrapper) is not bool(limits)
        assert len(limits) == recorded.metric("app_session.lease.active")
        assert Path(__file__).read_bytes() == b"".join(response)
        response.close()
        assert 0 == recorded.metric("app_session.lease.active")


class TestWebSocket:
    def test_over(self, recorded: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """A refusal after the application has closed the connection is its error like any other."""
        app = FastAPI(telemetry={"tracing": False})
        app.add_middleware(SessionMiddleware)

        @app.websocket("/")
        async def late(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.close()
            current_session().use("tokens", 1000)

        from websockets.sync.client import connect

        with serve_asgi(app) as server:
            with connect(server.url.replace("http", "ws")):
                pass
            server.traffic.settle()
        (told,) = [record.exc_info for record in caplog.records if record.exc_info]
        assert QuotaExceededError is told[0]
        assert 1 == recorded.metric("app_session.errors")

    def test_refused(self, recorded: RecordedSessions) -> None:
        """A connection that is refused is answered before it is accepted; later it is closed, to come again."""
        app = FastAPI(telemetry={"tracing": False})
        app.add_middleware(SessionMiddleware, limits=["requests"])

        @app.websocket("/")
        async def echo(websocket: WebSocket) -> None:
            await websocket.accept()
            current_session().use("tokens", int(await websocket.receive_text()))
            await websocket.send_text("allowed")

        import websockets.exceptions
        from websockets.sync.client import connect

        with serve_asgi(app) as server:
            url = server.url.replace("http", "ws")
            with connect(url) as first:
                cookie = first.response.headers["Set-Cookie"].partition(";")[0]  # type: ignore[union-attr]
                first.send("1")
                assert "allowed" == first.recv()
            with connect(url, additional_headers={"Cookie": cookie}) as second:
                second.send("1000")
                with pytest.raises(websockets.exceptions.ConnectionClosedError) as closed:
                    second.recv()
            assert 1013 == closed.value.rcvd.code  # type: ignore[union-attr]
            with connect(url, additional_headers={"Cookie": cookie}):
                pass
            with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
                connect(url, additional_headers={"Cookie": cookie})
            assert 429 == refused.value.response.status_code
            assert refused.value.response.headers["Retry-After"]
