"""The command line: `python -m tests.faults --rounds 1000 --store redis`."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import redis_server

from .series import Batch
from .verdict import Verdict

_BATCH = 50


@contextmanager
def sqlite() -> Iterator[Callable[[], str]]:
    """Makes URLs of new SQLite files."""
    with tempfile.TemporaryDirectory() as directory:
        yield lambda: f"sqlite:///{Path(directory, secrets.token_hex(4))}.db?timeout=20"


@contextmanager
def redis() -> Iterator[Callable[[], str]]:
    """Makes URLs of new deployments in a Redis of our own."""
    server = redis_server.RedisServer()
    try:
        yield lambda: f"{server.url}?prefix={secrets.token_hex(4)}&timeout=20"
    finally:
        server.stop()


STORES = {"sqlite": sqlite, "redis": redis}


def run(store: str, rounds: int, seed: int, *, first: int = 0, batch: int = _BATCH) -> Verdict:
    """A series of rounds on one kind of store."""
    verdict = Verdict()
    with STORES[store]() as new_url:
        while verdict.rounds < rounds:
            at = first + verdict.rounds
            verdict.add(Batch(new_url(), seed=seed, first=at, rounds=min(batch, rounds - verdict.rounds)).run())
    return verdict


def report(store: str, verdict: Verdict, seconds: float, seed: int) -> None:
    """One line, and what was wrong."""
    print(
        f"{store}: {verdict.rounds} rounds, {verdict.sessions} sessions, {len(verdict.lost)} lost, "
        f"{len(verdict.doubled)} doubled, {len(verdict.wrong)} otherwise wrong, "
        f"{verdict.resent} sent again as the same, {seconds:.0f} s, seed {seed}; "
        f"ended by {', '.join(f'{reason} {count}' for reason, count in verdict.ends.most_common())}",
        flush=True,
    )
    for violation in verdict.violations:
        print(f"  {violation}", file=sys.stderr)


def main() -> int:
    """Run what is asked for; 1 if anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="how many workers are killed, for each store")
    parser.add_argument("--store", choices=[*STORES, "both"], default="both")
    parser.add_argument("--seed", type=int, default=None, help="repeats the plans of a series")
    parser.add_argument("--first", type=int, default=0, help="the number of the first round")
    arguments = parser.parse_args()
    if arguments.store != "sqlite" and shutil.which("redis-server") is None:
        parser.error("redis-server is not installed: run .ci/install-redis, or choose --store sqlite")
    seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
    failed = False
    for store in STORES if arguments.store == "both" else [arguments.store]:
        began = time.monotonic()
        verdict = run(store, arguments.rounds, seed, first=arguments.first)
        report(store, verdict, time.monotonic() - began, seed)
        failed = failed or bool(verdict.violations)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
