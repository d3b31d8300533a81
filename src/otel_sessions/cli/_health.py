"""`otel-sessions health`: how the sessions in a store are, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

import typer
from rich.text import Text

import otel_sessions as sessions

from .. import _thresholds
from .._health_check import told
from ..exceptions import ConfigurationError
from ._failure import Failure, explained, reader
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
        thresholds = _parsed(threshold or [])
        with opened(store):
            report = sessions.health(thresholds=thresholds, in_process=False)
    code = _CODES[report.verdict]
    # It is known, whether or not somebody reads why; what cannot be written is told to nobody.
    with explained(_UNKNOWN), reader(code):
        if as_json:
            write_json(report.to_dict())
        else:
            _print(report)
    raise typer.Exit(code)


def _parsed(given: Iterable[str]) -> dict[str, float]:
    try:
        return _thresholds.parse(",".join(given))
    except ConfigurationError as error:
        raise Failure(f"--threshold: {error}") from error


def _print(report: sessions.HealthReport) -> None:
    out = console()
    out.print(Text(f"{report.verdict}, {report.time:%Y-%m-%d %H:%M:%S} UTC", style="bold"))
    rest = (check for check in report.checks if check.is_ok)
    out.print(table(["", "check", "found"], map(_row, (*report.problems, *rest)), about=2, prose=True))
    for problem in report.problems:
        out.print()
        out.print(Text.assemble((problem.type, "bold"), f" ({problem.component}): ", cell(problem.recommended_action)))
        if problem.reason:
            out.print(cell(problem.reason))


def _row(check: sessions.HealthCheck) -> list[Text]:
    # What could not be judged is not said to be ok.
    severity = cell(check.severity, _STYLES[check.severity]) if check.is_judged or not check.is_ok else cell(None)
    if check.current_value is None:
        found = check.reason
    else:
        subject = f"{check.subject}: " if check.subject else ""
        found = f"{subject}{told(check.current_value, check.unit)}, threshold {told(check.threshold, check.unit)}"
    return [severity, cell(check.type), cell(found)]
