"""`otel-sessions demo`: the door to the demo."""

from __future__ import annotations

from typing import Final

import typer

UNTOUCHED: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The demo reads its own options."""


def run(context: typer.Context) -> None:
    """Run sessions in real applications and show what they send; `demo traffic` goes on until it is stopped."""
    from ..demo import run as run_demo  # noqa: PLC0415 - the SDK comes with it, for which no other verb waits

    raise typer.Exit(run_demo(context.args, program=context.command_path))
