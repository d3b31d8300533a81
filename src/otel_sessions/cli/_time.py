"""The options that say which time is asked about."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

import typer

_FORMATS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]

Days = Annotated[float | None, typer.Option(help="What ended within so many days.", metavar="DAYS", show_default=False)]
Since = Annotated[
    dt.datetime | None,
    typer.Option(help="What ended then or later; this machine's time.", formats=_FORMATS, metavar="TIME"),
]
Until = Annotated[
    dt.datetime | None,
    typer.Option(help="What ended earlier; this machine's time.", formats=_FORMATS, metavar="TIME"),
]
