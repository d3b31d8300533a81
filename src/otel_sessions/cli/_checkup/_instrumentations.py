"""Whether applications have sessions without code: what `opentelemetry-instrument` would load here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Final

from packaging.requirements import Requirement
from packaging.version import Version

from ._finding import Finding, ok, problem, warning
from ._packages import requirements

_OURS: Final = "otel_sessions"
_DISTRO: Final = "opentelemetry_distro"
_CHECK: Final = "instrumentation"
_DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_FRAMEWORKS: Final = ("flask", "fastapi", "starlette")
_CONTRIB: Final = "opentelemetry-instrumentation"
_SINCE: Final = "0.63b0"
"""Which version reaches the workers of uvicorn."""


def instrumentations(environ: Mapping[str, str], *, ours: str = _OURS, distro: str = _DISTRO) -> Iterator[Finding]:
    """Our instrumentation, what sets up an SDK, and the frameworks.

    Args:
        environ: the variables.
        ours: the name of our entry point.
        distro: the group of those that set up an SDK.
    """
    disabled = {name.strip() for name in environ.get(_DISABLED, "").split(",")}
    if not entry_points(group="opentelemetry_instrumentor", name=ours):
        yield problem(
            _CHECK,
            "the entry point otel_sessions of opentelemetry_instrumentor is not there",
            "install otel-sessions as a distribution, in the environment of the application",
        )
    elif disabled & {_OURS, "*"}:
        yield warning(_CHECK, f"{_DISABLED} switches it off", f"take {_OURS} out of it, unless that is meant")
    else:
        yield ok(_CHECK, f"opentelemetry-instrument loads it{restriction(_installed(_CONTRIB))}")
    if entry_points(group=distro):
        yield ok("distro", "opentelemetry-instrument sets up an SDK")
    else:
        yield warning(
            "distro",
            "opentelemetry-distro is not installed: opentelemetry-instrument sets up no SDK",
            "run: pip install opentelemetry-distro, unless the application sets up its own",
        )
    yield from (framework(name, requirements(name) or []) for name in _FRAMEWORKS)


def restriction(here: str | None) -> str:
    """Where `opentelemetry-instrument` loads nothing, to be said behind that it does.

    Before that version it takes what loads it out of the environment that other processes are given:
    https://github.com/open-telemetry/opentelemetry-python-contrib/pull/4469

    Args:
        here: the version of opentelemetry-instrumentation; None if it is not installed, which the packages are told of.
    """
    if here is None or Version(here) >= Version(_SINCE):
        return ""
    return (
        ", but not in workers that a server starts as programs of their own, as uvicorn does: "
        f"that takes {_CONTRIB} {_SINCE}, this is {here}; see docs/troubleshooting.md"
    )


def framework(name: str, needed: Sequence[Requirement] = ()) -> Finding:
    """A framework: whether it is here, and of a version that is needed."""
    here = _installed(name)
    if here is None:
        return ok(name, "not installed")
    for each in needed:
        if each.name == name and not each.specifier.contains(here, prereleases=True):
            advice = f"run: pip install '{name}{each.specifier}'"
            return problem(name, f"{here}, and {each.specifier} is needed", advice)
    return ok(name, here)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
