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
        text = _beginning_of(name, value)
        yield "(instr(beginning, ?) OR instr(totals, ?))", (text, text)


def _beginning_of(name: str, value: AttributeValue) -> str:
    """What the JSON of all attributes has that are the same as this one, and perhaps some that are not."""
    named = encode({name: ""})[1:-3]
    if isinstance(value, (str, bool)):
        return named + encode(value)
    if isinstance(value, (int, float)):
        if 0 < abs(value) < _EXACT and value == int(value):
            return f"{named}{int(value)}"
        # Zero may have a sign, and what is large may be written with an exponent or without.
        return named if abs(value) >= _EXACT or not value else named + encode(value)
    return f"{named}["
