"""`python -m benchmarks` measures everything and writes docs/benchmarks.md; `--quick` looks for gross regressions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from . import peers, report
from .goals import TABLES, Line, Table
from .harness import Measured
from .peers import NotInstalledError, Peer
from .report import PeerRow, Row
from .scenario import ScenarioError, run

_ATTEMPTS: Final = 3


class Effort(NamedTuple):
    """How long to look."""

    processes: int
    rounds: int

    def measure(self, scenario: str, python: str = sys.executable) -> Measured:
        """Measure a scenario."""
        return run(scenario, rounds=self.rounds, processes=self.processes, python=python)


FULL: Final = Effort(processes=7, rounds=9)
QUICK: Final = Effort(processes=3, rounds=5)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the result is 1 if something has become much slower."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute: fails only on gross regressions")
    options = parser.parse_args(arguments)
    print(report.machine())
    if options.quick:
        tables = [_rows(table, QUICK, [line for line in table.lines if line.quick]) for table in TABLES]
    else:
        tables = [_rows(table, FULL, table.lines) for table in TABLES]
        found = _peers(FULL)
        report.PAGE.write_text(report.page(zip(TABLES, tables, strict=True), found, FULL.rounds), encoding="utf-8")
    alarming = [row for rows in tables for row in rows if row.is_alarming]
    for row in alarming:
        print(f"Much slower than it was: {row}", file=sys.stderr)
    return 1 if alarming else 0


def _rows(table: Table, effort: Effort, lines: Sequence[Line]) -> list[Row]:
    print(f"\n{table.title}")
    measured: dict[str, Measured] = {}
    rows = []
    for line in lines:
        if line.scenario not in measured:
            measured[line.scenario] = effort.measure(line.scenario)
        rows.append(_settled(Row.of(line, measured[line.scenario]), effort))
        print(rows[-1])
    return rows


def _settled(row: Row, effort: Effort) -> Row:
    """`row`, or a better one: what else runs on the machine passes, a regression stays."""
    for _ in range(_ATTEMPTS - 1):
        if not row.is_alarming:
            break
        row = min(row, Row.of(row.line, effort.measure(row.line.scenario)), key=lambda one: one.ratio)
    return row


def _peers(effort: Effort) -> list[PeerRow | str]:
    """The figures of each peer, or why there are none."""
    print("\nBeside other decorators")
    found = [_peer(peer, effort) for peer in peers.PEERS]
    print(*found, sep="\n")
    return found


def _peer(peer: Peer, effort: Effort) -> PeerRow | str:
    try:
        peers.install(peer)
        return PeerRow.of(peer.name, effort.measure(f"peers:{peer.scenario}", peers.python()))
    except (NotInstalledError, ScenarioError) as error:
        return f"{peer.name} is left out: {error}"


if __name__ == "__main__":
    sys.exit(main())
