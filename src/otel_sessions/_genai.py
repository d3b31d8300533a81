"""What the span of a GenAI instrumentation says of a call, in the spellings of all versions of the conventions."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final, Literal

from . import _values
from ._consumption import Consumption
from .exceptions import InvalidValueError

Kind = Literal["inference", "embeddings"]

# Attributes that others set, and this package only reads: those it sets itself stand in `_semconv`.
_OPERATION: Final = ("gen_ai.operation.name", "llm.request.type")
"""The second is OpenLLMetry's, from before there was the first."""
REQUEST_MODEL: Final = "gen_ai.request.model"
_RESPONSE_MODEL: Final = "gen_ai.response.model"
_PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system")
_SERVICE_TIER: Final = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
_USAGE: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "cache_read": ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
    "cache_write": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
    ),
    "reasoning": ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
}
"""Where the tokens of each kind stand. The first of these attributes that is not zero counts: some spans have several.

Those without a second dot are OpenLLMetry's and, `cache_write_input_tokens`, that of Strands Agents.
"""
_USAGE_NAMES: Final = frozenset(name for names in _USAGE.values() for name in names)

_TOOL: Final = "execute_tool"
_SUMMARIES: Final = frozenset({"create_agent", _TOOL, "invoke_agent", "invoke_workflow"})
_INFERENCES: Final = frozenset({"chat", "completion", "generate_content", "text_completion"})
_EMBEDDINGS: Final = frozenset({"embedding", "embeddings"})
_MAX_NAME: Final = 256


def has_usage(attributes: Mapping[str, Any]) -> bool:
    """Whether a span says something of tokens."""
    return not _USAGE_NAMES.isdisjoint(attributes)


def is_summary(attributes: Mapping[str, Any]) -> bool:
    """Whether a span is of an operation whose tokens are those of the calls in it."""
    return _first(attributes, _OPERATION) in _SUMMARIES


def is_tool(name: str, attributes: Mapping[str, Any]) -> bool:
    """Whether a span that is under way is of the work of a tool.

    The name says so too (`execute_tool search`): Google's ADK sets the attributes only when the tool is done.
    """
    if name.partition(" ")[0] == _TOOL or _first(attributes, _OPERATION) == _TOOL:
        return True
    return attributes.get("traceloop.span.kind") == "tool"


def kind_of(attributes: Mapping[str, Any], consumption: Consumption) -> Kind | None:
    """What was called; None if the span does not say it, and nothing came out."""
    operation = _first(attributes, _OPERATION)
    if operation in _EMBEDDINGS:
        return "embeddings"
    return "inference" if operation in _INFERENCES or consumption.tokens.get("output") else None


def consumption_of(attributes: Mapping[str, Any], time_ns: int) -> Consumption | None:
    """What a call consumed; None if that was nothing.

    Args:
        attributes: those of its span.
        time_ns: when it began.
    """
    tokens = {kind: count for kind, names in _USAGE.items() if (count := _count(attributes, names))}
    if not tokens:
        return None
    return Consumption(
        tokens,
        _model(attributes.get(REQUEST_MODEL)),
        _first(attributes, _PROVIDER),
        time_ns,
        answered_by=_model(attributes.get(_RESPONSE_MODEL)),
        service_tier=_first(attributes, _SERVICE_TIER),
    )


def _count(attributes: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """The first that counts anything."""
    for name in names:
        with contextlib.suppress(InvalidValueError):
            if name in attributes and (count := int(_values.amount(name, attributes[name]))):
                return count
    return 0


def _model(value: object) -> str | None:
    return _values.model(value) if isinstance(value, str) and value else None


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of several attributes that is a short text."""
    found = (attributes.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and 0 < len(value) <= _MAX_NAME), None)
