"""The Grafana dashboards as code: panels ask what `queries` holds, and each dashboard is one file.

The package that builds them needs Python 3.11; what only reads them (`targets`) does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FOLDER: Final = "grafana/dashboards"


def outputs() -> Mapping[str, str]:
    """The dashboards' JSON by path."""
    from . import conversations, explorer, limits, operations, overview, pipeline, resources, security  # noqa: PLC0415

    rooms = overview, operations, conversations, limits, security, resources, pipeline, explorer
    return {f"{FOLDER}/{room.BOARD.file}": room.BOARD.text() for room in rooms}
