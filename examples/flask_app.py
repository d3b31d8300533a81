"""A Flask application whose clients have sessions.

pip install 'otel-sessions[flask]' opentelemetry-distro opentelemetry-instrumentation-flask
opentelemetry-instrument flask --app examples/flask_app.py run
"""

from flask import Flask

from otel_sessions import current_session
from otel_sessions.flask import Sessions

app = Flask(__name__)
Sessions(app)


@app.get("/")
def index() -> dict[str, str]:
    return {"session": current_session().id}


@app.post("/cart/<article>")
def add(article: str) -> dict[str, int]:
    current_session().event("cart.article_added", article=article)
    snapshot = current_session().snapshot()
    return {"events": snapshot.totals.events if snapshot else 0}


@app.post("/logout")
def logout() -> dict[str, bool]:
    return {"ended": current_session().end(reason="logout")}
