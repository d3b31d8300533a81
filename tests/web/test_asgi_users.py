"""Whose session it is, and what Starlette's own sessions do for ours."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser, SimpleUser, UnauthenticatedUser
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.sessions import SessionMiddleware as FrameworkSessions

from otel_sessions.asgi import SessionMiddleware
from otel_sessions.security.pseudonyms import Pseudonyms
from otel_sessions.testing import RecordedSessions, record_sessions

from .exchanges import answer, call, current_id, ended, http
from .servers import serve_asgi

KEY = "0123456789abcdef"


def fastapi(**options: Any) -> FastAPI:
    """An application with the middleware and without a telemetry of its own."""
    app = FastAPI(telemetry={"tracing": False})
    app.add_middleware(SessionMiddleware, **options)
    return app


class Backend(AuthenticationBackend):
    """Takes the name in the field `X-User` for granted."""

    async def authenticate(self, conn: Any) -> tuple[AuthCredentials, Any]:
        name = conn.headers.get("x-user")
        return AuthCredentials(), SimpleUser(name) if name else UnauthenticatedUser()


class User:
    """What `scope["user"]` may hold besides Starlette's own."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Unnamed(BaseUser):
    """Starlette's base leaves the names to be written, and nobody has."""

    is_authenticated = True


class NoUser:
    @property
    def is_authenticated(self) -> bool:
        raise LookupError("the users' database is down")


class TestUser:
    def test_of_starlettes_authentication(self) -> None:
        """A client whose user the framework knows is attributed to that user, under a pseudonym."""
        app = fastapi()
        app.add_middleware(AuthenticationMiddleware, backend=Backend())
        app.get("/")(current_id)
        with record_sessions(pseudonym_key=KEY) as recorded:
            with serve_asgi(app) as server, server.client() as client:
                client.get("/")
                client.get("/", headers={"X-User": "alice@example.com"})
            (span,) = ended(recorded)
        pseudonym = Pseudonyms(KEY.encode()).user("alice@example.com")
        assert pseudonym == span.attributes["enduser.pseudo.id"]
        (end,) = recorded.events("session.end")
        assert pseudonym == end["enduser.pseudo.id"]

    def test_unauthenticated(self, recorded_sessions: RecordedSessions) -> None:
        """Nobody is not a user."""
        app = fastapi()
        app.add_middleware(AuthenticationMiddleware, backend=Backend())
        app.get("/")(current_id)
        with serve_asgi(app) as server:
            server.get("/")
        (span,) = ended(recorded_sessions)
        assert "enduser.pseudo.id" not in span.attributes

    def test_found_by_a_dependency(self) -> None:
        """Authentication that happens inside, in a dependency, counts as well."""
        app = fastapi()

        def authenticate(request: Request) -> None:
            request.scope["user"] = SimpleUser("alice")

        app.get("/", dependencies=[Depends(authenticate)])(current_id)
        with record_sessions(pseudonym_key=KEY) as recorded:
            with serve_asgi(app) as server:
                server.get("/")
            (span,) = ended(recorded)
        assert Pseudonyms(KEY.encode()).user("alice") == span.attributes["enduser.pseudo.id"]

    @pytest.mark.parametrize(
        ("user", "name"),
        [
            (User(is_authenticated=True, identity="i", display_name="d", username="u"), "i"),
            (User(is_authenticated=True, identity="", display_name="d", username="u"), "d"),
            (User(is_authenticated=True, username="u"), "u"),
            (User(is_authenticated=False, username="u"), None),
            (User(username="u"), None),
            (User(is_authenticated=True), None),
            (NoUser(), None),
            (Unnamed(), None),
            ("alice", None),
            (None, None),
        ],
        ids=[
            "identity",
            "display name",
            "username",
            "not authenticated",
            "unknown",
            "nameless",
            "failing",
            "unnamed",
            "text",
            "none",
        ],
    )
    def test_what_the_scope_may_hold(self, user: Any, name: str | None) -> None:
        """The first of identity, display name and user name counts, of an authenticated user only; never an error."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            scope["user"] = user
            await answer(send)

        with record_sessions(pseudonym_key=KEY) as recorded:
            (start, _) = call(SessionMiddleware(application), http())
            (span,) = ended(recorded)
        expected = None if name is None else Pseudonyms(KEY.encode()).user(name)
        assert expected == span.attributes.get("enduser.pseudo.id")
        assert 1 == len(start["headers"])


class TestFrameworkSession:
    def test_inside_of_it_the_token_is_kept(self) -> None:
        """Added before Starlette's sessions, we find the client again by them."""
        app = fastapi(cookie=False)
        app.add_middleware(FrameworkSessions, secret_key="k")

        @app.get("/")
        def root(request: Request) -> str:
            request.session.setdefault("visits", 0)
            return current_id()

        with record_sessions() as recorded, serve_asgi(app) as server, server.client() as client:
            client.get("/")
            assert client.get("/").json() == client.get("/").json() != ""
        assert 1 == recorded.metric("app_session.starts")

    def test_outside_of_it_nobody_is_recognised(self) -> None:
        """Added after Starlette's sessions, we cannot keep a token in them: no session, rather than one per request."""
        app = FastAPI(telemetry={"tracing": False})
        app.add_middleware(FrameworkSessions, secret_key="k")
        app.add_middleware(SessionMiddleware, cookie=False)

        @app.get("/")
        def root(request: Request) -> str:
            request.session["visited"] = True
            return current_id()

        with record_sessions() as recorded, serve_asgi(app) as server, server.client() as client:
            for _ in range(3):
                assert "" == client.get("/").json()
        assert 0 == recorded.metric("app_session.starts")

    def test_page_that_does_not_use_it_may_be_cached(self) -> None:
        """Reading our token does not make a page vary by cookie; older ones of Starlette set theirs at each."""
        app = fastapi()
        app.add_middleware(FrameworkSessions, secret_key="k")
        app.get("/")(current_id)

        @app.get("/login")
        def login(request: Request) -> None:
            request.session["user"] = "alice"

        headers = []
        for framework_session in (False, True):
            with (
                record_sessions(cookie=False, framework_session=framework_session),
                serve_asgi(app) as server,
                server.client() as client,
            ):
                client.get("/login")
                client.get("/")
                headers.append(set(client.get("/").headers))
        without, with_ours = headers
        assert without == with_ours
        assert {"date", "server", "content-length", "content-type"} == with_ours - {"set-cookie"}
