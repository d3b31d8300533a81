"""What workers say of their sessions, line by line, in a pipe: a line is written as a whole or not at all."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from otel_sessions import Session

Identity = tuple[str, str]
"""Trace id and span id, hexadecimal."""


class Pen:
    """Writes the lines of one worker."""

    def __init__(self, pipe: int, life: int) -> None:
        self._pipe = pipe
        self._life = life

    def _write(self, kind: str, *words: object) -> None:
        line = " ".join(map(str, (kind, self._life, time.time_ns(), *words)))
        os.write(self._pipe, f"{line}\n".encode())

    def started(self, session: Session) -> None:
        """It was handed out just now: from here on it must not be lost."""
        context = session.span_context
        self._write("started", session.id, f"{context.trace_id:032x}", f"{context.span_id:016x}")

    def counting(self, session_id: str) -> None:
        """One more is about to be counted in it."""
        self._write("counting", session_id)

    def counted(self, session_id: str) -> None:
        """That has been counted."""
        self._write("counted", session_id)

    def ending(self, session_id: str, status: str) -> None:
        """It is about to be ended."""
        self._write("ending", session_id, status, threading.get_ident())

    def ended(self, session_id: str, status: str) -> None:
        """That has been done, by this thread of this worker."""
        self._write("ended", session_id, status, threading.get_ident())

    def died(self) -> None:
        """The worker is no more."""
        self._write("died")


class Count(NamedTuple):
    """One thing counted in a session."""

    life: int
    time_ns: int


class Ending(NamedTuple):
    """An end that a thread of a worker was about to make, or made."""

    life: int
    time_ns: int
    status: str
    thread: int


class Told:
    """What workers have told about one session."""

    def __init__(self) -> None:
        self.identities: Counter[Identity] = Counter()
        self.counting = 0
        self.counted: list[Count] = []
        self.ending: list[Ending] = []
        self.ended: list[Ending] = []
        self.lives: set[int] = set()


class Journal:
    """All that was told."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.sessions: defaultdict[str, Told] = defaultdict(Told)
        self.died: dict[int, int] = {}
        self.answered: dict[int, int] = {}
        """When each worker last saw a session for the first time: then the store has answered it."""
        for line in lines:
            kind, life, time_ns, *words = line.split()
            self._read(kind, int(life), int(time_ns), words)

    def _read(self, kind: str, life: int, time_ns: int, words: list[str]) -> None:
        if kind == "died":
            self.died[life] = time_ns
            return
        told = self.sessions[words[0]]
        if life not in told.lives:
            self.answered[life] = time_ns
        told.lives.add(life)
        if kind == "started":
            told.identities[words[1], words[2]] += 1
        elif kind == "counting":
            told.counting += 1
        elif kind == "counted":
            told.counted.append(Count(life, time_ns))
        else:
            {"ending": told.ending, "ended": told.ended}[kind].append(Ending(life, time_ns, words[1], int(words[2])))
