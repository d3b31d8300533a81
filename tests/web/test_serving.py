"""An ASGI application that stops: the process may end then, or go on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import otel_sessions
from otel_sessions import _runtime
from otel_sessions._serving import Serving
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.limits import Quota, Tier
from otel_sessions.testing import RecordedSessions, record_sessions

from ..gate import Gate
from ..shared_memory_store import SharedMemoryStore
from .exchanges import current_id, nothing
from .servers import serve_asgi


async def root(request: Request) -> PlainTextResponse:
    return PlainTextResponse(current_id())


def starlette(**options: Any) -> Any:
    return Starlette(routes=[Route("/", root)], middleware=[Middleware(SessionMiddleware)], **options)


def fastapi() -> Any:
    app = FastAPI(telemetry={"tracing": False})
    app.add_middleware(SessionMiddleware)

    @app.get("/", response_class=PlainTextResponse)
    async def read() -> str:
        return current_id()

    return app


def endings(spans: Sequence[ReadableSpan]) -> list[tuple[Any, ...]]:
    """Of each session its id, its status, why it ended, how many requests it had and which one it follows."""
    names = (
        "session.id",
        "app_session.status",
        "app_session.end_reason",
        "app_session.request.count",
        "session.previous_id",
    )
    return [tuple((span.attributes or {}).get(name) for name in names) for span in spans]


def stop(serving: Serving, application: object = "app") -> None:
    asyncio.run(serving.stop(application))


class BlackHole(SpanExporter):
    """A collector that does not answer."""

    def __init__(self) -> None:
        self.gone = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.gone.wait(10)
        return SpanExportResult.FAILURE


@pytest.fixture(name="black_hole")
def _black_hole() -> Iterator[BlackHole]:
    black_hole = BlackHole()
    yield black_hole
    black_hole.gone.set()


class TestMemory:
    @pytest.mark.parametrize("make", [starlette, fastapi])
    def test_stopped(self, make: Any, recorded_sessions: RecordedSessions) -> None:
        """When it has stopped, the sessions of this process have ended, as they do when the process ends."""
        with TestClient(make()) as client:
            session_id = client.get("/").text
            assert session_id == client.get("/").text
            assert [] == recorded_sessions.session_spans
        assert [(session_id, "cancelled", "shutdown", 2, None)] == endings(recorded_sessions.session_spans)

    def test_stopped_by_its_server(self, recorded_sessions: RecordedSessions) -> None:
        """So they have when uvicorn has stopped."""
        with serve_asgi(starlette(), lifespan="on") as server:
            session_id = server.get("/").text
        assert [(session_id, "cancelled", "shutdown", 1, None)] == endings(recorded_sessions.session_spans)

    def test_started_again(self, recorded_sessions: RecordedSessions) -> None:
        """It can be started again, as often as one likes: a client that comes back has a session that follows."""
        ids = []
        client = TestClient(starlette())
        for _ in range(3):
            with client:
                ids += [client.get("/").text]
        assert [
            (session_id, "cancelled", "shutdown", 1, previous_id)
            for previous_id, session_id in zip([None, *ids], ids, strict=False)
        ] == endings(recorded_sessions.session_spans)

    def test_served_without_lifespan(self, recorded_sessions: RecordedSessions) -> None:
        """After it, requests without a lifespan are served as ever."""
        app = starlette()
        with TestClient(app) as client:
            client.get("/")
        recorded_sessions.clear()
        session_id = TestClient(app).get("/").text
        recorded_sessions.advance(1800)
        assert [(session_id, "expired", "idle_timeout", 1, None)] == endings(recorded_sessions.session_spans)

    def test_one_of_two(self, recorded_sessions: RecordedSessions) -> None:
        """As long as another application runs in this process, all sessions go on."""
        with TestClient(starlette()) as one:
            with TestClient(fastapi()) as other:
                ids = [other.get("/").text, one.get("/").text]
            assert [] == recorded_sessions.session_spans
            assert ids[1] == one.get("/").text
        assert [
            (ids[0], "cancelled", "shutdown", 1, None),
            (ids[1], "cancelled", "shutdown", 2, None),
        ] == endings(recorded_sessions.session_spans)

    def test_twice_around_one(self, recorded_sessions: RecordedSessions) -> None:
        """An application that has the middleware twice is one application."""
        with TestClient(SessionMiddleware(starlette())) as client:
            session_id = client.get("/").text
        assert [(session_id, "cancelled", "shutdown", 1, None)] == endings(recorded_sessions.session_spans)

    def test_what_was_there_before(self, recorded_sessions: RecordedSessions) -> None:
        """What began before the application started is not its own, and goes on."""
        chat = otel_sessions.start("chat", id="conversation-42")
        with otel_sessions.session("around") as around:
            with TestClient(starlette()) as client:
                session_id = client.get("/").text
            assert around.is_active
        assert chat.is_active
        assert [
            (session_id, "cancelled", "shutdown", 1, None),
            (around.id, "success", "completed", None, None),
        ] == endings(recorded_sessions.session_spans)

    def test_what_began_meanwhile(self, recorded_sessions: RecordedSessions) -> None:
        """What the application began and left open ends with it, be it durable or scoped."""
        with TestClient(starlette()):
            chat = otel_sessions.start("chat", id="conversation-42")
            job = otel_sessions.session("job").__enter__()
        assert {chat.id, job.id} == {ending[0] for ending in endings(recorded_sessions.session_spans)}
        assert {("cancelled", "shutdown")} == {ending[1:3] for ending in endings(recorded_sessions.session_spans)}
        job.__exit__(None, None, None)

    def test_that_does_not_start(self, recorded_sessions: RecordedSessions) -> None:
        """One that fails while it starts has not run: it neither ends sessions nor keeps another's from ending."""

        @asynccontextmanager
        async def failing(app: Any) -> AsyncIterator[None]:
            yield 1 / 0  # type: ignore[misc]

        with TestClient(starlette()) as client:
            session_id = client.get("/").text
            with pytest.raises(ZeroDivisionError), TestClient(starlette(lifespan=failing)):
                """It does not come to this."""
            assert [] == recorded_sessions.session_spans
        assert [(session_id, "cancelled", "shutdown", 1, None)] == endings(recorded_sessions.session_spans)

    def test_without_a_session(self) -> None:
        """One in which nothing happened makes nothing of this library run."""
        with TestClient(starlette()):
            """Nobody comes."""
        assert _runtime.current is None

    def test_switched_off(self) -> None:
        """Nor does one with the library switched off."""
        with record_sessions(enabled=False) as recorded:
            with TestClient(starlette()) as client:
                assert "" == client.get("/").text
            assert [] == recorded.spans

    def test_by_hand(self, recorded_sessions: RecordedSessions) -> None:
        """Under an event loop that is not asyncio's the same happens."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            otel_sessions.start("chat")
            await send({"type": "lifespan.shutdown.complete"})

        with pytest.raises(StopIteration):
            SessionMiddleware(application)({"type": "lifespan"}, nothing, nothing).send(None)
        assert ["shutdown"] == [ending[2] for ending in endings(recorded_sessions.session_spans)]


class TestExport:
    def test_all_of_many(self) -> None:
        """More sessions than fit into the SDK's queue are all exported."""
        exported = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(exported, max_queue_size=600, max_export_batch_size=512))
        serving = Serving()
        with record_sessions(tracer_provider=provider):
            serving.start("app")
            ids = {otel_sessions.start("chat").id for _ in range(1_800)}
            stop(serving)
            assert ids == {ending[0] for ending in endings(exported.get_finished_spans())}
        provider.shutdown()

    def test_collector_that_does_not_answer(self, black_hole: BlackHole) -> None:
        """It does not keep the server from stopping for longer than that, nor its event loop from turning."""
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(black_hole))
        serving = Serving(patience=0.2)
        turns = 0

        async def main() -> None:
            nonlocal turns
            stopping = asyncio.create_task(serving.stop("app"))
            while not stopping.done():
                await asyncio.sleep(0.01)
                turns += 1

        with record_sessions(tracer_provider=provider):
            serving.start("app")
            chats = [otel_sessions.start("chat") for _ in range(1_100)]
            began = time.monotonic()
            asyncio.run(main())
            assert 0.2 <= time.monotonic() - began < 8
            assert not any(chat.is_active for chat in chats)
        assert 5 <= turns
        black_hole.gone.set()
        provider.shutdown()

    def test_in_a_child_process(self, recorded_sessions: RecordedSessions) -> None:
        """In a forked child the parent's applications do not run: its own ends its sessions."""
        serving = Serving()
        serving.start("of the parent")
        serving.after_fork()
        serving.start("app")
        otel_sessions.start("chat")
        stop(serving)
        assert ["shutdown"] == [ending[2] for ending in endings(recorded_sessions.session_spans)]


class TestSharedStore:
    def test_stopped(self) -> None:
        """When it has stopped, a shared store knows of every request, and its sessions go on."""
        store = SharedMemoryStore()
        with record_sessions(store=store) as recorded:
            with serve_asgi(starlette(), lifespan="on") as server:
                session_id = server.get("/").text
            record = store.get(session_id)
            assert [] == recorded.session_spans
        assert record is not None
        assert record.is_active
        assert 1 == record.totals.requests

    def test_nothing_is_owed(self) -> None:
        """What has ended is exported, so that no other process emits it again."""
        store = SharedMemoryStore()
        with record_sessions(store=store):
            with TestClient(starlette()):
                otel_sessions.start("chat").end()
                assert 1 == len(store._owed)
            assert {} == store._owed


class TestHooks:
    def test_told_before_it_stops(self) -> None:
        """What waits for the hooks is told when the last application stops: the process may end then."""
        told: list[float] = []
        gate = Gate()

        def slow(event: otel_sessions.UsageEvent) -> None:
            gate()
            told.append(event.amount)

        with record_sessions(tiers=[Tier("trial", Quota("tokens", 100))]), otel_sessions.on("usage", slow):
            serving = Serving()
            serving.start("app")
            otel_sessions.start("web", tier="trial").use("tokens", 3)
            gate.open_soon()
            stop(serving)
            assert [3] == told
