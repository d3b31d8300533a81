"""What a model consumed, and which kinds of tokens are part of which.

The semantic conventions have it that `input` includes the tokens that were read from a cache or written to one, and
`output` those spent on reasoning: https://github.com/open-telemetry/semantic-conventions-genai. Some providers report
them apart (the `input_tokens` of Anthropic's API leave the cache out). Parts that exceed the whole give that away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("cache_read", "cache_write", "cache_creation"),
    "output": ("reasoning",),
}
_KNOWN: Final = frozenset(_PARTS).union(*_PARTS.values())


class Consumption(NamedTuple):
    """What one call of a model, or one turn, consumed."""

    tokens: Mapping[str, int]
    """By kind: `input`, `output`, `cache_read`, `cache_write`, `reasoning`, and others that the user names."""
    model: str | None
    """As it was asked for."""
    provider: str | None
    time_ns: int
    answered_by: str | None = None
    """The model as it calls itself in its answer: its version is more exact."""
    service_tier: str | None = None
    """At which of its prices the provider says that it served the call."""

    @property
    def called(self) -> str | None:
        """What metrics call the model."""
        return self.model or self.answered_by


def added(some: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Both together, by kind."""
    return {kind: some.get(kind, 0) + more.get(kind, 0) for kind in {**some, **more}}


def whole(tokens: Mapping[str, float], kind: str) -> float:
    """All tokens of `input` or `output`, those included that were reported apart."""
    parts = sum(tokens.get(part, 0) for part in _PARTS[kind])
    stated = tokens.get(kind, 0)
    return stated if parts <= stated else stated + parts


def total(tokens: Mapping[str, float]) -> float:
    """All tokens, each once; kinds that nothing is known of are counted beside input and output."""
    others = sum(count for kind, count in tokens.items() if kind not in _KNOWN)
    return whole(tokens, "input") + whole(tokens, "output") + others
