"""All verbs of the command."""

from __future__ import annotations

from typing import Annotated

import typer

from ..version import __version__
from . import (
    _assets,
    _cleanup,
    _dashboards,
    _demo,
    _doctor,
    _export,
    _health,
    _list,
    _recover,
    _report,
    _show,
    _stats,
    _usage,
    _verify,
    _watch,
)
from ._verbs import Verbs

app = typer.Typer(
    cls=Verbs,
    # What a verb could not do is said in a line; a traceback would show what it was given, tokens among it.
    pretty_exceptions_enable=False,
)
app.command("list")(_list.show)
app.command("show")(_show.show)
app.command("stats")(_stats.show)
app.command("usage")(_usage.show)
app.command("health")(_health.show)
app.command("watch")(_watch.show)
app.command("report")(_report.write)
app.command("export")(_export.write)
app.command("cleanup")(_cleanup.forget)
app.command("recover")(_recover.finish)
app.command("verify")(_verify.compare)
app.command("doctor")(_doctor.examine)
app.command("assets")(_assets.write)
app.add_typer(_dashboards.app, name="dashboards")
app.command("demo", context_settings=_demo.UNTOUCHED, add_help_option=False)(_demo.run)


def _version(wanted: bool) -> None:  # noqa: FBT001 - a callback of typer's
    if wanted:
        typer.echo(f"otel-sessions {__version__}")
        raise typer.Exit


@app.callback()
def _all(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version, and leave.")
    ] = False,
) -> None:
    """Sessions as OpenTelemetry signals: what comes with the package, and what runs with it."""
