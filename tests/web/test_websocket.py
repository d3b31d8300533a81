"""WebSocket connections belong to their client's session, like its requests."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket, WebSocketException
from starlette.responses import PlainTextResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from otel_sessions import current_session
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.testing import RecordedSessions

from .exchanges import ended
from .servers import Server, serve_asgi


class BoomError(Exception):
    """What the endpoints below raise."""


async def chat(websocket: WebSocket) -> None:
    """Tells the client which session it is in; does what some words ask for."""
    await websocket.accept()
    async for text in websocket.iter_text():
        if text == "boom":
            raise BoomError
        if text.isdigit():
            await websocket.close(int(text))
            return
        await websocket.send_text(current_session().id)


async def unheard(websocket: WebSocket) -> None:
    """Does not expect its client to go away."""
    await websocket.accept()
    while True:
        await websocket.receive_text()


async def refused(websocket: WebSocket) -> None:
    await websocket.close()


async def refused_by_exception(websocket: WebSocket) -> None:
    raise WebSocketException(code=1008)


async def denied(websocket: WebSocket, status: int) -> None:
    await websocket.send_denial_response(PlainTextResponse("no", status))


def site() -> FastAPI:
    """A conversation, and doors that stay closed."""
    app = FastAPI(telemetry={"tracing": False})
    app.add_middleware(SessionMiddleware)
    app.get("/")(lambda: current_session().id)
    app.websocket("/chat")(chat)
    app.websocket("/unheard")(unheard)
    app.websocket("/refused")(refused)
    app.websocket("/refused-by-exception")(refused_by_exception)
    app.websocket("/denied/{status}")(denied)
    return app


def talk(server: Server, path: str = "/chat", **headers: str) -> ClientConnection:
    """An open connection."""
    return connect(f"ws{server.url.removeprefix('http')}{path}", additional_headers=headers, proxy=None)


def ask(connection: ClientConnection, text: str = "hello") -> str:
    connection.send(text)
    return str(connection.recv(timeout=10))


class TestSession:
    def test_whole_conversation_is_one_request_of_one_session(self, recorded_sessions: RecordedSessions) -> None:
        """However many messages are exchanged, a connection is one request, in one session."""
        with serve_asgi(site()) as server:
            with talk(server) as connection:
                ids = {ask(connection) for _ in range(5)}
            server.traffic.settle()
        (span,) = ended(recorded_sessions)
        assert {span.attributes["session.id"]} == ids
        assert {
            "session.id": ids.pop(),
            "app_session.type": "web",
            "app_session.topology": "durable",
            "app_session.platform": "web",
            "app_session.status": "expired",
            "app_session.end_reason": "idle_timeout",
            "app_session.event.count": 0,
            "app_session.error.count": 0,
            "app_session.request.count": 1,
        } == dict(span.attributes)

    def test_cookie_of_the_handshake(self, recorded_sessions: RecordedSessions) -> None:
        """A client without anything gets its cookie with the handshake, and is recognised by it in plain requests."""
        with serve_asgi(site()) as server:
            with talk(server) as connection:
                assert connection.response is not None
                (field,) = connection.response.headers.get_all("set-cookie")
                session_id = ask(connection)
            name, value = field.partition(";")[0].split("=")
            assert session_id == server.get("/", headers={"Cookie": f"{name}={value}"}).json()
            with talk(server, Cookie=f"{name}={value}") as connection:
                assert session_id == ask(connection)
                assert connection.response is not None
                assert [] == connection.response.headers.get_all("set-cookie")
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} == set(field.split("; ")[1:])

    def test_cookie_behind_tls(self, recorded_sessions: RecordedSessions) -> None:
        """Over wss the cookie is `Secure`."""
        with (
            serve_asgi(site()) as server,
            talk(server, **{"X-Forwarded-Proto": "https"}) as connection,
        ):
            assert connection.response is not None
            assert connection.response.headers["set-cookie"].endswith("; Secure")

    def test_credential(self, recorded_sessions: RecordedSessions) -> None:
        """A connection with a bearer credential joins the session of the requests with it."""
        credential = {"Authorization": "Bearer s3cr3t"}
        with serve_asgi(site()) as server:
            with talk(server, **credential) as connection:
                session_id = ask(connection)
            assert session_id == server.get("/", headers=credential).json()

    def test_two_conversations_at_once(self, recorded_sessions: RecordedSessions) -> None:
        """Two clients that talk in turn are never taken for each other."""
        with serve_asgi(site()) as server, talk(server) as first, talk(server) as second:
            heard = [(ask(first), ask(second)) for _ in range(3)]
        assert 1 == len(set(heard))
        assert 2 == len(set(heard[0]))


class TestLife:
    def test_open_connection_keeps_the_session_alive(self, recorded_sessions: RecordedSessions) -> None:
        """While a connection is open its session is not idle, even if nothing is said."""
        with serve_asgi(site()) as server:
            with talk(server) as connection:
                session_id = ask(connection)
                for _ in range(3):
                    recorded_sessions.advance(1801)
                assert session_id == ask(connection)
                assert [] == recorded_sessions.session_spans
            server.traffic.settle()
        recorded_sessions.advance(1799)
        assert [] == recorded_sessions.session_spans
        recorded_sessions.advance(1)
        (span,) = recorded_sessions.session_spans
        assert 3 * 1801 == (span.end_time - span.start_time) / 1e9  # type: ignore[operator]

    def test_maximum_duration_ends_it_under_an_open_connection(self, recorded_sessions: RecordedSessions) -> None:
        """A connection that outlives the maximum duration goes on; its session ends, once."""
        with serve_asgi(site()) as server:
            with talk(server) as connection:
                session_id = ask(connection)
                recorded_sessions.advance(86_400)
                (span,) = recorded_sessions.session_spans
                ask(connection)
            server.traffic.settle()
        recorded_sessions.advance(100_000)
        assert [span] == [
            s for s in recorded_sessions.session_spans if (s.attributes or {})["session.id"] == session_id
        ]
        assert "max_duration" == (span.attributes or {})["app_session.end_reason"]

    def test_messages_are_activity(self, recorded_sessions: RecordedSessions) -> None:
        """The time at which a message comes is the session's last activity; the engagement ratio counts it."""
        with serve_asgi(site()) as server:
            with talk(server) as connection:
                for _ in range(3):
                    recorded_sessions.clock.advance(30)
                    ask(connection)
            server.traffic.settle()
        (span,) = ended(recorded_sessions)
        assert 90 == (span.end_time - span.start_time) / 1e9
        assert {(1, 1.0)} == set(recorded_sessions.metrics()["app_session.engagement_ratio"].values())


class TestEnds:
    @staticmethod
    def closed(connection: ClientConnection, text: str) -> int:
        connection.send(text)
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=10)
        assert connection.close_code is not None
        return connection.close_code

    @pytest.mark.parametrize(
        ("code", "errors", "refused"), [(1000, 0, 0), (1001, 0, 0), (1008, 0, 1), (1011, 1, 0), (4000, 0, 0)]
    )
    def test_closed_by_the_application(
        self, code: int, errors: int, refused: int, recorded_sessions: RecordedSessions
    ) -> None:
        """A failure of the server is an error, a violated policy a refused access; every other code is neither."""
        with serve_asgi(site()) as server:
            with talk(server) as connection:
                assert code == self.closed(connection, str(code))
            server.traffic.settle()
        assert errors == recorded_sessions.metric("app_session.errors", error__type="500")
        assert errors == recorded_sessions.metric("app_session.errors")
        assert refused == recorded_sessions.metric(
            "app_session.access_failures", app_session__access_failure__reason="forbidden"
        )
        assert refused == recorded_sessions.metric("app_session.access_failures")

    def test_exception(self, recorded_sessions: RecordedSessions) -> None:
        """An exception is one error, of its type, and not another one of the close that follows."""
        with serve_asgi(site()) as server:
            with talk(server) as connection:
                self.closed(connection, "boom")
            server.traffic.settle()
        expected = frozenset({("app_session.type", "web"), ("error.type", f"{__name__}.BoomError")})
        assert {expected: 1} == recorded_sessions.metrics()["app_session.errors"]

    @pytest.mark.parametrize("path", ["/chat", "/unheard"])
    @pytest.mark.parametrize("code", [1000, 1001, 4000])
    def test_closed_by_the_client(self, path: str, code: int, recorded_sessions: RecordedSessions) -> None:
        """A client may leave as it likes: that is no error, whether or not the application expects it."""
        with serve_asgi(site()) as server:
            with talk(server, path) as connection:
                connection.close(code)
            server.traffic.settle()
        assert 0 == recorded_sessions.metric("app_session.errors")
        (span,) = ended(recorded_sessions)
        assert "idle_timeout" == span.attributes["app_session.end_reason"]

    def test_torn_connection(self, recorded_sessions: RecordedSessions) -> None:
        """A client whose connection breaks without a word is no error either, and its session becomes idle."""
        with serve_asgi(site()) as server:
            with talk(server, "/unheard") as connection:
                connection.socket.close()
            server.traffic.settle()
        assert 0 == recorded_sessions.metric("app_session.errors")
        assert 1 == len(ended(recorded_sessions))

    def test_sending_to_a_client_that_is_gone(self, recorded_sessions: RecordedSessions) -> None:
        """An application without a framework that hears of it from `send` has not failed."""
        left = threading.Event()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                pass
            left.set()
            for _ in range(100):
                await send({"type": "websocket.send", "text": "are you there?"})
                await asyncio.sleep(0)

        with serve_asgi(SessionMiddleware(application), lifespan="off") as server:
            with talk(server):
                pass
            assert left.wait(10)
            server.traffic.settle()
        assert 0 == recorded_sessions.metric("app_session.errors")


class TestRefusals:
    @pytest.mark.parametrize(
        ("path", "status", "reason"),
        [
            ("/refused", 403, "forbidden"),
            ("/refused-by-exception", 403, "forbidden"),
            ("/denied/401", 401, "unauthorized"),
            ("/denied/403", 403, "forbidden"),
            ("/nowhere", 403, "forbidden"),
        ],
    )
    def test_refused_handshake(self, path: str, status: int, reason: str, recorded_sessions: RecordedSessions) -> None:
        """A connection that is refused is a refused access, as the status that the client sees says."""
        with serve_asgi(site()) as server:
            with pytest.raises(InvalidStatus) as refusal:
                talk(server, path)
            server.traffic.settle()
        assert status == refusal.value.response.status_code
        expected = frozenset({("app_session.type", "web"), ("app_session.access_failure.reason", reason)})
        assert {expected: 1} == recorded_sessions.metrics()["app_session.access_failures"]
        assert 0 == recorded_sessions.metric("app_session.errors")

    @pytest.mark.parametrize(("path", "errors"), [("/denied/404", 0), ("/denied/503", 1)])
    def test_other_answers_to_a_handshake(self, path: str, errors: int, recorded_sessions: RecordedSessions) -> None:
        """An answer instead of a handshake counts as in a plain request, and gives the client its cookie."""
        with serve_asgi(site()) as server:
            with pytest.raises(InvalidStatus) as refusal:
                talk(server, path)
            server.traffic.settle()
        assert errors == recorded_sessions.metric("app_session.errors", error__type="503")
        assert 0 == recorded_sessions.metric("app_session.access_failures")
        assert refusal.value.response.headers["set-cookie"].startswith("otel_session=")


class TestMessages:
    def test_pass_in_both_directions_as_they_are(self, recorded_sessions: RecordedSessions) -> None:
        """What is received and what is sent is the same as without us."""
        incoming = [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": "a", "bytes": None},
            {"type": "websocket.receive", "bytes": b"b"},
            {"type": "websocket.disconnect", "code": 1000, "reason": "bye"},
        ]
        outgoing: list[dict[str, Any]] = [
            {"type": "websocket.accept", "subprotocol": "x", "headers": [(b"a", b"b")]},
            {"type": "websocket.send", "text": "c"},
            {"type": "websocket.close", "code": None, "reason": ""},
        ]
        received: list[Any] = []
        sent: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            received.extend([await receive() for _ in incoming])
            for message in outgoing:
                await send(message)

        messages = iter(incoming)

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/", "headers": [(b"authorization", b"Bearer x")]}
        asyncio.run(SessionMiddleware(application)(scope, receive, send))
        assert incoming == received
        assert outgoing == sent
