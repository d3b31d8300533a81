"""The metrics of sessions.

Counters are plain integers that the SDK reads when it collects: an increment costs a tenth of `Counter.add`. What was
counted before an SDK was set up is therefore not lost either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from .. import _semconv as sc
from .._guard import log

Reader: TypeAlias = "Callable[[], Mapping[tuple[str | None, ...], float]]"

_MAX_SETS: Final = 1_000
_MAX_OWN: Final = 100
_MAX_INT: Final = 2**63


class Tally:
    """One counter: a sum for each set of attribute values, at most 1,000 of them; the rest count under `_OTHER`."""

    __slots__ = ("_keys", "_lock", "_sums")

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = keys
        self._lock = threading.RLock()
        self._sums: dict[tuple[str | None, ...], float] = {}

    def add(self, amount: float, *values: str | None) -> None:
        """Add `amount` to the sum of `values`, in the order of the metric's attributes; None leaves one out."""
        with self._lock:
            held = self._sums.get(values)
            if held is not None:
                self._sums[values] = held + amount
                return
            if len(self._sums) >= _MAX_SETS:
                values = tuple(sc.OTHER for _ in values)
            self._sums[values] = self._sums.get(values, 0) + amount

    def sums(self) -> dict[tuple[str | None, ...], float]:
        """The sums until now, by the values of the attributes."""
        with self._lock:
            return self._sums.copy()

    def observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        """What the SDK reads at each collection."""
        sums = self.sums()
        # One integer of more than 64 bits would cost the exporter all metrics, at every collection.
        return [Observation(carried(amount), named(self._keys, values)) for values, amount in sums.items()]

    def after_fork(self) -> None:
        """Start from zero in a child process: the parent reports what was counted before."""
        self._lock = threading.RLock()
        self._sums = {}


def carried(amount: float) -> float:
    """`amount` as OTLP can carry it: an integer in 64 bits, else a float."""
    return amount if amount < _MAX_INT else float(amount)


def named(keys: tuple[str, ...], values: tuple[str | None, ...]) -> dict[str, str]:
    """The attributes of one series; those without a value are absent."""
    return {key: value for key, value in zip(keys, values, strict=True) if value is not None}


class Instruments:
    """All instruments of one meter."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._lock = threading.RLock()
        self._own: dict[str, tuple[str, Histogram]] = {}
        self._readers: dict[str, Reader] = {}
        self._observed: set[str] = set()
        self._tallies: list[Tally] = []
        self.starts = self._tally(sc.STARTS)
        self.requests = self._tally(sc.REQUESTS)
        self.events = self._tally(sc.EVENTS)
        self.errors = self._tally(sc.ERRORS)
        self.messages = self._tally(sc.MESSAGES)
        self.token_usage = self._tally(sc.TOKEN_USAGE)
        self.cost = self._tally(sc.COST)
        self.findings = self._tally(sc.FINDINGS)
        self.quota_usage = self._tally(sc.QUOTA_USAGE)
        self.access_failures = self._tally(sc.ACCESS_FAILURES)
        self.dropped = self._tally(sc.DROPPED)
        # Not a tally: its exemplars lead from a refusal to the trace in which it came.
        self.limit_decisions = meter.create_counter(
            sc.LIMIT_DECISIONS.name, sc.LIMIT_DECISIONS.unit, sc.LIMIT_DECISIONS.description
        )
        self.duration = self._histogram(sc.DURATION)
        self.turn_duration = self._histogram(sc.TURN_DURATION)
        self.engagement_ratio = self._histogram(sc.ENGAGEMENT_RATIO)
        self.platform_switch_duration = self._histogram(sc.PLATFORM_SWITCH_DURATION)
        self.store_operation_duration = self._histogram(sc.STORE_OPERATION_DURATION)

    def observe(self, metric: sc.Metric, read: Reader) -> None:
        """Report what `read` returns, by attribute values, as `metric` at each collection; the latest reader counts."""
        self._readers[metric.name] = read
        if metric.name in self._observed:
            return
        self._observed.add(metric.name)

        def callback(_options: CallbackOptions) -> Iterable[Observation]:
            reader = self._readers.get(metric.name)
            values = reader() if reader is not None else {}
            return [Observation(value, named(metric.attributes, key)) for key, value in values.items()]

        create = {
            "observable_gauge": self._meter.create_observable_gauge,
            "observable_up_down_counter": self._meter.create_observable_up_down_counter,
        }[metric.kind]
        create(metric.name, callbacks=[callback], unit=metric.unit, description=metric.description)

    def record_own(self, name: str, value: float, *, unit: str, session_type: str) -> None:
        """Record a value of the user's own histogram, made on first use; beyond 100 names values are dropped."""
        with self._lock:
            held = self._own.get(name)
            if held is None and len(self._own) < _MAX_OWN:
                held = self._own[name] = (unit, self._meter.create_histogram(name, unit=unit))
        if held is None:
            log.warn("own_metrics", "The metric %r was not recorded: there are %d own metrics already.", name, _MAX_OWN)
            self.dropped.add(1, sc.Drop.OWN_METRIC_LIMIT)
            return
        if held[0] != unit:
            log.warn(f"unit of {name}", "The metric %r has the unit %r; the unit %r was ignored.", name, held[0], unit)
        held[1].record(value, {sc.TYPE: session_type})

    def replace_reader(self, metric: sc.Metric, read: Reader, last: Mapping[tuple[str | None, ...], float]) -> None:
        """Report `last` for `metric` from now on, unless somebody else than `read` reports it."""
        if self._readers.get(metric.name) is read:
            self._readers[metric.name] = lambda: last

    def after_fork(self) -> None:
        """Start from zero in a child process."""
        self._lock = threading.RLock()
        for tally in self._tallies:
            tally.after_fork()

    def _tally(self, metric: sc.Metric) -> Tally:
        tally = Tally(metric.attributes)
        self._tallies.append(tally)
        self._meter.create_observable_counter(
            metric.name, callbacks=[tally.observe], unit=metric.unit, description=metric.description
        )
        return tally

    def _histogram(self, metric: sc.Metric) -> Histogram:
        return self._meter.create_histogram(
            metric.name,
            unit=metric.unit,
            description=metric.description,
            explicit_bucket_boundaries_advisory=metric.buckets,
        )
