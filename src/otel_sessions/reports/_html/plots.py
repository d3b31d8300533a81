"""Plots as SVG, without a script.

Lengths along the width are percentages, so that a plot fills the place it is given and its letters keep their size. The
names of its lines stand beside it, in the margin that the style sheet leaves at its left.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from .._figures import counted, short
from .markup import Markup, joined, tag

_HEIGHT: Final = 168
_TOP: Final = 10
_NOTE: Final = 14
_AXIS: Final = 26
_LINES: Final = 4
_ROW: Final = 26
_SHADES: Final = 5
_GAP: Final = 0.16
_WIDEST: Final = 12
_HALF_LETTER: Final = 4


class Series(NamedTuple):
    """One number for each column of a plot."""

    name: str
    style: str
    """The name that its colour has in the style sheet."""
    values: Sequence[int]


class Mark(NamedTuple):
    """Something said at a place along the width, from 0 to 1."""

    place: float
    text: str


def columns(
    series: Sequence[Series],
    columns: Sequence[str],
    ticks: Iterable[Mark],
    *,
    title: str,
    line: Series | None = None,
    marks: Sequence[Mark] = (),
) -> Markup:
    """Columns that stand on each other, one for each name in `columns`, and a line over them.

    Args:
        series: from the bottom up.
        columns: what each column is about, for who points at it.
        ticks: what stands under the axis.
        title: the name of the plot for who cannot see it.
        line: drawn over the columns.
        marks: upright lines with what they mean.
    """
    heights = [sum(one.values[at] for one in series) for at in range(len(columns))]
    room = _NOTE * len(marks)
    top, scale = _scale(max([*heights, *(line.values if line is not None else ()), 1]))
    parts = [
        _grid(scale, top),
        *(_column(series, at, len(columns), top) for at in range(len(columns))),
        *(_line(line, top) if line is not None else ()),
        # The last one highest: what is said of it begins left of it, where the lines of the others are.
        *(_marked(mark, -_NOTE * number) for number, mark in enumerate(marks, 1)),
        *(_tick(tick) for tick in ticks),
        *_tips([*series, *([line] if line is not None else [])], columns),
    ]
    # What is marked stands above the columns.
    moved = tag("g", *parts, transform=f"translate(0 {room})")
    return _svg(title, room + _TOP + _HEIGHT + _AXIS, [moved])


def heat_map(rows: Sequence[tuple[str, Sequence[int]]], columns: Sequence[str], *, title: str, every: int) -> Markup:
    """A field for each row and column, the darker the more.

    Args:
        rows: their names and their numbers.
        columns: what each column is about.
        title: the name of the plot for who cannot see it.
        every: of how many columns one is named below.
    """
    most = max((count for _, counts in rows for count in counts), default=0)
    width = 100 / len(columns)
    parts: list[Markup] = []
    for row, (name, counts) in enumerate(rows):
        y = _TOP + row * _ROW
        parts.append(tag("text", name[:3], x=-8, y=y + _ROW / 2 + _HALF_LETTER, class_="row"))
        for at, count in enumerate(counts):
            tip = tag("title", f"{name} {columns[at]}: {counted(count)}")
            field = tag(
                "rect", x=_percent(at * width), y=y + 1, width=_percent(width * 0.94), height=_ROW - 2, rx=2,
                class_=f"shade{_shade(count, most)}",
            )  # fmt: skip
            parts.append(tag("g", tip, field))
    bottom = _TOP + len(rows) * _ROW
    parts += [
        tag("text", columns[at][:5], x=_percent(at * width), y=bottom + 16, class_="start tick")
        for at in range(0, len(columns), every)
    ]
    return _svg(title, bottom + _AXIS, parts)


def bar(share: float, style: str) -> Markup:
    """A bar in a table, next to the number that it shows."""
    field = tag("rect", width=_percent(100 * share), height=10, rx=2, class_=f"fill {style}")
    return tag("svg", field, class_="bar", height=10, aria_hidden="true")


def _svg(title: str, height: float, parts: Iterable[Markup]) -> Markup:
    return tag("svg", tag("title", title), *parts, role="img", aria_label=title, class_="plot", height=f"{height:g}")


def _scale(most: int) -> tuple[int, list[int]]:
    """The top of an axis from 0 on, and where its lines are: at whole round numbers."""
    rough = max(1.0, most / _LINES)
    size = 10 ** math.floor(math.log10(rough))
    step = next(int(size * factor) for factor in (1, 2, 5, 10) if size * factor >= rough)
    top = -(-most // step) * step
    return top, list(range(0, top + 1, step))


def _height(value: float, top: float) -> float:
    return _HEIGHT * value / top


def _y(value: float, top: float) -> float:
    return round(_TOP + _HEIGHT - _height(value, top), 2)


def _percent(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".") + "%"


def _grid(scale: Sequence[int], top: int) -> Markup:
    lines = []
    for value in scale:
        y = _y(value, top)
        lines.append(tag("line", x1=0, x2="100%", y1=y, y2=y, class_="base" if value == 0 else "grid"))
        lines.append(tag("text", short(value), x=-8, y=y + _HALF_LETTER, class_="row"))
    return joined(*lines)


def _column(series: Sequence[Series], at: int, number: int, top: int) -> Markup:
    slot = 100 / number
    width = min(slot * (1 - _GAP), _WIDEST)
    x = at * slot + (slot - width) / 2
    place = {"x": _percent(x), "width": _percent(width)}
    below = 0
    parts = []
    for one in series:
        if one.values[at]:
            below += one.values[at]
            height = round(_height(one.values[at], top), 2)
            parts.append(tag("rect", y=_y(below, top), height=height, class_=f"fill {one.style}", **place))
    return joined(*parts)


def _line(line: Series, top: int) -> Iterable[Markup]:
    width = 100 / len(line.values)
    places = [(_percent((at + 0.5) * width), _y(value, top)) for at, value in enumerate(line.values)]
    for (x1, y1), (x2, y2) in itertools.pairwise(places):
        yield tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=f"stroke {line.style}")
    yield from (tag("circle", cx=x, cy=y, r=2.2, class_=f"fill {line.style}") for x, y in places)


def _marked(mark: Mark, y: int) -> Markup:
    x = _percent(100 * mark.place)
    y += _TOP + 6
    line = tag("line", x1=x, x2=x, y1=y + 3, y2=_TOP + _HEIGHT, class_="mark")
    # Towards the middle, or it would leave the plot.
    side = "end" if mark.place > 1 / 3 else "start"
    return joined(line, tag("text", mark.text, x=x, y=y, class_=f"{side} note"))


def _tick(tick: Mark) -> Markup:
    return tag("text", tick.text, x=_percent(100 * tick.place), y=_TOP + _HEIGHT + 17, class_="middle tick")


def _tips(series: Sequence[Series], columns: Sequence[str]) -> Iterable[Markup]:
    """What is shown to who points anywhere at a column."""
    width = 100 / len(columns)
    for at, name in enumerate(columns):
        said = [f"{one.name} {one.values[at]:,}" for one in series if one.values[at]]
        tip = tag("title", f"{name}: {', '.join(said) or 'none'}")
        field = tag("rect", x=_percent(at * width), y=_TOP, width=_percent(width), height=_HEIGHT, class_="tip")
        yield tag("g", tip, field)


def _shade(count: int, most: int) -> int:
    return math.ceil(_SHADES * count / most) if count else 0
