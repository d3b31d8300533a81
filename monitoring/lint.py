"""What every dashboard must keep to, checked in its JSON: what Grafana would show wrongly, or silently not at all."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from otel_sessions import _semconv as sc

from . import foreign, promql, thresholds
from .dashboards.targets import Json, annotation_targets, interpolate, panels, targets
from .selectors import selectors

WIDTH: Final = 24
MAX_PANELS: Final = 16
UNITS: Final = frozenset({"short", "percentunit", "s", "bytes", "Bps", "cps", "ops"})
"""The units of Grafana that are used here; `suffix: ...` is one of its forms too."""

WITHOUT_UNIT: Final = frozenset({"table", "logs", "row"})

_WINDOWS: Final = frozenset({"$__rate_interval", "$__range", "$__interval"})
_COUNTED: Final = re.compile(r"\b(rate|irate|increase)\s*\(\s*[\w:]+(?:\{[^}]*\})?\[([^\]]+)\]")
_ALERT_WINDOW: Final = "10m"
"""What is drawn with the threshold of an alert is counted in that alert's window."""

_USED: Final = re.compile(r"\$\{?([a-zA-Z_]\w*)")
_DASHBOARD: Final = re.compile(r"^/d/([\w-]+)(?:\?(.*))?$")

_OWN: Final = frozenset(promql.SERIES) | {
    foreign.Span.CALLS,
    foreign.Span.DURATION_BUCKET,
    foreign.Prometheus.TARGET_INFO,
}
_OF_HOSTS: Final = ("app_session:log_", "app_session:filesystem_", "app_session:process_")
_MATCHERS: Final = (
    # What is selected, and by what: the rest has neither an application nor a machine.
    (lambda name: name in _OWN, 'job=~"$job"'),
    (lambda name: name.startswith(("system_", "process_", "file_", *_OF_HOSTS)), 'instance=~"$host"'),
    (lambda name: name.startswith("app_session:") and name != thresholds.SERIES, 'job=~"$job"'),
)

_ALERTS_OF: Final = ('job=~"$job|"', 'component=~"telemetry|resources"')
"""Alerts are those of an application, or of what all of them need."""

_ATTRIBUTES: Final = frozenset(value for value in vars(sc).values() if isinstance(value, str))
_LABELS: Final = frozenset(map(promql.label, _ATTRIBUTES))


class Finding(NamedTuple):
    """Something wrong with a dashboard."""

    rule: str
    dashboard: str
    what: str

    def __str__(self) -> str:
        """It, in a line."""
        return f"{self.dashboard}: {self.what} ({self.rule})"


def check(dashboards: Mapping[str, Json], recorded: Collection[str]) -> list[Finding]:
    """What is wrong with dashboards, by their names.

    Args:
        dashboards: all of them, because they lead to each other.
        recorded: the series that recording rules make.
    """
    known = {*promql.SERIES, *foreign.SERIES, *recorded, thresholds.SERIES}
    found = [
        Finding(rule.__name__.strip("_"), name, what)
        for name, dashboard in dashboards.items()
        for rule in _RULES
        for what in rule(dashboard)
    ]
    for name, dashboard in dashboards.items():
        found += [Finding("series", name, what) for what in _series(dashboard, known)]
        found += [Finding("links", name, what) for what in _links(dashboard, dashboards)]
    uids = Counter(dashboard.get("uid") for dashboard in dashboards.values())
    found += [Finding("uid", name, f"uid {each['uid']}") for name, each in dashboards.items() if uids[each["uid"]] > 1]
    return found


def rules(dashboards: Mapping[str, Json]) -> str:
    """A rule file with every expression in it, for `promtool check rules`."""
    expressions = [
        interpolate(target.expression)
        for dashboard in dashboards.values()
        for target in (*targets(dashboard), *annotation_targets(dashboard))
        if target.kind == "prometheus"
    ]
    group = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions)]
    return json.dumps({"groups": [{"name": "panels", "rules": group}]}, indent=1)


def _grid(dashboard: Json) -> Iterator[str]:
    """24 columns, no gap, no overlap; panels below the row whose question they answer."""
    top = dashboard["panels"]
    if not top or top[0]["type"] != "row":
        yield "the first panel is not a row"
    yield from _filled("", top, 0)
    for row in top:
        if row["type"] == "row" and row.get("panels"):
            yield from _filled(f"in {row['title']!r} ", row["panels"], row["gridPos"]["y"] + 1)


def _filled(where: str, placed: list[Json], start: int) -> Iterator[str]:
    cells: Counter[tuple[int, int]] = Counter()
    for panel in placed:
        at = panel["gridPos"]
        if at["x"] + at["w"] > WIDTH:
            yield f"{where}{panel['title']!r} ends in column {at['x'] + at['w']}"
        cells.update((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"]))
    lines = range(start, max((y for _, y in cells), default=start - 1) + 1)
    if any(number > 1 for number in cells.values()):
        yield f"{where}panels overlap"
    if missing := [(x, y) for y in lines for x in range(WIDTH) if (x, y) not in cells]:
        yield f"{where}nothing in column {missing[0][0]}, line {missing[0][1]}"


def _ids(dashboard: Json) -> Iterator[str]:
    """Each panel and row has an id of its own."""
    everything = [*dashboard["panels"], *(each for row in dashboard["panels"] for each in row.get("panels") or [])]
    for number, times in Counter(each.get("id") for each in everything).items():
        if number is None or times > 1:
            yield f"id {number} {times} times"


def _text(dashboard: Json) -> Iterator[str]:
    """Each panel says what it shows, each row asks a question."""
    if not dashboard.get("description"):
        yield "the dashboard has no description"
    for panel in panels(dashboard):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel.get('id')} has no title, or no description"
    for row in dashboard["panels"]:
        if row["type"] == "row" and not row["title"].endswith("?"):
            yield f"{row['title']!r} is no question"


def _units(dashboard: Json) -> Iterator[str]:
    """Each number has a unit that Grafana knows."""
    for panel in panels(dashboard):
        unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
        if panel["type"] not in WITHOUT_UNIT and unit not in UNITS and not unit.startswith("suffix: "):
            yield f"{panel['title']!r} has the unit {unit!r}"


def _number(dashboard: Json) -> Iterator[str]:
    """As many panels as one can take in; those of collapsed rows are not seen."""
    if (number := sum(panel["type"] != "row" for panel in dashboard["panels"])) > MAX_PANELS:
        yield f"{number} panels, {MAX_PANELS} at most"


def _inputs(dashboard: Json) -> Iterator[str]:
    """Nothing that has to be filled in at an import: a provisioned dashboard never gets it."""
    yield from (f"{key} is there" for key in ("__inputs", "__requires") if key in dashboard)


def _sources(dashboard: Json) -> Iterator[str]:
    """Data sources are variables."""
    for where, owner in _objects(dashboard):
        if "datasource" not in owner:
            continue
        source = owner["datasource"]
        if not isinstance(source, Mapping) or not str(source.get("uid", "")).startswith("${"):
            yield f"{where} has the data source {source!r}"
    for panel in panels(dashboard):
        yield from (
            f"{panel['title']!r} asks {each.get('refId')} of no data source"
            for each in panel.get("targets", [])
            if "datasource" not in each
        )


def _variables(dashboard: Json) -> Iterator[str]:
    """What is used is defined, and what is defined is used."""
    defined = {each["name"]: each for each in dashboard["templating"]["list"]}
    rest = {key: value for key, value in dashboard.items() if key != "templating"}
    used = set(_USED.findall(json.dumps(rest)))
    for name, variable in defined.items():
        used |= set(_USED.findall(json.dumps(variable))) - {name}
    used = {each for each in used if not each.startswith("__")}
    yield from (f"${name} is not defined" for name in sorted(used - defined.keys()))
    yield from (f"${name} is not used" for name in sorted(defined.keys() - used))


def _windows(dashboard: Json) -> Iterator[str]:
    """Rates are taken over a window that fits the scrapes and the time shown."""
    for target in _asked(dashboard):
        for function, window in _COUNTED.findall(target.expression):
            if window not in _WINDOWS and (function, window) != ("increase", _ALERT_WINDOW):
                yield f"{target.panel!r} takes {function} over [{window}]"


def _jobs(dashboard: Json) -> Iterator[str]:
    """What belongs to an application, or to a machine, is of those chosen."""
    for target in _asked(dashboard):
        for each in selectors(target.expression):
            wanted = next((matcher for is_one, matcher in _MATCHERS if is_one(each.name)), "")
            if wanted and wanted not in each.matchers:
                yield f"{target.panel!r} asks for {each.name} without {wanted}"
            elif each.name == foreign.Prometheus.ALERTS and not any(one in each.matchers for one in _ALERTS_OF):
                yield f"{target.panel!r} asks for {each.name} without one of {', '.join(_ALERTS_OF)}"


def _thresholds(dashboard: Json) -> Iterator[str]:
    """The lines of thresholds are those of alerts."""
    names = {each.series for each in thresholds.THRESHOLDS}
    for target in _asked(dashboard):
        for each in selectors(target.expression):
            if each.name == thresholds.SERIES and f"{each.name}{{{each.matchers}}}" not in names:
                yield f"{target.panel!r} draws {each.matchers}"


def _exemplars(dashboard: Json) -> Iterator[str]:
    """Exemplars are asked of what has them: a rule's series have none."""
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            if target.get("exemplar") and not any(each.name in _OWN for each in selectors(target["expr"])):
                yield f"{panel['title']!r} asks for exemplars of what has none"


def _attributes(dashboard: Json) -> Iterator[str]:
    """Traces and logs are asked for what they have."""
    for target in targets(dashboard):
        if target.kind == "tempo":
            names: Collection[str] = re.findall(r"\bspan\.([\w.]+)", target.expression)
            unknown = sorted(set(names) - _ATTRIBUTES)
        elif target.kind == "loki":
            names = re.findall(r"(?<!\$)\b(?:app_session_\w+|session_\w+)", target.expression)
            unknown = sorted(set(names) - _LABELS)
        else:
            continue
        if unknown or target.expression.count("{") != target.expression.count("}"):
            yield f"{target.panel!r} asks for {unknown or target.expression}"


_RULES: Final[tuple[Callable[[Json], Iterator[str]], ...]] = (
    _grid, _ids, _text, _units, _number, _inputs, _sources, _variables, _windows, _jobs, _thresholds,
    _exemplars, _attributes,
)  # fmt: skip


RULES: Final = frozenset({*(rule.__name__.strip("_") for rule in _RULES), "series", "links", "uid"})
"""The rules, by name."""


def _series(dashboard: Json, known: Collection[str]) -> Iterator[str]:
    """Nothing is asked for that nobody makes."""
    for target in _asked(dashboard):
        for each in selectors(target.expression):
            if each.name not in known:
                yield f"{target.panel!r} asks for {each.name}, which nobody makes"


def _links(dashboard: Json, dashboards: Mapping[str, Json]) -> Iterator[str]:
    """Links lead to dashboards that are there, and take the time and what was chosen along."""
    by_uid = {each["uid"]: each for each in dashboards.values()}
    for where, link in _objects(dashboard):
        if not (found := _DASHBOARD.match(str(link.get("url", "")))):
            continue
        uid, query = found.groups()
        if uid not in by_uid:
            yield f"{where} leads to {uid}, which is not there"
            continue
        if not (link.get("keepTime") and link.get("includeVars")) and "${__url_time_range}" not in (query or ""):
            yield f"{where} leads to {uid} at another time"
        known = {each["name"] for each in by_uid[uid]["templating"]["list"]}
        yield from (
            f"{where} gives {uid} {name}, which it does not have"
            for name in re.findall(r"\bvar-(\w+)=", query or "")
            if name not in known
        )


def _asked(dashboard: Json) -> Iterator[Any]:
    everything = (*targets(dashboard), *annotation_targets(dashboard))
    return (target for target in everything if target.kind == "prometheus")


def _objects(dashboard: Json, where: str = "dashboard") -> Iterator[tuple[str, Json]]:
    """Every object in a dashboard, with the title of the panel that it is in."""
    if isinstance(dashboard, Mapping):
        yield where, dashboard
        where = repr(dashboard["title"]) if "gridPos" in dashboard else where
    children = dashboard.values() if isinstance(dashboard, Mapping) else dashboard
    for child in children:
        if isinstance(child, (Mapping, list)):
            yield from _objects(child, where)  # type: ignore[arg-type]
