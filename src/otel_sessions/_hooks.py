"""Callbacks of the application, which are told what happens, in a thread of their own.

They belong to the process and not to what is configured in it: `configure()`, `shutdown()` and a fork leave them
registered. A callback can neither break nor slow what it is told of.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar, overload

from . import _semconv as sc
from ._guard import blame, dropped, guarded, log
from ._hook_events import HOOK_NAMES, HookEvent, HookName, RejectionEvent, ThresholdEvent, UsageEvent
from ._hook_mark import in_a_hook, run_as_hook
from .exceptions import InvalidValueError

if TYPE_CHECKING:
    from ._health_check import HealthAlert

E = TypeVar("E")

_MOST: Final = 10_000
"""How many events may wait for the hooks."""

_PATIENCE_SECONDS: Final = 5.0


class Hook(Generic[E]):
    """A registered callback. `remove()` takes it off again, and so does leaving a `with` block of it.

    Calling it calls the callback, so that a decorated function remains one.
    """

    def __init__(self, hooks: Hooks, name: HookName, callback: Callable[[E], object]) -> None:
        functools.update_wrapper(self, callback, updated=())
        self._hooks = hooks
        self._callback = callback
        self.name = name
        self.is_registered = True

    def remove(self) -> None:
        """Take it off: it is told nothing any more, not even what waits for it. A call under way goes on."""
        self._hooks.remove(self)

    def __call__(self, event: E) -> object:
        return self._callback(event)

    def __enter__(self) -> Hook[E]:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<Hook of {self.name}: {getattr(self._callback, '__qualname__', type(self._callback).__name__)}>"


_Told: TypeAlias = "tuple[tuple[Hook[Any], ...], HookEvent]"


class _Teller(threading.Thread):
    """A thread that calls hooks one after the other, and what waits for it."""

    def __init__(self) -> None:
        super().__init__(name="otel-sessions-hooks", daemon=True)
        # Not a Queue: that one would wait for itself when the garbage collector, in the middle of `put`, ends something
        # whose end is told of. https://docs.python.org/3/library/queue.html#simplequeue-objects
        self._waiting: SimpleQueue[_Told | None] = SimpleQueue()
        self._given_up = False

    def tell(self, told: _Told) -> bool:
        """Have it told; False if too much waits already."""
        if self._waiting.qsize() >= _MOST:
            return False
        self._waiting.put(told)
        return not self._given_up

    def stop(self, seconds: float) -> int:
        """Wait until all is told, at most so long; how much was not, and is not told any more."""
        self._waiting.put(None)
        self.join(seconds)
        self._given_up = True
        untold = 0
        with contextlib.suppress(Empty):
            while True:
                untold += self._waiting.get_nowait() is not None
        # For a thread that comes back later.
        self._waiting.put(None)
        return untold

    def run(self) -> None:
        """What the thread does."""
        while (told := self._waiting.get()) is not None and not self._given_up:
            hooks, event = told
            for hook in hooks:
                if hook.is_registered:
                    run_as_hook(self._call, hook, event)

    @staticmethod
    def _call(hook: Hook[Any], event: HookEvent) -> None:
        try:
            hook(event)
        except BaseException as exc:  # noqa: BLE001 - the guard, for SystemExit too: it would end all hooks
            blame(f"{hook!r}", exc)


def _is_teller() -> bool:
    return isinstance(threading.current_thread(), _Teller)


class Hooks:
    """The hooks of this process."""

    def __init__(self) -> None:
        self.registered: Mapping[str, tuple[Hook[Any], ...]] = {}
        """By name; a name under which there is none is absent. Replaced, never changed: it is read without a lock."""
        self.after_fork()

    def after_fork(self) -> None:
        """In a child process the same hooks are registered; what waits for them is the parent's to tell."""
        self._lock = threading.RLock()
        self._teller: _Teller | None = None

    def add(self, name: HookName, callback: Callable[[E], object]) -> Hook[E]:
        """Register a callback."""
        hook = Hook(self, name, callback)
        with self._lock:
            self.registered = {**self.registered, name: (*self.registered.get(name, ()), hook)}
        return hook

    def remove(self, hook: Hook[Any]) -> None:
        """Take a hook off; nothing happens if it is off already."""
        hook.is_registered = False
        with self._lock:
            left = tuple(other for other in self.registered.get(hook.name, ()) if other is not hook)
            others = {name: held for name, held in self.registered.items() if name != hook.name}
            self.registered = {**others, hook.name: left} if left else others

    def tell(self, name: HookName, event: HookEvent) -> None:
        """Have the hooks of that name told. It does not wait for them, and never raises.

        What a hook does itself is not told, nor what is done in its context: it would go on for ever.
        """
        with guarded("tell the hooks"):
            if in_a_hook():
                return
            teller = self._teller or self._start()
            if not teller.tell((self.registered.get(name, ()), event)):
                log.warn("hooks", "A %s event was dropped: the hooks are behind, and %d wait already.", name, _MOST)
                dropped(sc.Drop.HOOKS_BEHIND)

    def _start(self) -> _Teller:
        with self._lock:
            if self._teller is None:
                teller = _Teller()
                teller.start()
                self._teller = teller
            return self._teller

    def drain(self, seconds: float = _PATIENCE_SECONDS) -> None:
        """Wait until the hooks have been told everything, at most so long: what they were not told by then is dropped.

        The thread ends; the next event starts another one.
        """
        if _is_teller():
            return
        with self._lock:
            teller, self._teller = self._teller, None
        untold = 0 if teller is None else teller.stop(seconds)
        if untold:
            log.warn("hooks", "%d events were dropped: the hooks were not done within %g s.", untold, seconds)
        for _ in range(untold):
            dropped(sc.Drop.HOOKS_BEHIND)


hooks: Final = Hooks()


@overload
def on(name: Literal["usage"], callback: Callable[[UsageEvent], object], /) -> Hook[UsageEvent]: ...


@overload
def on(name: Literal["quota.threshold"], callback: Callable[[ThresholdEvent], object], /) -> Hook[ThresholdEvent]: ...


@overload
def on(name: Literal["limit.rejected"], callback: Callable[[RejectionEvent], object], /) -> Hook[RejectionEvent]: ...


@overload
def on(name: Literal["alert"], callback: Callable[[HealthAlert], object], /) -> Hook[HealthAlert]: ...


@overload
def on(name: Literal["usage"], /) -> Callable[[Callable[[UsageEvent], object]], Hook[UsageEvent]]: ...


@overload
def on(name: Literal["quota.threshold"], /) -> Callable[[Callable[[ThresholdEvent], object]], Hook[ThresholdEvent]]: ...


@overload
def on(name: Literal["limit.rejected"], /) -> Callable[[Callable[[RejectionEvent], object]], Hook[RejectionEvent]]: ...


@overload
def on(name: Literal["alert"], /) -> Callable[[Callable[[HealthAlert], object]], Hook[HealthAlert]]: ...


def on(name: HookName, callback: Callable[[Any], object] | None = None, /) -> Any:
    """Have a function called when something happens to limits, or a health check changes, in a thread of its own.

    ::

        @sessions.on("quota.threshold")
        def warn(event):
            mail(f"{event.user} has used {event.used} of {event.limit} {event.name}")

    It may take its time, and may raise: nobody but other hooks waits for it, and what it raises is logged, once a
    minute. Up to 10,000 events wait for the hooks; what comes beyond is dropped, counted and logged. At the end of the
    process, and in `shutdown()`, five seconds are left to them. They stay registered, also across `configure()` and
    `shutdown()`.

    Args:
        name: `usage` (called with a `UsageEvent`), `quota.threshold` (a `ThresholdEvent`), `limit.rejected` (a
            `RejectionEvent`) or `alert` (a `HealthAlert`; see the setting `health_interval`).
        callback: the function; without it the result is a decorator.

    Returns:
        The hook, whose `remove()` takes it off again.

    Raises:
        InvalidValueError: there is no hook of that name, or the callback is not a plain function.
    """
    if name not in HOOK_NAMES:
        raise InvalidValueError(f"{name!r} is no hook: there are {', '.join(HOOK_NAMES)}")
    return functools.partial(_register, name) if callback is None else _register(name, callback)


def _register(name: HookName, callback: Callable[[Any], object]) -> Hook[Any]:
    if not callable(callback):
        raise InvalidValueError(f"{callback!r} cannot be called when there is {name}: give on() a function")
    if _is_asynchronous(callback):
        raise InvalidValueError(
            f"{callback!r} is a coroutine function, and hooks are called in a thread: give on() a plain function, "
            "which may call asyncio.run_coroutine_threadsafe"
        )
    return hooks.add(name, callback)


def _is_asynchronous(callback: Any) -> bool:
    """Whether calling it gives a coroutine, for which nobody would wait; an object's `__call__` may do so."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__)
