"""`otel-sessions health`: how the sessions in a store are, for people and for scripts."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

import otel_sessions as sessions

from .. import _thresholds
from .._health.judge import unreachable
from .._health_check import told
from ..exceptions import ConfigurationError, StoreError
from ._failure import Failure, explained
from ._output import AsJson, cell, console, table, write_json
from ._store import StoreUrl, opened

_CODES: Final = {"healthy": 0, "degraded": 1, "unhealthy": 2}
_UNKNOWN: Final = 2
"""What a script is told that learns nothing: not that it is merely degraded."""

_STYLES: Final = {"ok": "green", "info": "cyan", "warning": "yellow", "error": "red", "critical": "bold red"}

Thresholds = Annotated[
    list[str] | None,
    typer.Option("--threshold", metavar="NAME=VALUE", help="Where a problem begins; may be given several times."),
]


def show(*, store: StoreUrl = None, threshold: Thresholds = None, as_json: AsJson = False) -> None:
    """How the sessions in a store are; leaves with 0 if they are healthy, 1 if degraded, 2 if unhealthy or not known.

    For example: otel-sessions health --store sqlite:///sessions.db --threshold active_sessions=500
    """
    with explained(_UNKNOWN):
        report = _report(store, _parsed(threshold or []))
    if as_json:
        write_json(report.to_dict())
    else:
        _print(report)
    raise typer.Exit(_CODES[report.verdict])


def _parsed(given: Iterable[str]) -> dict[str, float]:
    try:
        return _thresholds.parse(",".join(given))
    except ConfigurationError as error:
        raise Failure(f"--threshold: {error}") from error


def _report(store: str | None, thresholds: dict[str, float]) -> sessions.HealthReport:
    try:
        with opened(store):
            return sessions.health(thresholds=thresholds, in_process=False)
    except StoreError as error:
        # It cannot even be opened, which is an answer.
        return unreachable(time.time_ns(), str(error))


def _print(report: sessions.HealthReport) -> None:
    out = console()
    out.print(Text(f"{report.verdict}, {report.time:%Y-%m-%d %H:%M:%S} UTC", style="bold"))
    out.print(_table(report))
    for problem in report.problems:
        out.print(Text.assemble("\n", (problem.type, "bold"), ": ", cell(problem.recommended_action)))
        if problem.reason:
            out.print(cell(problem.reason))


def _table(report: sessions.HealthReport) -> Table:
    rest = (check for check in report.checks if check.is_ok)
    return table(
        ["severity", "check", "component", "of", "value", "threshold"],
        (_row(check) for check in (*report.problems, *rest)),
    )


def _row(check: sessions.HealthCheck) -> list[object]:
    # What could not be judged is not said to be ok.
    severity = cell(check.severity, _STYLES[check.severity]) if check.is_judged or not check.is_ok else cell(None)
    value = check.reason if check.current_value is None else told(check.current_value, check.unit)
    return [severity, check.type, check.component, check.subject, value, told(check.threshold, check.unit)]
