"""Rounds, in batches that share a store and a receiver."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from otel_sessions.stores import from_url
from otel_sessions.testing import OTLPReceiver
from otel_sessions.typing import SharedStore

from .journal import Journal
from .plan import Plan, draw, draw_hasty, finish
from .verdict import Verdict, judge

_FOREVER_NS = 2**62
_HASTY = 0.2
"""In how many of the batches after the first all workers die young."""


@dataclass(frozen=True)
class Kind:
    """How the workers of one nursery are made."""

    flush_interval: float
    delay: int
    preload: bool

    @property
    def arguments(self) -> list[str]:
        found = [f"--flush-interval={self.flush_interval}", f"--delay={self.delay}"]
        return [*found, "--preload"] if self.preload else found


class Slot:
    """A nursery, and what its workers say."""

    def __init__(self, kind: Kind, store: str, endpoint: str, log: IO[bytes]) -> None:
        self.kind = kind
        self.lines: list[str] = []
        self._died = threading.Semaphore(0)
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.faults.nursery"),
                *(f"--store={store}", f"--endpoint={endpoint}", *kind.arguments),
            ],
            cwd=Path(__file__).parents[2],
            env={name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            if line.startswith("died "):
                self._died.release()
        self._died.release()

    def live(self, plan: Plan) -> None:
        """Have a worker live and die."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{plan.dumps()}\n")
        self._process.stdin.flush()
        self._died.acquire()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._listener.join()
        self._process.stdout.close()


class Batch:
    """Some rounds with one store.

    Args:
        store: its URL; it is empty.
        seed: of the whole series; `first` is the number of the first round in it.
    """

    def __init__(self, store: str, *, seed: int, first: int, rounds: int) -> None:
        self._store = store
        self._seed = seed
        self._lives = iter(range(first, first + rounds))
        self._last = first + rounds
        self._intervals: dict[int, float] = {}
        self._drawing = threading.Lock()
        chance = random.Random(f"{seed}:{first}")
        # Not in the first one: a short series is to have sessions at all.
        self._draw = draw_hasty if chance.random() < _HASTY and first else draw
        self._kinds = [
            Kind(chance.choice((0.05, 0.2, 1.0)), chance.choice((5, 50, 500)), preload) for preload in (False, True)
        ]

    def run(self) -> Verdict:
        """All of it."""
        with tempfile.TemporaryFile() as log, OTLPReceiver() as receiver:
            with self._slots(receiver.endpoint, log) as slots:
                self._live(slots)
            verdict = self._judge(slots, receiver)
            verdict.wrong += self._left_in_store(verdict, slots)
            if verdict.violations:
                log.seek(0)
                verdict.wrong.append("what workers logged:\n" + log.read().decode()[-5_000:])
        return verdict

    @contextmanager
    def _slots(self, endpoint: str, log: IO[bytes]) -> Iterator[list[Slot]]:
        with ExitStack() as stack:
            slots = [Slot(kind, self._store, endpoint, log) for kind in self._kinds]
            for slot in slots:
                stack.callback(slot.close)
            yield slots

    def _live(self, slots: list[Slot]) -> None:
        threads = [threading.Thread(target=self._fill, args=(slot,)) for slot in slots]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._intervals[self._last] = slots[0].kind.flush_interval
        slots[0].live(finish(self._last))

    def _fill(self, slot: Slot) -> None:
        """One worker after the other."""
        while True:
            with self._drawing:
                life = next(self._lives, None)
            if life is None:
                return
            self._intervals[life] = slot.kind.flush_interval
            slot.live(self._draw(self._seed, life))

    def _judge(self, slots: list[Slot], receiver: OTLPReceiver) -> Verdict:
        journal = Journal(line for slot in slots for line in slot.lines)
        return judge(journal, receiver.spans, self._intervals, self._last)

    def _left_in_store(self, verdict: Verdict, slots: list[Slot]) -> Iterator[str]:
        """Nothing: nobody is active, nobody owes anything."""
        store = from_url(self._store, history=0, retention=None)
        assert isinstance(store, SharedStore)
        try:
            for record in store.active():
                yield f"{record.id}: still active, since {record.beginning}"
            for owner in store.owners():
                yield f"{owner}: not retired"
            store.purge(_FOREVER_NS)
            told = Journal(line for slot in slots for line in slot.lines).sessions
            owed = [session_id for session_id in told if store.get(session_id) is not None]
            if owed:
                yield f"{len(owed)} still owed: {owed[:5]}"
        finally:
            store.shutdown()
