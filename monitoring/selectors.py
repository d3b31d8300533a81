"""The series that an expression of PromQL selects, found without a parser: promtool says whether it is valid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_CLAUSE: Final = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_RANGE: Final = re.compile(r"\[[^\]]*\]")
_NAME: Final = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\()?")
_WORDS: Final = frozenset({"and", "or", "unless", "offset", "bool", "inf", "nan", "atan2"})


class Selector(NamedTuple):
    """A series, and the matchers in its braces as they stand there."""

    name: str
    matchers: str


def selectors(expression: str) -> Iterator[Selector]:
    """All selectors with a name."""
    strings: list[str] = []

    def keep(found: re.Match[str]) -> str:
        strings.append(found[0])
        return f'"{len(strings) - 1}"'

    # Strings may hold anything, braces too, so they wait outside while names are looked for.
    bare = _RANGE.sub("", _CLAUSE.sub(" ", _STRING.sub(keep, expression)))
    for found in _NAME.finditer(bare):
        name, rest = found.groups()
        if name.lower() in _WORDS or rest == "(":
            continue
        yield Selector(name, re.sub(r'"(\d+)"', lambda at: strings[int(at[1])], (rest or "{}")[1:-1]))
