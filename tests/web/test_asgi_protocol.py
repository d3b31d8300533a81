"""The middleware keeps to the ASGI specification, whatever the server and the application do."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import Request
from fastapi.responses import PlainTextResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from otel_sessions.asgi import SessionMiddleware
from otel_sessions.testing import RecordedSessions

from .exchanges import answer, call, current_id, ended, http, nothing
from .servers import serve_asgi


class TestProtocol:
    @pytest.mark.parametrize("scope", [{"type": "mcp", "odd": 1}, {"type": "grpc", "path": "/"}])
    def test_what_is_not_ours_passes_untouched(
        self, scope: dict[str, Any], recorded_sessions: RecordedSessions
    ) -> None:
        """Types of connection that we do not know reach the application as they came."""
        seen: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            seen.append((scope, dict(scope), receive, send))

        async def receive() -> Any: ...

        async def send(message: Any) -> None: ...

        asyncio.run(SessionMiddleware(application)(scope, receive, send))
        assert [(scope, dict(scope), receive, send)] == seen
        assert scope is seen[0][0]

    def test_lifespan_of_a_served_application(self, recorded_sessions: RecordedSessions) -> None:
        """Startup and shutdown happen once each, outside of any session."""
        seen: list[tuple[str, str]] = []

        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[dict[str, int]]:
            seen.append(("startup", current_id()))
            yield {"answer": 42}
            seen.append(("shutdown", current_id()))

        async def root(request: Request) -> PlainTextResponse:
            return PlainTextResponse(str(request.state.answer))

        app = Starlette(routes=[Route("/", root)], middleware=[Middleware(SessionMiddleware)], lifespan=lifespan)
        with serve_asgi(app, lifespan="on") as server:
            assert "42" == server.get("/").text
        assert [("startup", ""), ("shutdown", "")] == seen

    @pytest.mark.parametrize(
        "scope", [{"type": "http", "path": "/"}, {"type": "websocket", "path": "/"}, {"type": "http", "headers": None}]
    )
    def test_scope_without_what_is_optional(self, scope: dict[str, Any], recorded_sessions: RecordedSessions) -> None:
        """A scope that lacks headers or path is served, in a session."""
        seen: list[str] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            seen.append(current_id())

        call(SessionMiddleware(application), scope)
        assert [session_id for session_id in seen if session_id]
        assert 0 == recorded_sessions.metric("app_session.dropped")

    @pytest.mark.parametrize(
        "held", [None, 7, "text", object(), ("a", "b")], ids=["none", "number", "text", "object", "tuple"]
    )
    def test_session_in_the_scope_that_is_none(self, held: Any, recorded_sessions: RecordedSessions) -> None:
        """What others put under `session` in the scope is taken for the framework's only if it can hold our token."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await answer(send)

        (start, _) = call(SessionMiddleware(application), http(session=held))
        assert [b"set-cookie"] == [name for name, _ in start["headers"]]
        assert 0 == recorded_sessions.metric("app_session.dropped")

    def test_headers_that_break_the_protocol(self, recorded_sessions: RecordedSessions) -> None:
        """Where a server breaks the protocol, the application is called as without us, and the failure is counted."""
        seen: list[str] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            seen.append(current_id())
            await answer(send)

        assert 2 == len(call(SessionMiddleware(application), http(headers=[(b"just one",)])))
        assert [""] == seen
        assert 1 == recorded_sessions.metric("app_session.dropped", app_session__drop__reason="internal_error")

    def test_every_message_passes(self, recorded_sessions: RecordedSessions) -> None:
        """Bodies, files by path, trailers, hints, pushes and what is yet to be invented leave as they came."""
        messages: list[dict[str, Any]] = [
            {"type": "http.response.early_hint", "links": [b"</a>; rel=preload"]},
            {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")], "trailers": True},
            {"type": "http.response.push", "path": "/x", "headers": []},
            {"type": "http.response.body", "body": b"1", "more_body": True},
            {"type": "http.response.pathsend", "path": "/file"},
            {"type": "http.response.zerocopysend", "file": 7},
            {"type": "http.response.debug", "info": {}},
            {"type": "http.response.trailers", "headers": [(b"c", b"d")]},
            {"type": "http.response.novelty"},
        ]

        async def application(scope: Any, receive: Any, send: Any) -> None:
            for message in messages:
                await send(message)

        sent = call(SessionMiddleware(application, cookie=False), http(headers=[(b"authorization", b"Bearer x")]))
        assert messages == sent

    def test_messages_of_the_application_are_not_changed(self, recorded_sessions: RecordedSessions) -> None:
        """An application that sends the same message to everybody does not hand one client's cookie to the next."""
        start = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send(start)

        app = SessionMiddleware(application)
        cookies = [call(app, http())[0]["headers"] for _ in range(2)]
        assert {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]} == start
        assert [2, 2] == [len(headers) for headers in cookies]
        assert cookies[0] != cookies[1]

    @pytest.mark.parametrize("cache", [b"public", b"private"])
    def test_headers_of_any_kind(self, cache: bytes, recorded_sessions: RecordedSessions) -> None:
        """Headers are an iterable by the specification: one that can be read only once arrives complete."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, iter([(b"cache-control", cache), (b"a", b"b")]))

        (start, _) = call(SessionMiddleware(application), http())
        headers = list(start["headers"])
        assert [(b"cache-control", cache), (b"a", b"b")] == headers[:2]
        assert {b"public": 2, b"private": 3}[cache] == len(headers)

    @pytest.mark.parametrize("message", [{"type": "http.response.start", "status": 204}, {"type": "websocket.accept"}])
    def test_first_message_without_headers(self, message: dict[str, Any], recorded_sessions: RecordedSessions) -> None:
        """A first message that has no headers gets the cookie all the same."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send(message)

        (sent,) = call(SessionMiddleware(application), http(type=message["type"].partition(".")[0]))
        assert [b"set-cookie"] == [name for name, _ in sent["headers"]]

    @pytest.mark.parametrize("position", [0, 1, 2])
    def test_cookies_in_fields_of_their_own(self, position: int, recorded_sessions: RecordedSessions) -> None:
        """HTTP/2 may send each cookie in a field of its own (RFC 9113, 8.2.3): ours is found wherever it stands."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await answer(send)

        fields = [(b"cookie", b"a=b"), (b"cookie", b"c=d")]
        fields.insert(position, (b"cookie", b"otel_session=" + b"A" * 43))
        (start, _) = call(SessionMiddleware(application), http(headers=fields))
        assert [] == list(start["headers"])
        assert 1 == recorded_sessions.metric("app_session.starts")

    def test_two_cache_control_fields(self, recorded_sessions: RecordedSessions) -> None:
        """All fields of a name count, not only the first."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, [(b"cache-control", b"no-transform"), (b"cache-control", b"public")])

        (start, _) = call(SessionMiddleware(application), http())
        assert [b"cache-control"] * 2 == [name for name, _ in start["headers"]]

    def test_application_that_never_answers(self, recorded_sessions: RecordedSessions) -> None:
        """An application that returns without a word leaves a session that ends like any other."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            return

        assert [] == call(SessionMiddleware(application), http())
        (span,) = ended(recorded_sessions)
        assert 1 == span.attributes["app_session.request.count"]

    def test_cancelled_request(self, recorded_sessions: RecordedSessions) -> None:
        """A request that is cancelled stays cancelled; that is no error, and the session becomes idle."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.Event().wait()

        async def main() -> None:
            task = asyncio.create_task(SessionMiddleware(application)(http(), nothing, nothing))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert 0 == recorded_sessions.metric("app_session.errors")
        assert 1 == len(ended(recorded_sessions))

    def test_request_leaves_no_reference_cycle(self, recorded_sessions: RecordedSessions) -> None:
        """A request is freed when it is over, not when the garbage collector comes by."""

        class Body:
            """Something whose end can be seen."""

        freed = threading.Event()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            scope["body"] = body = Body()
            weakref.finalize(body, freed.set)
            await answer(send)

        gc.disable()
        try:
            asyncio.run(SessionMiddleware(application)(http(), nothing, nothing))
            assert freed.is_set()
        finally:
            gc.enable()

    def test_plain_application_over_sockets(self, recorded_sessions: RecordedSessions) -> None:
        """No framework is needed."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": current_id().encode()})

        with serve_asgi(SessionMiddleware(application), lifespan="off") as server, server.client() as client:
            assert client.get("/").text == client.get("/").text != ""
