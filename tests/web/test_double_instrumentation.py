"""Beside whatever opens the server span: no span more than without us, and the session on the one that there is."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import flask
import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as ASGITelemetry
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as WSGITelemetry
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.sync.client import connect

from otel_sessions import current_session
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.flask import Sessions
from otel_sessions.testing import RecordedSessions, record_sessions

from .servers import Server, serve_asgi, serve_wsgi

PATHS = ("/", "/stream", "/background", "/missing", "/boom")
CREDENTIAL = {"Authorization": "Bearer s3cr3t"}
TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

Arrangement = Callable[[TracerProvider, bool], AbstractContextManager[Server]]
"""Serves the same pages with some instrumentation, reporting to a provider, with our middleware or without."""


class BoomError(Exception):
    """What the pages below raise."""


def work(provider: TracerProvider) -> str:
    """What an instrumented library does inside a request."""
    with provider.get_tracer("library").start_as_current_span("work"):
        return current_session().id


# -- ASGI -------------------------------------------------------------------------------------------------------------


def fastapi_pages(app: FastAPI, provider: TracerProvider) -> FastAPI:
    @app.get("/")
    def root() -> str:
        return work(provider)

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(work(provider) for _ in range(2))

    @app.get("/background")
    def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(work, provider)
        return ""

    @app.get("/boom")
    def boom() -> str:
        raise BoomError

    @app.websocket("/ws")
    async def websocket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(work(provider))
        await websocket.close()

    return app


@contextmanager
def no_telemetry(provider: TracerProvider, ours: bool) -> Iterator[Server]:
    app = fastapi_pages(FastAPI(telemetry={"tracing": False}), provider)
    if ours:
        app.add_middleware(SessionMiddleware)
    with serve_asgi(app) as server:
        yield server


@contextmanager
def native_fastapi(provider: TracerProvider, ours: bool) -> Iterator[Server]:
    app = fastapi_pages(FastAPI(telemetry={"tracer_provider": provider}), provider)
    if ours:
        app.add_middleware(SessionMiddleware)
    with serve_asgi(app) as server:
        yield server


def contrib_fastapi(*, first: bool) -> Arrangement:
    @contextmanager
    def arrange(provider: TracerProvider, ours: bool) -> Iterator[Server]:
        app = fastapi_pages(FastAPI(), provider)
        if ours and not first:
            app.add_middleware(SessionMiddleware)
        FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
        if ours and first:
            app.add_middleware(SessionMiddleware)
        try:
            with serve_asgi(app) as server:
                yield server
        finally:
            FastAPIInstrumentor.uninstrument_app(app)

    return arrange


@contextmanager
def contrib_asgi_added(provider: TracerProvider, ours: bool) -> Iterator[Server]:
    app = fastapi_pages(FastAPI(), provider)
    if ours:
        app.add_middleware(SessionMiddleware)
    app.add_middleware(ASGITelemetry, tracer_provider=provider)
    with serve_asgi(app) as server:
        yield server


def contrib_asgi_around(*, inside: bool) -> Arrangement:
    """The ASGI instrumentation around a FastAPI application, inside of ours or outside."""

    @contextmanager
    def arrange(provider: TracerProvider, ours: bool) -> Iterator[Server]:
        app: Any = fastapi_pages(FastAPI(telemetry={"tracing": False}), provider)
        if ours and not inside:
            app = SessionMiddleware(app)
        app = ASGITelemetry(app, tracer_provider=provider)
        if ours and inside:
            app = SessionMiddleware(app)
        with serve_asgi(app) as server:
            yield server

    return arrange


# -- WSGI -------------------------------------------------------------------------------------------------------------


def flask_pages(app: flask.Flask, provider: TracerProvider) -> flask.Flask:
    @app.get("/")
    def root() -> str:
        return work(provider)

    @app.get("/stream")
    def stream() -> Iterator[str]:
        return (work(provider) for _ in range(2))

    @app.get("/background")
    def background() -> flask.Response:
        response = flask.Response(iter(["x"]))
        response.call_on_close(lambda: work(provider))
        return response

    @app.get("/boom")
    def boom() -> str:
        raise BoomError

    return app


@contextmanager
def no_wsgi_telemetry(provider: TracerProvider, ours: bool) -> Iterator[Server]:
    app = flask_pages(flask.Flask(__name__), provider)
    if ours:
        Sessions(app)
    with serve_wsgi(app) as server:
        yield server


def contrib_flask(*, first: bool) -> Arrangement:
    @contextmanager
    def arrange(provider: TracerProvider, ours: bool) -> Iterator[Server]:
        app = flask.Flask(__name__)
        if ours and not first:
            Sessions(app)
        instrumentor: Any = FlaskInstrumentor()
        instrumentor.instrument_app(app, tracer_provider=provider)
        if ours and first:
            Sessions(app)
        try:
            with serve_wsgi(flask_pages(app, provider)) as server:
                yield server
        finally:
            instrumentor.uninstrument_app(app)

    return arrange


@contextmanager
def contrib_flask_everywhere(provider: TracerProvider, ours: bool) -> Iterator[Server]:
    FlaskInstrumentor().instrument(tracer_provider=provider)
    try:
        app = flask.Flask(__name__)
        if ours:
            Sessions(app)
        with serve_wsgi(flask_pages(app, provider)) as server:
            yield server
    finally:
        FlaskInstrumentor().uninstrument()


def contrib_wsgi(*, first: bool) -> Arrangement:
    @contextmanager
    def arrange(provider: TracerProvider, ours: bool) -> Iterator[Server]:
        app = flask_pages(flask.Flask(__name__), provider)
        if ours and not first:
            Sessions(app)
        app.wsgi_app = WSGITelemetry(app.wsgi_app, tracer_provider=provider)  # type: ignore[method-assign]
        if ours and first:
            Sessions(app)
        with serve_wsgi(app) as server:
            yield server

    return arrange


ASGI: dict[str, Arrangement] = {
    "native fastapi": native_fastapi,
    "contrib fastapi, before ours": contrib_fastapi(first=True),
    "contrib fastapi, after ours": contrib_fastapi(first=False),
    "contrib asgi, added": contrib_asgi_added,
    "contrib asgi, outside of ours": contrib_asgi_around(inside=False),
    "contrib asgi, inside of ours": contrib_asgi_around(inside=True),
}
WSGI: dict[str, Arrangement] = {
    "contrib flask, before ours": contrib_flask(first=True),
    "contrib flask, after ours": contrib_flask(first=False),
    "contrib flask, everywhere": contrib_flask_everywhere,
    "contrib wsgi, before ours": contrib_wsgi(first=True),
    "contrib wsgi, after ours": contrib_wsgi(first=False),
}
NONE: dict[str, Arrangement] = {"no telemetry, fastapi": no_telemetry, "no telemetry, flask": no_wsgi_telemetry}


@pytest.fixture(name="arrangement")
def _arrangement(request: pytest.FixtureRequest) -> Arrangement:
    if request.param == "native fastapi" and "telemetry" not in inspect.signature(FastAPI).parameters:
        pytest.skip("this version of FastAPI has no telemetry of its own")
    found: Arrangement = {**ASGI, **WSGI, **NONE}[request.param]
    return found


def of(*arrangements: dict[str, Arrangement]) -> pytest.MarkDecorator:
    """Run a test in each of these arrangements."""
    names = [name for group in arrangements for name in group]
    return pytest.mark.parametrize("arrangement", names, indirect=True)


def visit(
    arrangement: Arrangement,
    recorded: RecordedSessions,
    *,
    ours: bool = True,
    paths: tuple[str, ...] = PATHS,
    **headers: str,
) -> list[ReadableSpan]:
    """All spans that a client's requests leave behind, but for those of sessions."""
    with (
        arrangement(recorded.tracer_provider, ours) as server,
        server.client(headers={**CREDENTIAL, **headers}) as client,
    ):
        for path in paths:
            client.get(path)
    return [span for span in recorded.spans if not span.name.startswith("session ")]


def servers(spans: list[ReadableSpan]) -> list[ReadableSpan]:
    return [span for span in spans if span.kind is SpanKind.SERVER]


def described(spans: list[ReadableSpan]) -> Counter[tuple[Any, ...]]:
    """How many spans there are, of which name, kind, scope and with which attributes besides those of a session."""
    return Counter(
        (
            span.name,
            span.kind,
            span.instrumentation_scope.name if span.instrumentation_scope else None,
            span.status.status_code,
            frozenset(set(span.attributes or {}) - {"session.id", "app_session.type"}),
        )
        for span in spans
    )


class TestServerSpan:
    @of(ASGI, WSGI, NONE)
    def test_no_span_more_and_none_less(self, arrangement: Arrangement) -> None:
        """The spans of an application are the same with us and without, attributes of the session apart."""
        with record_sessions() as recorded:
            without = described(visit(arrangement, recorded, ours=False))
        with record_sessions() as recorded:
            assert without == described(visit(arrangement, recorded))

    @of(ASGI, WSGI)
    def test_one_server_span_for_each_request(
        self, arrangement: Arrangement, recorded_sessions: RecordedSessions
    ) -> None:
        """Each request has one server span, which carries the session's id and type, and one link to its span."""
        spans = servers(visit(arrangement, recorded_sessions))
        recorded_sessions.advance(1800)
        (session,) = recorded_sessions.session_spans
        assert len(PATHS) == len(spans)
        expected = {"session.id": (session.attributes or {})["session.id"], "app_session.type": "web"}
        for span in spans:
            assert expected == {key: (span.attributes or {}).get(key) for key in expected}
            assert [(session.context.trace_id, session.context.span_id)] == [
                (link.context.trace_id, link.context.span_id) for link in span.links
            ]
        assert len(PATHS) == (session.attributes or {})["app_session.request.count"]

    @of(ASGI, WSGI)
    def test_requests_keep_traces_of_their_own(
        self, arrangement: Arrangement, recorded_sessions: RecordedSessions
    ) -> None:
        """Requests are linked, not nested: each has a trace of its own, and the session's span is in none of them."""
        spans = servers(visit(arrangement, recorded_sessions))
        recorded_sessions.advance(1800)
        (session,) = recorded_sessions.session_spans
        assert len(PATHS) + 1 == len({span.context.trace_id for span in (*spans, session)})
        assert [None] * len(PATHS) == [span.parent for span in spans]
        assert session.parent is None

    @of(ASGI, WSGI, NONE)
    def test_everything_inside_is_stamped(self, arrangement: Arrangement, recorded_sessions: RecordedSessions) -> None:
        """Whatever an instrumented library does in a request, a stream or after it, carries the session's id."""
        visited = visit(arrangement, recorded_sessions, paths=("/", "/stream", "/background", "/missing"))
        spans = [span for span in visited if span.kind is SpanKind.INTERNAL]
        recorded_sessions.advance(1800)
        (session,) = recorded_sessions.session_spans
        assert ["work"] * 4 == [span.name for span in spans if span.name == "work"]
        assert {(session.attributes or {})["session.id"]} == {
            (span.attributes or {}).get("session.id") for span in spans
        }
        assert [span for span in spans if span.parent is None] == [span for span in spans if span.links]

    @of(ASGI, WSGI)
    def test_remote_parent(self, arrangement: Arrangement, recorded_sessions: RecordedSessions) -> None:
        """A caller's trace goes on through the server span as without us; the link is there all the same."""
        spans = servers(visit(arrangement, recorded_sessions, traceparent=f"00-{TRACE_ID}-{PARENT_ID}-01"))
        assert len(PATHS) == len(spans)
        for span in spans:
            assert (int(TRACE_ID, 16), int(PARENT_ID, 16)) == (
                span.context.trace_id,
                span.parent and span.parent.span_id,
            )
            assert 1 == len(span.links)
            assert int(TRACE_ID, 16) != span.links[0].context.trace_id

    @of(ASGI, WSGI)
    def test_unsampled_requests(self, arrangement: Arrangement) -> None:
        """Requests that are not sampled belong to the session as well: it counts them, and is sampled for itself."""
        with record_sessions(sampler=ParentBased(TraceIdRatioBased(1))) as recorded:
            spans = visit(arrangement, recorded, traceparent=f"00-{TRACE_ID}-{PARENT_ID}-00")
            recorded.advance(1800)
            (session,) = recorded.session_spans
        assert [] == servers(spans)
        assert len(PATHS) == (session.attributes or {})["app_session.request.count"]

    @pytest.mark.parametrize(
        "arrangement", ["native fastapi", "contrib fastapi, after ours", "contrib asgi, inside of ours"], indirect=True
    )
    def test_websocket(self, arrangement: Arrangement, recorded_sessions: RecordedSessions) -> None:
        """The span of a WebSocket connection carries the session's id and one link to its span."""
        with arrangement(recorded_sessions.tracer_provider, True) as server:
            with connect(
                f"ws{server.url.removeprefix('http')}/ws", additional_headers=CREDENTIAL, proxy=None
            ) as connection:
                session_id = connection.recv(timeout=10)
            server.traffic.settle()
        (span,) = servers(recorded_sessions.spans)
        recorded_sessions.advance(1800)
        (session,) = recorded_sessions.session_spans
        assert session_id == (span.attributes or {})["session.id"]
        assert [session.context.span_id] == [link.context.span_id for link in span.links]

    @of(ASGI, WSGI)
    def test_without_stamping(self, arrangement: Arrangement) -> None:
        """Where nothing is stamped (`stamp=False`), server spans tell of the session; those inside do not."""
        with record_sessions(stamp=False) as recorded:
            spans = visit(arrangement, recorded)
            recorded.advance(1800)
            (session,) = recorded.session_spans
        expected = (session.attributes or {})["session.id"]
        assert {(expected, 1)} == {((s.attributes or {}).get("session.id"), len(s.links)) for s in servers(spans)}
        assert {None} == {(s.attributes or {}).get("session.id") for s in spans if s.name == "work" and s.parent}

    @of(ASGI, WSGI)
    def test_events_are_in_the_trace_of_the_request(
        self, arrangement: Arrangement, recorded_sessions: RecordedSessions
    ) -> None:
        """`session.start` belongs to the session's span, whatever request happens to start it."""
        visit(arrangement, recorded_sessions)
        recorded_sessions.advance(1800)
        (session,) = recorded_sessions.session_spans
        starts = [log.log_record for log in recorded_sessions.logs if log.log_record.event_name == "session.start"]
        assert [(session.context.trace_id, session.context.span_id)] == [(log.trace_id, log.span_id) for log in starts]

    def test_starlette_with_contrib_asgi(self, recorded_sessions: RecordedSessions) -> None:
        """Starlette without FastAPI: the middleware of both, in both orders."""

        async def root(request: Any) -> PlainTextResponse:
            return PlainTextResponse(current_session().id)

        for ours_first in (True, False):
            recorded_sessions.clear()
            app = Starlette(routes=[Route("/", root)])
            if ours_first:
                app.add_middleware(SessionMiddleware)
            app.add_middleware(ASGITelemetry, tracer_provider=recorded_sessions.tracer_provider)
            if not ours_first:
                app.add_middleware(SessionMiddleware)
            with serve_asgi(app) as server:
                session_id = server.get("/").text
            (span,) = servers(recorded_sessions.spans)
            assert (session_id, 1) == ((span.attributes or {})["session.id"], len(span.links))
