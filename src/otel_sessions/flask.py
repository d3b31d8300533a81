"""Sessions for Flask applications.

::

    from otel_sessions.flask import Sessions

    Sessions(app)                   # or: sessions = Sessions(); sessions.init_app(app)

Call it right after the application is made. It works inside any server span, whoever opens it and when, and without
one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from . import _context, _values
from ._answers import answer, fields
from ._guard import guarded
from ._session import Session
from ._web import Client, Evidence, Passage, WebSessions, keep_token, may_carry_cookie, read_cookie, set_cookie_value
from .exceptions import LimitExceededError, LimitUnknownError, MissingExtraError

try:
    import flask
    from blinker import ANY
except ImportError as error:
    raise MissingExtraError(feature="otel_sessions.flask", module="flask", extra="flask") from error

if TYPE_CHECKING:
    from flask.wrappers import Response

__all__ = ["Sessions"]

Environ: TypeAlias = "dict[str, Any]"
StartResponse: TypeAlias = "Callable[..., Any]"
WSGIApp: TypeAlias = "Callable[[Environ, StartResponse], Iterable[bytes]]"

_EXCHANGE: Final = "otel_sessions.exchange"
_EXTENSION: Final = "otel-sessions"

REFUSALS: Final = (LimitExceededError, LimitUnknownError)
"""What `refuse` answers."""


class Sessions:
    """The Flask extension: every request belongs to its client's durable session.

    Args:
        app: the application; or leave it out and call `init_app`.
        type: the type of the sessions; by default the setting `web_type`.
        cookie: whether clients may be given a cookie; the setting `cookie` goes before this.
        limits: names of limits that each request is asked for, together; by default the setting `web_limits`.

    What a limit refuses, here or anywhere in the application, is answered with 429, unless the application has an error
    handler for it. Where one application is mounted in another, the outer one opens the session, and the limits of each
    are asked once.

    Raises:
        InvalidValueError: `type` or one of `limits` cannot be a name.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        type: str | None = None,  # noqa: A002 - a session's type
        cookie: bool = True,
        limits: Sequence[str] | None = None,
    ) -> None:
        self._sessions = WebSessions(
            session_type=None if type is None else _values.label("session type", type), cookie=cookie, limits=limits
        )
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Add sessions to `app`; a second time does nothing."""
        if _EXTENSION in app.extensions:
            return
        app.extensions[_EXTENSION] = self
        app.wsgi_app = self.wrap(app.wsgi_app)  # type: ignore[method-assign,assignment]  # what Flask documents for WSGI middleware
        app.after_request(self.mark)
        for error in REFUSALS:
            if error not in app.error_handler_spec[None][None]:
                app.register_error_handler(error, refuse)
        self.connect(app)

    def connect(self, sender: Any = ANY) -> Callable[[], None]:
        """Follow the requests of `sender`, of every application if not given; the result stops that."""

        def started(_app: flask.Flask, **_: object) -> None:
            self.begin()

        def failed(_app: flask.Flask, exception: BaseException, **_: object) -> None:
            exchange = flask.request.environ.get(_EXCHANGE)
            if isinstance(exchange, _Exchange):
                exchange.error = exception

        # Weakly held otherwise, and then gone with this frame.
        flask.request_started.connect(started, sender, weak=False)
        flask.got_request_exception.connect(failed, sender, weak=False)

        def disconnect() -> None:
            flask.request_started.disconnect(started, sender)
            flask.got_request_exception.disconnect(failed, sender)

        return disconnect

    def wrap(self, wsgi_app: WSGIApp) -> WSGIApp:
        """A WSGI application like `wsgi_app`, each of whose responses is written inside the request's session."""

        def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            if _EXCHANGE in environ or self._sessions.excludes(environ.get("PATH_INFO", "")):
                return wsgi_app(environ, start_response)
            exchange = environ[_EXCHANGE] = _Exchange(self._sessions)
            return exchange.run(wsgi_app, environ, start_response)

        return application

    def begin(self) -> None:
        """Find the session of the current request. Called before Flask runs the first function of the application."""
        exchange = flask.request.environ.get(_EXCHANGE)
        if isinstance(exchange, _Exchange):
            with guarded("open the session of a request"):
                exchange.begin()
            # Outside of the guard: what a limit refuses, Flask's error handlers answer.
            exchange.admit(self._sessions)

    def mark(self, response: Response) -> Response:
        """Give the client of the current request what lets it be recognised again, before Flask saves its session."""
        exchange = flask.request.environ.get(_EXCHANGE)
        if isinstance(exchange, _Exchange):
            with guarded("mark the response of a session"):
                exchange.mark(response)
        return response


class _Exchange:
    """One request, from its first byte to the last of its response. Asking for a step twice does no harm.

    The context is attached once, outermost, and holds a slot: Flask and other instrumentations attach and detach theirs
    inside, in their own order.
    """

    def __init__(self, sessions: WebSessions) -> None:
        self._sessions = sessions
        self.slot = _context.Slot()
        self.error: BaseException | None = None
        self._client: Client | None = None
        self._framework: Any = None
        self._secure = False
        self._status: int | None = None
        self._begun = self._done = self._preflight = False
        self._passage = Passage()
        self._limits: set[str] = set()
        """Which ones were asked."""
        self.refusal: BaseException | None = None
        """What they refused."""

    def run(self, wsgi_app: WSGIApp, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *args: Any) -> Any:
            self._status = int(status[:3]) if status[:3].isdigit() else None
            with guarded("give a client its cookie"):
                headers = self._with_cookie(headers)
            return start_response(status, headers, *args)

        attached = self.slot.attach()
        try:
            response = wsgi_app(environ, start)
        except BaseException as error:
            self.finish(error)
            raise
        finally:
            _context.detach(attached)
        # Of a file that the server sends by itself nobody would see the end, and slots are held until then.
        if isinstance(response, list | tuple) or (_is_file(response, environ) and not self._passage.leases):
            self.finish(None)
            return response
        return _Stream(response, self)

    def begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        request = flask.request
        environ = request.environ
        self._secure = environ.get("wsgi.url_scheme") == "https"
        with guarded("look at Flask's session"):
            self._framework = _framework_session()
        evidence = Evidence(
            self._sessions.identity(request),
            self._framework,
            environ.get("HTTP_AUTHORIZATION"),
            read_cookie(environ.get("HTTP_COOKIE", ""), self._sessions.cookie_name),
        )
        with _unaccessed(self._framework):
            self._client = self._sessions.recognise(evidence)
            # A browser's own question about another origin (CORS) never carries a cookie.
            self._preflight = (
                environ.get("REQUEST_METHOD") == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
            )
            if self._client is None and not self._preflight:
                self._client = self._sessions.establish(evidence)
        if self._client is not None:
            self._open(self._client)

    def _open(self, client: Client) -> None:
        session = self._sessions.open(client, flask.request)
        self.slot.session = session
        self._sessions.join(session)

    def admit(self, also: WebSessions) -> None:
        """Ask the limits for this request: those of the application, and those of one in which it is mounted."""
        self._ask(self._sessions, self._sessions.limits)
        if also is not self._sessions:
            self._ask(also, also.own_limits)

    def _ask(self, sessions: WebSessions, limits: Sequence[str]) -> None:
        session: Session | None = self.slot.session
        if session is None or self._preflight or self._limits.issuperset(limits):
            return
        asked = frozenset(self._limits)
        self._limits.update(limits)
        try:
            self._passage = self._passage.and_also(sessions.admit(session, but=asked))
        except REFUSALS as refusal:
            self.refusal = refusal
            raise

    def mark(self, response: Response) -> None:
        """Let the framework's session keep the client's token, and note whose session it is."""
        if not self._begun:
            return
        if "RateLimit" not in response.headers:
            response.headers.extend(fields(self._passage.statuses))
        framework = self._framework
        is_new = self._client is None or self._client.is_new
        if framework is not None and is_new and not may_carry_cookie(response.headers.items()):
            framework = None
        if self._client is None and framework:
            # The application began a session of its own in this very request.
            self._client = self._sessions.establish(Evidence(framework_session=framework))
            if self._client is not None:
                self._open(self._client)
        if self._client is not None and self._client.framework_token and framework is not None:
            keep_token(framework, self._client.framework_token)
        session = self.slot.session
        if session is not None:
            self._sessions.attribute(session, _user)

    def _with_cookie(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The headers as they leave, with our cookie if the client is to have one."""
        if self._client is None or self._client.cookie_token is None or not may_carry_cookie(headers):
            return headers
        cookie = set_cookie_value(self._sessions.cookie_name, self._client.cookie_token, secure=self._secure)
        return [*headers, ("Set-Cookie", cookie)]

    def finish(self, error: BaseException | None) -> None:
        if self._done:
            return
        self._done = True
        self._passage.release()
        # Flask answers an unhandled exception with a response of its own, and says so by a signal.
        error = error or self.error
        session: Session | None = self.slot.session
        if session is None:
            if self._begun and self._client is None and not self._preflight:
                self._sessions.warn_unrecognised()
            return
        self._sessions.finish(session, self._status, error)


class _Stream:
    """A response whose chunks are made inside the request's session; the request is over when it is closed."""

    def __init__(self, response: Iterable[bytes], exchange: _Exchange) -> None:
        self._response = response
        self._chunks = iter(response)
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        attached = self._exchange.slot.attach()
        try:
            return next(self._chunks)
        except StopIteration:
            self._exchange.finish(None)
            raise
        except BaseException as error:
            self._exchange.finish(error)
            raise
        finally:
            _context.detach(attached)

    def close(self) -> None:
        """Close the response, as PEP 3333 asks of servers."""
        attached = self._exchange.slot.attach()
        try:
            close = getattr(self._response, "close", None)
            if close is not None:
                close()
        finally:
            _context.detach(attached)
            self._exchange.finish(None)


def refuse(error: LimitExceededError | LimitUnknownError) -> Response:
    """The answer to a request that a limit refused."""
    exchange = flask.request.environ.get(_EXCHANGE)
    reply = answer(error, of_request=isinstance(exchange, _Exchange) and exchange.refusal is error)
    return flask.Response(reply.body, reply.status, reply.headers)


def _is_file(response: object, environ: Environ) -> bool:
    """Whether the server sends it by itself (PEP 3333, "Optional Platform-Specific File Handling")."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(response, wrapper)


def _framework_session() -> Any:
    """Flask's own session, if the application has one that can be written."""
    app: Any = flask.current_app
    proxy: Any = flask.session
    session = proxy._get_current_object()
    if hasattr(session, "accessed"):
        # Taking it counts as access, and makes Flask send `Vary: Cookie`; the application has not touched it yet.
        session.accessed = False
    return None if app.session_interface.is_null_session(session) else session


@contextmanager
def _unaccessed(framework: Any) -> Iterator[None]:
    """Read Flask's session without making the response depend on it."""
    before = getattr(framework, "accessed", None)
    try:
        yield
    finally:
        if before is not None:
            framework.accessed = before


def _user() -> str | None:
    """The user that Flask-Login or the server found."""
    if "flask_login" in sys.modules:
        # Only a user that the application has asked for: loading one is a query to its database.
        user: Any = getattr(flask.g, "_login_user", None)
        if getattr(user, "is_authenticated", False):
            return str(user.get_id())
    remote: str | None = flask.request.environ.get("REMOTE_USER")
    return remote or None
