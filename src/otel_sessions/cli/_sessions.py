"""How sessions are shown to people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from ._output import cell, plain, seconds, table

_STYLES: Final[Mapping[str, str]] = {
    "active": "cyan",
    "success": "green",
    "error": "red",
    "abandoned": "red",
    "cancelled": "yellow",
    "expired": "yellow",
    "warn": "yellow",
}
"""Of statuses, and of severities."""

_WIDE: Final = 130
"""Columns that a row with everything in it needs."""

_NARROW: Final = 80
"""Columns that it needs at least, and below which it becomes two lines."""

_FULL: Final = 150
"""Columns in which pseudonyms are shown whole."""

_SHORT: Final = 8


def colored(status: str) -> Text:
    """A status, or a severity, in its color."""
    return cell(status, _STYLES.get(status, ""))


def short(pseudonym: str | None, out: Console) -> str | None:
    """A pseudonym, as much of it as there is room for."""
    if pseudonym is None or out.width >= _FULL or len(pseudonym) <= _SHORT:
        return pseudonym
    return pseudonym[:_SHORT] + "..."


def moment(iso: str | None) -> str | None:
    """A time that was described, to the second, in UTC."""
    return None if iso is None else iso[:19].replace("T", " ")


def number(value: float) -> str | None:
    """A number as people write it; nothing for zero, which says nothing in a table."""
    if not value:
        return None
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def several(count: int, what: str) -> str:
    """A count with what is counted."""
    return f"{count:,} {what if count == 1 else what + 's'}"


def rows(described: Iterable[Mapping[str, Any]], out: Console) -> RenderableType:
    """Sessions as they were described, one below the other."""
    found = list(described)
    if out.width < _NARROW:
        return Group(*(line for each in found for line in _lines(each)))
    heads = ["status", "type", "started (UTC)", "duration", "requests", "turns", "errors", "user", "id"]
    wanted = range(len(heads)) if out.width >= _WIDE else (0, 1, 3, 6, 8)
    cells = [_cells(each, out) for each in found]
    return table([heads[at] for at in wanted], [[row[at] for at in wanted] for row in cells])


def _cells(each: Mapping[str, Any], out: Console) -> list[object]:
    return [
        colored(each["status"]),
        each["type"],
        moment(each["started"]),
        seconds(each["duration"]),
        number(each["requests"]),
        number(each["turns"]),
        cell(number(each["errors"]), "red" if each["errors"] else ""),
        short(each["user"], out),
        each["id"],
    ]


def _lines(each: Mapping[str, Any]) -> Iterable[Text]:
    """A session in two lines, each as short as it can be."""
    errors = f", {several(each['errors'], 'error')}" if each["errors"] else ""
    lasted = f"{seconds(each['duration'])}{errors}"
    yield Text(" ").join([colored(each["status"]), cell(each["type"], "bold"), Text(lasted)])
    yield Text(f"  {plain(each['id'])}", overflow="fold")
