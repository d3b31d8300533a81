"""A decorated call, against the same signals written by hand on the SDK, and where there is nothing to emit.

Each scenario configures otel-sessions once and therefore runs in a process of its own; see `benchmarks.scenario`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

import otel_sessions

from . import by_hand
from .harness import Case, awaits, calls
from .sdk import Providers, providers


def work() -> None:
    """What is decorated: nothing, so that only the decorator is measured."""


async def async_work() -> None:
    """What is decorated: nothing that awaits."""


def one_span() -> list[Case]:
    """With a tracer provider alone."""
    theirs, ours = providers(), providers()
    otel_sessions.configure(tracer_provider=ours.tracers)
    return _sync_and_async(by_hand.OneSpan(theirs.tracers))


def all_signals() -> list[Case]:
    """With all three providers: the span, two log events, the counter, the histogram."""
    theirs, ours = providers(), providers()
    _configure(ours)
    return _sync_and_async(by_hand.AllSignals(*theirs))


def sampled_out() -> list[Case]:
    """As `all_signals`, and the sampler wants no trace: events and metrics remain."""
    theirs, ours = providers(sampler=ALWAYS_OFF), providers(sampler=ALWAYS_OFF)
    _configure(ours)
    return _sync(by_hand.AllSignals(*theirs))


def unrecorded_parent() -> list[Case]:
    """As `all_signals`, inside a trace that another service has decided not to sample."""
    theirs, ours = providers(sampler=ParentBased(ALWAYS_ON)), providers(sampler=ParentBased(ALWAYS_ON))
    _configure(ours)
    parent = NonRecordingSpan(SpanContext(trace_id=1, span_id=1, is_remote=True))
    # For the rest of the process, which measures nothing else.
    otel_context.attach(set_span_in_context(parent))
    return _sync(by_hand.AllSignals(*theirs))


def no_sdk() -> list[Case]:
    """With the API alone."""
    otel_sessions.configure()
    return _sync(by_hand.NothingCollected(trace.get_tracer_provider(), metrics.get_meter_provider()))


def switched_off() -> list[Case]:
    """With `enabled=False`, against a decorator that does nothing."""
    otel_sessions.configure(enabled=False)
    return [
        calls("by hand", by_hand.passed_through(work)),
        calls("decorated", otel_sessions.session(work)),
    ]


SCENARIOS: Final[Mapping[str, Callable[[], list[Case]]]] = {
    scenario.__name__: scenario
    for scenario in (one_span, all_signals, sampled_out, unrecorded_parent, no_sdk, switched_off)
}


def _configure(ours: Providers) -> None:
    otel_sessions.configure(tracer_provider=ours.tracers, meter_provider=ours.meters, logger_provider=ours.loggers)


def _sync(signals: by_hand.Signals[Any]) -> list[Case]:
    return [
        calls("by hand", by_hand.decorated(work, signals)),
        calls("decorated", otel_sessions.session(work)),
    ]


def _sync_and_async(signals: by_hand.Signals[Any]) -> list[Case]:
    loop = asyncio.new_event_loop()
    return [
        *_sync(signals),
        awaits("by hand, async", by_hand.decorated_coroutine(async_work, signals), loop),
        awaits("decorated, async", otel_sessions.session(async_work), loop),
    ]
