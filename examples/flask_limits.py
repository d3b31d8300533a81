"""A Flask application in which each client may do so much, and is told when it may go on.

pip install 'otel-sessions[flask]'
flask --app examples/flask_limits.py run
"""

from flask import Flask, request

import otel_sessions as sessions
from otel_sessions import current_session
from otel_sessions.flask import Sessions
from otel_sessions.limits import Quota, Rate, Tier

sessions.configure(
    tiers=[Tier("trial", Rate("requests", "2/second"), Quota("tokens", 100, per="day"))],
    default_tier="trial",
)

app = Flask(__name__)
Sessions(app, limits=["requests"])


@app.get("/")
def index() -> dict[str, str]:
    return {"session": current_session().id}


@app.post("/answers")
def answer() -> dict[str, str]:
    words = len(request.get_json()["text"].split())
    current_session().use("tokens", words, operation="answer")
    return {"answer": f"I counted {words} words."}
