"""The real programs: where an environment variable says, else where `make tools` and `make collector` put them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
TOOLS: Final = ROOT / ".tools" / "bin"

# By variable: the file's name under .tools/bin, and what makes it.
_PROGRAMS: Final = {
    "OTELCOL": ("otelcol", "make collector"),
    "PROMETHEUS": ("prometheus", "make tools"),
    "PROMTOOL": ("promtool", "make tools"),
    "ALERTMANAGER": ("alertmanager", "make tools"),
    "AMTOOL": ("amtool", "make tools"),
    "PROMETHEUS3": ("prometheus3", "make tools"),
    "PROMTOOL3": ("promtool3", "make tools"),
    "ALERTMANAGER3": ("alertmanager3", "make tools"),
    "AMTOOL3": ("amtool3", "make tools"),
}


def need(variable: str) -> str:
    """The path of a program, by its variable: `need("PROMTOOL3")`. Without it the test fails; it is never skipped."""
    name, remedy = _PROGRAMS[variable]
    given = os.environ.get(variable)
    found = shutil.which(given) if given else shutil.which(TOOLS / name)
    if found is None:
        where = f"{variable} is {given!r}, which is no program" if given else f"{TOOLS / name} is not there"
        pytest.fail(f"{where}: run `{remedy}`, or set {variable} to the path of a {name}", pytrace=False)
    return found
