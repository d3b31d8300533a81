"""The one runtime of a process: made by `configure()`, or on first use from the environment."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from ._background import Background
from ._config import Settings, resolve, summary, tolerant_from_environment
from ._guard import guarded, log
from ._hooks import hooks
from ._ledger import Ledger
from ._lifecycle import Lifecycle, SystemClock
from ._telemetry import Telemetry
from ._upkeep import Upkeep
from .exceptions import ConfigurationError, SessionsError
from .stores import from_url

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.trace import TracerProvider

    from ._health.judge import Judge
    from ._health.minutes import Minutes
    from ._health.monitor import Monitor
    from ._health_check import HealthReport
    from ._queue import Queues
    from .typing import Store

_STAMPED: Final[WeakSet[object]] = WeakSet()
_stamping = threading.RLock()


class Runtime:
    """The settings of a process, and what was built from them."""

    def __init__(self, settings: Settings, *, explicit: bool, successor_of: Runtime | None = None) -> None:
        self.settings = settings
        self.explicit = explicit
        self.enabled = settings.enabled
        self.telemetry = Telemetry(
            tracer_provider=settings.tracer_provider,
            meter_provider=settings.meter_provider,
            logger_provider=settings.logger_provider,
            events=settings.events,
            on_sdk=self._on_sdk,
        )
        clock = settings.clock or SystemClock()
        if successor_of is not None:
            ledger: Ledger = successor_of.lifecycle.ledger
        else:
            ledger = Ledger(_store(settings), history=settings.history)
        ledger.bind(self.telemetry, clock, active_gap=settings.active_gap, observed=settings.enabled)
        self.lifecycle: Lifecycle = Lifecycle(settings, ledger, self.telemetry, clock)
        self.lifecycle.on_first_use = self._on_first_use
        self.may_block = settings.enabled and ledger.shared is not None
        """Whether the beginning and the end of a session may have to wait for a store outside of this process."""
        self.upkeep = Upkeep(self.lifecycle)
        self.minutes = self._minutes()
        self.monitor = None if settings.health_interval is None else self._monitor(settings.health_interval)
        self.background = Background(self._round, settings.flush_interval)
        # A thread of its own: heartbeats do not wait for it. It looks whether a check is due by the clock.
        self.checking = Background(self._check, settings.flush_interval, name="otel-sessions-health")
        if successor_of is not None and successor_of.lifecycle.used:
            self._on_first_use()

    def _on_first_use(self) -> None:
        with _lock:
            if self.lifecycle.used:
                return
            self.lifecycle.used = True
            _shut_down_at_exit()
        with guarded("start"):
            self.telemetry.bind()
            self.lifecycle.recovery.announce()
            self.telemetry.startup(summary(self.settings), self.lifecycle.clock.time_ns())
            if self.settings.background:
                self.background.start()
                if self.monitor is not None:
                    self.checking.start()

    def sweep(self) -> None:
        """One round of what the threads do, here and now."""
        self._round()
        if not self.settings.background:
            self._check()

    def _round(self) -> None:
        self.upkeep.sweep()
        self.minutes.keep()

    def _check(self) -> None:
        if self.monitor is not None:
            self.monitor.round()

    def _minutes(self) -> Minutes:
        # Here, and with what follows, because importing the package is not to take longer for it.
        from ._health.machine import Machine  # noqa: PLC0415 - as said
        from ._health.minutes import Minutes  # noqa: PLC0415 - as said

        return Minutes(self.lifecycle, Machine())

    @cached_property
    def judge(self) -> Judge:
        """Says how the sessions are."""
        from ._health.judge import Judge  # noqa: PLC0415 - the rules load where somebody asks

        return Judge(self.lifecycle, self.minutes)

    @cached_property
    def queues(self) -> Queues:
        """Where questions wait that come from outside the process."""
        from ._queue import Queue, Queues  # noqa: PLC0415 - asyncio loads on use

        return Queues(Queue("report", 3), Queue("check", 1))

    def _monitor(self, interval: float) -> Monitor:
        from ._health.monitor import Monitor  # noqa: PLC0415 - as above

        ledger = self.lifecycle.ledger

        def report() -> HealthReport:
            # One process looks into a store for all that share it, or each of them would raise the same alert.
            return self.judge.report(in_store=ledger.leads)

        return Monitor(report, interval, self.lifecycle.clock, self.telemetry)

    def _on_sdk(self, tracers: TracerProvider | None, loggers: LoggerProvider | None) -> None:
        """Put `session.id` on everything that is made in a session, once a provider is there that can be told."""
        # Registered anew, so that at exit ours runs before the provider shuts down: the last registered goes first.
        atexit.unregister(shutdown)
        atexit.register(shutdown)
        provider: Any = tracers or loggers
        with _stamping:
            self._stamp(provider, tracers, loggers)

    def _stamp(self, provider: Any, tracers: TracerProvider | None, loggers: LoggerProvider | None) -> None:
        if provider in _STAMPED:
            return
        if tracers is not None and hasattr(provider, "add_span_processor"):
            from .processors import GenAISpanProcessor, SessionSpanProcessor  # noqa: PLC0415 - the SDK loads on use

            _STAMPED.add(provider)
            provider.add_span_processor(SessionSpanProcessor(firsts_only=not self.settings.stamp))
            if self.settings.genai:
                provider.add_span_processor(GenAISpanProcessor())
        elif loggers is not None and self.settings.stamp and hasattr(provider, "add_log_record_processor"):
            from .processors import SessionLogRecordProcessor  # noqa: PLC0415 - the SDK loads on use

            _STAMPED.add(provider)
            provider.add_log_record_processor(SessionLogRecordProcessor())

    def stop(self) -> None:
        """End what cannot outlive this process, and the thread."""
        self.stop_threads()
        self.upkeep.shutdown()

    def stop_threads(self) -> None:
        """Stop them, and wait for what they are doing, up to a bound. Questions that wait are not answered any more."""
        if "queues" in vars(self):
            self.queues.close()
        self.background.stop()
        # Nobody misses what a check would have said.
        self.checking.stop(timeout=1.0)

    def after_fork(self) -> None:
        """Start afresh in a child process."""
        # Whatever is under way in them is so in the parent.
        vars(self).pop("queues", None)
        self.background.after_fork()
        self.checking.after_fork()
        self.lifecycle.after_fork()
        self.upkeep.after_fork()
        self.minutes.after_fork()
        if self.monitor is not None:
            self.monitor.after_fork()


def _store(settings: Settings) -> Store:
    if not isinstance(settings.store, str):
        return settings.store
    return from_url(settings.store, history=settings.history, retention=settings.retention)


_lock = threading.RLock()
current: Runtime | None = None


def get() -> Runtime:
    """The runtime of this process; made from the environment if nobody has configured one."""
    global current  # noqa: PLW0603 - there is one per process, by design
    runtime = current
    if runtime is None:
        with _lock:
            if current is None:
                found, errors = tolerant_from_environment(os.environ)
                for error in errors:
                    log.warn(str(error), "A setting was left out: %s.", error)
                current = _unconfigured(found)
            runtime = current
    return runtime


def _unconfigured(found: dict[str, Any]) -> Runtime:
    """The runtime of a process that nobody configured: a store that is not to be had does not stop the application."""
    try:
        return Runtime(Settings(**found), explicit=False)
    except SessionsError as error:
        log.warn("store", "The memory store is used instead: %s.", error)
        return Runtime(Settings(**{**found, "store": "memory://"}), explicit=False)


def _count_drop(reason: str) -> None:
    runtime = current
    if runtime is not None:
        runtime.telemetry.metrics.dropped.add(1, reason)


guarded.on_drop = _count_drop


def configure(**settings: Any) -> Runtime:
    """Make the runtime of this process. See `otel_sessions.configure`."""
    global current  # noqa: PLW0603 - there is one per process, by design
    resolved = resolve(settings)
    with _lock:
        old = current
        if old is not None and old.explicit:
            if old.settings == resolved:
                return old
            changed = [name for name in Settings.__slots__ if getattr(old.settings, name) != getattr(resolved, name)]
            raise ConfigurationError(
                f"otel-sessions is configured already, with another {', '.join(changed)}: configure it once, "
                "or call otel_sessions.shutdown() before"
            )
        # What ran unconfigured until now keeps its sessions, unless it is told to keep them elsewhere.
        keep = old if old is not None and _same_store(old.settings, resolved) else None
        new = Runtime(resolved, explicit=True, successor_of=keep)
        if old is not None:
            old.stop_threads()
            if keep is None:
                old.upkeep.shutdown()
        current = new
        return new


def _same_store(one: Settings, other: Settings) -> bool:
    return one.store == other.store and one.history == other.history


def shutdown() -> None:
    """End this process's sessions, merge what is pending and stop the thread; the next use starts anew."""
    global current
    # First: a hook may look at sessions, and what is dropped is counted.
    if (running := current) is not None:
        running.lifecycle.limiter.measured.settle_all()
    hooks.drain()
    with _lock:
        old, current = current, None
        atexit.unregister(shutdown)
    if old is not None:
        old.stop()


def _shut_down_at_exit() -> None:
    """Have `shutdown` called when this process ends."""
    atexit.register(shutdown)
    # A process that `multiprocessing` has forked ends without those; it calls finalizers of its own instead. The least
    # priority goes last, as the first registered does, so that what the application registers can end its sessions.
    if "multiprocessing.util" in sys.modules:
        from multiprocessing import parent_process, util  # noqa: PLC0415 - whoever does not use it does not load it

        if parent_process() is not None:
            util.Finalize(None, shutdown, exitpriority=0)


def swap(runtime: Runtime | None) -> Runtime | None:
    """Put another runtime in place and return the one that was there: for tests."""
    global current
    with _lock:
        old, current = current, runtime
    return old


def _after_fork() -> None:
    # Locks that another thread of the parent held would never be released in the child.
    global _lock, _stamping
    _lock, _stamping = threading.RLock(), threading.RLock()
    log.after_fork()
    hooks.after_fork()
    if current is not None:
        current.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
