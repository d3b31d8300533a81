"""Many open sessions at once: what each store takes for them, and how long it keeps others waiting.

`python -m benchmarks.scale memory 1000000` measures one store in a process of its own.
"""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from otel_sessions._models import Reservation
from otel_sessions.stores import from_url
from otel_sessions.typing import Beginning, Store, Totals

from .scenario import ROOT, ScenarioError

_SECOND: Final = 1_000_000_000
_START: Final = 1_767_225_600 * _SECOND
_IDLE: Final = 1_800
_BATCH: Final = 100
_TIMEOUT_SECONDS: Final = 900

SIZES: Final = {"memory": 1_000_000, "sqlite": 100_000, "redis": 100_000}
"""How many open sessions each store is measured with."""


class Scale(NamedTuple):
    """The figures of one store: microseconds for each session, unless it says otherwise."""

    store: str
    sessions: int
    bytes_each: float | None
    """What an open session takes of this process's memory; None if it lies elsewhere."""
    start: float
    merge: float
    end: float
    expire: float
    counts_ms: float
    """What the metric of active sessions takes, milliseconds."""
    collection_ms: float
    """A full garbage collection with all of them open, less one without, milliseconds."""
    tick_ms: float
    """The longest that a look for expired sessions took before it yielded the next ones, milliseconds."""


def run(store: str, sessions: int) -> Scale:
    """Measure `store` in a process of its own.

    Raises:
        ScenarioError: it could not be measured.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, "-m", "benchmarks.scale", store, str(sessions)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
    )
    if done.returncode:
        raise ScenarioError(f"{store}: {done.stderr.strip().splitlines()[-1:]}")
    return Scale(*json.loads(done.stdout.splitlines()[-1]))


def measure(name: str, store: Store, sessions: int) -> Scale:
    """Open `sessions`, use and end some of them, and let the others expire."""
    ids = [f"{random.getrandbits(128):032x}" for _ in range(sessions)]
    gc.collect()
    memory, collection = _resident(), _collection_ms()
    start = _each(sessions, lambda: [store.create(_beginning(number, name)) for number, name in enumerate(ids)])
    # The garbage collector looks at what is new before it can leave it alone.
    gc.collect()
    memory, collection = _resident() - memory, _collection_ms() - collection
    counts = _each(1, store.counts) / 1_000
    used = random.sample(ids, min(sessions, 20_000))
    merge = _each(len(used), lambda: [store.merge(batch) for batch in _batches(used)])
    ended = used[: len(used) // 4]
    end = _each(len(ended), lambda: [_close(store, one) for one in ended])
    left = sessions - len(ended)
    later = _START + sessions * 1_000 + 2 * _IDLE * _SECOND
    # A list of a million texts is something that the garbage collector goes through.
    ids.clear()
    used.clear()
    ticks = [0.0]
    expire = _each(left, lambda: _expire(store, later, ticks))
    in_process = memory / sessions if name == "memory" else None
    return Scale(name, sessions, in_process, start, merge, end, expire, counts, collection, ticks[0])


def _beginning(number: int, session_id: str) -> Beginning:
    key = f"k{session_id}{number:08x}"
    started = _START + number * 1_000
    reservation = Reservation(random.getrandbits(128), random.getrandbits(64), 1, "", 2)
    idle = _IDLE * _SECOND
    return Beginning(
        session_id, "web", "durable", started, key, platform="web", idle_timeout_ns=idle, reservation=reservation
    )


def _batches(ids: list[str]) -> Iterator[dict[str, Totals]]:
    for first in range(0, len(ids), _BATCH):
        yield {one: _delta() for one in ids[first : first + _BATCH]}


def _delta() -> Totals:
    delta = Totals(_START + _IDLE * _SECOND)
    delta.requests = 1
    return delta


def _close(store: Store, session_id: str) -> object:
    return store.close(session_id, status="expired", reason="idle_timeout", ended_ns=_START + _IDLE * _SECOND)


def _expire(store: Store, now_ns: int, ticks: list[float]) -> None:
    """End all that is due; how long the longest look for more took goes into `ticks`, in milliseconds."""
    due = iter(store.due(now_ns))
    while True:
        began = time.thread_time()
        record = next(due, None)
        ticks[0] = max(ticks[0], (time.thread_time() - began) * 1e3)
        if record is None:
            return
        _close(store, record.id)


def _each(times: int, work: Callable[[], object]) -> float:
    """Microseconds of this process's time that `work` takes for each of `times`."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / times * 1e6


def _collection_ms() -> float:
    began = time.perf_counter()
    gc.collect()
    return (time.perf_counter() - began) * 1e3


def _resident() -> int:
    """The memory of this process, in bytes; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def _store(name: str) -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as directory:
        if name != "redis":
            store = from_url({"memory": "memory://"}.get(name, f"sqlite:///{directory}/sessions.db"))
            yield store
            store.shutdown()
            return
        server, url = _redis(directory)
        try:
            store = from_url(url)
            yield store
            store.shutdown()
        finally:
            server.kill()
            server.wait()


def _redis(directory: str) -> tuple[subprocess.Popen[bytes], str]:
    program = shutil.which("redis-server")
    if program is None:
        raise ScenarioError("redis-server is not installed")
    path = f"{directory}/redis.sock"
    options = ["--port", "0", "--unixsocket", path, "--dir", directory, "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    for _ in range(1_000):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                break
        time.sleep(0.01)
    return server, f"unix://{path}?timeout=30"


def main(name: str, sessions: str) -> None:
    """Measure here, and print the figures."""
    with _store(name) as store:
        print(json.dumps(measure(name, store, int(sessions))))


if __name__ == "__main__":
    main(*sys.argv[1:])
