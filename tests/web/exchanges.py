"""Requests and connections as a server hands them to an application, and what became of them."""

from __future__ import annotations

import asyncio
from typing import Any

from otel_sessions import current_session
from otel_sessions.testing import RecordedSessions


def current_id() -> str:
    """The id of the session that is current here."""
    return current_session().id


def ended(recorded: RecordedSessions) -> list[Any]:
    """The spans of the clients' sessions, after all have stayed away for long enough."""
    recorded.advance(1800)
    return recorded.session_spans


def http(**changes: Any) -> dict[str, Any]:
    """The scope of a request."""
    return {"type": "http", "path": "/", "method": "GET", "scheme": "http", "headers": [], **changes}


async def nothing(*_: Any) -> Any:
    """A `receive` that is not called, or a `send` that nobody listens to."""


async def answer(send: Any, headers: Any = ()) -> None:
    """The shortest response."""
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def call(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """What `app` sends, as a server sees it."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, nothing, send))
    return sent
