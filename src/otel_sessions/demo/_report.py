"""What came out, shown."""

from __future__ import annotations

from typing import Final

from .. import _semconv as sc
from ..testing import ReceivedSpan
from ._checks import Check
from ._harvest import Harvest, Moment, Series, program, seconds
from ._page import NO_BREAK, Page

HEADS: Final = ("program", "type", "session id", "status", "end reason", "duration", "req/ev/err", "trace id")
_RIGHT: Final = frozenset({"duration", "req/ev/err"})
_LONGEST_ID: Final = 15
_SHORT_ID: Final = 8
_MOST_SERIES: Final = 8
_NAME_WIDTH: Final = 37
_SUMMARY: Final = (
    sc.ENDUSER_PSEUDO_ID,
    sc.TIER,
    sc.TURN_COUNT,
    sc.TURN_MEAN_DURATION,
    sc.MESSAGE_COUNT,
    f"{sc.USAGE_PREFIX}tokens",
    sc.COST_AMOUNT,
    sc.COST_CURRENCY,
)


def show_sessions(page: Page, harvest: Harvest) -> None:
    """A table of all spans of sessions."""
    page.heading(f"{len(harvest.sessions)} sessions, each one span (with its requests, events, errors):")
    page.table(HEADS, [_row(span) for span in harvest.sessions], right=_RIGHT)


def _row(span: ReceivedSpan) -> tuple[str, ...]:
    told = span.attributes
    counts = "/".join(str(told.get(key, "-")) for key in (sc.REQUEST_COUNT, sc.EVENT_COUNT, sc.ERROR_COUNT))
    return (
        program(span).removeprefix("demo-"),
        told[sc.TYPE],
        _short(told[sc.SESSION_ID]),
        told[sc.STATUS],
        told[sc.END_REASON],
        seconds(span.end_ns - span.start_ns),
        counts,
        _short(span.trace_id),
    )


def _short(identifier: str) -> str:
    """An id of 32 digits is cut; one that somebody chose is readable and stays."""
    return identifier if len(identifier) <= _LONGEST_ID else identifier[:_SHORT_ID]


def show_timeline(page: Page, harvest: Harvest, session: ReceivedSpan) -> None:
    """What happened in one session, and its summary."""
    told = session.attributes
    page.heading(f"What happened in the {told[sc.TYPE]} session {told[sc.SESSION_ID]}:")
    for moment in harvest.timeline(session):
        _show_moment(page, moment, session.start_ns)
    known = [f"{_brief(key)} {_number(told[key])}" for key in _SUMMARY if key in told]
    if known:
        page.paragraph(f"on its span: {', '.join(known)}", indent=2, hang=13)


def _show_moment(page: Page, moment: Moment, start_ns: int) -> None:
    attributes = "  ".join(f"{key.rpartition('.')[2]}={_number(value)}" for key, value in moment.attributes.items())
    when = f"  {(moment.time_ns - start_ns) / 1e9:+.3f} s  "
    page.line(f"{moment.what:<30}{attributes}".rstrip(), mark=when, mark_style="dim")


def show_metrics(page: Page, harvest: Harvest) -> None:
    """All metrics of sessions that were received, by their attributes in the order of the catalogue."""
    page.heading("Metrics:")
    for metric in sc.METRICS:
        series = harvest.series(metric)
        if series:
            page.paragraph(f"{metric.name:<{_NAME_WIDTH}}{_values(metric, series)}", indent=2, hang=_NAME_WIDTH)


def _values(metric: sc.Metric, series: list[Series]) -> str:
    if len(series) <= _MOST_SERIES:
        return ", ".join(_value(metric, one) for one in series)
    total = Series((), sum(one.value for one in series), sum(one.count for one in series))
    return f"{_value(metric, total)}, in {len(series)} series"


def _value(metric: sc.Metric, series: Series) -> str:
    labels = f"{'/'.join(series.labels)} " if series.labels else ""
    if metric.kind != "histogram":
        return f"{labels}{series.value:.6g}".replace(" ", NO_BREAK)
    unit = "" if metric.unit == "1" else f" {metric.unit}"
    return f"{labels}{series.count} (mean {series.value / max(series.count, 1):.2g}{unit})".replace(" ", NO_BREAK)


def show_checks(page: Page, found: list[Check]) -> None:
    """Whether everything arrived and fits together."""
    page.heading("Checks:")
    for check in found:
        if check.holds:
            page.line(check.statement, mark="  ok    ", mark_style="good")
        else:
            page.line(check.statement, mark="  FAIL  ", mark_style="bad")


def _brief(name: str) -> str:
    return name.removeprefix("app_session.")


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
