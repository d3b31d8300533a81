"""A conversation that every message resumes.

Run it with `python examples/chat.py`, and write; an empty line ends the conversation. To see what it sends:

    opentelemetry-instrument --traces_exporter console --logs_exporter console --metrics_exporter console \\
        python examples/chat.py
"""

import sys

import otel_sessions as sessions

CONVERSATION = "conversation-42"


def reply(question: str) -> str:
    with sessions.resume(CONVERSATION) as chat, chat.turn(model="word-counter") as turn:
        words = len(question.split())
        answer = f"I counted {words} words."
        turn.tokens(input=words, output=len(answer.split()))
        turn.cost(words * 0.00002, "USD")
        return answer


def main() -> None:
    sessions.start("chat", id=CONVERSATION, user="ada", tier="pro", idle_timeout=900)
    for line in sys.stdin:
        if not line.strip():
            break
        print(reply(line))
    sessions.end(CONVERSATION)


if __name__ == "__main__":
    main()
