"""What is said of limits: counts, events and hooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from opentelemetry._logs import SeverityNumber

from .. import _semconv as sc
from .._counting.buckets import CRITICAL, WARNING, Admission, Level
from .._guard import guarded
from .._hook_events import REJECTED, THRESHOLD, USAGE
from .._hooks import hooks
from .._ledger import Ledger
from .._live import Live
from .._recorder import Recorder
from .._telemetry import Telemetry
from .._uses import Use
from ..exceptions import LimitExceededError
from ..typing import Clock
from .allowances import Gauge
from .asked import Asked, described, error_of, share
from .hooks import Asking

_MAX_OWN_NAMES: Final = 100
_MAX_SAID: Final = 10_000
_SAID_AGAIN_US: Final = 3_600 * 1_000_000
"""After that time a threshold of a quota without a window is worth saying again."""


_Key: TypeAlias = "tuple[str | None, ...]"


class _Series:
    """One series of decisions: its attributes, and how many there were."""

    __slots__ = ("attributes", "count")

    def __init__(self, attributes: dict[str, str]) -> None:
        self.attributes = attributes
        self.count = 0


class LimitSignals:
    """Says what limits decided.

    Args:
        names: of the limits of all tiers, by kind.
        default_tier: of the sessions that were started without one.
    """

    def __init__(
        self,
        ledger: Ledger,
        telemetry: Telemetry,
        recorder: Recorder,
        clock: Clock,
        *,
        names: Mapping[str, frozenset[str]],
        default_tier: str | None,
    ) -> None:
        self._ledger = ledger
        self._telemetry = telemetry
        self._recorder = recorder
        self._clock = clock
        self._names = names
        self._own_names: set[str] = set()
        self._said: dict[tuple[str, float], int] = {}
        """Until when nobody is told again that a threshold of a bucket was crossed."""
        self._series: dict[_Key, _Series] = {}
        """Of these there are so many as there are names of limits and tiers."""
        self._default_tier = default_tier

    def allowed(self, live: Live, asked: Asked, levels: Sequence[Level | None], operation: str | None) -> None:
        """Say that something was allowed, and count it. A level is None if the store could not be asked."""
        with guarded("count what was allowed"):
            result = "allowed"
            for gauge, level in zip(asked.gauges, levels, strict=True):
                if level is not None and not level.fits:
                    result = "shadow_rejected"
                    self._say_rejected(live, asked, gauge, level, operation, shadow=True)
                elif level is not None and result == "allowed" and share(gauge, level) >= WARNING:
                    result = "near_limit"
            self._decided(live, asked, result)
            self._ledger.touch(live)
            if asked.kind == "quota":
                self.used(live, asked, levels, operation)

    def performed(self, live: Live, operation: str | None) -> None:
        """Count that something was used once, whatever it was."""
        with live.lock:
            live.delta.add_operation(operation)

    def used(self, live: Live, asked: Asked, levels: Sequence[Level | None], operation: str | None) -> None:
        """Count what was used, in the session and in the metrics; say so if a threshold was crossed by it."""
        with live.lock:
            live.delta.add_usage(asked.name, asked.amount, operation)
        self.charged(live, asked, levels, operation)

    def charged(self, live: Live, asked: Asked, levels: Sequence[Level | None], operation: str | None = None) -> None:
        """Say what counted for quotas, and if a threshold was crossed by it: the session has it among its sums."""
        with live.lock:
            live.delta.add_use(Use(self._clock.time_ns(), asked.name, asked.amount, operation))
        # A counter does not go down: what is given back was used.
        self._telemetry.metrics.quota_usage.add(
            max(0, asked.amount), self.on_metrics("quota", asked.name), self.tier_of(live)
        )
        self._ledger.mark(live)
        if USAGE in hooks.registered:
            self._asking(live, asked, operation).used(asked.gauges, levels)
        for gauge, level in zip(asked.gauges, levels, strict=True):
            if level is not None:
                self._cross(live, asked, gauge, level, operation)

    def _cross(self, live: Live, asked: Asked, gauge: Gauge, level: Level, operation: str | None) -> None:
        """Say that a threshold was crossed: by this very use, so nobody else says it."""
        after = share(gauge, level)
        if after < WARNING:
            return
        before = share(gauge, level._replace(used=level.used - asked.amount))
        for threshold in (WARNING, CRITICAL):
            if before < threshold <= after and self._is_news(gauge, level, threshold):
                self._recorder.event(
                    live,
                    sc.EVENT_LIMIT_THRESHOLD,
                    None,
                    {**described(asked, gauge, level), sc.LIMIT_THRESHOLD: threshold},
                    severity=SeverityNumber.WARN,
                    always_log=True,
                )
                if THRESHOLD in hooks.registered:
                    self._asking(live, asked, operation).crossed(gauge, level, threshold)

    def _is_news(self, gauge: Gauge, level: Level, threshold: float) -> bool:
        """Whether it was not said in this window already: use that moves out, or is given back, comes and goes."""
        now_us = self._clock.time_ns() // 1000
        key = gauge.bucket.name, threshold
        if now_us < self._said.get(key, 0):
            return False
        bucket = gauge.bucket
        ends_us = level.resets_us if bucket.strategy == "fixed" else None
        self._said[key] = ends_us or now_us + (bucket.length_us or _SAID_AGAIN_US)
        if len(self._said) > _MAX_SAID:
            # Copied at once: other threads note theirs meanwhile.
            for oldest in list(self._said)[: _MAX_SAID // 10]:
                self._said.pop(oldest, None)
        return True

    def refused(
        self, live: Live, asked: Sequence[Asked], admission: Admission, operation: str | None
    ) -> LimitExceededError:
        """Say what was refused; the result is what to raise: of those that refused, what takes longest to have room."""
        worst: LimitExceededError | None = None
        levels = iter(admission.levels)
        for each in asked:
            refused = False
            for gauge, charge in zip(each.gauges, each.charges, strict=True):
                level = next(levels)
                if level.fits or not charge.bucket.enforced:
                    continue
                refused = True
                error = error_of(each, gauge, level, admission.now_us)
                with guarded("report a refusal"):
                    self._say_rejected(live, each, gauge, level, operation, shadow=False)
                if worst is None or _wait(error) > _wait(worst):
                    worst = error
            if refused:
                with guarded("count a refusal"):
                    self._decided(live, each, "rejected")
        if worst is None:
            raise AssertionError("a store refused, and all limits had room")
        return worst

    def _say_rejected(
        self, live: Live, asked: Asked, gauge: Gauge, level: Level, operation: str | None, *, shadow: bool
    ) -> None:
        found: dict[str, object] = {**described(asked, gauge, level), sc.LIMIT_AMOUNT: asked.amount}
        if operation is not None:
            found[sc.OPERATION] = operation
        if shadow:
            found[sc.LIMIT_SHADOW] = True
        self._recorder.event(live, sc.EVENT_LIMIT_REJECTED, None, found, severity=SeverityNumber.WARN, always_log=True)
        if REJECTED in hooks.registered:
            self._asking(live, asked, operation).rejected(asked.kind, gauge, level, shadow=shadow)

    def _asking(self, live: Live, asked: Asked, operation: str | None) -> Asking:
        """What hooks are told of it."""
        return Asking(
            live,
            tier=self.tier_of(live),
            name=asked.name,
            amount=asked.amount,
            operation=operation,
            time_ns=self._clock.time_ns(),
        )

    def _decided(self, live: Live, asked: Asked, result: str) -> None:
        key = asked.kind, self.on_metrics(asked.kind, asked.name), result, self.tier_of(live)
        found = self._series.get(key)
        if found is None:
            names = sc.LIMIT_KIND, sc.LIMIT_NAME, sc.LIMIT_RESULT, sc.TIER
            attributes = {name: value for name, value in zip(names, key, strict=True) if value is not None}
            found = self._series.setdefault(key, _Series(attributes))
        # Without a lock, which would cost more than the count: one that is lost among many changes no share.
        found.count += 1
        self._telemetry.metrics.limit_decisions.add(1, found.attributes, context=live.context)

    def decisions(self) -> dict[_Key, int]:
        """What was decided until now: how often, by kind, name, result and tier."""
        return {key: series.count for key, series in self._series.copy().items()}

    def after_fork(self) -> None:
        """The parent's decisions are none of this process."""
        self._series = {}

    def on_metrics(self, kind: str, name: str) -> str:
        """The name of a limit on metrics. Those that sessions were given of their own may be without number."""
        if name in self._names[kind] or name in self._own_names:
            return name
        if len(self._own_names) >= _MAX_OWN_NAMES:
            return sc.OTHER
        self._own_names.add(name)
        return name

    def tier_of(self, live: Live) -> str | None:
        """The name of the set of limits that applies to a session."""
        return live.beginning.tier or self._default_tier


def _wait(error: LimitExceededError) -> float:
    return float("inf") if error.retry_after is None else error.retry_after
