"""What a page shows: its sections from the top down, and the page around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from typing import Final

from ..._health_check import HealthCheck, told
from ..._models import SessionRecord
from ..._statistics import moment
from ...version import __version__
from .._contents import Contents
from .._figures import count, duration, money, percent, time
from .breakdowns import breakdowns
from .charts import durations, started_and_ended, statuses, week
from .markup import Markup, joined, tag

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_MOST_LETTERS: Final = 200


def rendered(contents: Contents) -> str:
    """The page as a document of HTML."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", contents.title),
        # Or a browser asks for one.
        tag("link", rel="icon", href="data:,"),
        # Nobody's text is in it.
        tag("style", Markup(_style())),
    )
    body = tag("body", _header(contents), tag("main", *(section(contents) for section in SECTIONS)), _footer(contents))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


@cache
def _style() -> str:
    return (resources.files(__package__ or "") / "page.css").read_text(encoding="utf-8")


def _header(contents: Contents) -> Markup:
    # The statistics of all that is remembered begin with the epoch.
    since, until = contents.trend.since, contents.trend.until
    period = tag("p", f"{time(since)} to {time(until)} UTC", class_="period")
    return tag("header", tag("h1", tag("bdi", contents.title)), period)


def _footer(contents: Contents) -> Markup:
    said = (
        f"Made by otel-sessions {__version__}, with what had ended by {time(contents.statistics.until)}. "
        "Times are UTC, users are pseudonyms, and quantiles are right to within 1.1 %."
    )
    return tag("footer", tag("p", said))


def _headline(contents: Contents) -> Markup:
    found = contents.statistics
    figures = {
        "sessions": f"{found.total:,}",
        "active now": f"{found.active:,}",
        "success rate": percent(found.success_rate),
        "crash-free rate": percent(found.crash_free_rate),
        "users": f"{found.users:,}",
        "errors noted": f"{found.errors:,}",
        "half lasted at most": duration(found.p50_duration),
        "95 % lasted at most": duration(found.p95_duration),
        "turns": f"{found.turns:,}",
        "mean response time": duration(found.mean_response_time),
        "tokens": count(found.total_tokens),
        "cost": money(found.cost),
    }
    tiles = (tag("div", tag("dt", name), tag("dd", figure)) for name, figure in figures.items())
    return tag("section", tag("dl", *tiles, class_="tiles"), aria_label="Headline figures")


def _health(contents: Contents) -> Markup:
    found = contents.health
    judged = [check for check in found.checks if check.is_judged or not check.is_ok]
    ok = sum(check.is_ok for check in judged)
    unjudged = len(found.checks) - len(judged)
    rest = f"; of {unjudged} too little is known" if unjudged else ""
    said = f"{time(found.time)} UTC: {ok} of {len(judged)} checks are ok{rest}"
    verdict = tag("h2", "Health: ", tag("span", found.verdict, class_=f"verdict {found.verdict}"))
    rows = [_problem(check) for check in found.problems]
    heads = ("severity", "check", "value", "threshold", "what to do")
    return tag("section", verdict, tag("p", f"{said}.", class_="period"), _rows("Health", heads, rows), class_="card")


def _problem(check: HealthCheck) -> Sequence[str]:
    value = "-" if check.current_value is None else told(check.current_value, check.unit)
    return (
        check.severity,
        joined(check.type, tag("bdi", f" ({check.subject})") if check.subject else None),
        value,
        told(check.threshold, check.unit),
        tag("bdi", check.recommended_action, class_="long"),
    )


def _plots(contents: Contents) -> Markup:
    found = contents.statistics
    shown = [
        *(started_and_ended(contents.trend), statuses(contents.trend)),
        *(durations(contents.distribution, found), week(contents.distribution)),
        *breakdowns(found),
        _longest(contents),
    ]
    cards = [card for card in shown if card is not None]
    if not found.ended:
        cards.append(tag("p", "No session ended in this time.", class_="card"))
    return tag("section", *cards, class_="cards", aria_label="Plots")


def _longest(contents: Contents) -> Markup | None:
    rows = [
        (tag("bdi", one.type), duration(one.duration), tag("code", one.session_id))
        for one in contents.distribution.longest[:10]
    ]
    return _table("Longest session of each type", ("type", "duration", "session"), rows)


def _failed(contents: Contents) -> Markup | None:
    heads = ("ended", "type", "end reason", "duration", "user", "error", "session")
    return _table("Latest sessions that failed", heads, [_failure(record) for record in contents.failed])


def _failure(record: SessionRecord) -> Sequence[str]:
    kind, message = record.totals.error or (None, None)
    said = ": ".join(part for part in (kind, message) if part)
    ended = moment(record.ended_ns or record.beginning.started_ns)
    return (
        tag("time", time(ended), datetime=ended.isoformat()),
        tag("bdi", record.type),
        record.end_reason or "-",
        duration(record.statistics().duration),
        tag("code", record.user[:12]) if record.user else "-",
        tag("bdi", _clipped(said), class_="long") if said else "-",
        tag("code", record.id),
    )


def _clipped(said: str) -> str:
    return said if len(said) <= _MOST_LETTERS else f"{said[:_MOST_LETTERS]} ..."


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup | None:
    shown = _rows(title, heads, rows)
    return None if shown is None else tag("section", tag("h2", title), shown, class_="card")


def _rows(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup | None:
    if not rows:
        return None
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in heads)))
    # Where it is narrow the heads are not shown, and each cell says its own.
    named = (zip(heads, row, strict=True) for row in rows)
    body = tag("tbody", *(tag("tr", *(tag("td", cell, data_name=head) for head, cell in row)) for row in named))
    # A wide one is moved by itself, and not the page; it can be reached by keyboard.
    return tag("div", tag("table", head, body), class_="scroll records", tabindex=0, role="region", aria_label=title)


SECTIONS: Final[tuple[Callable[[Contents], Markup | None], ...]] = (_headline, _health, _plots, _failed)
"""From the top down."""
