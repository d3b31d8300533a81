"""Which operations a session has sums of: so many by name, and the rest together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ._semconv import OTHER

MAX_OPERATIONS: Final = 100
"""How many operations a session knows by name. One that names them after ids or users has no more than these."""

_UNNAMED: Final = frozenset({"", OTHER})


def known_as(operation: str, counts: Mapping[str, float] | None) -> str:
    """The name that an operation has in the sums: its own, unless there are as many others as are kept."""
    if not counts or operation in counts or len(counts) < MAX_OPERATIONS or operation in _UNNAMED:
        return operation
    return operation if len(counts.keys() - _UNNAMED) < MAX_OPERATIONS else OTHER


def bounded(
    counts: dict[str, float], amounts: dict[str, float] | None
) -> tuple[dict[str, float], dict[str, float] | None]:
    """The sums of two processes together, with those operations by name that came first.

    Args:
        counts: how often, by operation.
        amounts: how much, by `<operation>|<name>`.
    """
    named = [operation for operation in counts if operation not in _UNNAMED]
    if len(named) < MAX_OPERATIONS:
        return counts, amounts
    kept = _UNNAMED.union(named[:MAX_OPERATIONS])

    def key(found: str) -> str:
        operation, separator, name = found.partition("|")
        return found if operation in kept else f"{OTHER}{separator}{name}"

    return _by(key, counts), None if amounts is None else _by(key, amounts)


def _by(key: Callable[[str], str], sums: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, amount in sums.items():
        found[key(name)] = found.get(key(name), 0) + amount
    return found
