"""The file that a verb writes, told as it was typed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..exceptions import InvalidValueError
from ._failure import Failure
from ._output import plain

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]


@contextmanager
def writing(file: Path, *, overwrite: bool) -> Iterator[None]:
    """Write that file in this block; what is in its way is said before the work.

    Raises:
        Failure: it is there already, or cannot be written.
    """
    if file.is_file() and not overwrite:
        raise Failure(f"{plain(file)} is there already: --overwrite replaces it")
    try:
        yield
    except InvalidValueError as error:
        raise Failure(plain(error)) from None
    except OSError as error:
        raise Failure(f"{plain(file)} cannot be written: {error.strerror}") from error
