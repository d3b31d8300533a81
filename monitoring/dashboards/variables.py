"""What can be chosen on top of a dashboard."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from otel_sessions import _semconv as sc

from ..foreign import Host
from ..promql import label, name
from . import sources

Variable = Builder[models.VariableModel]


def source(variable: str, kind: str, title: str) -> Variable:
    """A data source of a kind."""
    return build.DatasourceVariable(variable).label(title).type(kind)


def prometheus() -> Variable:
    """The data source of metrics."""
    return source("datasource", "prometheus", "Metrics")


def tempo() -> Variable:
    """The data source of traces."""
    return source("tempo", "tempo", "Traces")


def loki() -> Variable:
    """The data source of logs."""
    return source("loki", "loki", "Logs")


def job() -> Variable:
    """The applications: `service.namespace/service.name` of all that have used this library."""
    return _values("job", "Application", f"label_values({name(sc.UP)}, job)")


def session_type() -> Variable:
    """The types of their sessions."""
    return _values("type", "Session type", f'label_values({name(sc.STARTS)}{{job=~"$job"}}, {label(sc.TYPE)})')


def host() -> Variable:
    """The machines whose collectors report them."""
    return _values("host", "Host", f"label_values({Host.MEMORY}, instance)")


def service() -> Variable:
    """The applications as logs and traces name them: the job without its namespace. Follows `job`, and is not shown."""
    made = _values("service", "Service", f'label_values({name(sc.UP)}{{job=~"$job"}}, job)')
    return made.regex("/(?:.*\\/)?(.+)/").hide(models.VariableHide.HIDE_VARIABLE)


def session_id() -> Variable:
    """The id of one session, typed or followed from a link."""
    return build.TextBoxVariable("session_id").label("session.id").default_value("").description("A session's id.")


def _values(variable: str, title: str, query: str) -> build.QueryVariable:
    return (
        build.QueryVariable(variable)
        .label(title)
        .datasource(sources.PROMETHEUS)
        .query({"query": query, "refId": variable, "qryType": 1})
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
