"""What `otel-sessions watch` draws."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from .._statistics import moment
from ..reports import Ends, QuotaStanding, Situation
from ..reports._figures import duration, percent
from ..typing import SessionRecord
from ._output import cell, facts, heading, plain, table
from ._sessions import colored, number

_MOST_ROWS: Final = 10
_MOST_TYPES: Final = 6


def view(seen: Situation, error: str | None, *, width: int, height: int | None = None) -> RenderableType:
    """What goes on, in that many columns and, if it is to fit in there, lines: then of each list as much as fits."""
    if height is None:
        return _all(seen, error, _MOST_ROWS)
    paper = Console(file=io.StringIO(), width=width)
    for rows in range(_MOST_ROWS, 0, -1):
        found = _all(seen, error, rows)
        if len(paper.render_lines(found, pad=False)) <= height:
            return found
    return _Cut(found, height)


class _Cut(NamedTuple):
    """As many lines of something as there is room for; that there are more is said."""

    whole: RenderableType
    height: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in console.render_lines(self.whole, options, pad=False)[: max(0, self.height - 1)]:
            yield from (*line, Segment.line())
        yield Text("... more, in a larger terminal", style="italic", end="")


def _all(seen: Situation, error: str | None, rows: int) -> RenderableType:
    parts = [part for part in _parts(seen, error, rows) if part is not None]
    separated = [each for part in parts for each in (Text(), part)]
    return Group(*separated[1:])


def _parts(seen: Situation, error: str | None, rows: int) -> Iterator[RenderableType | None]:
    yield _sums(seen, error)
    yield _sessions("oldest", seen.oldest[:rows], seen.at_ns)
    yield _sessions("newest", seen.latest[:rows], seen.at_ns)
    yield _quotas(seen.quotas)
    yield _findings(seen, rows)


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


def _sessions(which: str, records: Sequence[SessionRecord], at_ns: int) -> RenderableType | None:
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
                duration(max(0, at_ns - record.beginning.started_ns) / 1e9),
                duration(max(0, idle_ns) / 1e9),
                number(totals.requests),
                number(totals.turns),
                cell(number(totals.errors), "red" if totals.errors else ""),
                record.user,
                record.id,
            ]
        )
    return table(heads, rows, brief="user")


def _quotas(quotas: Sequence[QuotaStanding]) -> RenderableType | None:
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
    rows = [
        [
            quota.name,
            quota.tier,
            cell(percent(quota.highest), "red" if quota.exhausted or quota.critical else "yellow"),
            duration(quota.seconds_to_exhaustion),
            number(quota.exhausted),
            quota.window,
            quota.scope,
        ]
        for quota in near
    ]
    return table(heads, rows)


def _findings(seen: Situation, rows: int) -> RenderableType | None:
    if not seen.findings:
        return None
    heads = ["finding", "severity", "score", "in", "ago", "user", "id"]
    found: list[list[object]] = [
        [
            each.kind,
            colored(each.severity),
            f"{each.score:.2f}",
            each.type,
            duration(max(0.0, (moment(seen.at_ns) - each.time).total_seconds())),
            each.user,
            each.session_id,
        ]
        for each in seen.findings[:rows]
    ]
    return table(heads, found, about=2, brief="user")
