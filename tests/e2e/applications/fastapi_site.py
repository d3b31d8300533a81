"""A FastAPI application that knows nothing of our sessions; those of its framework it has."""

from fastapi import FastAPI, Request
from starlette.middleware.sessions import SessionMiddleware

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key="not a secret")


@app.get("/")
async def root() -> dict[str, str]:
    """Greet."""
    return {"hello": "world"}


@app.get("/login")
def login(request: Request) -> str:
    """Remember who it is."""
    request.session["user"] = "alice"
    return "welcome"
