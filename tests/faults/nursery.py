"""Where workers are born and killed: a process that has loaded everything and forks, one worker at a time.

Plans come on standard input, one a line; what the workers say goes to standard output. Only the nursery kills, before
it has waited for them: a process number can belong to nobody else then.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import otel_sessions

from .journal import Pen
from .plan import Plan
from .worker import Worker

_SHORTEST = 0.001
_OUT = 1


class Nursery:
    """Forks workers of one kind.

    Args:
        preload: whether they are configured before the fork, as with `gunicorn --preload`.
    """

    def __init__(self, store: str, endpoint: str, *, flush_interval: float, delay: int, preload: bool) -> None:
        self._store = store
        self._endpoint = endpoint
        self._flush_interval = flush_interval
        self._delay = delay
        self._provider = self._configure() if preload else None

    def _configure(self) -> TracerProvider:
        provider = TracerProvider()
        exporter = OTLPSpanExporter(f"{self._endpoint}/v1/traces", timeout=10)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=self._delay))
        otel_sessions.configure(
            store=self._store, tracer_provider=provider, flush_interval=self._flush_interval, detect_user=False
        )
        return provider

    def raise_(self, plan: Plan) -> None:
        """Have one worker live as planned."""
        worker = os.fork()
        if worker == 0:
            self._live(plan)
        if plan.finishes:
            deadline = time.monotonic() + plan.lifetime
            while os.waitid(os.P_PID, worker, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                if time.monotonic() > deadline:
                    break
                time.sleep(_SHORTEST)
        else:
            time.sleep(plan.lifetime)
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        Pen(_OUT, plan.life).died()

    def _live(self, plan: Plan) -> None:
        try:
            provider = self._provider or self._configure()
            Worker(plan, Pen(_OUT, plan.life)).work(provider)
        except BaseException:  # noqa: BLE001 - a forked child must not go on as its parent
            sys.excepthook(*sys.exc_info())
        os._exit(0)


def main() -> None:
    """Serve until there are no more plans."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--flush-interval", type=float, required=True)
    parser.add_argument("--delay", type=int, required=True)
    parser.add_argument("--preload", action="store_true")
    nursery = Nursery(**vars(parser.parse_args()))
    for line in sys.stdin:
        nursery.raise_(Plan.loads(line))


if __name__ == "__main__":
    main()
