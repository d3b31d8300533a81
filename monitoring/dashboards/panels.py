"""The few shapes that panels have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmaps
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from ..promql import label
from ..thresholds import Threshold
from . import sources
from .colours import CRITICAL, MEANINGS, NEUTRAL, OK, WARNING
from .links import DataLink

Panel = models.Panel
Steps = Sequence[tuple[Threshold, str]]

_Visual = TypeVar("_Visual", stat.Panel, timeseries.Panel, bargauge.Panel)

_DASHED: Final = {"fill": "dash", "dash": [8, 6]}


class Series(NamedTuple):
    """One query of a panel, and what its series are called."""

    expression: str
    legend: str = ""
    exemplars: bool = False


def steps(above: Steps = (), *, below: str = OK, some: str = "") -> build.ThresholdsConfig:
    """Colours by value: `below` until the first step, which is 1 if `some`, what is not 0, has a colour of its own."""
    found = [models.Threshold(value=None, color=below)]
    if some:
        found.append(models.Threshold(value=1, color=some))
    found += [models.Threshold(value=threshold.value, color=colour) for threshold, colour in above]
    return build.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(found)


def query(series: Series, ref: str, *, instant: bool = False) -> prometheus.Dataquery:
    """A query of Prometheus, at the end of the time that is shown or all along it."""
    made = prometheus.Dataquery().ref_id(ref).datasource(sources.PROMETHEUS).expr(series.expression)
    made.legend_format(series.legend or "__auto")
    if series.exemplars:
        made.exemplar(True)
    return made.instant() if instant else made.range()


def number(
    title: str,
    description: str,
    expression: str,
    unit: str,
    above: Steps = (),
    *,
    below: str = OK,
    some: str = "",
    decimals: int | None = None,
    none: str = "none",
    legend: str = "",
    link: DataLink | None = None,
) -> Panel:
    """One number, coloured from where the alert on it begins, or `some` if it counts; neutral if it means neither."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(sources.PROMETHEUS)
        .unit(unit)
        .no_value(none)
        .thresholds(steps(above, below=below if above or some else NEUTRAL, some=some))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
        .color_mode(shapes.BigValueColorMode.VALUE)
        .graph_mode(shapes.BigValueGraphMode.NONE)
        .justify_mode(shapes.BigValueJustifyMode.CENTER)
        .with_target(query(Series(expression, legend), "A", instant=True))
    )
    if decimals is not None:
        panel.decimals(decimals)
    return _linked(panel, link).build()


def lines(
    title: str,
    description: str,
    series: Sequence[Series],
    unit: str,
    *,
    thresholds: Iterable[tuple[Threshold, str]] = (),
    limits: Sequence[Series] = (),
    band: tuple[Series, Series] | None = None,
    stacked: bool = False,
    bars: bool = False,
    top: float | None = None,
    log: bool = False,
    link: DataLink | None = None,
) -> Panel:
    """Values over time.

    Thresholds and limits are dashed; thresholds are the series that the alerts compare with. Between the series of a
    band it is shaded.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(sources.PROMETHEUS)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(60 if stacked or bars else 8)
        .show_points(shapes.VisibilityMode.AUTO)
        .draw_style(shapes.GraphDrawStyle.BARS if bars else shapes.GraphDrawStyle.LINE)
        .span_nulls(300_000.0)
        .legend(legend_below(stacked=stacked or bars))
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING))
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    if top is not None:
        panel.max(top)
    if log:
        panel.scale_distribution(common.ScaleDistributionConfig().type(shapes.ScaleDistribution.LOG).log(10))
    for ref, one in zip("ABCDEFGH", series, strict=False):
        panel.with_target(query(one, ref))
    for position, (threshold, colour) in enumerate(thresholds):
        ref = f"T{position}"
        panel.with_target(query(Series(threshold.series, f"alert: {threshold.name}"), ref))
        panel.override_by_query(ref, _dashed(colour))
    for position, limit in enumerate(limits):
        panel.with_target(query(limit, f"L{position}")).override_by_query(f"L{position}", _dashed(WARNING))
    if band is not None:
        _shade(panel, *band)
    return _linked(_coloured(panel, series), link).build()


def distribution(title: str, description: str, expression: str, unit: str, *, exemplars: bool = True) -> Panel:
    """How many observations fell into which bucket, over time."""
    target = query(Series(expression, "{{le}}", exemplars), "A").format(PromQueryFormat.HEATMAP)
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(sources.PROMETHEUS)
        .unit(unit)
        .calculate(False)
        .cell_gap(1)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmaps.HeatmapColorMode.SCHEME)
            .scheme("Blues")
            .scale(heatmaps.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
            .reverse(False)
            .fill("dark-blue")
        )
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(shapes.HeatmapCellLayout.AUTO))
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(shapes.AxisPlacement.LEFT))
        .exemplars_color("rgba(255,0,255,0.7)")
        .tooltip(heatmap.HeatmapTooltip().mode(shapes.TooltipDisplayMode.SINGLE).y_histogram(True))
        .show_legend()
        .with_target(target)
        .build()
    )


def ranking(title: str, description: str, series: Series, unit: str, *, link: DataLink | None = None) -> Panel:
    """Bars for what is most in the time that is shown."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(sources.PROMETHEUS)
        .unit(unit)
        .min(0)
        .decimals(0)
        .no_value("none")
        .thresholds(steps(below=NEUTRAL))
        .orientation(shapes.VizOrientation.HORIZONTAL)
        .display_mode(shapes.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
        .with_target(query(series, "A", instant=True))
    )
    return _linked(_coloured(panel, [series]), link).build()


def listing(
    title: str,
    description: str,
    columns: Sequence[tuple[Series, str]],
    *,
    hidden: Sequence[str] = ("Time",),
    named: dict[str, str] | None = None,
    order: Sequence[str] = (),
    overrides: Sequence[tuple[str, dict[str, Any]]] = (),
    sort: str | None = None,
) -> Panel:
    """A table: a row for each set of labels, a column for each query."""
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(sources.PROMETHEUS)
        .no_value("none")
        .show_header(True)
    )
    names = dict(named or {})
    for ref, (series, column) in zip("ABCDEFGH", columns, strict=False):
        panel.with_target(query(series, ref, instant=True).format(PromQueryFormat.TABLE))
        names["Value" if len(columns) == 1 else f"Value #{ref}"] = column
    if len(columns) > 1:
        panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": dict.fromkeys(hidden, True),
                "indexByName": {name: place for place, name in enumerate(order)},
                "renameByName": names,
            },
        )
    )
    for column, values in overrides:
        panel.override_by_name(column, properties(values))
    if sort is not None:
        panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(True)])
    return panel.build()


def legend_below(*, stacked: bool) -> common.VizLegendOptions:
    """The names of the series below a panel, with their last values unless they add up."""
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.BOTTOM)
        .calcs([] if stacked else ["lastNotNull"])
    )


def properties(values: dict[str, Any]) -> list[models.DynamicConfigValue]:
    """The properties of an override."""
    return [models.DynamicConfigValue(id_val=name, value=value) for name, value in values.items()]


def _fixed(colour: str) -> dict[str, str]:
    return {"mode": "fixed", "fixedColor": colour}


def _dashed(colour: str = CRITICAL) -> list[models.DynamicConfigValue]:
    return properties(
        {
            "color": _fixed(colour),
            "custom.lineStyle": _DASHED,
            "custom.fillOpacity": 0,
            "custom.drawStyle": "line",
            "custom.stacking": {"mode": "none", "group": "T"},
            "custom.showPoints": "never",
        }
    )


def _shade(panel: timeseries.Panel, low: Series, high: Series) -> None:
    quiet = {"color": _fixed(NEUTRAL), "custom.lineWidth": 0, "custom.showPoints": "never"}
    panel.with_target(query(low, "BL")).override_by_query("BL", properties({**quiet, "custom.fillOpacity": 0}))
    fill = {"custom.fillOpacity": 15, "custom.fillBelowTo": low.legend}
    panel.with_target(query(high, "BH")).override_by_query("BH", properties({**quiet, **fill}))


def _coloured(panel: _Visual, series: Sequence[Series]) -> _Visual:
    """Series that are named after what an attribute says have the colour of what that means."""
    legends = {one.legend for one in series}
    for attribute, colours in MEANINGS.items():
        if f"{{{{{label(attribute)}}}}}" in legends:
            for value, colour in colours.items():
                panel.override_by_name(value, properties({"color": _fixed(colour)}))
    return panel


def _linked(panel: _Visual, link: DataLink | None) -> _Visual:
    if link is not None:
        panel.override_by_field_type("number", properties({"links": [link.json()]}))
    return panel
