"""FastAPI finds parameters and dependencies on decorated functions as on plain ones.

The annotations of this module are strings (PEP 563): to resolve them FastAPI has to find the decorated function's own
module, not the decorator's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Body, Depends, FastAPI

from otel_sessions import Session, current_session, session
from otel_sessions.testing import RecordedSessions

from . import portrait


async def chosen_tenant(tenant: str = "contoso") -> str:
    """Depend on a query parameter."""
    return tenant


@session("async_endpoint")
async def endpoint_in_loop(
    item: int, *, flag: bool, tenant: Annotated[str, Depends(chosen_tenant)], note: Annotated[str, Body(embed=True)]
) -> list[Any]:
    """Return all parameters and the session."""
    return [item, flag, tenant, note, current_session().type]


@session("sync_endpoint")
def endpoint_in_thread(
    item: int, *, flag: bool, tenant: Annotated[str, Depends(chosen_tenant)], note: Annotated[str, Body(embed=True)]
) -> list[Any]:
    """Return all parameters and the session."""
    return [item, flag, tenant, note, current_session().type]


cleaned: list[str] = []


@session("unit_of_work")
def unit_in_thread(name: str = "sync") -> Iterator[Session]:
    """Depend on something that is given back."""
    try:
        yield current_session()
    finally:
        cleaned.append(f"{name} {current_session().type}")


@session("unit_of_work")
async def unit_in_loop(name: str = "async") -> AsyncIterator[Session]:
    """Depend on something that is given back."""
    try:
        yield current_session()
    finally:
        cleaned.append(f"{name} {current_session().type}")


@session("search", closing="finish")
class Search:
    """A dependency that is a class."""

    def __init__(self, query: str, limit: int = 5) -> None:
        self.asked = f"{query}:{limit}"

    def finish(self) -> str:
        """Return what was asked."""
        return f"{self.asked} {current_session().type}"


def ask(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    """Send one request to an application in this process."""

    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(main())


class TestEndpoint:
    @pytest.mark.parametrize("endpoint", [endpoint_in_loop, endpoint_in_thread])
    def test_parameters(self, recorded_sessions: RecordedSessions, endpoint: Callable[..., Any]) -> None:
        """Path, query, body and `Depends` parameters reach a decorated endpoint, converted."""
        app = FastAPI()
        app.post("/{item}")(endpoint)

        response = ask(app, "POST", "/7?flag=true&tenant=fabrikam", json={"note": "hi"})

        (span,) = recorded_sessions.session_spans
        assert [7, True, "fabrikam", "hi", portrait.attributes(span)["app_session.type"]] == response.json()

    @pytest.mark.parametrize("endpoint", [endpoint_in_loop, endpoint_in_thread])
    def test_validation(self, recorded_sessions: RecordedSessions, endpoint: Callable[..., Any]) -> None:
        """A request that does not fit the signature is refused as ever, and is no session."""
        app = FastAPI()
        app.post("/{item}")(endpoint)

        assert 422 == ask(app, "POST", "/seven?flag=true", json={"note": "hi"}).status_code
        assert [] == recorded_sessions.session_spans

    @pytest.mark.parametrize("endpoint", [endpoint_in_loop, endpoint_in_thread])
    def test_openapi(self, endpoint: Any) -> None:
        """The API's description of a decorated endpoint is that of the plain one."""

        def describe(function: Callable[..., Any]) -> Any:
            app = FastAPI()
            app.post("/{item}")(function)
            return app.openapi()

        assert describe(endpoint.__wrapped__) == describe(endpoint)


class TestDependency:
    @pytest.mark.parametrize(("dependency", "name"), [(unit_in_thread, "sync"), (unit_in_loop, "async")])
    def test_yield(self, recorded_sessions: RecordedSessions, dependency: Callable[..., Any], name: str) -> None:
        """A dependency with `yield` is a session around the request; the endpoint is not inside it."""
        app = FastAPI()

        @app.get("/")
        async def endpoint(unit=Depends(dependency)) -> list[str]:  # type: ignore[no-untyped-def]  # noqa: B008 - a local annotation could not be resolved
            unit.progress("used")
            return [unit.type, unit.status, current_session().id]

        cleaned.clear()
        assert ["unit_of_work", "active", ""] == ask(app, "GET", "/").json()
        assert [f"{name} unit_of_work"] == cleaned
        (span,) = recorded_sessions.session_spans
        assert ("success", ["app_session.progress"]) == (
            portrait.attributes(span)["app_session.status"],
            [event.name for event in span.events],
        )

    @pytest.mark.parametrize(("dependency", "name"), [(unit_in_thread, "sync"), (unit_in_loop, "async")])
    def test_yield_of_a_failing_endpoint(
        self, recorded_sessions: RecordedSessions, dependency: Callable[..., Any], name: str
    ) -> None:
        """The endpoint's exception reaches the dependency, which cleans up, and the session is an error."""
        app = FastAPI()

        @app.get("/", dependencies=[Depends(dependency)])
        async def endpoint() -> None:
            raise LookupError("nothing there")

        cleaned.clear()
        assert 500 == ask(app, "GET", "/").status_code
        assert [f"{name} unit_of_work"] == cleaned
        (span,) = recorded_sessions.session_spans
        assert ("error", "LookupError") == (
            portrait.attributes(span)["app_session.status"],
            portrait.attributes(span)["error.type"],
        )

    def test_class(self, recorded_sessions: RecordedSessions) -> None:
        """The parameters of a decorated class's constructor are found."""
        app = FastAPI()

        @app.get("/")
        async def endpoint(search=Depends(Search)) -> str:  # type: ignore[no-untyped-def]  # noqa: B008 - a local annotation could not be resolved
            answer: str = search.finish()
            return answer

        assert "otel:3 search" == ask(app, "GET", "/?query=otel&limit=3").json()
        assert ["session search"] == [span.name for span in recorded_sessions.session_spans]
