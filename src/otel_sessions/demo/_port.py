"""A port to listen on, as an option of a command."""

from __future__ import annotations

import argparse
from typing import Final

_LAST: Final = 65_535


def port(text: str) -> int:
    """The number that `text` says; 0 is a free one.

    Raises:
        ArgumentTypeError: no port has it.
    """
    if not text.isdecimal() or not text.isascii() or int(text[: len(str(_LAST)) + 1]) > _LAST:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {_LAST}")
    return int(text)
