"""The shapes of panels that show what Tempo and Loki find."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, logs, loki, table, tempo, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import tempo as tempo_models

from . import sources
from .links import DataLink
from .panels import Panel, legend_below, properties


def spans(
    title: str, description: str, traceql: str, *, by_span: bool = True, limit: int = 20, link: DataLink | None = None
) -> Panel:
    """A table of the spans, or of the traces, that TraceQL finds."""
    kind = tempo_models.SearchTableType.SPANS if by_span else tempo_models.SearchTableType.TRACES
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(sources.TEMPO)
        .no_value("none")
        .show_header(True)
        .with_target(
            tempo.Dataquery()
            .ref_id("A")
            .datasource(sources.TEMPO)
            .query_type("traceql")
            .query(traceql)
            .limit(limit)
            .spss(100)
            .table_type(kind)
        )
    )
    if link is not None:
        panel.override_by_name("session.id", properties({"links": [link.json()]}))
    return panel.build()


def records(title: str, description: str, logql: str) -> Panel:
    """The log records that LogQL finds, the newest first."""
    return (
        logs.Panel()
        .title(title)
        .description(description)
        .datasource(sources.LOKI)
        .show_time(True)
        .wrap_log_message(True)
        .enable_log_details(True)
        .sort_order(shapes.LogsSortOrder.DESCENDING)
        .dedup_strategy(shapes.LogsDedupStrategy.NONE)
        .with_target(_loki(logql).query_type("range").max_lines(200))
        .build()
    )


def counted_records(title: str, description: str, logql: str, legend: str) -> Panel:
    """How many log records there were, over time."""
    return (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(sources.LOKI)
        .unit("short")
        .min(0)
        .fill_opacity(60)
        .draw_style(shapes.GraphDrawStyle.BARS)
        .stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
        .legend(legend_below(stacked=True))
        .with_target(_loki(logql).query_type("range").legend_format(legend))
        .build()
    )


def _loki(logql: str) -> loki.Dataquery:
    return loki.Dataquery().ref_id("A").datasource(sources.LOKI).expr(logql)
