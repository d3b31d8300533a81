"""The options that say which sessions are asked for."""

from __future__ import annotations

from typing import Annotated

import typer

Type = Annotated[str | None, typer.Option("--type", metavar="NAME", help="Those of this type.", show_default=False)]
User = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Whose they are: the clear name, or the pseudonym.", show_default=False),
]
HasStatus = Annotated[
    str | None,
    typer.Option(
        "--status", metavar="STATUS", help="active, success, error, cancelled, expired, abandoned.", show_default=False
    ),
]
Ending = Annotated[
    str | None,
    typer.Option(
        metavar="REASON",
        help="Why they ended: completed, exception, cancelled, idle_timeout, max_duration, crashed, ...",
        show_default=False,
    ),
]
Tier = Annotated[str | None, typer.Option(metavar="NAME", help="The set of limits that applies.", show_default=False)]
