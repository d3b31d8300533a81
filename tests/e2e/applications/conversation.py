"""One of several processes that have a conversation: it does what it is told, line by line, and says what it sees."""

import sys

from opentelemetry import trace

import otel_sessions as sessions

ID = "conv-42"
tracer = trace.get_tracer("conversation")


def do(verb: str) -> object:
    """Do one step, and have it known to the others."""
    if verb == "start":
        return sessions.start("chat", id=ID, user="alice", platform="web").id
    if verb == "say":
        with sessions.resume(ID) as session, tracer.start_as_current_span("answer"):
            session.message("user")
        sessions.sweep()
    if verb == "end":
        return sessions.end(ID)
    record = sessions.get(ID)
    return None if record is None else f"{record.status} {record.totals.messages}"


for line in sys.stdin:
    print("did", line.strip(), do(line.strip()), flush=True)  # noqa: T201 - that is how it answers
