"""What `otel-sessions watch` draws."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from .._statistics import moment
from ..reports import Ends, QuotaStanding, Situation
from ..typing import SessionRecord
from ._output import cell, facts, heading, percent, plain, seconds, table
from ._sessions import colored, number

_NARROW: Final = 60
"""Columns below which only what matters most is shown."""

_WIDE: Final = 100
_FIXED_LINES: Final = 16
"""Lines that are there anyhow: sums, headings, and what separates them."""

_MOST_TYPES: Final = 6
_SHORT: Final = 8


def view(seen: Situation, error: str | None, *, width: int, height: int | None = None) -> RenderableType:
    """What goes on, in that many columns and, if it is to fit in there, lines."""
    parts = [part for part in _parts(seen, error, width, _rows(seen, height)) if part is not None]
    separated = [each for part in parts for each in (Text(), part)]
    return Group(*separated[1:])


def _rows(seen: Situation, height: int | None) -> int:
    """How many sessions and findings there is room for, in each of the lists."""
    lists = sum(map(bool, (seen.oldest, seen.latest, seen.findings)))
    return 10 if height is None else max(1, (height - _FIXED_LINES) // max(1, lists))


def _parts(seen: Situation, error: str | None, width: int, rows: int) -> Iterator[RenderableType | None]:
    yield _sums(seen, error)
    yield _sessions("oldest", seen.oldest[:rows], seen.at_ns, width)
    yield _sessions("newest", seen.latest[:rows], seen.at_ns, width)
    yield _quotas(seen.quotas, width)
    yield _findings(seen, width, rows)


def _sums(seen: Situation, error: str | None) -> RenderableType:
    rates, now = seen.rates, moment(seen.at_ns)
    known: dict[str, object] = {
        "active": f"{seen.active:,}" + (f": {_types(seen)}" if seen.active else ""),
        "ended": _ends(seen.lately, now),
        "while watching": _ends(seen.watched, now),
    }
    if rates is not None:
        known["per minute"] = f"{rates.requests:,.0f} requests, {rates.turns:,.0f} turns, {rates.errors:,.0f} errors"
    if error is not None:
        known["no answer"] = cell(f"{error}; this is what was known before", "red")
    return Group(heading(f"Sessions at {now:%Y-%m-%d %H:%M:%S} UTC"), facts(known))


def _types(seen: Situation) -> str:
    shown = [f"{count:,} {name}" for name, count in list(seen.by_type.items())[:_MOST_TYPES]]
    more = len(seen.by_type) - len(shown)
    return ", ".join(shown) + (f", and {more} types more" if more else "")


def _ends(ends: Ends, now: dt.datetime) -> Text:
    when = f"{ends.since:%H:%M}" if now - ends.since < dt.timedelta(hours=12) else f"{ends.since:%m-%d %H:%M}"
    found = Text(f"{ends.ended:,} since {when}")
    if ends.ended:
        found.append(f", {percent(ends.error_rate)} errors", style="red" if ends.errors else "")
    if ends.crashed:
        found.append(f", {ends.crashed:,} crashed", style="red")
    return found


def _sessions(which: str, records: Sequence[SessionRecord], at_ns: int, width: int) -> RenderableType | None:
    if not records:
        return None
    heads = [which, "age", "idle", "requests", "turns", "errors", "user", "id"]
    rows: list[list[object]] = []
    for record in records:
        totals = record.totals
        idle_ns = at_ns - (totals.last_activity_ns or record.beginning.started_ns)
        rows.append(
            [
                record.type,
                seconds(max(0, at_ns - record.beginning.started_ns) / 1e9),
                seconds(max(0, idle_ns) / 1e9),
                number(totals.requests),
                number(totals.turns),
                cell(number(totals.errors), "red" if totals.errors else ""),
                record.user and record.user[:_SHORT],
                record.id,
            ]
        )
    wanted = range(len(heads)) if width >= _WIDE else (0, 1, 3, 4, 5, 6) if width >= _NARROW else (0, 1, 5)
    return table([heads[at] for at in wanted], [[row[at] for at in wanted] for row in rows])


def _quotas(quotas: Sequence[QuotaStanding], width: int) -> RenderableType | None:
    near = [quota for quota in quotas if quota.is_near]
    if not quotas:
        return None
    if not near:
        first = quotas[0]
        return Text(
            f"No quota is used to 75 %; the most, {percent(first.highest)}, of {plain(first.name)} per {first.window} "
            f"in {plain(first.tier)}"
        )
    heads = ["quota", "tier", "most used", "used up in", "exhausted", "per", "of the"]
    wanted = range(len(heads)) if width >= _NARROW else (0, 2, 3)
    rows = [
        [
            quota.name,
            quota.tier,
            cell(percent(quota.highest), "red" if quota.exhausted or quota.critical else "yellow"),
            seconds(quota.seconds_to_exhaustion),
            number(quota.exhausted),
            quota.window,
            quota.scope,
        ]
        for quota in near
    ]
    return table([heads[at] for at in wanted], [[row[at] for at in wanted] for row in rows])


def _findings(seen: Situation, width: int, rows: int) -> RenderableType | None:
    if not seen.findings:
        return None
    heads = ["ago", "finding", "severity", "score", "in", "user", "id"]
    wanted = range(len(heads)) if width >= _WIDE else (0, 1, 2, 3, 4) if width >= _NARROW else (0, 1, 2)
    found: list[list[object]] = [
        [
            seconds(max(0.0, (moment(seen.at_ns) - each.time).total_seconds())),
            each.kind,
            colored(each.severity),
            f"{each.score:.2f}",
            each.type,
            each.user and each.user[:_SHORT],
            each.session_id,
        ]
        for each in seen.findings[:rows]
    ]
    return table([heads[at] for at in wanted], [[row[at] for at in wanted] for row in found])
