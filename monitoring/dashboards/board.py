"""A dashboard from rows of panels: each row is a question, and its panels answer it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from . import links, sources
from .queries import sessions
from .variables import Variable

WIDTH: Final = 24
STAT_HEIGHT: Final = 4


@dataclass(frozen=True, kw_only=True)
class Row:
    """A question, and the panels that answer it, side by side."""

    question: str
    panels: Sequence[models.Panel]
    widths: Sequence[int] = ()
    height: int = 8
    collapsed: bool = False

    def __post_init__(self) -> None:
        """Share the width among panels that do not say theirs."""
        if not self.widths:
            each, rest = divmod(WIDTH, len(self.panels))
            object.__setattr__(self, "widths", [each + (number < rest) for number in range(len(self.panels))])


@dataclass(frozen=True, kw_only=True)
class Board:
    """A dashboard."""

    uid: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row]
    since: str = "now-6h"

    def text(self) -> str:
        """It, as the file that Grafana reads: the same for the same code."""
        board = (
            build.Dashboard(f"Sessions / {links.TITLES[self.uid]}")
            .uid(self.uid)
            .description(self.description)
            .tags(["sessions", "opentelemetry"])
            .readonly()
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .time(self.since, "now")
            .refresh("30s")
            .timezone("browser")
            .variables(list(self.variables))
            .annotations([_alerts(), _deployments()])
            .links(links.navigation(self.uid))
            .build()
        )
        board.panels = _placed(self.rows)
        found = json.loads(json.dumps(board, cls=JSONEncoder))
        for shown in (*found["links"], *found["annotations"]["list"]):
            shown.pop("placement", None)  # the SDK puts them into a menu, where nobody sees them
        return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _placed(rows: Sequence[Row]) -> list[models.Panel | models.RowPanel]:
    """All panels with their places and ids; those of a collapsed row are inside it."""
    found: list[models.Panel | models.RowPanel] = []
    y, number = 0, 0
    for row in rows:
        number += 1
        header = models.RowPanel(
            title=row.question, id_val=number, grid_pos=models.GridPos(x=0, y=y, w=WIDTH, h=1), collapsed=row.collapsed
        )
        found.append(header)
        x = 0
        for panel, width in zip(row.panels, row.widths, strict=True):
            number += 1
            panel.id_val = number
            panel.grid_pos = models.GridPos(x=x, y=y + 1, w=width, h=row.height)
            x += width
        if row.collapsed:
            header.panels = list(row.panels)
            y += 1
        else:
            found += row.panels
            y += 1 + row.height
    return found


def _alerts() -> build.AnnotationQuery:
    return (
        build.AnnotationQuery()
        .name("Alerts")
        .datasource(sources.PROMETHEUS)
        .enable(True)
        .icon_color("red")
        .expr(sessions.ALERTS)
        .step("60s")
        .title_format("{{alertname}}")
        .text_format("{{severity}} {{job}} {{which}}")
        .tag_keys("component")
    )


def _deployments() -> build.AnnotationQuery:
    return (
        build.AnnotationQuery()
        .name("Deployments")
        .datasource(sources.PROMETHEUS)
        .enable(True)
        .icon_color("blue")
        .expr(sessions.DEPLOYMENTS)
        .step("60s")
        .title_format("{{job}} {{service_version}}")
        .text_format("A version that was not there before")
    )
