"""Whether applications have sessions without code: what `opentelemetry-instrument` would load here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Final

from ._finding import Finding, ok, problem, warning
from ._packages import requirements

_OURS: Final = "otel_sessions"
_CHECK: Final = "instrumentation"
_DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_FRAMEWORKS: Final = ("flask", "fastapi", "starlette")


def instrumentations(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Our instrumentation, what sets up an SDK, and the frameworks."""
    disabled = {name.strip() for name in environ.get(_DISABLED, "").split(",")}
    if not entry_points(group="opentelemetry_instrumentor", name=_OURS):
        yield problem(
            _CHECK,
            "the entry point otel_sessions of opentelemetry_instrumentor is not there",
            "install otel-sessions as a distribution, in the environment of the application",
        )
    elif disabled & {_OURS, "*"}:
        yield warning(_CHECK, f"{_DISABLED} switches it off", f"take {_OURS} out of it, unless that is meant")
    else:
        yield ok(_CHECK, "opentelemetry-instrument loads it")
    if entry_points(group="opentelemetry_distro"):
        yield ok("distro", "opentelemetry-instrument sets up an SDK")
    else:
        yield warning(
            "distro",
            "opentelemetry-distro is not installed: opentelemetry-instrument sets up no SDK",
            "run: pip install opentelemetry-distro, unless the application sets up its own",
        )
    yield from map(_framework, _FRAMEWORKS)


def _framework(name: str) -> Finding:
    try:
        here = version(name)
    except PackageNotFoundError:
        return ok(name, "not installed")
    for needed in requirements(extra=name) or []:
        if needed.name == name and not needed.specifier.contains(here, prereleases=True):
            return problem(
                name, f"{here}, and {needed.specifier} is needed", f"run: pip install '{name}{needed.specifier}'"
            )
    return ok(name, here)
