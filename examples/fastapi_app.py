"""A FastAPI application whose clients have sessions.

pip install 'otel-sessions[fastapi]' uvicorn opentelemetry-distro
opentelemetry-instrument uvicorn --app-dir examples fastapi_app:app
"""

from fastapi import FastAPI

from otel_sessions import current_session
from otel_sessions.asgi import SessionMiddleware

app = FastAPI()
app.add_middleware(SessionMiddleware)


@app.get("/")
def index() -> dict[str, str]:
    return {"session": current_session().id}


@app.post("/cart/{article}")
def add(article: str) -> dict[str, int]:
    current_session().event("cart.article_added", article=article)
    snapshot = current_session().snapshot()
    return {"events": snapshot.totals.events if snapshot else 0}


@app.post("/logout")
def logout() -> dict[str, bool]:
    return {"ended": current_session().end(reason="logout")}
