"""The web application: a FastAPI application in a real server."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final

from otel_sessions import current_session
from otel_sessions.asgi import SessionMiddleware

from ._faults import ERRORS
from ._pace import Chances, Pace

if TYPE_CHECKING:
    from fastapi import FastAPI

NEEDS: Final = {"fastapi": "otel-sessions[fastapi]", "uvicorn": "uvicorn"}
"""The modules that it cannot be without, and what to install for each."""

_LEAVE_SECONDS: Final = 5.0


def missing(needs: Mapping[str, str] = NEEDS) -> list[str]:
    """What would have to be installed before there can be one."""
    return [package for module, package in needs.items() if importlib.util.find_spec(module) is None]


def shop(pace: Pace, chances: Chances) -> FastAPI:
    """The application, with sessions and limits."""
    from fastapi import FastAPI  # noqa: PLC0415 - only with the extra

    app = FastAPI(title="Shop", openapi_url=None)
    app.add_middleware(SessionMiddleware, limits=["api_calls", "requests", "concurrent_requests"])
    _sell(app, pace, chances)
    _know_users(app)
    return _traced(app)


def _sell(app: FastAPI, pace: Pace, chances: Chances) -> None:
    """What everybody may do."""
    from fastapi import HTTPException, Response  # noqa: PLC0415 - only with the extra

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/")
    async def index() -> dict[str, str]:
        await asyncio.sleep(0.01)
        return {"session": current_session().id}

    @app.get("/articles/{number}")
    async def article(number: int) -> dict[str, int]:
        current_session().event("article.viewed", number=number)
        return {"article": number}

    @app.post("/checkout")
    async def checkout() -> Response:
        if chances.hit(0.3 if pace.has(ERRORS) else 0.02):
            raise HTTPException(status_code=503, detail="the payment service does not answer")
        return Response(status_code=204)


def _know_users(app: FastAPI) -> None:
    """What users may do who are logged in, and what nobody may."""
    from fastapi import HTTPException, Response  # noqa: PLC0415 - only with the extra

    @app.post("/login")
    async def login(user: str) -> Response:
        current_session().rotate("login")
        current_session().identify(user)
        return Response(status_code=204)

    @app.post("/logout")
    async def logout() -> Response:
        current_session().end(reason="logout")
        return Response(status_code=204)

    @app.get("/account")
    async def account() -> dict[str, str]:
        if current_session().user is None:
            raise HTTPException(status_code=401, detail="log in first")
        return {"tier": current_session().tier or ""}

    @app.get("/admin")
    async def admin() -> None:
        raise HTTPException(status_code=403, detail="not for you")


def _traced(app: FastAPI) -> FastAPI:
    """The application with server spans, if their instrumentation is installed."""
    try:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - only if it is there
    except ImportError:
        return app
    FastAPIInstrumentor.instrument_app(app, excluded_urls="health", exclude_spans=["send", "receive"])
    return app


class Server:
    """Serves an application in a thread, from `__enter__` to `__exit__`.

    Args:
        app: what is served.
        host: the address to listen on.
        port: 0 for a free one.
    """

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        import uvicorn  # noqa: PLC0415 - only with the web application

        self._socket = socket.create_server((host, port))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        self._thread = threading.Thread(target=self._serve, name="shop", daemon=True)

    @property
    def address(self) -> str:
        """Where its visitors find it."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_LEAVE_SECONDS)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])
