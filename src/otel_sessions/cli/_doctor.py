"""`otel-sessions doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from ._failure import FAILED, reader
from ._output import AsJson, cell, console, plain, write_json
from ._store import StoreUrl, quiet

if TYPE_CHECKING:
    from ._checkup import Finding

_STYLES: Final = {"ok": "green", "warning": "yellow", "problem": "red"}
_WORST: Final = ("ok", "warning", "problem")
_WIDTH: Final = len("problem")


def examine(
    *,
    store: StoreUrl = None,
    offline: Annotated[bool, typer.Option("--offline", help="Send nothing to where telemetry goes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find out what is wrong, and what to do: packages, variables, exporter, store, clock, consistency.

    Run it where the application runs, with its environment. A span of a session of the type doctor is sent. The exit
    code is 1 if there is a problem, else 0.

    For example: OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 otel-sessions doctor --store sqlite:///sessions.db
    """
    with quiet():
        found = list(_findings(store, offline=offline))
    worst = max((each.verdict for each in found), key=_WORST.index)
    code = FAILED if worst == "problem" else 0
    # It is known, whether or not somebody reads why.
    with reader(code):
        if as_json:
            write_json({"verdict": worst, "findings": [each._asdict() for each in found]})
        else:
            _show(found)
    raise typer.Exit(code)


def _findings(url: str | None, *, offline: bool) -> Iterator[Finding]:
    from . import _checkup as checkup  # noqa: PLC0415 - the SDK loads on use

    yield from checkup.packages()
    yield from checkup.variables(os.environ)
    yield from checkup.instrumentations(os.environ)
    yield from checkup.exporting(offline=offline)
    reached = checkup.Reached()
    try:
        yield from checkup.store(url, reached)
        if reached.store is not None and reached.answers:
            yield from checkup.consistency(reached.store, reached.facts)
    finally:
        if reached.store is not None:
            reached.store.shutdown()


def _show(found: Sequence[Finding]) -> None:
    out = console()
    for each in found:
        out.print(
            cell(f"{each.verdict:<{_WIDTH}}", _STYLES[each.verdict])
            + Text(f"  {plain(each.check)}: {plain(each.found)}"),
            overflow="fold",
        )
        if each.advice is not None:
            out.print(Text(f"{'':<{_WIDTH}}  -> {plain(each.advice)}"), overflow="fold")
