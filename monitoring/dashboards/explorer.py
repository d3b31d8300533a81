"""Session explorer: from a session's id to its traces, its logs and the sessions around it."""

from __future__ import annotations

from typing import Final

from . import variables
from .board import Board, Row
from .links import to_session
from .lookups import counted_records, records, spans
from .queries import explorer as ask

_LATEST: Final = Row(
    question="Which session shall it be?",
    height=7,
    panels=[
        spans("Latest sessions", "Sessions that ended lately. Their ids lead here.", ask.RECENT, link=to_session()),
        spans(
            "Latest failures", "Sessions that ended in an error. Their ids lead here.", ask.FAILED, link=to_session()
        ),
    ],
)

_THE_SESSION: Final = Row(
    question="What was this session?",
    height=5,
    panels=[
        spans(
            "Session",
            "The session's own span, or its parts: how it ended, where it was used. The trace id leads to the trace. "
            "A durable session has no span before it has ended, unless `max_span_duration` is set.",
            ask.SESSION,
        )
    ],
)

_TRACE: Final = Row(
    question="What ran in it?",
    height=11,
    panels=[
        spans(
            "Traces and spans",
            "Everything that was done in the session, whichever request it belongs to. Each leads to its trace.",
            ask.SPANS,
            limit=100,
        )
    ],
)

_LOGS: Final = Row(
    question="What did it say?",
    height=10,
    widths=(18, 6),
    panels=[
        records(
            "Logs", "All log records and log events made in the session; their details lead to the trace.", ask.LOGS
        ),
        counted_records("Log records", "How many there were, by level.", ask.LOG_COUNTS, "{{detected_level}}"),
    ],
)

_AROUND: Final = Row(
    question="Which sessions are connected with it?",
    height=6,
    panels=[
        spans(
            "Inner and following sessions",
            "Sessions started in it, and the one that goes on after it under a new id. Their ids lead here.",
            ask.AROUND,
            link=to_session(),
        )
    ],
)

BOARD: Final = Board(
    uid="app-session-explorer",
    description="One session, chosen or by its id: its trace, its logs, what ran in it, and the sessions around it.",
    variables=[
        variables.session_id(),
        variables.prometheus(),
        variables.tempo(),
        variables.loki(),
        variables.job(),
        variables.session_type(),
        variables.service(),
    ],
    rows=[_LATEST, _THE_SESSION, _TRACE, _LOGS, _AROUND],
)
