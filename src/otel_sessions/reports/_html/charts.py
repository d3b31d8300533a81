"""The plots of a page: over time, over durations, over the week."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from .._distribution import Distribution, DurationBand
from .._figures import brief, counted, duration
from .._statistics import Statistics
from .._trend import Step, Trend, TrendPoint
from .markup import Markup, joined, tag
from .plots import Mark, Series, columns, heat_map

_STATUSES: Final = ("success", "error", "cancelled", "expired", "abandoned")
_MOST_TICKS: Final = 6
_MOST_DURATIONS: Final = 8
_STRIDES: Final = (1, 2, 3, 6, 7, 12, 14, 24, 28, 56, 84)
_FORMATS: Final[dict[Step, str]] = {"hour": "%Y-%m-%d %H:%M", "day": "%a %Y-%m-%d", "week": "week of %Y-%m-%d"}
_WHOLE: Final = (1e-3, 1e-2, 0.1, 1, 10, 60, 600, 3_600, 36_000, 86_400, 864_000, 8_640_000)
"""The durations that an axis names."""
_SHORTEST: Final = 1e-3
_HOURS: Final = [f"{hour:02d}:00 to {hour + 1:02d}:00" for hour in range(24)]


def started_and_ended(found: Trend) -> Markup | None:
    """How many sessions began and ended when."""
    started = Series("started", "started", [point.started for point in found.points])
    ended = Series("ended", "ended", [point.ended for point in found.points])
    if not any(started.values) and not any(ended.values):
        return None
    title = "Sessions started and ended"
    plot = columns([started], _names(found), _ticks(found), title=title, line=ended)
    both = [started, ended]
    return card(title, f"sessions per {found.step}", plot, _numbers(found, both), both)


def statuses(found: Trend) -> Markup | None:
    """How sessions ended, over time."""
    every = (Series(name, name, [point.by_status.get(name, 0) for point in found.points]) for name in _STATUSES)
    series = [one for one in every if any(one.values)]
    if not series:
        return None
    title = "Status of the sessions that ended"
    plot = columns(series, _names(found), _ticks(found), title=title)
    return card(title, f"sessions per {found.step}", plot, _numbers(found, series), series)


def durations(found: Distribution, figures: Statistics) -> Markup | None:
    """How long sessions lasted."""
    bands = _shown(found.durations)
    if not bands:
        return None
    title = "Duration"
    names = [f"{duration(band.over)} to {duration(band.up_to)}" for band in bands]
    series = Series("sessions", "plain", [band.sessions for band in bands])
    known = (("half", figures.p50_duration), ("95 %", figures.p95_duration), ("99 %", figures.p99_duration))
    marks = [
        Mark(_place(seconds, bands), f"{name}: {duration(seconds)}") for name, seconds in known if seconds is not None
    ]
    whole = [Mark(_place(seconds, bands), brief(seconds)) for seconds in _WHOLE]
    inside = [mark for mark, seconds in zip(whole, _WHOLE, strict=True) if bands[0].over <= seconds <= bands[-1].up_to]
    ticks = inside[:: -(-len(inside) // _MOST_DURATIONS) or 1]
    plot = columns([series], names, ticks, title=title, marks=marks)
    rows = zip(names, ([value] for value in series.values), strict=True)
    return card(title, "sessions, by how long they lasted", plot, numbers(("lasted", "sessions"), rows), ())


def week(found: Distribution) -> Markup | None:
    """When in the week sessions begin."""
    rows = list(found.by_hour_of_week.items())
    if not any(any(counts) for _, counts in rows):
        return None
    title = "Sessions started, by weekday and hour"
    most = max(max(counts) for _, counts in rows)
    plot = heat_map(rows, _HOURS, title=title, every=6)
    shades = [tag("i", class_=f"swatch shade{shade}") for shade in range(6)]
    scale = tag("p", "0 ", *shades, f" {counted(most)}", class_="legend scale")
    table = numbers(("", *(f"{hour:02d}" for hour in range(24))), rows)
    return card(title, "hours of the day, UTC", joined(scale, plot), table, ())


def card(title: str, unit: str, plot: Markup, table: Markup, legend: Sequence[Series]) -> Markup:
    """A plot with its heading, what its colors mean, and its numbers for who cannot see it."""
    keys = [tag("span", tag("i", class_=f"swatch {one.style}"), one.name) for one in legend]
    return tag(
        "figure",
        tag("figcaption", tag("h2", title), tag("p", unit)),
        tag("p", *keys, class_="legend") if keys else None,
        plot,
        tag("details", tag("summary", "Numbers"), tag("div", table, class_="scroll")),
        class_="card",
    )


def numbers(heads: Sequence[str], rows: Iterable[tuple[str, Sequence[int]]]) -> Markup:
    """A table of what a plot shows."""
    body = (tag("tr", tag("th", name, scope="row"), *(tag("td", f"{n:,}") for n in values)) for name, values in rows)
    head = tag("tr", *(tag("th", name, scope="col") for name in heads))
    return tag("table", tag("thead", head), tag("tbody", *body), class_="numbers")


def _numbers(found: Trend, series: Sequence[Series]) -> Markup:
    rows = ((name, [one.values[at] for one in series]) for at, name in enumerate(_names(found)))
    return numbers((found.step, *(one.name for one in series)), rows)


def _names(found: Trend) -> list[str]:
    return [f"{point.time:{_FORMATS[found.step]}}" for point in found.points]


def _ticks(found: Trend) -> list[Mark]:
    number = len(found.points)
    stride = next((each for each in _STRIDES if number / each <= _MOST_TICKS), -(-number // _MOST_TICKS))
    # Hours on the clock's round ones.
    first = -found.points[0].time.hour % stride if found.step == "hour" else 0
    return [Mark((at + 0.5) / number, _tick(found.step, found.points[at])) for at in range(first, number, stride)]


def _tick(step: Step, point: TrendPoint) -> str:
    if step == "hour" and point.time.hour:
        return f"{point.time:%H:%M}"
    return f"{point.time:%b} {point.time.day}"


def _shown(bands: Sequence[DurationBand]) -> list[DurationBand]:
    """The bands without those below a millisecond, which become one."""
    short = [band for band in bands if band.up_to <= _SHORTEST]
    found = list(bands[len(short) :])
    if not short:
        return found
    over = short[-1].up_to / math.sqrt(2)
    return [DurationBand(over, short[-1].up_to, sum(band.sessions for band in short)), *found]


def _place(seconds: float, bands: Sequence[DurationBand]) -> float:
    """Where a duration is along the axis, on which equal lengths are equal ratios."""
    low, high = math.log(bands[0].over), math.log(bands[-1].up_to)
    return min(1.0, max(0.0, (math.log(max(seconds, bands[0].over)) - low) / (high - low)))
