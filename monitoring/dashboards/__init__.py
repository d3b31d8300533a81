"""The Grafana dashboards as code: panels ask what `queries` holds, and each dashboard is one file.

The package that builds them needs Python 3.11; what only reads them (`targets`) does not.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Final

NAMES: Final = (
    "overview", "operations", "conversations", "limits", "security", "resources", "pipeline", "explorer",
)  # fmt: skip
"""The dashboards, each a module of this package and a file of JSON."""


def text(name: str) -> str:
    """The JSON of a dashboard."""
    with warnings.catch_warnings():
        # The SDK would rather have the new schema, which no Grafana before 13 reads; 13 reads the classic one too.
        warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
        return str(importlib.import_module(f".{name}", __name__).BOARD.text())


OUTPUTS: Final[dict[str, Callable[[], str]]] = (
    {f"grafana/dashboards/{name}.json": partial(text, name) for name in NAMES} if sys.version_info >= (3, 11) else {}
)
"""What is written, by path; nothing where the SDK cannot be installed."""
