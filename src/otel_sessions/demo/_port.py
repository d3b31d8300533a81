"""A port to listen on, as an option of a command."""

from __future__ import annotations

import argparse
import re
from typing import Final

_LAST: Final = 65_535
_WRITTEN: Final = re.compile("[0-9]{1,5}")


def port(text: str) -> int:
    """The number that `text` says; 0 is a free one.

    Raises:
        ArgumentTypeError: no port has it.
    """
    if not _WRITTEN.fullmatch(text) or int(text) > _LAST:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {_LAST}")
    return int(text)
