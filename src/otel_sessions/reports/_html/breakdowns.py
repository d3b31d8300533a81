"""The tables of a page that say how many sessions there were of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from .._figures import percent
from .._statistics import Statistics
from .markup import Markup, tag
from .plots import bar

_MOST: Final = 10
_ALL: Final = "sessions, the active ones too"
_COLORED: Final = frozenset({"success", "error", "cancelled", "expired", "abandoned", "active"})


def breakdowns(found: Statistics) -> Iterable[Markup | None]:
    """A table for each way to tell sessions apart; None for one that has nothing in it."""
    yield _table("Type", _ALL, found.by_type, found.total)
    yield _table("Status", _ALL, found.by_status, found.total, colored=True)
    yield _table("End reason", "sessions that ended", found.by_end_reason, found.ended)
    yield _table("Tier", _ALL, found.by_tier, found.total)
    yield _table("Users with most sessions", f"pseudonyms; {_ALL}", found.by_user, found.total, code=True)


def _table(
    title: str, unit: str, counts: Mapping[str, int], total: int, *, colored: bool = False, code: bool = False
) -> Markup | None:
    if not counts:
        return None
    shown = list(counts.items())[:_MOST]
    most = max(counts.values())
    rows = [
        _row(
            tag("code", name) if code else tag("bdi", name),
            (amount, amount / most, amount / total),
            name if colored and name in _COLORED else "plain",
        )
        for name, amount in shown
    ]
    # Of users there are more than those that are named.
    if len(counts) > len(shown) and not code:
        rest = sum(counts.values()) - sum(amount for _, amount in shown)
        rows.append(_row(f"{len(counts) - len(shown)} more", (rest, min(1, rest / most), rest / total), "rest"))
    table = tag("table", tag("tbody", *rows), class_="bars long" if code else "bars")
    return tag("figure", tag("figcaption", tag("h2", title), tag("p", unit)), table, class_="card")


def _row(name: Markup | str, amounts: Sequence[float], style: str) -> Markup:
    amount, length, share = amounts
    cells = tag("td", bar(length, style)), tag("td", f"{amount:,}"), tag("td", percent(share), class_="share")
    return tag("tr", tag("th", name, scope="row"), *cells)
