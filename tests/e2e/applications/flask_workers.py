"""A Flask application with sessions, which says what process answers."""

import os

from flask import Flask

from otel_sessions import current_session
from otel_sessions.flask import Sessions

app = Flask(__name__)
Sessions(app)


@app.get("/")
def root() -> str:
    """Say which process this is."""
    return str(os.getpid())


@app.get("/ready")
def ready() -> str:
    """Say which process this is, outside of sessions if those are told to leave this alone."""
    return str(os.getpid())


@app.get("/end")
def end() -> str:
    """End the session of the client."""
    current_session().end()
    return str(os.getpid())
