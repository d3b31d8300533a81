"""A FastAPI application with sessions, which says what process answers."""

import os

from fastapi import FastAPI

from otel_sessions import current_session
from otel_sessions.asgi import SessionMiddleware

app = FastAPI()
app.add_middleware(SessionMiddleware)


@app.get("/")
async def root() -> int:
    """Say which process this is."""
    return os.getpid()


@app.get("/ready")
async def ready() -> int:
    """Say which process this is, outside of sessions if those are told to leave this alone."""
    return os.getpid()


@app.get("/end")
def end() -> int:
    """End the session of the client."""
    current_session().end()
    return os.getpid()
