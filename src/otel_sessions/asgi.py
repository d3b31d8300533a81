"""Sessions for ASGI applications: FastAPI, Starlette, and any other.

::

    from otel_sessions.asgi import SessionMiddleware

    app.add_middleware(SessionMiddleware)

Add it before other middleware (what is added first runs innermost), so that it sees the framework's own session and the
authenticated user. It works inside any server span, whoever opened it, and without one.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from . import _context, _values
from ._answers import Answer, answer, fields
from ._guard import guarded, swallow
from ._serving import serving
from ._session import Session
from ._web import Client, Evidence, Passage, WebSessions, keep_token, may_carry_cookie, read_cookie, set_cookie_value
from .exceptions import LimitExceededError, LimitUnknownError

__all__ = ["SessionMiddleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_EXCHANGE: Final = "otel_sessions.exchange"
_FORBIDDEN: Final = 403
# Policy violation is how a WebSocket is refused, 1011 how a server fails (RFC 6455, section 7.4.1).
_STATUS_OF_CLOSE: Final = {1008: _FORBIDDEN, 1011: 500}
_TRY_AGAIN_LATER: Final = 1013  # https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
_DISCONNECTS: Final = frozenset({"WebSocketDisconnect", "ClientDisconnect", "ClientDisconnected"})
_ANSWERS: Final = frozenset({"http.response.start", "websocket.http.response.start", "websocket.close"})
_STOPPED: Final = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})
_SECURE: Final = frozenset({"https", "wss"})


class SessionMiddleware:
    """Pure ASGI middleware: every request and every WebSocket connection belongs to its client's durable session.

    Args:
        app: the application.
        type: the type of the sessions; by default the setting `web_type`.
        cookie: whether clients may be given a cookie; the setting `cookie` goes before this.
        limits: names of limits that each request is asked for, together; by default the setting `web_limits`.

    What a limit refuses, here or anywhere in the application, is answered with 429, unless the application answers what
    it has asked itself. Where one of these stands inside another, because an application is mounted in another or was
    instrumented as well, the outermost opens the session, and the limits of each are asked once.

    Raises:
        InvalidValueError: `type` or one of `limits` cannot be a name.
    """

    def __init__(
        self,
        app: App,
        *,
        type: str | None = None,  # noqa: A002 - a session's type
        cookie: bool = True,
        limits: Sequence[str] | None = None,
    ) -> None:
        self.app = app
        self._sessions = WebSessions(
            session_type=None if type is None else _values.label("session type", type), cookie=cookie, limits=limits
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        if scope["type"] not in {"http", "websocket"} or self._excludes(scope):
            await (self._run_lifespan if scope["type"] == "lifespan" else self.app)(scope, receive, send)
            return
        outer = scope.get(_EXCHANGE)
        if outer is not None:
            await outer.go_on(self._sessions, functools.partial(self.app, scope, receive, send), send)
            return
        try:
            if not self._sessions.is_ready:
                await self._sessions.prepare()
            exchange = _Exchange(self._sessions, scope)
            await exchange.begin()
        except Exception as exc:  # noqa: BLE001 - the guard, without its frame: this runs for every request
            swallow("open the session of a request", exc)
            await self.app(scope, receive, send)
            return
        await exchange.run(self.app, receive, send)

    def _excludes(self, scope: Scope) -> bool:
        return self._sessions.excludes(scope.get("path", ""), scope.get("root_path", ""))

    async def _run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application from its startup to its shutdown."""
        application = object()

        async def stop_and_send(message: Message) -> None:
            if message["type"] in _STOPPED:
                await serving.stop(application)
            await send(message)

        serving.start(application)
        try:
            await self.app(scope, receive, stop_and_send)
        finally:
            serving.leave(application)


class _Exchange:
    """One request or connection, from its first message to its last."""

    def __init__(self, sessions: WebSessions, scope: Scope) -> None:
        scope[_EXCHANGE] = self
        self._sessions = sessions
        self._scope = scope
        self._status: int | None = None
        self._accepted = scope["type"] == "http"
        self._answered = False
        """Whether nobody can answer the request any more, because somebody has."""
        self._gone: OSError | None = None
        # Only if it stands outside of us will the framework's session be saved with what we put into it.
        self._framework_outside = isinstance(scope.get("session"), MutableMapping)
        self._send: Send = _nowhere
        self._slot = _context.Slot()
        self._client: Client | None = None
        self._passage = Passage()
        self._limits: set[str] = set()
        """Which ones were asked."""
        self._refused = False
        evidence = self._evidence()
        self._client = sessions.recognise(evidence)
        if self._client is None and not _is_preflight(scope):
            # The framework's session is not written during a WebSocket's handshake.
            self._client = sessions.establish(evidence if scope["type"] == "http" else Evidence())

    def _evidence(self) -> Evidence:
        authorization = cookie = None
        name = self._sessions.cookie_name
        for field, value in self._scope.get("headers") or ():
            if field == b"authorization":
                authorization = value.decode("latin-1")
            elif field == b"cookie" and cookie is None:
                cookie = read_cookie(value.decode("latin-1"), name)
        return Evidence(self._sessions.identity(self._scope), self._framework_session(), authorization, cookie)

    def _framework_session(self) -> MutableMapping[str, Any] | None:
        found = self._scope.get("session") if self._framework_outside else None
        return found if isinstance(found, MutableMapping) else None

    async def begin(self) -> None:
        """Open the session of the client, if there is one. The event loop does not wait for a store."""
        client = self._client
        if client is None:
            return
        may_block = self._sessions.may_block(client)
        session = await self._opened(client) if may_block else self._sessions.open(client, self._scope)
        self._slot.session = session
        self._sessions.join(session)

    async def _opened(self, client: Client) -> Session:
        opened: list[Session] = []
        try:
            await self._sessions.runtime.lifecycle.threads.call(
                lambda: opened.append(self._sessions.open(client, self._scope))
            )
        except BaseException:
            # The request was cancelled meanwhile: it must not be under way for ever.
            for session in opened:
                self._sessions.finish(session, None, None)
            raise
        return opened[0]

    async def run(self, app: App, receive: Receive, send: Send) -> None:
        self._send = send
        websocket = self._scope["type"] == "websocket"
        attached = self._slot.attach()
        error: BaseException | None = None
        inner = functools.partial(app, self._scope, self._receiving(receive) if websocket else receive, self._sending)
        try:
            await self._admitted(self._sessions, self._sessions.limits, inner, self._sending)
        except BaseException as exc:
            error = exc
            raise
        finally:
            _context.detach(attached)
            # Else each would hold the other, until the garbage collector comes.
            self._scope.pop(_EXCHANGE, None)
            session = self._slot.session
            if session is not None:
                self._end(session, error)
            elif self._client is None and not _is_preflight(self._scope):
                self._sessions.warn_unrecognised()
            # Last: where a request is cancelled, each wait is.
            if self._passage.leases:
                await self._release(error)

    async def go_on(self, sessions: WebSessions, app: Callable[[], Awaitable[None]], send: Send) -> None:
        """Go on inside another of our middlewares, which may have limits of its own: those of a mounted application."""
        await self._admitted(sessions, sessions.own_limits, app, send)

    async def _admitted(
        self, sessions: WebSessions, limits: Sequence[str], app: Callable[[], Awaitable[None]], send: Send
    ) -> None:
        """Run the application if the limits allow it; answer what they refuse, now or later on."""
        admitted = False
        try:
            if limits and self._slot.session is not None and not _is_preflight(self._scope):
                await self._admit(sessions, self._slot.session)
            admitted = True
            await app()
        except (LimitExceededError, LimitUnknownError) as refusal:
            # Nobody can any more, if the response is under way.
            if self._answered:
                raise
            await self._refuse(answer(refusal, of_request=not admitted), send)

    async def _admit(self, sessions: WebSessions, session: Session) -> None:
        """Ask the limits that were not asked yet; the event loop does not wait for a store."""

        def ask() -> None:
            passage = sessions.admit(session, but=self._limits)
            self._passage = self._passage.and_also(passage) if self._limits else passage
            self._limits.update(sessions.limits)

        await sessions.runtime.lifecycle.limiter.outside(ask)

    async def _release(self, error: BaseException | None) -> None:
        # A coroutine that is closed cannot wait any more.
        if isinstance(error, GeneratorExit):
            self._passage.release()
        else:
            await self._sessions.runtime.lifecycle.limiter.outside(self._passage.release)

    async def _refuse(self, reply: Answer, send: Send) -> None:
        """Answer what a limit refused."""
        self._refused = True
        if self._scope["type"] == "http":
            await _respond(reply, "http.response", send)
        elif not self._accepted and "websocket.http.response" in (self._scope.get("extensions") or {}):
            await _respond(reply, "websocket.http.response", send)
        else:
            # Before it was accepted the server answers with 403; afterwards the client knows when to come again.
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})

    def _end(self, session: Session, error: BaseException | None) -> None:
        # A disconnect is the client's choice: servers raise an OSError from `send`, frameworks one of these.
        if error is not None and (error is self._gone or type(error).__name__ in _DISCONNECTS):
            error = None
        # A server that cannot say more refuses a WebSocket with 403; nobody was denied access by that.
        status = None if self._refused and self._status == _FORBIDDEN else self._status
        self._sessions.finish(session, status, error)

    def _receiving(self, receive: Receive) -> Receive:
        """A WebSocket's messages are activity of the session."""

        async def receive_and_touch() -> Message:
            message = await receive()
            session = self._slot.session
            if session is not None and session._live is not None and message["type"] == "websocket.receive":
                session._lifecycle.ledger.touch(session._live)
            return message

        return receive_and_touch

    async def _sending(self, message: Message) -> None:
        kind = message["type"]
        self._answered = self._answered or kind in _ANSWERS
        if kind in {"http.response.start", "websocket.accept", "websocket.http.response.start"}:
            with guarded("mark the response of a session"):
                self._status = message.get("status", self._status)
                message = await self._marked(message)
                if self._passage.statuses:
                    message = self._with_limits(message)
            self._accepted = self._accepted or kind == "websocket.accept"
        elif kind == "websocket.close" and self._status is None:
            # Before it was accepted the server answers with 403, whatever the code (ASGI, WebSocket, "Close").
            self._status = _STATUS_OF_CLOSE.get(message.get("code", 1000)) if self._accepted else _FORBIDDEN
        try:
            await self._send(message)
        except OSError as gone:
            self._gone = gone
            raise

    async def _marked(self, message: Message) -> Message:
        """The first message of a response, with what lets the client be recognised again."""
        if self._client is None or self._client.is_new:
            message = await self._with_tokens(message)
        # The user is known by now, wherever authentication stands among the middleware.
        if self._slot.session is not None and "user" in self._scope:
            self._sessions.attribute(self._slot.session, functools.partial(_user, self._scope))
        return message

    def _with_limits(self, message: Message) -> Message:
        headers = list(message.get("headers") or ())
        names = {bytes(name).lower() for name, _ in headers}
        if b"ratelimit" in names:
            return message
        told = [(name.lower().encode(), value.encode()) for name, value in fields(self._passage.statuses)]
        return {**message, "headers": [*headers, *told]}

    async def _with_tokens(self, message: Message) -> Message:
        headers = list(message.get("headers") or ())
        message = {**message, "headers": headers}
        if not may_carry_cookie((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers):
            return message
        # A framework writes its session's cookie on a response of HTTP only.
        if message["type"] == "http.response.start":
            await self._keep_in_framework()
        client = self._client
        if client is not None and client.cookie_token is not None:
            secure = self._scope.get("scheme") in _SECURE
            cookie = set_cookie_value(self._sessions.cookie_name, client.cookie_token, secure=secure)
            headers.append((b"set-cookie", cookie.encode("latin-1")))
        return message

    async def _keep_in_framework(self) -> None:
        """The application may have begun a session of its own in this request: it counts from now on."""
        framework = self._framework_session()
        if self._client is None and framework:
            self._client = self._sessions.establish(Evidence(framework_session=framework))
            await self.begin()
        if self._client is not None and self._client.framework_token and framework is not None:
            keep_token(framework, self._client.framework_token)


def _is_preflight(scope: Scope) -> bool:
    """Whether it is a browser's own question about another origin (CORS): such a request never carries a cookie."""
    if scope.get("method") != "OPTIONS":
        return False
    return any(name == b"access-control-request-method" for name, _ in scope.get("headers") or ())


def _user(scope: Scope) -> str | None:
    """The user that an authentication middleware found (Starlette's protocol: `scope["user"]`)."""
    user = scope.get("user")
    if user is None or not getattr(user, "is_authenticated", False):
        return None
    for name in ("identity", "display_name", "username"):
        try:
            value = getattr(user, name, None)
        except NotImplementedError:  # Starlette's BaseUser leaves these to be written
            continue
        if isinstance(value, str) and value:
            return value
    return None


async def _respond(reply: Answer, kind: str, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers]
    await send({"type": f"{kind}.start", "status": reply.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": reply.body})


async def _nowhere(_message: Message) -> None:
    """Before the exchange runs there is nobody to send to."""
