"""The store that a verb looks into."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import typer

import otel_sessions as sessions

from ..exceptions import ConfigurationError, StoreError
from ..stores import from_url
from ._failure import Failure, Misuse
from ._output import plain

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
_LOOKING: Final = ("mode", "ro")
_SUFFIXES: Final = (".db", ".sqlite", ".sqlite3")
_MODES: Final = (_LOOKING, ("mode", "rw"))


@contextmanager
def opened(url: str | None, *, read_only: bool = True, **settings: Any) -> Iterator[None]:
    """Have the package work with that store, and with nothing else: what is in the environment applies as well.

    Args:
        url: where it is.
        read_only: nothing there is to be changed. A file is opened so that it cannot be.
        settings: as for `otel_sessions.configure`; nothing is exported otherwise.

    Raises:
        Misuse: it is no URL of a store, or no other process can have put anything there.
        Failure: nobody has put anything there.
        SessionsError: it cannot be opened, or is a file of an older version.
    """
    store = _check_looking(url) if read_only else check_writing(url)
    with quiet():
        sessions.configure(**{"store": store, "enabled": True, "background": False, "detect_user": False, **settings})
        try:
            yield
        except StoreError as error:
            # A file is named by what is said of it; an address is hidden there, for logs.
            if store.startswith(_SQLITE):
                raise
            raise Failure(f"{place(store)}: {error}") from error
        finally:
            sessions.shutdown()


def place(url: str) -> str:
    """Where a store is, without what may be a credential."""
    parts = urlsplit(url)
    if parts.hostname is None:
        return plain(unquote(parts.path[1:] if parts.scheme == "sqlite" else parts.path))
    return plain(parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}")


def check_writing(url: str | None) -> str:
    """See that there is something at that URL that may be written, and return it.

    Raises:
        Misuse: no other process can have put anything there, or whoever typed it wants it not to be written.
        Failure: nobody has put anything there.
        SessionsError: it cannot be opened, or is a file of an older version.
    """
    where = check(url)
    if where.startswith(_SQLITE) and _LOOKING in parse_qsl(where.partition("?")[2]):
        raise Misuse(
            f"--store {plain(where)}: with mode=ro it can only be looked into, and this writes: leave that out"
        )
    # A file of an older version is refused so: to migrate it is for the application, which may be running.
    _check_url(looking(where))
    return where


def _check_looking(url: str | None) -> str:
    """See that there is something at that URL that may be looked into, and return it so that nothing is changed."""
    where = looking(check(url))
    _check_url(where)
    return where


def looking(url: str) -> str:
    """The same store, to look and change nothing; Redis is asked nothing that would change a session, or a sum."""
    if not url.startswith(_SQLITE):
        return url
    location, _, query = url.partition("?")
    # What is no mode is left to the store, which says what there is.
    asked = [each for each in parse_qsl(query, keep_blank_values=True) if each not in _MODES]
    return f"{location}?{urlencode([*asked, _LOOKING])}"


def check(url: str | None) -> str:
    """See that there can be something at that URL, and return it.

    Raises:
        Misuse: no other process can have put anything there.
        Failure: nobody has.
    """
    if url is None:
        raise Misuse("say where the sessions are: --store sqlite:///file.db, or OTEL_SESSIONS_STORE in the environment")
    # As a store reads it: whatever follows would take it for another one.
    scheme, separator, rest = url.partition("://")
    url = f"{scheme.lower()}{separator}{rest}"
    if not separator and _is_path(url):
        raise Misuse(f"--store {plain(url)}: this is a path, and no URL; write sqlite:///{plain(quote(url))}")
    if url.startswith("memory:"):
        raise Misuse(
            f"--store {plain(url)}: memory is the application's own; have it use sqlite:///file.db or redis://host"
        )
    if url.startswith(_SQLITE):
        _check_file(url, Path(unquote(url.removeprefix(_SQLITE).partition("?")[0])))
    return url


def _is_path(text: str) -> bool:
    """Whether somebody has written where a file is. What else is no URL is not shown: it may be a credential."""
    return text.startswith(("/", "./", "../")) or Path(text).suffix in _SUFFIXES


def _check_url(url: str) -> None:
    # Before anything else is configured: what is wrong then is not in what was typed.
    try:
        with quiet():
            from_url(url).shutdown()
    except ConfigurationError as error:
        if error.__cause__ is not None:
            # It is a URL, but what is there is no store, or cannot be used.
            raise
        raise Misuse(f"--store: {str(error).removeprefix('store: ')}") from None


def _check_file(url: str, path: Path) -> None:
    # It would be made, which nobody wants who asks what is in it; or be made out of nothing.
    try:
        found = path.stat()
    except ValueError:
        raise Misuse(f"--store {plain(url)}: no file can have such a name") from None
    except FileNotFoundError:
        raise Failure(
            f"--store {plain(url)}: there is no file {plain(path.absolute())}; is the working directory another one?"
        ) from None
    except OSError as error:
        raise Failure(f"--store {plain(url)}: {plain(path.absolute())} cannot be reached: {error.strerror}") from None
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        raise Failure(
            f"--store {plain(url)}: the file is empty: no application has kept a session in it; is it the right one?"
        )


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
