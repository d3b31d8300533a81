"""Spans as GenAI instrumentations make them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.trace import Span, SpanKind, Tracer

from otel_sessions.testing import RecordedSessions


def tracer_of(recorded: RecordedSessions) -> Tracer:
    return recorded.tracer_provider.get_tracer("instrumentation")


@contextmanager
def call(recorded: RecordedSessions, **attributes: Any) -> Iterator[Span]:
    """A span that is current; keys are written with `__` for the dot, without `gen_ai`: `usage__input_tokens=5`."""
    given = {f"gen_ai.{key.replace('__', '.')}": value for key, value in attributes.items()}
    with tracer_of(recorded).start_as_current_span("call", kind=SpanKind.CLIENT) as span:
        yield span
        span.set_attributes(given)


def chat(recorded: RecordedSessions, tokens: int = 1_000, *, model: str = "gpt-4o", **more: Any) -> None:
    """One call of a chat model."""
    given = {
        "operation__name": "chat",
        "provider__name": "openai",
        "request__model": model,
        "usage__input_tokens": tokens,
    }
    with call(recorded, **{**given, **more}):
        pass


def tokens(recorded: RecordedSessions, **attributes: Any) -> dict[str, float]:
    """The metric of tokens, by their type; summed over all models."""
    found: dict[str, float] = {}
    for key, value in recorded.metrics().get("app_session.token.usage", {}).items():
        kind = dict(key)["gen_ai.token.type"]
        found[kind] = found.get(kind, 0) + value
    return found


def cost(recorded: RecordedSessions) -> float:
    """The metric of costs, rounded to what can be compared."""
    return float(round(recorded.metric("app_session.cost"), 9))
