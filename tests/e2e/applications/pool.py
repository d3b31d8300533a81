"""A pool whose processes are replaced now and then: what they do belongs to sessions that were handed over to them."""

import multiprocessing
import sys
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import otel_sessions as sessions
from otel_sessions import session

fork = multiprocessing.get_context("fork")
PROCESSES, SESSIONS, TASKS, TASKS_OF_A_PROCESS = map(int, sys.argv[1:])
NAMES = [f"chat-{number}" for number in range(SESSIONS)]
tokens = fork.SimpleQueue()


def set_up() -> None:
    """Each process has an SDK of its own, made after the fork."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def begin() -> None:
    """Start the sessions and hand them over."""
    set_up()
    tokens.put([sessions.start("chat", id=name).handoff() for name in NAMES])


def end() -> None:
    """End the sessions."""
    set_up()
    for name in NAMES:
        sessions.end(name)


@session("task")
def task() -> None:
    """Do a part of what a session is for, as a session of its own."""
    sessions.current_session().progress("Working", step=1)


def work(token: str) -> None:
    """Do what somebody else has handed over."""
    with sessions.resume(handoff=token) as chat:
        chat.message("user")
        task()


def run(step: Callable[[], Any]) -> None:
    """Do it in another process."""
    process = fork.Process(target=step)
    process.start()
    process.join()


run(begin)
handed_over = tokens.get()
pool = fork.Pool(PROCESSES, set_up, maxtasksperchild=TASKS_OF_A_PROCESS)
pool.map(work, [handed_over[number % SESSIONS] for number in range(TASKS)], chunksize=1)
pool.close()
pool.join()
run(end)
