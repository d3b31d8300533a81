"""The `OTEL_SESSIONS_*` variables: whether their names are some, and their values can be used."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Final

from ..._config import ENV_PREFIX, FIELDS, tolerant_from_environment
from .._filters import PSEUDONYM_KEY
from .._output import plain
from ._finding import Finding, ok, problem, warning

_CHECK: Final = "variables"
_OTHERS: Final = (f"{ENV_PREFIX}PACKAGE",)
"""Those that compose.yaml reads."""
_BEGINNING: Final = "OTEL_SESSION"
_KNOWN: Final = (*(f"{ENV_PREFIX}{name.upper()}" for name, each in FIELDS.items() if each.metadata["env"]), *_OTHERS)


def variables(environ: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with them, and whether there is a key for pseudonyms."""
    given = sorted(name for name, value in environ.items() if name.upper().startswith(_BEGINNING) and value.strip())
    unknown = [name for name in given if name not in _KNOWN]
    _, errors = tolerant_from_environment(environ)
    for error in errors:
        yield problem(_CHECK, plain(error), "correct or remove it; the application goes on without it")
    for name in unknown:
        yield warning(_CHECK, f"{plain(name)} is no variable of this version", _suggestion(name))
    if not errors and not unknown:
        yield ok(_CHECK, ", ".join(given) or "none is set: all settings are the defaults, or are set in code")
    yield from _key("" if any(PSEUDONYM_KEY in str(error) for error in errors) else environ.get(PSEUDONYM_KEY, ""))


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name.upper(), _KNOWN, n=1, cutoff=0.8)
    return f"do you mean {close[0]}?" if close else "see docs/configuration.md for those that there are"


def _key(key: str) -> Iterator[Finding]:
    if key.strip():
        yield ok("pseudonyms", f"{PSEUDONYM_KEY} is set")
    else:
        yield warning(
            "pseudonyms",
            f"{PSEUDONYM_KEY} is not set, or not used: users' pseudonyms are made with a key that the store keeps "
            "beside the data",
            "set it to a secret of at least 16 characters, the same for all processes, unless it is set in code",
        )
