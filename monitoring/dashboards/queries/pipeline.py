"""The telemetry itself: what the collector gets and passes on, what the library drops, what Prometheus collects."""

from __future__ import annotations

from collections.abc import Iterable

from otel_sessions import _semconv as sc

from ...expressions import increase
from ...foreign import Collector, Prometheus
from ...promql import label, name
from ._build import RANGE, WINDOW, grown, of, or_zero

_FULL = f"{Collector.QUEUE_SIZE} / {Collector.QUEUE_CAPACITY}"


def _each(series: Iterable[str], *keep: str) -> tuple[str, ...]:
    clause = f" by ({', '.join(keep)})" if keep else ""
    return tuple(f"sum{clause} (rate({one}[{WINDOW}]))" for one in series)


def _lost(series: Iterable[str]) -> str:
    """What several counters grew by in all; they come into being with the first failure."""
    return " + ".join(f"({increase(one, RANGE, own=True)} or vector(0))" for one in series)


PROCESSES = f"sum ({of('app_session:up:sum')})"
PROCESSES_BY_JOB = f"sum by (job) ({of('app_session:up:sum')})"
COLLECTORS = f'sum ({Prometheus.UP}{{job="{Collector.JOB}"}})'
LOST = _lost((*Collector.SEND_FAILED, *Collector.ENQUEUE_FAILED))
REFUSED_ALL = _lost(Collector.REFUSED)
QUEUE_HIGHEST = f"max ({_FULL})"
DROPPED = or_zero(grown(name(sc.DROPPED)))

ACCEPTED = _each(Collector.ACCEPTED)
REFUSED = _each(Collector.REFUSED)
SENT = _each(Collector.SENT, "exporter")
SEND_FAILED = _each(Collector.SEND_FAILED, "exporter")
ENQUEUE_FAILED = _each(Collector.ENQUEUE_FAILED, "exporter")
QUEUE = f"max by (exporter, data_type) ({_FULL})"
MEMORY = f"max by (instance) ({Collector.MEMORY})"

DROPPED_BY_REASON = f"sum by ({label(sc.DROP_REASON)}) ({of('app_session:dropped:increase10m')})"
PENDING = f"sum by (job, {label(sc.STORE)}) ({of('app_session:store_pending:sum')})"

SCRAPED = f"min by (job) ({Prometheus.UP})"
RULE_FAILURES = f"sum by (rule_group) (increase({Prometheus.RULE_FAILURES}[{WINDOW}]))"
