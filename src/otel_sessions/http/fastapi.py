"""The routes as a router of FastAPI.

::

    from otel_sessions.http import Operator, Owner
    from otel_sessions.http.fastapi import router

    def who(request):
        user = request.session.get("user")
        if user is None:
            return None
        return Operator(user) if user in OPERATORS else Owner(user)

    app.include_router(router(authorize=who))
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from .. import _runtime
from .._answers import Answer
from .._own_routes import own_routes
from ..exceptions import MissingExtraError
from ._access import Access, Resource, Visitor, authorizer, decision, session_id_of
from ._desk import LIVE, answer

try:
    from fastapi import APIRouter, Request, Response
    from fastapi.concurrency import run_in_threadpool
except ImportError as error:
    raise MissingExtraError(feature="otel_sessions.http.fastapi", module="fastapi", extra="fastapi") from error

__all__ = ["router"]

Authorize: TypeAlias = "Callable[[Request], Access | Awaitable[Access | None] | None]"


def router(*, authorize: Authorize, prefix: str = "/monitoring", challenge: str | None = None) -> APIRouter:
    """The routes `/live`, `/health`, `/statistics`, `/sessions`, `/sessions/{id}` and `/mine` below a prefix.

    They are no part of anybody's session, and do not stand in the OpenAPI schema. No event loop waits for the store.

    Args:
        authorize: says who may see what: it takes the request and returns `Operator(user)`, `Owner(user)`, or None for
            nobody. It may be async; if it is not, it runs in a thread. What it raises goes on to the application.
        prefix: give it here, and not to `include_router`: our middleware leaves these paths alone.
        challenge: what `WWW-Authenticate` says to nobody, such as `Bearer`: the answer then is 401, else 403.

    Raises:
        ConfigurationError: `authorize` cannot be called.
        ValueError: the prefix does not begin with `/`, or ends with it.
    """
    checked = authorizer(authorize)
    found = APIRouter(prefix=prefix, include_in_schema=False)

    async def live() -> Response:
        return _response(LIVE)

    def serve(path: str, resource: Resource) -> None:
        async def endpoint(request: Request) -> Response:
            return _response(await _answered(checked, request, resource, challenge))

        found.add_api_route(path, endpoint, methods=["GET"], response_model=None, name=f"otel_sessions_{resource}")

    found.add_api_route("/live", live, methods=["GET", "HEAD"], response_model=None, name="otel_sessions_live")
    serve("/health", "health")
    serve("/statistics", "statistics")
    serve("/sessions", "sessions")
    serve("/mine", "mine")
    serve("/sessions/{session_id:path}", "session")
    own_routes.add(prefix)
    return found


async def _answered(authorize: Any, request: Request, resource: Resource, challenge: str | None) -> Answer:
    visitor = Visitor(None, resource, session_id_of(request.path_params.get("session_id")))
    try:
        if inspect.iscoroutinefunction(authorize):
            access = await authorize(request)
        else:
            access = await run_in_threadpool(authorize, request)
            # A callable that is async without looking it.
            if inspect.isawaitable(access):
                access = await access
        visitor = visitor._replace(access=decision(access))
    except Exception as refusal:
        visitor.note("refused", getattr(refusal, "status_code", 500))
        raise
    return await _runtime.get().lifecycle.threads.call(
        answer, visitor, request.query_params.multi_items(), challenge=challenge
    )


def _response(told: Answer) -> Response:
    return Response(told.body, told.status, dict(told.headers))
