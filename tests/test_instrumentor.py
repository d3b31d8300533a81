"""No code: every application of the process gets sessions, and is left as it was when that is undone."""

from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

import fastapi
import fastapi.applications
import flask
import flask.app
import pytest
import starlette.applications
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware as FrameworkSessions
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from otel_sessions import ConfigurationError, current_session
from otel_sessions._config import FIELDS
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.flask import Sessions
from otel_sessions.instrumentor import SessionsConfiguration, SessionsInstrumentor
from otel_sessions.testing import RecordedSessions, record_sessions

from .web.servers import Server, serve_asgi, serve_wsgi

CREDENTIAL = {"Authorization": "Bearer s3cr3t"}


@contextmanager
def instrumented(**options: Any) -> Iterator[SessionsInstrumentor]:
    """As `opentelemetry-instrument` does it, and undone afterwards."""
    instrumentor = SessionsInstrumentor()
    instrumentor.instrument(**options)
    try:
        yield instrumentor
    finally:
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


def current_id() -> str:
    return current_session().id


def fastapi_application() -> FastAPI:
    app = FastAPI(telemetry={"tracing": False})
    app.get("/")(current_id)
    return app


def starlette_application() -> Starlette:
    async def root(request: Request) -> PlainTextResponse:
        return PlainTextResponse(current_id())

    return Starlette(routes=[Route("/", root)])


def flask_application() -> flask.Flask:
    app = flask.Flask(__name__)
    app.get("/")(current_id)
    return app


APPLICATIONS = [fastapi_application, starlette_application, flask_application]


@contextmanager
def served(app: Any) -> Iterator[Server]:
    with serve_wsgi(app) if isinstance(app, flask.Flask) else serve_asgi(app) as server:
        yield server


def ids(server: Server, *, requests: int = 2) -> set[str]:
    """The ids of the session in requests of one client with a credential."""
    return {server.get("/", headers=CREDENTIAL).text.strip('"') for _ in range(requests)}


each_application = pytest.mark.parametrize("make", APPLICATIONS)


class TestInstrument:
    @each_application
    def test_application_made_before(self, make: Any, recorded_sessions: RecordedSessions) -> None:
        """An application that exists already has sessions from its first request on."""
        app = make()
        with instrumented(), served(app) as server:
            (session_id,) = ids(server)
        assert "" != session_id

    @each_application
    def test_application_made_afterwards(self, make: Any, recorded_sessions: RecordedSessions) -> None:
        """So has one that is made later."""
        with instrumented(), served(make()) as server:
            (session_id,) = ids(server)
        assert "" != session_id

    def test_subclass(self, recorded_sessions: RecordedSessions) -> None:
        """Classes derived from the frameworks' are instrumented with them."""

        class MyFastAPI(FastAPI):
            """A house's own."""

        class MyFlask(flask.Flask):
            """A house's own."""

        with instrumented():
            for app in (MyFastAPI(telemetry={"tracing": False}), MyFlask(__name__)):
                app.get("/")(current_id)
                with served(app) as server:
                    assert {""} != ids(server)

    @each_application
    def test_no_cookie_unless_asked_for(self, make: Any) -> None:
        """Without code no client is given a cookie, unless the setting says so."""
        for cookie, given in ((None, 0), (False, 0), (True, 1)):
            with record_sessions(cookie=cookie), instrumented(), served(make()) as server:
                response = server.get("/")
            assert given == len(response.headers.get_list("set-cookie"))
            assert bool(given) is bool(response.text.strip('"'))

    def test_sessions_of_the_framework(self) -> None:
        """The framework's own session recognises a client without a cookie of ours, from the login's own request."""
        app, other = FastAPI(telemetry={"tracing": False}), flask.Flask(__name__)
        app.add_middleware(FrameworkSessions, secret_key="k")
        other.secret_key = "k"

        @app.get("/")
        def root(request: Request) -> str:
            request.session["user"] = "alice"
            return current_id()

        @other.get("/")
        def flask_root() -> str:
            flask.session["user"] = "alice"
            return current_id()

        for application in (app, other):
            with (
                record_sessions() as recorded,
                instrumented(),
                served(application) as server,
                server.client() as client,
            ):
                client.get("/")
                first, second = client.get("/").text, client.get("/").text
                assert ["session"] == list(client.cookies)
                recorded.advance(1800)
            assert first == second
            (span,) = recorded.session_spans
            assert 3 == (span.attributes or {})["app_session.request.count"]

    def test_nothing_to_recognise_clients_by(
        self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where no client can be recognised, the log says once what to do about it."""
        with instrumented(), served(flask_application()) as server:
            for _ in range(3):
                server.get("/")
        (hint,) = (record.getMessage() for record in caplog.records if record.name == "otel_sessions")
        assert "OTEL_SESSIONS_COOKIE=true" in hint

    @each_application
    def test_twice(self, make: Any, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """Instrumenting what is instrumented changes nothing."""
        with instrumented(), served(make()) as server:
            SessionsInstrumentor().instrument()
            ids(server, requests=1)
        assert 1 == recorded_sessions.metric("app_session.requests")


class TestBesideCode:
    """An application that adds the middleware itself, in a process that is instrumented as well."""

    def test_asgi(self, recorded_sessions: RecordedSessions) -> None:
        """The developer's middleware counts, with its options; each request is one request."""
        app = fastapi_application()
        app.add_middleware(SessionMiddleware, type="shop")
        with instrumented(), served(app) as server:
            response = server.get("/")
        assert 1 == len(response.headers.get_list("set-cookie"))
        assert {frozenset({("app_session.type", "shop")}): 1} == recorded_sessions.metrics()["app_session.requests"]

    def test_asgi_around(self, recorded_sessions: RecordedSessions) -> None:
        """So it does where it is wrapped around the application."""
        app = SessionMiddleware(fastapi_application(), type="shop")
        with instrumented(), served(app) as server:
            response = server.get("/")
        assert 1 == len(response.headers.get_list("set-cookie"))
        assert {frozenset({("app_session.type", "shop")}): 1} == recorded_sessions.metrics()["app_session.requests"]

    def test_flask(self, recorded_sessions: RecordedSessions) -> None:
        """And so does the developer's extension; the session ends when its time has come."""
        app = flask_application()
        Sessions(app, type="shop")
        with instrumented(), served(app) as server:
            response = server.get("/")
        assert 1 == len(response.headers.get_list("set-cookie"))
        assert {frozenset({("app_session.type", "shop")}): 1} == recorded_sessions.metrics()["app_session.requests"]
        recorded_sessions.advance(1800)
        (span,) = recorded_sessions.session_spans
        assert 1 == (span.attributes or {})["app_session.request.count"]

    def test_flask_without_the_extension_beside_one_with(self, recorded_sessions: RecordedSessions) -> None:
        """Applications without it are served by the instrumentation meanwhile."""
        with_it, without_it = flask_application(), flask_application()
        Sessions(with_it, type="shop")
        with instrumented():
            for app, credential in ((with_it, "a"), (without_it, "b")):
                with served(app) as server:
                    server.get("/", headers={"Authorization": f"Bearer {credential}"})
        assert {
            frozenset({("app_session.type", "shop")}): 1,
            frozenset({("app_session.type", "web")}): 1,
        } == recorded_sessions.metrics()["app_session.requests"]

    def test_cacheable_responses(self) -> None:
        """A response that the application makes public in the last moment carries no cookie of ours."""
        app = flask_application()

        @app.after_request
        def publish(response: flask.Response) -> flask.Response:
            response.headers["Cache-Control"] = "public, max-age=60"
            return response

        with record_sessions(cookie=True), instrumented(), served(app) as server:
            assert "Set-Cookie" not in server.get("/").headers

    def test_one_flask_application_calls_another(self, recorded_sessions: RecordedSessions) -> None:
        """A request that is handed on to a second application is still one request, and its session becomes idle."""
        app, inner = flask.Flask(__name__), flask_application()

        @app.get("/")
        def root() -> str:
            return flask.Response.from_app(inner, flask.request.environ).get_data(as_text=True)

        with instrumented(), served(app) as server:
            ids(server, requests=1)
        recorded_sessions.advance(1800)
        (span,) = recorded_sessions.session_spans
        assert 1 == (span.attributes or {})["app_session.request.count"]


class TestBesideOtherInstrumentors:
    @pytest.mark.parametrize("ours_first", [True, False])
    def test_flask(self, ours_first: bool, recorded_sessions: RecordedSessions) -> None:
        """With contrib's, in either order: one server span for a request, tied to the session."""
        theirs = FlaskInstrumentor()
        with instrumented() as ours:
            if not ours_first:
                ours.uninstrument()
            theirs.instrument(tracer_provider=recorded_sessions.tracer_provider)
            if not ours_first:
                ours.instrument()
            try:
                with served(flask_application()) as server:
                    (session_id,) = ids(server, requests=1)
            finally:
                theirs.uninstrument()
        self.check(recorded_sessions, session_id)

    @pytest.mark.parametrize("ours_first", [True, False])
    def test_fastapi(self, ours_first: bool, recorded_sessions: RecordedSessions) -> None:
        """So with FastAPI's."""
        theirs = FastAPIInstrumentor()
        with instrumented() as ours:
            if not ours_first:
                ours.uninstrument()
            theirs.instrument(tracer_provider=recorded_sessions.tracer_provider)
            if not ours_first:
                ours.instrument()
            try:
                app = fastapi.FastAPI()
                app.get("/")(current_id)
                with served(app) as server:
                    (session_id,) = ids(server, requests=1)
            finally:
                theirs.uninstrument()
        self.check(recorded_sessions, session_id)

    def test_native_fastapi(self, recorded_sessions: RecordedSessions) -> None:
        """So with FastAPI's own telemetry."""
        pytest.importorskip("fastapi.telemetry", reason="FastAPI has telemetry of its own since 0.142")
        app = FastAPI(telemetry={"tracer_provider": recorded_sessions.tracer_provider})
        app.get("/")(current_id)
        with instrumented(), served(app) as server:
            (session_id,) = ids(server, requests=1)
        self.check(recorded_sessions, session_id)

    @staticmethod
    def check(recorded: RecordedSessions, session_id: str) -> None:
        recorded.advance(1800)
        (session,) = recorded.session_spans
        (server_span,) = (span for span in recorded.spans if span.kind is SpanKind.SERVER)
        assert "" != session_id
        assert (session_id, "web") == tuple(
            (server_span.attributes or {})[key] for key in ("session.id", "app_session.type")
        )
        assert [session.context.span_id] == [link.context.span_id for link in server_span.links]


class TestWhatIsInstalled:
    """Frameworks that are not installed are not looked for."""

    def test_only_flask(self, monkeypatch: pytest.MonkeyPatch, recorded_sessions: RecordedSessions) -> None:
        """Without Starlette there are sessions in Flask."""
        monkeypatch.setitem(sys.modules, "starlette", None)
        with instrumented(), served(flask_application()) as server:
            assert {""} != ids(server)

    def test_only_starlette(self, monkeypatch: pytest.MonkeyPatch, recorded_sessions: RecordedSessions) -> None:
        """Without Flask and FastAPI there are sessions in Starlette."""
        for name in ("flask", "fastapi"):
            monkeypatch.setitem(sys.modules, name, None)
        with instrumented(), served(starlette_application()) as server:
            assert {""} != ids(server)

    def test_neither(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        """With neither, the log says what can be done instead, and there is nothing to undo."""
        caplog.set_level(logging.INFO)
        for name in ("flask", "starlette"):
            monkeypatch.setitem(sys.modules, name, None)
        with instrumented():
            pass
        assert 1 == sum("neither Flask nor Starlette" in message for message in caplog.messages)


class TestUninstrument:
    CLASSES = (
        flask.app.Flask,
        starlette.applications.Starlette,
        fastapi.applications.FastAPI,
    )

    def test_everything_is_as_before(self) -> None:
        """Each attribute of the frameworks' classes, and each receiver of Flask's signals, is the very one it was."""

        def state() -> dict[tuple[str, str], int]:
            attributes = {(cls.__name__, name): id(value) for cls in self.CLASSES for name, value in vars(cls).items()}
            receivers = {
                (signal.name, str(key)): key
                for signal in (flask.request_started, flask.got_request_exception)
                for key in signal.receivers
            }
            return attributes | receivers

        before = state()
        with instrumented():
            assert before != state()
        assert before == state()

    @each_application
    def test_running_application_steps_aside(self, make: Any, recorded_sessions: RecordedSessions) -> None:
        """An application that is being served goes on without sessions from the next request."""
        with instrumented() as instrumentor, served(make()) as server:
            assert {""} != ids(server)
            instrumentor.uninstrument()
            assert {""} == ids(server)
        assert 2 == recorded_sessions.metric("app_session.requests")

    @each_application
    def test_and_again(self, make: Any, recorded_sessions: RecordedSessions) -> None:
        """What was undone can be done again."""
        for _ in range(2):
            with instrumented(), served(make()) as server:
                assert {""} != ids(server)
        assert 4 == recorded_sessions.metric("app_session.requests")

    def test_user_middleware_is_not_touched(self, recorded_sessions: RecordedSessions) -> None:
        """The application's own list of middleware holds nothing of ours, so more can be added as ever."""
        app = fastapi_application()
        app.add_middleware(FrameworkSessions, secret_key="k")
        before = list(app.user_middleware)
        with instrumented(), served(app) as server:
            ids(server)
            assert before == app.user_middleware

    def test_what_was_never_instrumented(self, caplog: pytest.LogCaptureFixture) -> None:
        """Undoing nothing is a warning, as for every instrumentor, and no error."""
        SessionsInstrumentor().uninstrument()
        assert ["Attempting to uninstrument while already uninstrumented"] == caplog.messages


class TestOptions:
    def test_arguments(self) -> None:
        """Options of `instrument()` are settings; those that it is passed besides are none of ours."""
        app = flask_application()
        with (
            instrumented(cookie=True, web_type="shop", excluded_urls=["^/private"], skip_dep_check=True),
            served(app) as server,
            server.client() as client,
        ):
            assert client.get("/").text == client.get("/").text != ""
            assert [] == server.get("/private").headers.get_list("set-cookie")

    @pytest.mark.parametrize(
        "options", [{"idle_timeout": -1}, {"cookie": "perhaps"}, {"web_type": ""}, {"excluded_urls": "a,b"}]
    )
    def test_wrong_ones(self, options: dict[str, Any]) -> None:
        """A wrong option is told at once, and nothing is instrumented."""
        before = vars(flask.app.Flask)["wsgi_app"]
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            SessionsInstrumentor().instrument(**options)
        assert before is vars(flask.app.Flask)["wsgi_app"]
        assert not SessionsInstrumentor().is_instrumented_by_opentelemetry

    def test_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Variables are settings as well."""
        monkeypatch.setenv("OTEL_SESSIONS_COOKIE", "true")
        monkeypatch.setenv("OTEL_SESSIONS_COOKIE_NAME", "visitor")
        with instrumented(), served(flask_application()) as server:
            assert server.get("/").headers["set-cookie"].startswith("visitor=")

    @each_application
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("STORE", "bogus://host"),
            ("STORE", "nonsense"),
            ("IDLE_TIMEOUT", "soon"),
            ("COOKIE_NAME", "a b"),
            ("EXCLUDED_URLS", "("),
            ("WEB_TYPE", "\u2603" * 1000),
            ("PSEUDONYM_KEY", "short"),
        ],
    )
    def test_wrong_variables(
        self, name: str, value: str, make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A wrong variable is reported and left out: the application that nobody changed goes on, with sessions."""
        monkeypatch.setenv(f"OTEL_SESSIONS_{name}", value)
        with instrumented(), served(make()) as server:
            response = server.get("/", headers=CREDENTIAL)
        assert 200 == response.status_code
        assert "" != response.text.strip('"')
        assert [name.lower()] == [name.lower() for message in caplog.messages if name.lower() in message.lower()]

    def test_dataclass_names_what_a_file_may_say(self) -> None:
        """Every setting that a variable can hold is an option of the declarative configuration file."""
        assert {name for name, field in FIELDS.items() if field.metadata["env"]} == {
            field.name for field in dataclasses.fields(SessionsConfiguration)
        }
        assert SessionsConfiguration is SessionsInstrumentor.configuration


class TestEntryPoint:
    def test_is_found(self) -> None:
        """`opentelemetry-instrument` finds the instrumentor under the name `otel_sessions`."""
        (point,) = entry_points(group="opentelemetry_instrumentor", name="otel_sessions")
        assert SessionsInstrumentor is point.load()

    def test_loading_it_loads_no_framework(self) -> None:
        """An instrumented process that serves nothing loads neither Flask nor Starlette because of the import."""
        program = (
            "import sys, otel_sessions.instrumentor;"
            "print(sorted({'flask', 'starlette', 'fastapi'} & sys.modules.keys()))"
        )
        answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        assert "[]" == answer.stdout.strip()

    def test_nothing_is_required(self) -> None:
        """Whatever is installed is instrumented; nothing must be."""
        assert () == SessionsInstrumentor().instrumentation_dependencies()
