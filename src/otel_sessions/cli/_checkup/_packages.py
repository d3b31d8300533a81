"""Which Python this is, and whether the packages are of versions that go together."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from typing import Final

# opentelemetry-instrumentation, which this package needs, brings it.
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ...version import __version__
from ._finding import Finding, ok, problem, warning

_OURS: Final = "otel-sessions"


def packages(of: str = _OURS) -> Iterator[Finding]:
    """Python, and the packages that a distribution needs: this one."""
    needed = requirements(of=of)
    if needed is None:
        yield from _python("")
        yield warning(
            "packages",
            f"otel-sessions {__version__} is not installed as a distribution: what it needs is not known",
            "run: pip install otel-sessions",
        )
        return
    yield from _python(metadata(of)["Requires-Python"])
    yield from _needed(needed)


def _python(wanted: str) -> Iterator[Finding]:
    here = platform.python_version()
    if SpecifierSet(wanted).contains(here, prereleases=True):
        yield ok("python", here)
    else:
        yield problem("python", f"{here}, and {wanted} is needed", "run the application by another Python")


def _needed(needed: list[Requirement]) -> Iterator[Finding]:
    wrong = list(filter(None, map(_fault, needed)))
    yield from (problem("packages", fault, f"run: pip install '{need}'") for need, fault in wrong)
    if not wrong:
        shown = [f"{each.name} {version(each.name)}" for each in needed if each.name.startswith("opentelemetry-")]
        yield ok("packages", ", ".join([f"otel-sessions {__version__}", *shown]))


def requirements(extra: str = "", *, of: str = _OURS) -> list[Requirement] | None:
    """What a distribution needs here, with an extra; None if there is none of that name."""
    try:
        texts = requires(of) or []
    except PackageNotFoundError:
        return None
    found = [Requirement(text) for text in texts]
    return [each for each in found if each.marker is None or each.marker.evaluate({"extra": extra})]


def _fault(needed: Requirement) -> tuple[str, str] | None:
    """What is wrong with the package that is needed; None if nothing is."""
    wanted = f"{needed.name}{needed.specifier}"
    try:
        here = version(needed.name)
    except PackageNotFoundError:
        return wanted, f"{needed.name} is not installed"
    if needed.specifier.contains(here, prereleases=True):
        return None
    return wanted, f"{needed.name} {here} is installed, and {needed.specifier} is needed"
