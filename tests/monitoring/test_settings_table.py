"""The settings of other session monitors have counterparts here that exist under the names that the table says."""

from __future__ import annotations

import re
from typing import Final

import pytest
from monitoring.recordings import GROUPS
from monitoring.thresholds import THRESHOLDS

from .binaries import ROOT

_TABLE: Final = (
    (ROOT / "docs" / "monitoring.md")
    .read_text(encoding="utf-8")
    .partition("## Settings of other session monitors")[2]
    .partition("\n## ")[0]
)
_NAMES: Final = re.findall(r"`([^`]+)`", _TABLE)
_WRITTEN: Final = "\n".join(
    file.read_text(encoding="utf-8")
    for file in (
        *sorted((ROOT / "collector-config").glob("*.yaml")),
        *sorted((ROOT / "prometheus").glob("*.yaml")),
        ROOT / "compose.yaml",
        ROOT / "docs" / "configuration.md",
    )
)
_KNOWN: Final = {each.name for each in THRESHOLDS} | {each.name for group in GROUPS for each in group.recordings}


@pytest.mark.parametrize("name", sorted(set(_NAMES)))
def test_every_name_is_one(name: str) -> None:
    """A threshold, a recorded series, a file, a flag, or a variable that is read."""
    assert name in _KNOWN or re.search(rf"(?<!\w){re.escape(name)}\b", _WRITTEN) or (ROOT / name).is_file()


@pytest.mark.parametrize(
    ("threshold", "theirs"),
    [
        ("error_ratio", 0.1), ("response_p95_seconds", 2), ("response_mean_seconds", 10),
        ("response_single_seconds", 30), ("quota_warning_ratio", 0.75), ("quota_critical_ratio", 0.9),
        ("active_sessions", 100), ("user_sessions", 5), ("engagement_ratio", 0.1), ("findings", 5),
        ("log_growth_ratio", 0.5),
    ],
)  # fmt: skip
def test_values_are_theirs(threshold: str, theirs: float) -> None:
    """What is set by default is what those set, and the table names it."""
    [found] = [each.value for each in THRESHOLDS if each.name == threshold]
    assert found == theirs
    assert threshold in _NAMES
