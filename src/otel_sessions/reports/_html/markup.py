"""Markup that text cannot break out of."""

from __future__ import annotations

import html
from typing import Final

_VOID: Final = frozenset({"meta", "link", "rect", "line", "circle", "br"})


class Markup(str):
    """What is markup already; every other text is escaped where it is put."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: object) -> Markup:
    """An element of HTML or SVG. In the names of attributes `_` stands for `-`, and at the end for nothing."""
    opened = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{opened}/>")
    return Markup(f"<{name}{opened}>{joined(*children)}</{name}>")


def joined(*parts: str | None) -> Markup:
    """One after the other; what is not markup is escaped."""
    return Markup("".join(part if isinstance(part, Markup) else text(part) for part in parts if part is not None))


def text(value: object) -> Markup:
    """A text as it may stand between tags and in quoted attributes.

    What cannot be seen is spelt out: control characters, and the marks that turn the direction of writing round.
    """
    seen = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(value))
    return Markup(html.escape(seen))
