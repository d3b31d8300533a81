"""A Flask application as anybody might have written it, with Flask's own session."""

from __future__ import annotations

import secrets

from flask import Flask, abort, session

app = Flask(__name__)
app.secret_key = secrets.token_bytes(32)


@app.get("/add/<article>")
def add(article: str) -> dict[str, list[str]]:
    """Put an article into the cart."""
    session["cart"] = [*session.get("cart", []), article]
    return {"cart": session["cart"]}


@app.get("/admin")
def admin() -> str:
    """Only for those who are logged in; nobody is."""
    abort(401)


@app.get("/checkout")
def checkout() -> str:
    """It has a mistake."""
    return str(session["address"])
