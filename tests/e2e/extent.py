"""How much the tests here do: what every change has to bear or, with `E2E=full` in the environment, far more."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

FULL = os.environ.get("E2E") == "full"


def extent(usual: T, *, full: T) -> T:
    """What is to be done this time."""
    return full if FULL else usual


def say(what: str) -> None:
    """Say a figure that was measured, if this is a run for figures; `-s` shows it."""
    if FULL:
        print(what)  # noqa: T201 - that is what it is run for
