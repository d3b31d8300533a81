"""Real servers on free loopback ports, in threads of the test's process, and clients that talk to them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from werkzeug.serving import WSGIRequestHandler, make_server

from otel_sessions import current_session

_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.01

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
WSGIApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Traffic:
    """The requests under way in a server, and what each left behind in the context of the thread or task it ran in."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self.left_attached: list[tuple[str, Context]] = []

    @contextmanager
    def request(self) -> Iterator[None]:
        with self._changed:
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextmanager
    def watched(self, *, whole: bool = True) -> Iterator[None]:
        """Note a session that is there after the block and was not before it; of a `whole` request also a context.

        In the middle of a response another instrumentation may have left its own attached until the end.
        """
        before = current_session().id, otel_context.get_current()
        try:
            yield
        finally:
            after = current_session().id, otel_context.get_current()
            if after[: 1 + whole] != before[: 1 + whole]:
                self.left_attached.append(after)

    def settle(self) -> None:
        """Wait until no request is under way: a client has its response before the application returns."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._running == 0, _PATIENCE_SECONDS), "a request does not end"


class Client(httpx.Client):
    """A browser: it keeps cookies. After each response the request is over on the server, too.

    Each request has a connection of its own: uvicorn closes one whose application raised.
    """

    def __init__(self, server: Server, **options: Any) -> None:
        super().__init__(
            base_url=server.url,
            trust_env=False,
            verify=False,
            timeout=_PATIENCE_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),
            **options,
        )
        self._traffic = server.traffic

    def request(self, *args: Any, **kwargs: Any) -> httpx.Response:
        response = super().request(*args, **kwargs)
        self._traffic.settle()
        return response


class Server:
    """A server that is listening."""

    def __init__(self, host: str, port: int, traffic: Traffic) -> None:
        self.address = host, port
        self.url = f"http://{host}:{port}"
        self.traffic = traffic

    def client(self, **options: Any) -> Client:
        return Client(self, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """One request of a client that is never seen again."""
        with self.client() as client:
            return client.get(path, **options)

    def options(self, path: str, **options: Any) -> httpx.Response:
        """An `OPTIONS` request of a client that is never seen again."""
        with self.client() as client:
            return client.options(path, **options)

    def connect(self) -> socket.socket:
        """A bare connection, for what no well-behaved client sends."""
        return socket.create_connection(self.address, timeout=_PATIENCE_SECONDS)

    def send(self, request: bytes) -> bytes:
        """Send the bytes of a request that asks for the connection to be closed; the bytes of the response."""
        with self.connect() as connection:
            connection.sendall(request)
            response = b"".join(iter(lambda: connection.recv(65536), b""))
        self.traffic.settle()
        return response


class _PromptServer(uvicorn.Server):
    """Stops when it is told to, not when it next looks."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)
        while not self.should_exit:
            await self._stopped.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        # Nothing is under way: no need for the tenth of a second that uvicorn waits in any case.
        for server in self.servers:
            server.close()
        await self.lifespan.shutdown()

    def stop(self) -> None:
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)


@contextmanager
def serve_asgi(app: ASGIApp, **options: Any) -> Iterator[Server]:
    """Serve `app` with uvicorn; without its lifespan unless asked for `lifespan="on"`.

    With it the sessions would end when the application stops, and most tests want to see what becomes of them then.
    """
    options = {"lifespan": "off", **options}
    traffic = Traffic()

    async def watching(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        with traffic.request(), traffic.watched():
            await app(scope, receive, send)

    # With its protocol named: asyncio turns Nagle's algorithm off for such sockets only, as in a server of its own.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.listen()
    config = uvicorn.Config(
        watching, log_config=None, ws="websockets-sansio", timeout_graceful_shutdown=int(_PATIENCE_SECONDS), **options
    )
    server = _PromptServer(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn")
    thread.start()
    try:
        yield Server("127.0.0.1", listener.getsockname()[1], traffic)
    finally:
        server.stop()
        thread.join(_PATIENCE_SECONDS)
        listener.close()
    assert not thread.is_alive(), "uvicorn does not stop"
    assert traffic.left_attached == []


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Not on the console of whoever runs the tests."""


@contextmanager
def serve_wsgi(app: WSGIApp, *, threaded: bool = True) -> Iterator[Server]:
    """Serve `app` with Werkzeug: each connection in a thread of its own, or all in one, `threaded=False`."""
    traffic = Traffic()

    def watching(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with traffic.request(), traffic.watched():
            with traffic.watched(whole=False):
                response = app(environ, start_response)
            try:
                chunks = iter(response)
                while True:
                    with traffic.watched(whole=False):
                        chunk = next(chunks, None)
                    if chunk is None:
                        return
                    yield chunk
            finally:
                with traffic.watched(whole=False):
                    getattr(response, "close", lambda: None)()

    server = make_server("127.0.0.1", 0, watching, threaded=threaded, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="werkzeug")
    thread.start()
    try:
        yield Server("127.0.0.1", server.port, traffic)
        traffic.settle()
    finally:
        server.shutdown()
        thread.join(_PATIENCE_SECONDS)
        server.server_close()
    assert not thread.is_alive(), "Werkzeug does not stop"
    assert traffic.left_attached == []
