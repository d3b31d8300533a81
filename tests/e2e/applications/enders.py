"""Processes that all end the same sessions at the same time; how many each of them ended is printed."""

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import otel_sessions as sessions

# Forked, because fifty interpreters take long to start; each sets up an SDK of its own, as OpenTelemetry wants it.
fork = multiprocessing.get_context("fork")
PROCESSES, COUNT = map(int, sys.argv[1:])
NAMES = [f"s-{number}" for number in range(COUNT)]
ended = fork.SimpleQueue()
at_once = fork.Barrier(PROCESSES)


def start_all() -> None:
    """Start the sessions."""
    for name in NAMES:
        sessions.start("job", id=name)


def end_all() -> None:
    """End each of the sessions."""
    at_once.wait()
    ended.put(sum(sessions.end(name) for name in NAMES))


def live(work: Callable[[], None]) -> None:
    """What a process does from its beginning to its end."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    work()
    # A process of `multiprocessing` ends without what others do by themselves.
    sessions.shutdown()


def run(work: Callable[[], None], processes: int) -> Sequence[BaseProcess]:
    """Do it in so many processes at once."""
    children = [fork.Process(target=live, args=(work,)) for _ in range(processes)]
    for child in children:
        child.start()
    return children


for starter in run(start_all, 1):
    starter.join()
enders = run(end_all, PROCESSES)
numbers = [ended.get() for _ in enders]
for ender in enders:
    ender.join()
sys.stdout.write(f"{[ender.exitcode for ender in enders]}\n{numbers}\n")
