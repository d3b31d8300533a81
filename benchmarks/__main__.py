"""`python -m benchmarks` measures everything and writes docs/benchmarks.md; `--quick` looks for gross regressions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from . import peers, report, scale
from .goals import DECORATED, LIMITS, REQUESTS, Line, Table
from .harness import Measured
from .peers import NotInstalledError, Peer
from .report import PeerRow, Row
from .scale import Scale
from .scenario import ScenarioError, run

_ROUNDS = 41
_QUICK_ROUNDS = 15
_ATTEMPTS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the result is 1 if something has become much slower."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute: fails only on gross regressions")
    parser.add_argument(
        "--rounds", type=int, default=None, help=f"how many rounds; {_ROUNDS}, or {_QUICK_ROUNDS} quickly"
    )
    options = parser.parse_args(arguments)
    rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    print(report.machine())
    tables = [
        (table, rows)
        for table in (DECORATED, REQUESTS, LIMITS)
        if (rows := _rows(table, lambda line: line.quick or not options.quick, rounds))
    ]
    if not options.quick:
        report.PAGE.write_text(report.page(tables, *_peers(rounds), _scales(), rounds), encoding="utf-8")
    alarming = [row for _, rows in tables for row in rows if row.is_alarming]
    for row in alarming:
        print(f"Much slower than it was ({row.line.alarm / 1.5:.2f}): {row}", file=sys.stderr)
    return 1 if alarming else 0


def _rows(table: Table, wanted: Callable[[Line], bool], rounds: int) -> list[Row]:
    print(f"\n{table.title}")
    measured: dict[str, Measured] = {}
    rows = []
    for line in filter(wanted, table.lines):
        if line.scenario not in measured:
            measured[line.scenario] = run(line.scenario, rounds=rounds)
        row = Row.of(line, measured[line.scenario])
        for _ in range(_ATTEMPTS - 1):
            if not row.is_alarming:
                break
            # What else runs on the machine can do this for seconds at a time; a regression stays.
            row = min(row, Row.of(line, run(line.scenario, rounds=rounds)), key=lambda one: one.ratio)
        print(row)
        rows.append(row)
    return rows


def _peers(rounds: int) -> tuple[list[PeerRow], list[str]]:
    print("\nBeside other decorators")
    found = [_peer(peer, rounds) for peer in peers.PEERS]
    return [row for row in found if isinstance(row, PeerRow)], [reason for reason in found if isinstance(reason, str)]


def _scales() -> list[Scale]:
    print("\nMany open sessions")
    return [found for store, sessions in scale.SIZES.items() if (found := _scale(store, sessions)) is not None]


def _scale(store: str, sessions: int) -> Scale | None:
    try:
        found = scale.run(store, sessions)
    except ScenarioError as error:
        print(f"Left out: {error}")
        return None
    print(found)
    return found


def _peer(peer: Peer, rounds: int) -> PeerRow | str:
    """The figures of a peer, or why there are none."""
    try:
        peers.install(peer)
        row = PeerRow.of(peer.name, run(f"peers:{peer.scenario}", rounds=rounds, python=peers.python()))
    except (NotInstalledError, ScenarioError) as error:
        print(f"Left out: {peer.name}: {error}")
        return f"{peer.name}: {error}"
    print(row)
    return row


if __name__ == "__main__":
    sys.exit(main())
