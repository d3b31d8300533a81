"""What was found, and what to do about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Verdict = Literal["ok", "warning", "problem"]


class Finding(NamedTuple):
    """What one check has found."""

    check: str
    verdict: Verdict
    found: str
    advice: str | None = None
    """What to do; None if nothing is to be done."""


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Something may be wrong, or is not as it could be."""
    return Finding(check, "warning", found, advice)


def problem(check: str, found: str, advice: str) -> Finding:
    """Something does not work."""
    return Finding(check, "problem", found, advice)
