"""The routes as a blueprint of Flask.

::

    from otel_sessions.http import Operator, Owner
    from otel_sessions.http.flask import blueprint

    def who(request):
        user = flask.session.get("user")
        if user is None:
            return None
        return Operator(user) if user in OPERATORS else Owner(user)

    app.register_blueprint(blueprint(authorize=who))
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from .._answers import Answer
from .._own_routes import WHOLE, own_routes
from ..exceptions import MissingExtraError
from ._access import Access, Resource, Visitor, authorizer, challenge_of, decision, prefix_of, session_id_of
from ._desk import LIVE, MAY, METHODS, NOT_THIS_WAY, answer, held_back

try:
    import flask
    from flask.blueprints import BlueprintSetupState
    from werkzeug.exceptions import HTTPException
    from werkzeug.routing import PathConverter
except ImportError as error:
    raise MissingExtraError(feature="otel_sessions.http.flask", module="flask", extra="flask") from error

__all__ = ["blueprint"]

_ANY: Final = "otel_sessions_any"

Authorize: TypeAlias = "Callable[[flask.Request], Access | None]"


def blueprint(*, authorize: Authorize, prefix: str = "/monitoring", challenge: str | None = None) -> flask.Blueprint:
    """The routes `/live`, `/health`, `/statistics`, `/sessions`, `/sessions/<id>` and `/mine` below a prefix.

    They are no part of anybody's session.

    Args:
        authorize: says who may see what: it takes the request and returns `Operator(user)`, `Owner(user)`, or None for
            nobody. What it raises goes on to the application.
        prefix: where they are; `register_blueprint(..., url_prefix=...)` goes before it.
        challenge: what `WWW-Authenticate` says to nobody, such as `Bearer`: the answer then is 401, else 403.

    Raises:
        ConfigurationError: `authorize` cannot be called, or the prefix or the challenge cannot be one.
    """
    checked, said = authorizer(authorize), challenge_of(challenge)
    found = flask.Blueprint("otel_sessions", __name__, url_prefix=prefix_of(prefix))
    found.record(_prepare)

    def add(path: str, name: str, answered: Callable[[str | None], Answer]) -> None:
        def endpoint(session_id: str | None = None) -> flask.Response:
            return _response(MAY if flask.request.method == "OPTIONS" else answered(session_id))

        found.add_url_rule(path, name, endpoint, methods=METHODS, merge_slashes=False)

    def serve(path: str, resource: Resource) -> None:
        add(path, resource, lambda session_id: _answered(checked, resource, session_id, said))

    add("/live", "live", lambda _: LIVE)
    serve("/health", "health")
    serve("/statistics", "statistics")
    serve("/sessions", "sessions")
    serve("/mine", "mine")
    for name in WHOLE:
        add(f"/{name}/", f"{name}_slash", lambda _: NOT_THIS_WAY)
    serve(f"/sessions/<{_ANY}:session_id>", "session")
    return found


class _Any(PathConverter):
    """The rest of a path, whatever it is: an id may begin with a slash, which `path` does not take."""

    regex = ".+"
    part_isolating = False


def _prepare(state: BlueprintSetupState) -> None:
    """Where the blueprint is registered."""
    state.app.url_map.converters[_ANY] = _Any
    own_routes.add(state.url_prefix or "")


def _answered(authorize: Any, resource: Resource, session_id: str | None, challenge: str | None) -> Answer:
    visitor = Visitor(None, resource, session_id_of(session_id))
    try:
        visitor = visitor._replace(access=decision(authorize(flask.request)))
    except Exception as refusal:
        visitor.note_raised(_status(refusal))
        raise
    began = time.monotonic()
    told = answer(visitor, flask.request.query_string, challenge=challenge)
    time.sleep(held_back(visitor, told, time.monotonic() - began))
    return told


def _status(raised: Exception) -> int | None:
    """What Flask answers with; None if it is an error, also if it has a code of some other service."""
    if not isinstance(raised, HTTPException):
        return None
    return raised.code if raised.response is None else raised.response.status_code


def _response(told: Answer) -> flask.Response:
    response = flask.Response(told.body, told.status, told.headers)
    if not told.body:
        # Nothing has no type.
        del response.headers["Content-Type"]
    return response
