"""Which Python this is, and whether the packages are of versions that go together."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

# opentelemetry-instrumentation, which this package needs, brings it.
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ...version import __version__
from ._finding import Finding, ok, problem, warning

_OURS = "otel-sessions"


def packages() -> Iterator[Finding]:
    """Python, and what this package needs."""
    yield from _python()
    needed = requirements()
    if needed is None:
        yield warning(
            "packages",
            f"otel-sessions {__version__} is not installed as a distribution: what it needs is not known",
            "run: pip install otel-sessions",
        )
        return
    wrong = list(filter(None, map(_fault, needed)))
    yield from (problem("packages", fault, f"run: pip install '{need}'") for need, fault in wrong)
    if not wrong:
        shown = [f"{each.name} {version(each.name)}" for each in needed if each.name.startswith("opentelemetry-")]
        yield ok("packages", ", ".join([f"otel-sessions {__version__}", *shown]))


def _python() -> Iterator[Finding]:
    try:
        wanted = SpecifierSet(metadata(_OURS)["Requires-Python"])
    except PackageNotFoundError:
        wanted = SpecifierSet()
    here = platform.python_version()
    if wanted.contains(here, prereleases=True):
        yield ok("python", here)
    else:
        yield problem("python", f"{here}, and {wanted} is needed", "run the application by another Python")


def requirements(extra: str = "") -> list[Requirement] | None:
    """What this package needs here, with an extra; None if it is not installed as a distribution."""
    try:
        texts = requires(_OURS) or []
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
