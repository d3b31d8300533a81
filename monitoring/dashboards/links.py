"""The ways between dashboards: they keep the time, the data sources and the applications that were chosen."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

TITLES: Final = {
    "app-session-overview": "Overview",
    "app-session-operations": "Operations and errors",
    "app-session-conversations": "Conversations",
    "app-session-limits": "Quotas and limits",
    "app-session-security": "Security",
    "app-session-resources": "Logs and resources",
    "app-session-pipeline": "Telemetry pipeline",
    "app-session-explorer": "Session explorer",
}
"""The dashboards by uid, in the order in which they are linked."""

_KEPT: Final = "${__url_time_range}&${datasource:queryparam}&${job:queryparam}"


class DataLink(NamedTuple):
    """A link on what is drawn."""

    title: str
    url: str

    def json(self) -> dict[str, Any]:
        """As Grafana has it."""
        return {"title": self.title, "url": self.url, "targetBlank": False}


def to(uid: str, *more: str) -> DataLink:
    """A link to another dashboard; `more` are further parts of its query."""
    return DataLink(f"Open {TITLES[uid]}", f"/d/{uid}?{'&'.join((_KEPT, *more))}")


def to_session(value: str = "${__value.raw}") -> DataLink:
    """A link to the explorer, for the session whose id this is."""
    return to("app-session-explorer", f"var-session_id={value}")


def navigation(uid: str) -> list[Builder[models.DashboardLink]]:
    """The links on top of a dashboard: to all others."""
    return [
        build.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .url(f"/d/{other}")
        .icon("dashboard")
        .keep_time(True)
        .include_vars(True)
        .target_blank(False)
        for other, title in TITLES.items()
        if other != uid
    ]
