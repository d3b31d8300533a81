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
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from .._answers import Answer
from .._own_routes import WHOLE, own_routes
from ..exceptions import MissingExtraError
from ._access import Access, Resource, Visitor, authorizer, challenge_of, decision, prefix_of, session_id_of
from ._desk import LIVE, MAY, METHODS, NOT_THIS_WAY, answer_async, held_back

try:
    import anyio
    from fastapi import APIRouter, Request, Response
    from fastapi.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
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
        ConfigurationError: `authorize` cannot be called, or the prefix or the challenge cannot be one.
    """
    checked, said = authorizer(authorize), challenge_of(challenge)
    found = APIRouter(prefix=prefix_of(prefix), include_in_schema=False)

    def add(path: str, name: str, answered: Callable[[Request], Awaitable[Answer]]) -> None:
        async def endpoint(request: Request) -> Response:
            return _response(MAY if request.method == "OPTIONS" else await answered(request))

        found.add_api_route(path, endpoint, methods=list(METHODS), response_model=None, name=f"otel_sessions_{name}")

    def serve(path: str, resource: Resource) -> None:
        async def answered(request: Request) -> Answer:
            return await _answered(checked, request, resource, said)

        add(path, resource, answered)

    async def live(_request: Request) -> Answer:
        return LIVE

    async def not_this_way(_request: Request) -> Answer:
        return NOT_THIS_WAY

    add("/live", "live", live)
    serve("/health", "health")
    serve("/statistics", "statistics")
    serve("/sessions", "sessions")
    serve("/mine", "mine")
    for name in WHOLE:
        add(f"/{name}/", f"{name}_slash", not_this_way)
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
        # Not whatever has a status: clients of other services raise theirs, and that is an error here.
        visitor.note_raised(refusal.status_code if isinstance(refusal, HTTPException) else None)
        raise
    began = time.monotonic()
    told = await answer_async(visitor, request.scope["query_string"], challenge=challenge)
    await anyio.sleep(held_back(visitor, told, time.monotonic() - began))
    return told


def _response(told: Answer) -> Response:
    # A plain number: before Python 3.11 another middleware would write down the name of an `HTTPStatus`.
    return Response(told.body, int(told.status), dict(told.headers))
