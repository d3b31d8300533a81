"""Numbers as they were typed: what one cannot mean is told with its option, the value, and what to write instead."""

from __future__ import annotations

import math
from typing import Final

from ._failure import Misuse
from ._output import plain

_MOST: Final = 100_000
"""How many of something are shown to a person; whoever wants more wants another program to read it."""
_MOST_DAYS: Final = 1_000_000


def number(text: str) -> float | None:
    """A finite number; None if it is none."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def whole(option: str, text: str, most: int = _MOST) -> int:
    """A whole number from 1 on.

    Raises:
        Misuse: it is something else.
    """
    found = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) else 0
    if not 1 <= found <= most:
        raise Misuse(f"{option} {plain(text)}: use a whole number from 1 to {most:,}")
    return found


def days(option: str, text: str) -> float:
    """A number of days.

    Raises:
        Misuse: it is something else.
    """
    found = number(text)
    if found is None or not 0 < found <= _MOST_DAYS:
        raise Misuse(
            f"{option} {plain(text)}: use a number of days above 0, such as 7 or 0.5, and of {_MOST_DAYS:,} at most"
        )
    return found
