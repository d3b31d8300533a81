"""Limits that many processes share: real processes, real Redis, real SIGKILL."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import otel_sessions
from otel_sessions import ConcurrencyExceededError
from otel_sessions.limits import Concurrency, Quota, Rate, Tier
from otel_sessions.stores import from_url
from otel_sessions.typing import Store

from .store_urls import store_url

PROCESSES = 4
THREADS = 100
ASKS = 5

TIER = Tier(
    "trial",
    Quota("tokens", 700, per="day"),
    Quota("api_calls", 10**6, per="24 hours"),
    Rate("upload", "300/hour"),
    Concurrency("file", 3, ttl=60),
)

RACE = f"""
import sys, threading
import otel_sessions
from otel_sessions import QuotaExceededError, RateLimitedError
from otel_sessions.limits import *
TIER = {TIER!r}
otel_sessions.configure(store=sys.argv[1], tiers=[TIER], limit_failure="closed", pseudonym_key="k" * 32)
session = otel_sessions.start("race", user="u1", tier="trial")
allowed = {{"tokens": [], "upload": []}}
ready = threading.Barrier({THREADS} + 1)

def ask():
    ready.wait()
    for _ in range({ASKS}):
        try:
            session.admit(uses={{"tokens": 1, "api_calls": 1}})
            allowed["tokens"].append(1)
        except QuotaExceededError:
            pass
        try:
            session.check_rate("upload")
            allowed["upload"].append(1)
        except RateLimitedError:
            pass

threads = [threading.Thread(target=ask) for _ in range({THREADS})]
for thread in threads:
    thread.start()
print("ready", flush=True)
sys.stdin.readline()
ready.wait()
for thread in threads:
    thread.join()
print(len(allowed["tokens"]), len(allowed["upload"]), flush=True)
"""

HOLD = f"""
import sys
import otel_sessions
from otel_sessions.limits import *
TIER = {TIER!r}
otel_sessions.configure(store=sys.argv[1], tiers=[TIER], limit_failure="closed", pseudonym_key="k" * 32)
session = otel_sessions.start("hold", user="u1", tier="trial")
held = [session.lease("file") for _ in range(3)]
for lease in held:
    lease.acquire()
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(name="url", params=["sqlite", "redis"])
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return store_url(request.param, tmp_path)


@pytest.fixture(name="store")
def _store(url: str) -> Iterator[Store]:
    store = from_url(url)
    yield store
    store.shutdown()


Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture(name="start")
def _start(url: str) -> Iterator[Start]:
    """Starts processes that run some code; they are gone after the test."""
    with contextlib.ExitStack() as stack:

        def start(code: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def line(process: subprocess.Popen[str]) -> str:
    """What it says next."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    """Let it go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


class TestRace:
    def test_exactly(self, url: str, start: Start) -> None:
        """100 threads in each of 4 processes ask for more than there is: they get all of it, and not one more."""
        processes = [start(RACE) for _ in range(PROCESSES)]
        assert ["ready"] * PROCESSES == [line(process) for process in processes]
        for process in processes:
            go_on(process)
        counts = [[int(number) for number in line(process).split()] for process in processes]
        assert [0] * PROCESSES == [process.wait(60) for process in processes]
        assert [700, 300] == [sum(column) for column in zip(*counts, strict=True)]
        otel_sessions.configure(store=url, pseudonym_key="k" * 32, tiers=[TIER])
        after = otel_sessions.start("after", user="u1", tier="trial")
        # Of what was refused nothing was consumed of the other quota either.
        assert {"tokens": 700, "api_calls": 700} == {status.name: status.used for status in after.quotas()}


class TestKilled:
    def test_slots_return(self, url: str, store: Store, start: Start) -> None:
        """What a process held that was killed comes back within the time to live; until then it is nobody else's."""
        process = start(HOLD)
        assert "held" == line(process)
        otel_sessions.configure(store=url, pseudonym_key="k" * 32, limit_failure="closed", tiers=[TIER])
        s = otel_sessions.start("other", user="u1", tier="trial")
        os.kill(process.pid, signal.SIGKILL)
        assert -signal.SIGKILL == process.wait(10)
        lease = s.lease("file")
        with pytest.raises(ConcurrencyExceededError) as raised:
            lease.acquire()
        assert raised.value.retry_after is not None
        assert 0 < raised.value.retry_after <= 60
        # What was refused took nothing, and gives nothing back.
        lease.release()
        with pytest.raises(ConcurrencyExceededError):
            s.lease("file").acquire()
        # Whose slots they are stands in the name: the user's pseudonym.
        bucket = TIER.concurrency["file"].bucket(f"file|user|{s.user}")
        now = store.limits.admit([]).now_us
        (before,) = store.limits.levels([bucket], now)
        (after,) = store.limits.levels([bucket], now + 60_000_000)
        assert (3, 0) == (before.used, after.used)

    def test_end(self, url: str, start: Start) -> None:
        """A process that ends gives back what it holds."""
        process = start(HOLD)
        assert "held" == line(process)
        go_on(process)
        assert 0 == process.wait(30)
        otel_sessions.configure(store=url, pseudonym_key="k" * 32, limit_failure="closed", tiers=[TIER])
        with (
            otel_sessions.start("other", user="u1", tier="trial") as s,
            s.lease("file"),
            s.lease("file"),
            s.lease("file"),
        ):
            pass
