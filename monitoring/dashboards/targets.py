"""What panels ask: read from a dashboard's JSON, with the variables filled in as Grafana fills them in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

Json = Mapping[str, Any]

VALUES: Final[Mapping[str, str]] = {
    "__rate_interval": "1m",
    "__rate_interval_ms": "60000",
    "__interval": "15s",
    "__range": "1h",
    "job": ".+",
    "type": ".+",
    "host": ".+",
    "service": ".+",
    "session_id": "0123456789abcdef0123456789abcdef",
}
"""Values that make every expression a valid one."""

_VARIABLE: Final = re.compile(r"\$\{([a-zA-Z_]\w*)(?::\w+)?\}|\$([a-zA-Z_]\w*)")


class Target(NamedTuple):
    """One query of one panel, or of an annotation or a variable."""

    panel: str
    ref: str
    kind: str
    expression: str
    instant: bool = False


def panels(dashboard: Json) -> Iterator[Json]:
    """All panels, those of collapsed rows too, rows themselves apart."""
    for panel in dashboard.get("panels", []):
        if panel.get("type") == "row":
            yield from panel.get("panels") or []
        else:
            yield panel


def targets(dashboard: Json) -> Iterator[Target]:
    """Every query of every panel."""
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            yield Target(
                panel.get("title", ""),
                target.get("refId", ""),
                _kind(target) or _kind(panel),
                target.get("expr") or target.get("query") or "",
                bool(target.get("instant")),
            )


def annotation_targets(dashboard: Json) -> Iterator[Target]:
    """The queries of the annotations, those that Grafana keeps itself apart."""
    for annotation in dashboard.get("annotations", {}).get("list", []):
        if annotation.get("expr"):
            yield Target(f"annotation {annotation.get('name')}", "", _kind(annotation), annotation["expr"])


def interpolate(expression: str, variables: Mapping[str, str] = VALUES) -> str:
    """Fill in the variables, `$name` and `${name}` and `${name:format}`.

    Raises:
        KeyError: There is no value for one.
    """
    return _VARIABLE.sub(lambda found: variables[found[1] or found[2]], expression)


def _kind(owner: Json) -> str:
    return str((owner.get("datasource") or {}).get("type", ""))
