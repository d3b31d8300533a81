"""Flask applications: one session for each client, visible wherever its requests are served."""

from __future__ import annotations

import importlib
import io
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import EnvironBuilder, run_wsgi_app

from otel_sessions import InvalidValueError, MissingExtraError, session
from otel_sessions.flask import Sessions
from otel_sessions.testing import RecordedSessions, record_sessions

from .exchanges import current_id, ended
from .servers import serve_wsgi


class BoomError(Exception):
    """What the applications below raise."""


def application(*, secret: str | None = None, **options: Any) -> flask.Flask:
    """An application with the extension."""
    app = flask.Flask(__name__)
    app.secret_key = secret
    Sessions(app, **options)
    return app


class TestContext:
    def test_whole_request(self, recorded_sessions: RecordedSessions) -> None:
        """Every function that Flask runs for a request, from the first to the last, sees its client's session."""
        app = application()
        seen: list[tuple[str, str]] = []

        def note(where: str) -> None:
            seen.append((where, current_id()))

        app.url_value_preprocessor(lambda endpoint, values: note("url values"))
        app.before_request(lambda: note("before"))
        app.teardown_request(lambda error: note("teardown request"))
        app.teardown_appcontext(lambda error: note("teardown context"))

        @app.after_request
        def after(response: flask.Response) -> flask.Response:
            note("after")
            return response

        @app.context_processor
        def process() -> dict[str, Any]:
            note("template")
            return {}

        @app.get("/")
        def root() -> str:
            note("view")

            @flask.after_this_request
            def this(response: flask.Response) -> flask.Response:
                note("after this")
                return response

            return flask.render_template_string("{{ 1 }}")

        with serve_wsgi(app) as server:
            server.get("/")
        (span,) = ended(recorded_sessions)
        where = (
            "url values",
            "before",
            "view",
            "template",
            "after this",
            "after",
            "teardown request",
            "teardown context",
        )
        assert [(name, span.attributes["session.id"]) for name in where] == seen

    def test_asynchronous_view(self, recorded_sessions: RecordedSessions) -> None:
        """Asynchronous views, which Flask runs on another thread, see it as well."""
        app = application()

        @app.get("/")
        async def root() -> str:
            return current_id()

        with serve_wsgi(app) as server, server.client() as client:
            assert client.get("/").text == client.get("/").text != ""

    def test_error_handlers(self, recorded_sessions: RecordedSessions) -> None:
        """Handlers of exceptions and of statuses see the session of the request that failed."""
        app = application()

        @app.errorhandler(BoomError)
        def boomed(error: BoomError) -> tuple[str, int]:
            return current_id(), 418

        @app.errorhandler(404)
        def missing(error: Exception) -> tuple[str, int]:
            return current_id(), 404

        @app.get("/")
        def root() -> str:
            raise BoomError

        with serve_wsgi(app) as server, server.client() as client:
            first, second = client.get("/"), client.get("/no")
        assert (418, 404) == (first.status_code, second.status_code)
        assert first.text == second.text != ""
        assert 0 == recorded_sessions.metric("app_session.errors")

    @pytest.mark.parametrize("wrap", [lambda chunks: chunks, flask.stream_with_context], ids=["plain", "with context"])
    def test_streams(self, wrap: Any, recorded_sessions: RecordedSessions) -> None:
        """Each chunk of a stream is made in the session of the request, also after Flask's own context is gone."""
        app = application()

        def chunks() -> Iterator[str]:
            for _ in range(3):
                yield current_id() + "\n"

        @app.get("/")
        def root() -> flask.Response:
            return flask.Response(wrap(chunks()))

        with serve_wsgi(app) as server:
            ids = server.get("/").text.split()
        (span,) = ended(recorded_sessions)
        assert [span.attributes["session.id"]] * 3 == ids

    def test_end_of_a_stream(self, recorded_sessions: RecordedSessions) -> None:
        """What runs when a stream is closed runs in the session, too."""
        app = application()
        seen: list[str] = []

        @app.get("/")
        def root() -> flask.Response:
            seen.append(current_id())
            response = flask.Response(iter("abc"))
            response.call_on_close(lambda: seen.append(current_id()))
            return response

        with serve_wsgi(app) as server:
            server.get("/")
        assert 2 == len(seen)
        assert seen[0] == seen[1] != ""

    def test_one_thread_for_everybody(self) -> None:
        """A thread that has served a client's request, or stream, knows nothing of it in the next request."""
        app = application()
        app.get("/")(current_id)
        app.get("/excluded", endpoint="excluded")(current_id)

        @app.get("/stream")
        def stream() -> Iterator[str]:
            return (current_id() for _ in range(2))

        with record_sessions(excluded_urls=("^/excluded$",)), serve_wsgi(app, threaded=False) as server:
            seen = [server.get(path).text for path in ("/", "/excluded", "/stream", "/excluded", "/")]
        assert ("", "") == (seen[1], seen[3])
        assert 3 == len({seen[0], seen[2], seen[4]})
        assert "" not in seen[::2]

    def test_interleaved_streams_on_one_thread(self, recorded_sessions: RecordedSessions) -> None:
        """A server that turns from one stream to the next after each chunk mixes no sessions up."""
        app = application()

        @app.get("/")
        def root() -> Iterator[str]:
            return (current_id() for _ in range(3))

        streams = [run_wsgi_app(app, EnvironBuilder(path="/").get_environ())[0] for _ in range(2)]
        first, second = zip(*zip(*streams, strict=True), strict=True)
        for stream in streams:
            stream.close()  # type: ignore[attr-defined]
        assert 1 == len(set(first))
        assert 1 == len(set(second))
        assert first[0] != second[0]
        assert "" == current_id()

    def test_session_begun_in_a_request(self, recorded_sessions: RecordedSessions) -> None:
        """A job inside a request is a session of its own that names the client's; after it the client's is current."""
        app = application()

        @app.get("/")
        def root() -> list[str | None]:
            outer = current_id()
            with session("job") as job:
                inner = current_id()
            return [outer, inner, job.parent_id, current_id()]

        with serve_wsgi(app) as server:
            outer, inner, parent, after = server.get("/").json()
        assert outer == parent == after
        assert inner not in {"", outer}


class TestApplications:
    def test_extension_is_added_once(self, recorded_sessions: RecordedSessions) -> None:
        """A second extension, or a second `init_app`, changes nothing."""
        app = application(type="first")
        Sessions(app, type="second")
        app.extensions["otel-sessions"].init_app(app)
        app.get("/")(current_id)
        with serve_wsgi(app) as server:
            response = server.get("/")
        assert 1 == len(response.headers.get_list("set-cookie"))
        assert {frozenset({("app_session.type", "first")}): 1} == recorded_sessions.metrics()["app_session.requests"]

    def test_factory(self, recorded_sessions: RecordedSessions) -> None:
        """One extension serves every application of a factory."""
        extension = Sessions(type="shop")
        ids = []
        for _ in range(2):
            app = flask.Flask(__name__)
            extension.init_app(app)
            app.get("/")(current_id)
            with serve_wsgi(app) as server, server.client(headers={"Authorization": "Bearer x"}) as client:
                ids.append(client.get("/").text)
        (span,) = ended(recorded_sessions)
        assert [span.attributes["session.id"]] * 2 == ids
        assert ("session shop", 2) == (span.name, span.attributes["app_session.request.count"])

    def test_type_that_is_none(self) -> None:
        """A type that cannot be a name is told when the application is put together."""
        with pytest.raises(InvalidValueError, match="session type"):
            Sessions(flask.Flask(__name__), type="no good\n")

    def test_application_without_the_extension_beside_it(self, recorded_sessions: RecordedSessions) -> None:
        """Another application of the process is left alone."""
        app, other = application(), flask.Flask("other")
        app.get("/")(current_id)
        other.get("/")(current_id)
        with serve_wsgi(other) as server:
            assert "" == server.get("/").text
        with serve_wsgi(app) as server:
            assert "" != server.get("/").text

    @pytest.mark.parametrize("inside", [True, False])
    def test_mounted_application(self, inside: bool, recorded_sessions: RecordedSessions) -> None:
        """A request to a mounted application is one request of one session, wherever it is mounted."""
        app, inner = flask.Flask(__name__), application()
        inner.get("/deep")(current_id)
        app.get("/")(current_id)
        if not inside:
            Sessions(app)
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/inner": inner})  # type: ignore[method-assign]
        if inside:
            Sessions(app)
        with serve_wsgi(app) as server, server.client() as client:
            response = client.get("/inner/deep")
            assert response.text == client.get("/").text != ""
        assert 1 == len(response.headers.get_list("set-cookie"))
        assert (1, 2) == (
            recorded_sessions.metric("app_session.starts"),
            recorded_sessions.metric("app_session.requests"),
        )

    def test_mounted_application_without_the_extension(
        self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What is mounted without the extension is not ours, and nobody is told to give its clients cookies."""
        app, inner = flask.Flask(__name__), flask.Flask("inner")
        inner.get("/")(current_id)
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/inner": inner})  # type: ignore[method-assign]
        Sessions(app)
        with serve_wsgi(app) as server:
            assert "" == server.get("/inner/").text
        assert [] == [record.getMessage() for record in caplog.records if record.name == "otel_sessions"]

    def test_one_application_calls_the_other_in_a_view(self, recorded_sessions: RecordedSessions) -> None:
        """A request that is handed on to a second application is still one request of one session."""
        app, inner = application(), application()
        inner.get("/")(current_id)

        @app.get("/")
        def root() -> str:
            answer = flask.Response.from_app(inner, flask.request.environ)
            return f"{current_id()} {answer.get_data(as_text=True)}"

        with serve_wsgi(app) as server:
            response = server.get("/")
        outer, inside = response.text.split()
        assert outer == inside
        assert 1 == len(response.headers.get_list("set-cookie"))
        (span,) = ended(recorded_sessions)
        assert 1 == span.attributes["app_session.request.count"]

    def test_client_of_ones_own_inside_a_request(self, recorded_sessions: RecordedSessions) -> None:
        """A request that an application makes to itself is another client's: the two do not mix."""
        app = application()
        app.get("/inner")(current_id)

        @app.get("/")
        def root() -> list[str]:
            before = current_id()
            return [before, app.test_client().get("/inner").text, current_id()]

        with serve_wsgi(app) as server:
            before, inner, after = server.get("/").json()
        assert before == after
        assert inner not in {"", before}
        assert [None, None] == [span.attributes.get("app_session.parent.id") for span in ended(recorded_sessions)]


class TestCounting:
    @staticmethod
    def site() -> flask.Flask:
        app = application()

        @app.get("/status/<int:code>")
        def status(code: int) -> tuple[str, int]:
            return "", code

        @app.get("/raised/<int:code>")
        def raised(code: int) -> str:
            flask.abort(code)

        @app.get("/boom")
        def boom() -> str:
            raise BoomError("secret")

        @app.get("/half")
        def half() -> Iterator[str]:
            yield "half"
            raise BoomError

        return app

    @pytest.mark.parametrize("path", ["/status/200", "/status/302", "/status/404", "/status/418", "/raised/400", "/no"])
    def test_answers_that_are_no_failure(self, path: str, recorded_sessions: RecordedSessions) -> None:
        """A redirection, or the client's own mistake, is no error of the session."""
        with serve_wsgi(self.site()) as server:
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
        ],
    )
    def test_failures(self, path: str, kind: str, recorded_sessions: RecordedSessions) -> None:
        """A 5xx or an exception is one error, of that status or type."""
        with serve_wsgi(self.site()) as server:
            server.get(path)
        expected = frozenset({("app_session.type", "web"), ("error.type", kind)})
        assert {expected: 1} == recorded_sessions.metrics()["app_session.errors"]
        (span,) = ended(recorded_sessions)
        assert (1, 1, "expired") == (
            span.attributes["app_session.request.count"],
            span.attributes["app_session.error.count"],
            span.attributes["app_session.status"],
        )

    def test_exception_that_flask_lets_through(self, recorded_sessions: RecordedSessions) -> None:
        """Where Flask is told to propagate exceptions, it leaves us as it came and is one error of its type."""
        app = self.site()
        app.testing = True
        with pytest.raises(BoomError, match="secret"):
            app.test_client().get("/boom")
        expected = frozenset({("app_session.type", "web"), ("error.type", f"{__name__}.BoomError")})
        assert {expected: 1} == recorded_sessions.metrics()["app_session.errors"]
        assert 1 == len(ended(recorded_sessions))

    def test_exception_in_the_middle_of_a_stream(self, recorded_sessions: RecordedSessions) -> None:
        """A stream that breaks is one error, although its status said 200."""
        with serve_wsgi(self.site()) as server:
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
        with serve_wsgi(self.site()) as server:
            server.get(path)
        expected = frozenset({("app_session.type", "web"), ("app_session.access_failure.reason", reason)})
        assert {expected: 1} == recorded_sessions.metrics()["app_session.access_failures"]
        assert 0 == recorded_sessions.metric("app_session.errors")

    def test_sum_of_a_session(self, recorded_sessions: RecordedSessions) -> None:
        """The session's span tells how many requests its client made and how many failed."""
        with serve_wsgi(self.site()) as server, server.client() as client:
            for path in ("/status/200", "/status/500", "/boom", "/status/401", "/status/404"):
                client.get(path)
        (span,) = ended(recorded_sessions)
        assert (5, 2) == (span.attributes["app_session.request.count"], span.attributes["app_session.error.count"])

    def test_request_without_a_body(self, recorded_sessions: RecordedSessions) -> None:
        """A response that is not iterated (HEAD) is over as well."""
        with serve_wsgi(self.site()) as server, server.client() as client:
            assert 200 == client.head("/status/200").status_code
        assert 1 == len(ended(recorded_sessions))


class TestStreams:
    def test_long_one_keeps_the_session_alive(self, recorded_sessions: RecordedSessions) -> None:
        """While a response is under way its session is not idle, however long that takes."""
        app = application()
        first, go_on = threading.Event(), threading.Event()

        @app.get("/")
        def root() -> Iterator[str]:
            first.set()
            yield "first"
            assert go_on.wait(10)
            yield "last"

        with serve_wsgi(app) as server, ThreadPoolExecutor(1) as pool:
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

    def test_client_that_goes_away(self, recorded_sessions: RecordedSessions) -> None:
        """A client that closes the connection in the middle is no error, and its session becomes idle."""
        app = application()
        closed = threading.Event()

        @app.get("/")
        def root() -> Iterator[bytes]:
            try:
                while True:
                    yield b"x" * 65536
            finally:
                closed.set()

        with serve_wsgi(app) as server:
            with server.connect() as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(1024).startswith(b"HTTP/1.1 200")
            assert closed.wait(10)
        assert 0 == recorded_sessions.metric("app_session.errors")
        (span,) = ended(recorded_sessions)
        assert "idle_timeout" == span.attributes["app_session.end_reason"]

    def test_abandoned_before_the_first_chunk(self, recorded_sessions: RecordedSessions) -> None:
        """A response that the server closes without having read it is over, and nothing stays attached."""
        app = application()
        app.get("/")(lambda: iter(["a", "b"]))
        chunks, _, _ = run_wsgi_app(app, EnvironBuilder(path="/").get_environ())
        chunks.close()  # type: ignore[attr-defined]
        assert "" == current_id()
        assert 1 == len(ended(recorded_sessions))

    def test_failing_close(self, recorded_sessions: RecordedSessions) -> None:
        """An exception from closing a response reaches the server unchanged, and the request is over."""

        class Chunks:
            def __iter__(self) -> Iterator[bytes]:
                return iter([b"a"])

            def close(self) -> None:
                raise BoomError

        chunks: Any = Sessions().wrap(lambda environ, start_response: Chunks())({"PATH_INFO": "/"}, lambda *_: None)
        with pytest.raises(BoomError):
            chunks.close()
        assert "" == current_id()


class TestCookie:
    @pytest.mark.parametrize("order", ["before", "after"])
    def test_sees_what_the_application_says_last(self, order: str, recorded_sessions: RecordedSessions) -> None:
        """A response that becomes public in a function of `after_request` carries no cookie, whoever came first."""
        app = flask.Flask(__name__)
        if order == "after":
            Sessions(app)

        @app.after_request
        def publish(response: flask.Response) -> flask.Response:
            response.headers["Cache-Control"] = "public, max-age=60"
            return response

        if order == "before":
            Sessions(app)
        app.get("/")(current_id)
        with serve_wsgi(app) as server:
            response = server.get("/")
        assert "Set-Cookie" not in response.headers
        assert "public, max-age=60" == response.headers["Cache-Control"]

    def test_beside_cookies_of_the_application(self, recorded_sessions: RecordedSessions) -> None:
        """The application's own cookies are left as they are."""
        app = application()

        @app.get("/")
        def root() -> flask.Response:
            response = flask.Response("")
            response.set_cookie("a", "1")
            response.set_cookie("b", "2")
            return response

        with serve_wsgi(app) as server:
            cookies = server.get("/").headers.get_list("set-cookie")
        assert ["a", "b", "otel_session"] == [field.partition("=")[0] for field in cookies]


class TestWrap:
    def test_status_that_is_none(self, recorded_sessions: RecordedSessions) -> None:
        """An application that sends a status line of its own invention is not stopped by us."""
        sent: list[Any] = []

        def odd(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            start_response("OK", [("a", "b")], None)
            return [b"x"]

        wrapped = Sessions().wrap(odd)
        assert [b"x"] == wrapped({"PATH_INFO": "/"}, lambda *args: sent.append(args))
        assert [("OK", [("a", "b")], None)] == sent

    def test_environ_without_a_path(self, recorded_sessions: RecordedSessions) -> None:
        """PEP 3333 lets an empty path be left out."""
        assert [] == Sessions().wrap(lambda environ, start_response: [])({}, lambda *_: None)

    def test_file_of_the_server(self, recorded_sessions: RecordedSessions) -> None:
        """A file in the server's own wrapper arrives in it, so that the server can let the system send it."""

        class FileWrapper:
            def __init__(self, file: Any, size: int = 8192) -> None:
                self.file = file

            def __iter__(self) -> Iterator[bytes]:
                return iter(self.file)

        app = application()
        app.get("/")(lambda: flask.send_file(io.BytesIO(b"x"), mimetype="text/plain"))
        environ = EnvironBuilder(path="/").get_environ() | {"wsgi.file_wrapper": FileWrapper}
        answer: Any = app.wsgi_app(environ, lambda *_: lambda _: None)
        assert isinstance(answer, FileWrapper)
        assert 1 == len(ended(recorded_sessions))

    def test_writer_of_start_response(self, recorded_sessions: RecordedSessions) -> None:
        """The `write` callable of PEP 3333 reaches the application."""

        def write(data: bytes) -> None: ...

        def old(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            assert write is start_response("200 OK", [])
            return []

        assert [] == Sessions().wrap(old)({"PATH_INFO": "/"}, lambda *_: write)


class TestWithoutFlask:
    def test_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where Flask is not installed, the import says how to install it."""
        monkeypatch.setitem(sys.modules, "flask", None)
        monkeypatch.delitem(sys.modules, "otel_sessions.flask")
        with pytest.raises(MissingExtraError, match=r"pip install 'otel-sessions\[flask\]'"):
            importlib.import_module("otel_sessions.flask")
