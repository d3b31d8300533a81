"""Whose session it is, and what Flask's own sessions do for ours."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from flask_login import (  # type: ignore[import-untyped]
    LoginManager,
    UserMixin,
    current_user,
    login_user,
    logout_user,
)

from otel_sessions.flask import Sessions
from otel_sessions.security.pseudonyms import Pseudonyms
from otel_sessions.testing import RecordedSessions, record_sessions

from .exchanges import current_id, ended
from .servers import serve_wsgi

KEY = "0123456789abcdef"


def application(*, secret: str | None = None, **options: Any) -> flask.Flask:
    """An application with the extension."""
    app = flask.Flask(__name__)
    app.secret_key = secret
    Sessions(app, **options)
    return app


class Member(UserMixin):  # type: ignore[misc]
    """A user of Flask-Login."""

    def __init__(self, name: str) -> None:
        self.id = name


def with_login(app: flask.Flask) -> flask.Flask:
    manager = LoginManager(app)
    manager.user_loader(Member)

    @app.get("/login")
    def login() -> str:
        login_user(Member("alice"))
        return current_id()

    @app.get("/logout")
    def logout() -> str:
        logout_user()
        return current_id()

    app.get("/")(current_id)
    return app


class TestUser:
    PSEUDONYM = Pseudonyms(KEY.encode()).user("alice")

    def test_of_flask_login(self) -> None:
        """A client whose user Flask-Login knows is attributed to that user, from the login's own request."""
        with record_sessions(pseudonym_key=KEY) as recorded:
            with serve_wsgi(with_login(application(secret="k"))) as server, server.client() as client:
                ids = {client.get(path).text for path in ("/", "/login", "/")}
            (span,) = ended(recorded)
        assert {span.attributes["session.id"]} == ids
        assert self.PSEUDONYM == span.attributes["enduser.pseudo.id"]

    def test_anonymous_user_of_flask_login(self) -> None:
        """Nobody is not a user."""
        with record_sessions(pseudonym_key=KEY) as recorded:
            with serve_wsgi(with_login(application(secret="k"))) as server:
                server.get("/")
            (span,) = ended(recorded)
        assert "enduser.pseudo.id" not in span.attributes

    def test_of_the_server(self) -> None:
        """Behind a server that authenticates, its `REMOTE_USER` is the user."""
        app = application()
        app.get("/")(current_id)

        def authenticated(environ: dict[str, Any], start_response: Any) -> Any:
            return app(environ | {"REMOTE_USER": "alice"}, start_response)

        with record_sessions(pseudonym_key=KEY) as recorded:
            with serve_wsgi(authenticated) as server:
                server.get("/")
            (span,) = ended(recorded)
        assert self.PSEUDONYM == span.attributes["enduser.pseudo.id"]

    def test_who_cannot_be_loaded(self, recorded_sessions: RecordedSessions) -> None:
        """A failure of the users' database stays between the application and Flask-Login."""
        app = application(secret="k")
        manager = LoginManager(app)

        @manager.user_loader
        def load(name: str) -> Member:
            raise LookupError("the users' database is down")

        @app.get("/login")
        def login() -> str:
            login_user(Member("alice"))
            return current_id()

        @app.get("/")
        def root() -> str:
            with pytest.raises(LookupError):
                assert current_user.is_authenticated
            return current_id()

        with serve_wsgi(app) as server, server.client() as client:
            answers = [client.get(path) for path in ("/login", "/", "/")]
        assert [200] * 3 == [answer.status_code for answer in answers]
        assert 0 == recorded_sessions.metric("app_session.dropped")

    def test_who_cannot_be_named(self, recorded_sessions: RecordedSessions) -> None:
        """A user whose name cannot be had costs the attribution only: the client gets its cookie."""
        app = application(secret="k")
        LoginManager(app).user_loader(Member)

        class Forgetful(Member):
            def get_id(self) -> str:
                raise LookupError("no name")

        @app.get("/")
        def root() -> str:
            flask.g._login_user = Forgetful("alice")
            return current_id()

        with serve_wsgi(app) as server, server.client() as client:
            assert client.get("/").text == client.get("/").text != ""
        (span,) = ended(recorded_sessions)
        assert "enduser.pseudo.id" not in span.attributes

    def test_loader_is_not_called_for_us(self) -> None:
        """Attributing a request costs no look into the users' database that the application did not ask for."""
        app = application(secret="k")
        calls: list[str] = []
        manager = LoginManager(app)

        @manager.user_loader
        def load(name: str) -> Member:
            calls.append(name)
            return Member(name)

        @app.get("/login")
        def login() -> str:
            login_user(Member("alice"))
            return ""

        app.get("/")(current_id)
        with record_sessions(), serve_wsgi(app) as server, server.client() as client:
            client.get("/login")
            client.get("/")
        assert [] == calls


class TestFrameworkSession:
    def test_page_that_does_not_use_it_may_be_cached(self, recorded_sessions: RecordedSessions) -> None:
        """Looking at Flask's session for our token does not make a page vary by cookie."""
        app = application(secret="k")
        app.get("/")(current_id)

        @app.get("/login")
        def login() -> str:
            flask.session["user"] = "alice"
            return ""

        @app.get("/name")
        def name() -> str:
            return str(flask.session.get("user"))

        with serve_wsgi(app) as server, server.client() as client:
            assert "Vary" not in client.get("/").headers
            assert "Cookie" == client.get("/login").headers["Vary"]
            assert "Cookie" == client.get("/name").headers["Vary"]
            response = client.get("/")
        assert "Vary" not in response.headers
        assert "Set-Cookie" not in response.headers

    def test_without_a_secret_key(self, recorded_sessions: RecordedSessions) -> None:
        """Where Flask has no session to write to, our cookie recognises the client."""
        app = application()
        app.get("/")(current_id)
        with serve_wsgi(app) as server, server.client() as client:
            assert client.get("/").text == client.get("/").text != ""
        assert 0 == recorded_sessions.metric("app_session.dropped")

    def test_of_another_kind(self) -> None:
        """Sessions of an interface of the application's own recognise a client as well."""

        class Kept(dict[str, Any], flask.sessions.SessionMixin):
            """On the server's side."""

        kept = Kept(user="alice")

        class Interface(flask.sessions.SessionInterface):
            def open_session(self, app: Any, request: Any) -> Any:
                return kept

            def save_session(self, app: Any, session: Any, response: Any) -> None:
                """It is kept in place."""

        app = application(cookie=False)
        app.session_interface = Interface()
        app.get("/")(current_id)
        with record_sessions() as recorded, serve_wsgi(app) as server:
            ids = {server.get("/").text for _ in range(3)}
        assert 1 == len(ids)
        assert "" not in ids
        assert 0 == recorded.metric("app_session.dropped")
