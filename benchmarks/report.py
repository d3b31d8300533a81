"""What was measured, as text: lines for the terminal, and docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import textwrap
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from .goals import Line, Table
from .harness import Measured
from .scale import Scale

PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"

_WIDTH: Final = 120
_PACKAGES: Final = (
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-fastapi",
    "opentelemetry-instrumentation-flask",
    "fastapi",
    "starlette",
    "flask",
)
_INTRODUCTION: Final = """\
# What it costs

Microseconds. This page is written by `make bench`, which measures everything side by side in one run; compare ratios
between machines, not times. A ratio is the median of the ratios within one round; in brackets stand their quartiles.

{machine}
"""
_METHOD: Final = """\
## How it is measured

Each comparison runs in a process of its own, pinned to one core, with the garbage collector on. Its cases take turns in
random order, in blocks of five milliseconds, {rounds} rounds; the empty loop is subtracted. The clock is the CPU time
of the process, the background thread included, because no case waits for anything: there are no sockets, and the SDK's
processors do nothing. Exporting costs the same with and without sessions, for each span and event.

`python -m benchmarks --quick` takes half a minute and fails only if something has become half as slow again.
"""


class Row(NamedTuple):
    """A line with its figures; times in microseconds."""

    line: Line
    base: float
    case: float
    ratio: float
    quartiles: tuple[float, float]
    added: float

    @classmethod
    def of(cls, line: Line, measured: Measured) -> Row:
        """Work out the figures of `line`."""
        return cls(
            line,
            measured.nanoseconds(line.base) / 1e3,
            measured.nanoseconds(line.case) / 1e3,
            measured.ratio(line.case, line.base),
            measured.quartiles(line.case, line.base),
            measured.added_nanoseconds(line.case, line.base) / 1e3,
        )

    @property
    def verdict(self) -> str:
        """The goal, and whether it is met."""
        if self.line.goal is None:
            return ""
        return f"{self.line.goal:.2f}, {'met' if self.ratio <= self.line.goal else 'missed'}"

    @property
    def is_alarming(self) -> bool:
        """Whether it is much slower than it was, in three rounds of four: other load makes some rounds slow."""
        return self.quartiles[0] > self.line.alarm

    def __str__(self) -> str:
        return (
            f"{self.line.what:<60} {_figure(self.base):>8} {_figure(self.case):>8} µs  x{self.ratio:<5.2f} "
            f"{_figure(self.added, sign='+')} µs  {self.verdict and f'(goal {self.verdict})'}"
        ).rstrip()


class PeerRow(NamedTuple):
    """A peer beside a span written by hand, and a session beside that peer."""

    name: str
    time: float
    over_hand: float
    session: float
    session_over_peer: float

    @classmethod
    def of(cls, name: str, measured: Measured) -> PeerRow:
        """Work out the figures of a peer."""
        return cls(
            name,
            measured.nanoseconds("peer") / 1e3,
            measured.ratio("peer", "by hand"),
            measured.nanoseconds("session") / 1e3,
            measured.ratio("session", "peer"),
        )

    def __str__(self) -> str:
        return (
            f"{self.name:<44} {_figure(self.time):>8} µs, x{self.over_hand:.2f} of a span by hand;"
            f" a session {_figure(self.session)} µs, x{self.session_over_peer:.2f} of the peer"
        )


def page(
    tables: Iterable[tuple[Table, Sequence[Row]]],
    peers: Sequence[PeerRow],
    skipped: Sequence[str],
    scales: Sequence[Scale],
    rounds: int,
) -> str:
    """The documentation's page."""
    parts = [_INTRODUCTION.format(machine=textwrap.fill(machine(), _WIDTH))]
    parts += [_table(table, rows) for table, rows in tables]
    parts += [_peers(peers, skipped), _scales(scales), _METHOD.format(rounds=rounds)]
    return "\n".join(parts)


def _table(table: Table, rows: Sequence[Row]) -> str:
    lines = [
        f"| {row.line.what} | {_figure(row.base)} | {_figure(row.case)} | {row.ratio:.2f}"
        f" ({row.quartiles[0]:.2f} to {row.quartiles[1]:.2f}) | {_figure(row.added)} | {row.verdict} |"
        for row in rows
    ]
    head = f"| | {rows[0].line.base} | {rows[0].line.case} | ratio | added | goal |\n|---|---|---|---|---|---|"
    return "\n".join([f"## {table.title}", "", textwrap.fill(table.about, _WIDTH), "", head, *lines, ""])


def _peers(rows: Sequence[PeerRow], skipped: Sequence[str]) -> str:
    about = (
        "Decorators of other packages in their cheapest form, without arguments and results: "
        "their time, its ratio to a "
        "span and two attributes in a `with` statement, the time of a session of which the span alone is emitted, and "
        "its ratio to the peer's. The goal was half of the cheapest peer."
    )
    head = "| | peer | over by hand | session | over the peer |\n|---|---|---|---|---|"
    lines = [
        f"| {row.name} | {_figure(row.time)} | {row.over_hand:.2f}"
        f" | {_figure(row.session)} | {row.session_over_peer:.2f} |"
        for row in rows
    ]
    left_out = [f"\nLeft out: {textwrap.shorten(reason, 200)}\n" for reason in skipped]
    return "\n".join(["## Beside other decorators", "", textwrap.fill(about, _WIDTH), "", head, *lines, "", *left_out])


def _scales(scales: Sequence[Scale]) -> str:
    about = (
        "Microseconds of this process's time for each session, with so many open: to start one, to merge what happened "
        "in it (in batches of a hundred), to end it, to find it expired and end it. A full garbage collection of an "
        "application takes so much longer with all of them open. The longest look is the most that others wait in one "
        "piece while what has expired is looked for. The bytes are without the ids, which the application has, too (81 "
        "each). What is aimed at for a million in memory: 450 bytes each, ids included, a look of 2 ms, and a "
        "collection of 20 ms."
    )
    head = (
        "| store | open | bytes each | start | merge | end | expire | longest look | count all | garbage collection |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    lines = [
        f"| {one.store} | {one.sessions:,} | {'' if one.bytes_each is None else f'{one.bytes_each:.0f}'}"
        f" | {_figure(one.start)} | {_figure(one.merge)} | {_figure(one.end)} | {_figure(one.expire)}"
        f" | {one.tick_ms:.1f} ms | {one.counts_ms:.1f} ms | +{max(0, one.collection_ms):.0f} ms |"
        for one in scales
    ]
    return "\n".join(["## Many open sessions", "", textwrap.fill(about, _WIDTH), "", head, *lines, ""])


def machine() -> str:
    """What this was measured on, and with which versions."""
    packages = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    return (
        f"Measured on {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"{platform.python_implementation()} {platform.python_version()}, {packages}."
    )


def _processor() -> str:
    try:
        information = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "an unnamed processor"
    models = (line.partition(":")[2].strip() for line in information.splitlines() if line.startswith("model name"))
    return next(models, platform.processor() or "an unnamed processor")


def _figure(microseconds: float, *, sign: str = "") -> str:
    """Three significant digits, roughly; with a sign in any case if that is "+"."""
    digits = 2 if abs(microseconds) < 1 else 1 if abs(microseconds) < 100 else 0
    return f"{microseconds:{sign}.{digits}f}"
