"""A small dashboard that is sound, to be broken; and the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"


def committed() -> dict[str, Any]:
    """The dashboards as they are shipped, by file name."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def source() -> dict[str, str]:
    """The data source of metrics, as a variable."""
    return {"type": "prometheus", "uid": "${datasource}"}


def panel(number: int, x: int, y: int, *, kind: str = "timeseries", expr: str = "") -> dict[str, Any]:
    """A panel of half the width."""
    return {
        "id": number,
        "type": kind,
        "title": f"panel {number}",
        "description": "What it shows.",
        "datasource": source(),
        "gridPos": {"x": x, "y": y, "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
        "targets": [
            {
                "refId": "A",
                "datasource": source(),
                "expr": expr or 'rate(app_session_starts_total{job=~"$job"}[$__range])',
            }
        ],
    }


def row(number: int, y: int, *inside: dict[str, Any]) -> dict[str, Any]:
    """A row; collapsed if it has panels inside."""
    place = {"x": 0, "y": y, "w": 24, "h": 1}
    return {
        "id": number,
        "type": "row",
        "title": "How is it?",
        "gridPos": place,
        "collapsed": bool(inside),
        "panels": [*inside],
    }


def sound() -> dict[str, Any]:
    """A dashboard in which nothing is wrong."""
    return {
        "uid": "sound",
        "description": "One that is sound.",
        "panels": [row(1, 0), panel(2, 0, 1), panel(3, 12, 1), row(4, 9, panel(5, 0, 10), panel(6, 12, 10))],
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                {"name": "job", "type": "query", "query": "label_values(app_session_up, job)", "datasource": source()},
            ]
        },
        "annotations": {"list": []},
        "links": [{"type": "link", "url": "/d/sound", "keepTime": True, "includeVars": True}],
    }
