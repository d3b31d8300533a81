"""Two conversations as durable sessions: one is resumed for every message and ended, one is left until it expires."""

from __future__ import annotations

import time

from opentelemetry import trace

import otel_sessions as sessions

from ._export import export_over_otlp

_MODEL = "word-counter"
_PRICE_PER_TOKEN = 0.00002
_QUESTIONS = (
    "How long may a conversation pause before it is over?",
    "And who may resume it?",
    "Thank you, that is all.",
)


def answer(question: str) -> str:
    """What stands for a model: it counts words."""
    with trace.get_tracer(__name__).start_as_current_span("answer"):
        time.sleep(0.01 * len(question.split()))
        return f"I counted {len(question.split())} words."


def exchange(conversation: str, question: str) -> None:
    """One request of a conversation: it knows the conversation's id and nothing else."""
    with sessions.resume(conversation) as chat, chat.turn(model=_MODEL) as turn:
        reply = answer(question)
        asked, replied = len(question.split()), len(reply.split())
        turn.tokens(input=asked, output=replied)
        turn.cost((asked + replied) * _PRICE_PER_TOKEN, "USD")


def main() -> None:
    """Hold the conversations."""
    sessions.start("chat", id="conversation-7", user="grace", tier="free", idle_timeout=1.0)
    exchange("conversation-7", "Is anybody there?")

    chat = sessions.start("chat", id="conversation-42", user="ada", tier="pro", platform="web")
    for question in _QUESTIONS:
        exchange("conversation-42", question)
        if question == _QUESTIONS[0]:
            chat.switch_platform("web", "mobile", duration=0.4)
            chat.suspicious("device_change", score=0.86)
    sessions.end("conversation-42")

    while sessions.active():
        time.sleep(0.05)


if __name__ == "__main__":
    export_over_otlp()
    main()
