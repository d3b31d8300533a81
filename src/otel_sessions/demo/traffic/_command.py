"""The course of the traffic: set up, let live, stop."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import otel_sessions as sessions

from ..applications._export import export_over_otlp
from ._conversations import be_noticed, converse, feast
from ._faults import ACCESS, CROWD, DROPS, LOGS, QUOTAS, REFUSALS, STORE
from ._options import pace_of, parser
from ._pace import Pace
from ._population import Population, live, stop_when_told
from ._settings import STORE as STORE_VARIABLE
from ._settings import configure, shared
from ._shop import Server, missing, shop
from ._troubles import can_be_obstructed, come_late, fill_log, hammer, linger, obstruct_store
from ._visits import try_passwords, visit
from ._worker import WorkerError, keep_worker

_CONVERSATIONS: Final = 12
_VISITORS: Final = 20
_CROWD: Final = 120


def main(arguments: Sequence[str], *, program: str) -> int:
    """Have traffic until this process is told to end; returns the exit code."""
    options = parser(program)
    told = options.parse_args(arguments)
    pace = pace_of(told)
    if pace.has(LOGS) and told.log_file is None:
        options.error("the fault 'logs' needs --log-file")
    with ExitStack() as held:
        directory = held.enter_context(TemporaryDirectory(prefix="otel-sessions-traffic-"))
        os.environ.update(shared(directory, told.store))
        if pace.has(STORE) and not can_be_obstructed(os.environ[STORE_VARIABLE]):
            options.error(f"the fault 'store' needs SQLite or Redis, not {told.store.partition(':')[0]}")
        if told.log_file is not None:
            _log_to(told.log_file)
        try:
            configure(pace)
        except sessions.SessionsError as failure:
            options.error(f"--store: {str(failure).removeprefix('store: ')}")
        held.callback(sessions.shutdown)
        export_over_otlp()
        try:
            address = _serve(held, pace, told.host, told.port)
        except OSError as failure:
            print(f"cannot listen at {told.host}:{told.port}: {failure}", file=sys.stderr)
            return 1
        _say(pace, address)
        try:
            asyncio.run(_run(pace, address, told.seconds, told.log_file))
        except WorkerError as failure:
            print(failure, file=sys.stderr)
            return 1
    return 0


async def _run(pace: Pace, address: str | None, seconds: float, log_file: Path | None) -> None:
    stop = stop_when_told(seconds)
    populations = [*_usual(address), *_trouble(pace, address, log_file)]
    await live(pace, populations, keep_worker(pace), stop=stop)


def _usual(address: str | None) -> list[Population]:
    found = [Population("conversation", _CONVERSATIONS, converse), Population("unusual", 1, be_noticed)]
    if address is not None:
        found.append(Population("visitor", _VISITORS, functools.partial(visit, address=address)))
    return found


def _trouble(pace: Pace, address: str | None, log_file: Path | None) -> list[Population]:
    """Who acts because of a fault; what else faults do, the usual actors do."""
    found = {
        REFUSALS: Population("hammer", 2, hammer),
        QUOTAS: Population("feast", 1, feast),
        CROWD: Population("lingerer", _CROWD, linger),
        STORE: Population("obstructor", 1, obstruct_store),
        DROPS: Population("latecomer", 1, come_late),
    }
    if address is not None:
        found[ACCESS] = Population("stranger", 2, functools.partial(try_passwords, address=address))
    if log_file is not None:
        found[LOGS] = Population("writer", 1, functools.partial(fill_log, path=log_file))
    return [population for fault, population in found.items() if pace.has(fault)]


def _serve(held: ExitStack, pace: Pace, host: str, port: int) -> str | None:
    """The address of the web application; None if it cannot be, for want of a package."""
    if missing():
        return None
    return held.enter_context(Server(shop(pace, pace.chances("shop")), host, port)).address


def _log_to(path: Path) -> None:
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)


def _say(pace: Pace, address: str | None) -> None:
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "the default endpoint")
    print(f"traffic at speed {pace.speed:g}, seed {pace.seed}, to {endpoint}", flush=True)
    if address is None:
        print(f"without a web application; for one: pip install {' '.join(map(repr, missing()))}", flush=True)
    else:
        print(f"its web application: {address}", flush=True)
    for name in sorted(pace.faults):
        print(f"fault: {name}", flush=True)
