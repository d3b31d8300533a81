"""A Starlette application with sessions of its framework."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def root(request: Request) -> PlainTextResponse:
    """Greet."""
    return PlainTextResponse(f"hello {request.session.get('user', 'stranger')}")


async def login(request: Request) -> PlainTextResponse:
    """Remember who it is."""
    request.session["user"] = "alice"
    return PlainTextResponse("welcome")


app = Starlette(
    routes=[Route("/", root), Route("/login", login)],
    middleware=[Middleware(SessionMiddleware, secret_key="not a secret")],
)
