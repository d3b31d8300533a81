"""A FastAPI application as anybody might have written it."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException

app = FastAPI(title="Conversations")


@app.get("/ask")
def ask(question: str) -> dict[str, int]:
    """Answer a question with the number of its words."""
    return {"words": len(question.split())}


@app.get("/settings")
def settings() -> None:
    """Only for those who are logged in; nobody is."""
    raise HTTPException(status_code=401, detail="log in first")


@app.get("/export")
def export() -> float:
    """It has a mistake."""
    return 1 / 0
