"""Which rows of the SQLite store may hold sessions that somebody asks for: what SQL can tell without reading JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from .._models import AttributeValue
from ..typing import Wanted
from ._codec import encode
from ._sql_values import sql_text, whole

Condition = tuple[str, tuple[Any, ...]]
"""What is true of a row, in SQL, and the values in it."""

_EXACT: Final = 10**15
"""Below it, a whole number has the same digits as an integer and as a float."""


def indexed(wanted: Wanted) -> Iterator[Condition]:
    """What the index of the ended sessions tells: conditions, and the values in them."""
    if wanted.since_ns is not None:
        yield "ended_ns >= ?", (whole(wanted.since_ns),)
    if wanted.until_ns is not None:
        yield "ended_ns < ?", (whole(wanted.until_ns),)
    for column, value in (("status", wanted.status), ("reason", wanted.reason), ("user", sql_text(wanted.user))):
        if value is not None:
            yield f"{column} = ?", (value,)
    # The kind is the type and the tier, as JSON.
    if wanted.type is not None:
        began = encode((wanted.type,))[:-1]
        yield "kind >= ? AND kind < ?", (began + ",", began + "-")
    if wanted.tier is not None:
        ending = re.sub("([%_^])", r"^\1", encode(wanted.tier))
        yield "kind LIKE ? ESCAPE '^'", (f"%,{ending}]",)


def unindexed(wanted: Wanted) -> Iterator[Condition]:
    """What the rows themselves tell. Theirs may be the attributes; what is not in the text is not in the record."""
    for name, value in (wanted.attributes or {}).items():
        named = encode({name: ""})[1:-3]
        if isinstance(value, (str, bool)):
            text = named + encode(value)
            yield "(instr(beginning, ?) OR instr(totals, ?))", (text, text)
        else:
            literally = re.sub(r"([*?[])", r"[\1]", named)
            pattern = f"*{literally}{_beginning_of(value)}*"
            yield "(beginning GLOB ? OR totals GLOB ?)", (pattern, pattern)


def _beginning_of(value: AttributeValue) -> str:
    """A pattern of how the JSON begins of all values that are the same as this number, or list, and of few others."""
    if not isinstance(value, (int, float)):
        return "[[]"
    if not value or abs(value) >= _EXACT:
        # Zero may have a sign, and what is large may be written with an exponent or without.
        return ""
    return f"{int(value)}[.,}}]" if value == int(value) else f"{encode(value)}[,}}]"
