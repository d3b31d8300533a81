"""A FastAPI application in which each client may do so much, and is told when it may go on.

pip install 'otel-sessions[fastapi]' uvicorn
uvicorn --app-dir examples fastapi_limits:app
"""

from fastapi import FastAPI
from pydantic import BaseModel

import otel_sessions as sessions
from otel_sessions import current_session
from otel_sessions.asgi import SessionMiddleware
from otel_sessions.limits import Quota, Rate, Tier

sessions.configure(
    tiers=[Tier("trial", Rate("requests", "2/second"), Quota("tokens", 100, per="day"))],
    default_tier="trial",
)

app = FastAPI()
app.add_middleware(SessionMiddleware, limits=["requests"])


class Question(BaseModel):
    text: str


@app.get("/")
async def index() -> dict[str, str]:
    return {"session": current_session().id}


@app.post("/answers")
async def answer(question: Question) -> dict[str, str]:
    words = len(question.text.split())
    await current_session().use_async("tokens", words, operation="answer")
    return {"answer": f"I counted {words} words."}
