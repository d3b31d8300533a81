"""The store that a verb looks into."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import unquote

import typer

import otel_sessions as sessions

from ._failure import Failure

StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="OTEL_SESSIONS_STORE",
        metavar="URL",
        help="Where the sessions are: sqlite:///file.db, or redis://host.",
        show_default=False,
    ),
]

_SQLITE: Final = "sqlite:///"


@contextmanager
def opened(url: str | None, **settings: Any) -> Iterator[None]:
    """Have the package work with that store, and with nothing else: what is in the environment applies as well.

    Args:
        url: where it is.
        settings: as for `otel_sessions.configure`; nothing is exported otherwise.

    Raises:
        Failure: no other process can have put anything there.
    """
    check(url)
    with quiet():
        sessions.configure(**{"store": url, "enabled": True, "background": False, "detect_user": False, **settings})
        try:
            yield
        finally:
            sessions.shutdown()


def check(url: str | None) -> None:
    """See that there can be something at that URL.

    Raises:
        Failure: no other process can have put anything there.
    """
    if url is None:
        raise Failure(
            "say where the sessions are: --store sqlite:///file.db, or OTEL_SESSIONS_STORE in the environment"
        )
    if url.startswith("memory:"):
        raise Failure(f"--store {url}: memory is the application's own; have it use sqlite:///file.db or redis://host")
    if url.startswith(_SQLITE):
        # It would be made, which nobody wants who asks what is in it.
        path = Path(unquote(url.removeprefix(_SQLITE).partition("?")[0]))
        if not path.exists():
            raise Failure(f"--store {url}: there is no file {path.absolute()}; is the working directory another one?")


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings: those are for applications, which go on. Whoever typed a command is told by its failure."""
    package = logging.getLogger("otel_sessions")
    before = package.level
    package.setLevel(logging.ERROR)
    try:
        yield
    finally:
        package.setLevel(before)
