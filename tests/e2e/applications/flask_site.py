"""A Flask application with sessions of its framework."""

from flask import Flask, session

app = Flask(__name__)
app.secret_key = "not a secret"


@app.get("/")
def root() -> str:
    """Greet."""
    return f"hello {session.get('user', 'stranger')}"


@app.get("/login")
def login() -> str:
    """Remember who it is."""
    session["user"] = "alice"
    return "welcome"
