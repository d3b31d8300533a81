"""ASGI applications: one session for each client, visible wherever its requests are served."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware

from otel_sessions import InvalidValueError, session
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.testing import RecordedSessions, record_sessions

from .exchanges import current_id, ended, http, nothing
from .servers import serve_asgi


class BoomError(Exception):
    """What the applications below raise."""


def fastapi(**options: Any) -> FastAPI:
    """An application with the middleware and without a telemetry of its own."""
    app = FastAPI(telemetry={"tracing": False})
    app.add_middleware(SessionMiddleware, **options)
    return app


def sync_dependency() -> str:
    return current_id()


async def async_dependency() -> str:
    return current_id()


def sync_generator(request: Request) -> Iterator[str]:
    yield current_id()
    request.app.state.seen.append(current_id())


async def async_generator(request: Request) -> AsyncIterator[str]:
    yield current_id()
    request.app.state.seen.append(current_id())


class TestContext:
    def test_endpoints(self, recorded_sessions: RecordedSessions) -> None:
        """Asynchronous and synchronous endpoints see the same session of their client."""
        app = fastapi()

        @app.get("/async")
        async def asynchronous() -> str:
            return current_id()

        app.get("/sync")(current_id)
        with serve_asgi(app) as server, server.client() as client:
            ids = {client.get(path).json() for path in ("/async", "/sync", "/async")}
        assert [ids] == [{(span.attributes or {})["session.id"] for span in ended(recorded_sessions)}]

    def test_dependencies(self, recorded_sessions: RecordedSessions) -> None:
        """So do dependencies of each kind, before and after the endpoint."""
        app = fastapi()
        app.state.seen = []

        @app.get("/")
        def root(
            a: Annotated[str, Depends(sync_dependency)],
            b: Annotated[str, Depends(async_dependency)],
            c: Annotated[str, Depends(sync_generator)],
            d: Annotated[str, Depends(async_generator)],
        ) -> list[str]:
            return [a, b, c, d, current_id()]

        with serve_asgi(app) as server:
            seen = [*server.get("/").json(), *app.state.seen]
        assert 7 == len(seen)
        assert "" not in seen
        assert 1 == len(set(seen))

    def test_background_tasks(self, recorded_sessions: RecordedSessions) -> None:
        """Background tasks run in the session of the request that left them."""
        app = fastapi()
        seen: list[str] = []

        def sync_task() -> None:
            seen.append(current_id())

        async def async_task() -> None:
            seen.append(current_id())

        @app.get("/")
        def root(tasks: BackgroundTasks) -> str:
            tasks.add_task(sync_task)
            tasks.add_task(async_task)
            return current_id()

        with serve_asgi(app) as server:
            session_id = server.get("/").json()
        assert session_id != ""
        assert [session_id, session_id] == seen

    @pytest.mark.parametrize("kind", ["sync", "async"])
    def test_streams(self, kind: str, recorded_sessions: RecordedSessions) -> None:
        """Each chunk of a stream is made in the session of the request."""
        app = fastapi()

        def sync_chunks() -> Iterator[str]:
            for _ in range(3):
                yield current_id() + "\n"

        async def async_chunks() -> AsyncIterator[str]:
            for _ in range(3):
                yield current_id() + "\n"
                await asyncio.sleep(0)

        @app.get("/")
        def root() -> StreamingResponse:
            return StreamingResponse(sync_chunks() if kind == "sync" else async_chunks())

        with serve_asgi(app) as server:
            chunks = server.get("/").text.split()
        assert 3 == len(chunks)
        assert 1 == len(set(chunks))

    def test_exception_handlers(self, recorded_sessions: RecordedSessions) -> None:
        """Handlers of exceptions see the session of the request that failed."""
        app = fastapi()

        @app.exception_handler(BoomError)
        async def handle(request: Request, error: BoomError) -> JSONResponse:
            return JSONResponse(current_id(), 418)

        @app.get("/")
        def root() -> str:
            raise BoomError

        with serve_asgi(app) as server, server.client() as client:
            first, second = client.get("/"), client.get("/")
        assert (418, 418) == (first.status_code, second.status_code)
        assert first.json() == second.json() != ""

    def test_base_http_middleware_beside_ours(self, recorded_sessions: RecordedSessions) -> None:
        """Starlette's `BaseHTTPMiddleware`, inside or outside of ours, takes the session from nobody."""
        app = FastAPI(telemetry={"tracing": False})
        seen: dict[str, list[str]] = {"inner": [], "outer": []}

        def dispatch(where: str) -> Callable[..., Awaitable[Any]]:
            async def note(request: Request, call_next: Any) -> Any:
                seen[where].append(current_id())
                response = await call_next(request)
                seen[where].append(current_id())
                return response

            return note

        app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch("inner"))
        app.add_middleware(SessionMiddleware)
        app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch("outer"))

        def chunks() -> Iterator[str]:
            yield current_id()

        @app.get("/")
        async def root() -> StreamingResponse:
            return StreamingResponse(chunks())

        with serve_asgi(app) as server:
            session_id = server.get("/").text
        assert session_id != ""
        assert {"inner": [session_id] * 2, "outer": ["", ""]} == seen

    def test_tasks_begun_in_a_request(self, recorded_sessions: RecordedSessions) -> None:
        """What a request starts concurrently belongs to its session."""
        app = fastapi()

        async def work() -> str:
            await asyncio.sleep(0)
            return current_id()

        @app.get("/")
        async def root() -> list[str]:
            return [current_id(), *await asyncio.gather(work(), work(), asyncio.to_thread(current_id))]

        with serve_asgi(app) as server:
            ids = server.get("/").json()
        assert 4 == len(ids)
        assert 1 == len(set(ids))

    def test_interleaved_requests_of_two_clients(self, recorded_sessions: RecordedSessions) -> None:
        """Requests that wait for each other on one event loop never see each other's session."""
        app = fastapi()
        meeting: dict[str, asyncio.Event] = {}

        @app.get("/{name}/{other}")
        async def meet(name: str, other: str) -> list[str]:
            before = current_id()
            meeting.setdefault(name, asyncio.Event()).set()
            await meeting.setdefault(other, asyncio.Event()).wait()
            return [before, current_id()]

        with serve_asgi(app) as server, ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda path: server.get(path).json(), ("/a/b", "/b/a"))
        assert first[0] == first[1]
        assert second[0] == second[1]
        assert first[0] != second[0]

    def test_threads_of_the_pool_forget(self) -> None:
        """A thread that has served a client's request knows nothing of it in the next request."""
        app = fastapi()
        app.get("/")(current_id)
        app.get("/excluded")(current_id)
        with record_sessions(excluded_urls=("^/excluded$",)), serve_asgi(app) as server:
            ids = [server.get("/").json() for _ in range(4)]
            assert 4 == len(set(ids))
            assert [""] * 4 == [server.get("/excluded").json() for _ in range(4)]

    def test_mounted_application_with_the_middleware_too(self, recorded_sessions: RecordedSessions) -> None:
        """A request to a mounted application is one request of one session, however many of us it passes."""
        app, inner = fastapi(), fastapi()
        app.get("/")(current_id)
        inner.get("/deep")(current_id)
        app.mount("/inner", inner)
        with serve_asgi(app) as server, server.client() as client:
            response = client.get("/inner/deep")
            assert response.json() == client.get("/").json() != ""
        assert 1 == len(response.headers.get_list("set-cookie"))
        assert 2 == recorded_sessions.metric("app_session.requests")
        assert 1 == recorded_sessions.metric("app_session.starts")

    def test_session_begun_in_a_request(self, recorded_sessions: RecordedSessions) -> None:
        """A job inside a request is a session of its own that names the client's; after it the client's is current."""
        app = fastapi()

        @app.get("/")
        async def root() -> list[str | None]:
            outer = current_id()
            with session("job") as job:
                inner = current_id()
            return [outer, inner, job.parent_id, current_id()]

        with serve_asgi(app) as server:
            outer, inner, parent, after = server.get("/").json()
        assert outer == parent == after
        assert inner not in {"", outer}

    def test_coroutine_that_is_closed_elsewhere(self, recorded_sessions: RecordedSessions) -> None:
        """A request that the garbage collector finishes, in another context, closes without an error."""

        class Forever:
            def __await__(self) -> Generator[None, None, None]:
                yield

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await Forever()

        coroutine = SessionMiddleware(application)(http(), nothing, nothing)
        contextvars.copy_context().run(coroutine.send, None)
        coroutine.close()
        assert "" == current_id()
        (span,) = ended(recorded_sessions)
        assert "idle_timeout" == (span.attributes or {})["app_session.end_reason"]


class TestCounting:
    @staticmethod
    def site() -> FastAPI:
        app = fastapi()

        @app.get("/status/{code}")
        def status(code: int) -> PlainTextResponse:
            return PlainTextResponse("", code)

        @app.get("/raised/{code}")
        def raised(code: int) -> None:
            raise HTTPException(code)

        @app.get("/boom")
        def boom() -> None:
            raise BoomError("secret")

        @app.get("/late")
        def late(tasks: BackgroundTasks) -> None:
            tasks.add_task(boom)

        def half() -> Iterator[str]:
            yield "half"
            raise BoomError

        @app.get("/half")
        def half_a_stream() -> StreamingResponse:
            return StreamingResponse(half())

        return app

    @pytest.mark.parametrize("path", ["/status/200", "/status/302", "/status/404", "/status/418", "/raised/400", "/no"])
    def test_answers_that_are_no_failure(self, path: str, recorded_sessions: RecordedSessions) -> None:
        """A redirection, or the client's own mistake, is no error of the session."""
        with serve_asgi(self.site()) as server:
            server.get(path)
        assert 1 == recorded_sessions.metric("app_session.requests", app_session__type="web")
        assert {"app_session.errors", "app_session.access_failures"}.isdisjoint(recorded_sessions.metrics())

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/status/500", "500"),
            ("/status/503", "503"),
            ("/raised/502", "502"),
            ("/boom", f"{__name__}.BoomError"),
            ("/late", f"{__name__}.BoomError"),
        ],
    )
    def test_failures(self, path: str, kind: str, recorded_sessions: RecordedSessions) -> None:
        """A 5xx or an exception is one error, of that status or type."""
        with serve_asgi(self.site()) as server:
            server.get(path)
        expected = frozenset({("app_session.type", "web"), ("error.type", kind)})
        assert {expected: 1} == recorded_sessions.metrics()["app_session.errors"]
        (span,) = ended(recorded_sessions)
        assert (1, 1, "expired") == (
            span.attributes["app_session.request.count"],
            span.attributes["app_session.error.count"],
            span.attributes["app_session.status"],
        )

    def test_exception_in_the_middle_of_a_stream(self, recorded_sessions: RecordedSessions) -> None:
        """A stream that breaks is one error, although its status said 200."""
        with serve_asgi(self.site()) as server:
            answer = server.send(b"GET /half HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"200" == answer.split()[1]
        assert 1 == recorded_sessions.metric("app_session.errors", error__type=f"{__name__}.BoomError")
        assert 1 == recorded_sessions.metric("app_session.errors")

    @pytest.mark.parametrize(
        ("path", "reason"),
        [("/status/401", "unauthorized"), ("/raised/401", "unauthorized"), ("/raised/403", "forbidden")],
    )
    def test_refused_accesses(self, path: str, reason: str, recorded_sessions: RecordedSessions) -> None:
        """401 and 403 are refused accesses, by reason, and no errors."""
        with serve_asgi(self.site()) as server:
            server.get(path)
        expected = frozenset({("app_session.type", "web"), ("app_session.access_failure.reason", reason)})
        assert {expected: 1} == recorded_sessions.metrics()["app_session.access_failures"]
        assert 0 == recorded_sessions.metric("app_session.errors")

    def test_sum_of_a_session(self, recorded_sessions: RecordedSessions) -> None:
        """The session's span tells how many requests its client made and how many failed."""
        with serve_asgi(self.site()) as server, server.client() as client:
            for path in ("/status/200", "/status/500", "/boom", "/status/401", "/status/404"):
                client.get(path)
        (span,) = ended(recorded_sessions)
        assert (5, 2) == (span.attributes["app_session.request.count"], span.attributes["app_session.error.count"])

    def test_type_of_the_sessions(self, recorded_sessions: RecordedSessions) -> None:
        """The middleware's argument names the sessions, on the span and on the metrics."""
        app = fastapi(type="shop")
        app.get("/")(current_id)
        with serve_asgi(app) as server:
            server.get("/")
        (span,) = ended(recorded_sessions)
        assert ("session shop", "shop") == (span.name, span.attributes["app_session.type"])
        assert 1 == recorded_sessions.metric("app_session.requests", app_session__type="shop")

    def test_type_that_is_none(self) -> None:
        """A type that cannot be a name is told when the application is put together."""
        with pytest.raises(InvalidValueError, match="session type"):
            SessionMiddleware(FastAPI(), type="no good\n")


class TestStreams:
    @staticmethod
    def stream(first: threading.Event, go_on: threading.Event) -> FastAPI:
        app = fastapi()

        def chunks() -> Iterator[str]:
            first.set()
            yield "first"
            assert go_on.wait(10)
            yield "last"

        @app.get("/")
        def root() -> StreamingResponse:
            return StreamingResponse(chunks())

        return app

    def test_long_one_keeps_the_session_alive(self, recorded_sessions: RecordedSessions) -> None:
        """While a response is under way its session is not idle, however long that takes."""
        first, go_on = threading.Event(), threading.Event()
        with serve_asgi(self.stream(first, go_on)) as server, ThreadPoolExecutor(1) as pool:
            answer = pool.submit(server.get, "/")
            assert first.wait(10)
            for _ in range(3):
                recorded_sessions.advance(1799)
                recorded_sessions.advance(2)
            assert [] == recorded_sessions.session_spans
            go_on.set()
            assert "firstlast" == answer.result().text
        recorded_sessions.advance(1799)
        assert [] == recorded_sessions.session_spans
        recorded_sessions.advance(1)
        (span,) = recorded_sessions.session_spans
        assert 3 * 1801 == (span.end_time - span.start_time) / 1e9  # type: ignore[operator]

    @pytest.mark.parametrize("beside", ["nothing", "inside", "outside"])
    def test_client_that_goes_away(self, beside: str, recorded_sessions: RecordedSessions) -> None:
        """A client that closes the connection in the middle is no error, and its session becomes idle.

        Neither is it with Starlette's `BaseHTTPMiddleware` beside ours, which runs the application in another task.
        """

        async def pass_on(request: Request, call_next: Any) -> Any:
            return await call_next(request)

        app = FastAPI(telemetry={"tracing": False})
        if beside == "inside":
            app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
        app.add_middleware(SessionMiddleware)
        if beside == "outside":
            app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)

        async def chunks() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1024
                await asyncio.sleep(0.001)

        @app.get("/")
        async def root() -> StreamingResponse:
            return StreamingResponse(chunks())

        with serve_asgi(app) as server:
            with server.connect() as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(1024).startswith(b"HTTP/1.1 200")
            # Not until the generator is closed: one that is cancelled in `send`, Starlette leaves to the collector.
            server.traffic.settle()
        assert 0 == recorded_sessions.metric("app_session.errors")
        (span,) = ended(recorded_sessions)
        assert "idle_timeout" == span.attributes["app_session.end_reason"]

    def test_send_to_a_client_that_is_gone(self, recorded_sessions: RecordedSessions) -> None:
        """An application that hears of it from `send`, as ASGI 2.4 servers tell it, has not failed either."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": True})

        async def gone(message: Any) -> None:
            if message["type"] == "http.response.body":
                raise OSError("the client is gone")

        with pytest.raises(OSError, match="the client is gone"):
            asyncio.run(SessionMiddleware(application)(http(), nothing, gone))
        assert 0 == recorded_sessions.metric("app_session.errors")

    def test_error_of_the_operating_system_in_the_application(self, recorded_sessions: RecordedSessions) -> None:
        """An `OSError` of the application's own is an error like any other."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            raise FileNotFoundError("page.html")

        with pytest.raises(FileNotFoundError):
            asyncio.run(SessionMiddleware(application)(http(), nothing, nothing))
        assert 1 == recorded_sessions.metric("app_session.errors", error__type="FileNotFoundError")
