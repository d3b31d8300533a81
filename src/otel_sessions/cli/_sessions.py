"""How sessions are shown to people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from .._meter import COST, CURRENCY
from ..reports._figures import duration, money
from ._output import cell, plain, table

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


def colored(status: str) -> Text:
    """A status, or a severity, in its color."""
    return cell(status, _STYLES.get(status, ""))


def moment(iso: str | None) -> str | None:
    """A time that was described, to the second, in UTC."""
    return None if iso is None else iso[:19].replace("T", " ")


def number(value: float) -> str | None:
    """A number as people write it; nothing for zero, which says nothing in a table."""
    if not value:
        return None
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def used(name: str, amount: float) -> str:
    """How much was used of something."""
    return money({CURRENCY: amount}) if name == COST else number(amount) or "0"


def amounts(sums: Mapping[str, float]) -> str | None:
    """How much of each thing, in the order given; None if there is none."""
    return ", ".join(f"{used(name, amount)} {plain(name)}" for name, amount in sums.items()) or None


def rows(described: Iterable[Mapping[str, Any]]) -> RenderableType:
    """Sessions as they were described, one below the other."""
    heads = ["status", "type", "started (UTC)", "duration", "requests", "turns", "errors", "user", "id"]
    return table(heads, map(_cells, described), about=2, brief="user")


def _cells(each: Mapping[str, Any]) -> list[object]:
    return [
        colored(each["status"]),
        cell(each["type"], "bold"),
        moment(each["started"]),
        duration(each["duration"]),
        number(each["requests"]),
        number(each["turns"]),
        cell(number(each["errors"]), "red" if each["errors"] else ""),
        each["user"],
        each["id"],
    ]
