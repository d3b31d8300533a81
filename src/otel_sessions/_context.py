"""The current session, carried in the OpenTelemetry context.

It travels wherever that context travels: into awaited coroutines, asyncio tasks and `asyncio.to_thread`. Thread pools
do not carry it; `bind` and `BoundExecutor` do.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeAlias, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from ._hook_mark import in_a_hook, marked
from .exceptions import InvalidValueError

if TYPE_CHECKING:
    from ._session import Session
    from ._turn import Turn

P = ParamSpec("P")
R = TypeVar("R")

_KEY: Final = otel_context.create_key("otel-sessions")
_NOWHERE: Final = Context()
TURN: Final[ContextVar[Turn | None]] = ContextVar("otel_sessions_turn", default=None)
"""The innermost turn that has begun here. Not in the OpenTelemetry context, in which nothing may be left behind: a turn
may begin in one step of a generator and end in another."""
_SPAN_KEY: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))


class Slot:
    """A place that a request's session is put into once it is known.

    It is attached once, outermost, and only what it holds changes: frameworks open and close their contexts in an order
    of their own. It hangs in the OpenTelemetry context and beside it, because server instrumentations attach a context
    made of the request's headers alone, in which nothing else is left.
    """

    __slots__ = ("_inside", "_outside", "session", "turn")

    def __init__(self) -> None:
        self.session: Session | None = None
        self.turn: Turn | None = None
        """The turn that was begun last in the request: each step of a stream may run in a context of its own."""
        self._outside: Context | None = None
        self._inside = _NOWHERE

    def attach(self) -> Attached:
        """Make this the current request's place, here and in what is called from here."""
        outside = otel_context.get_current()
        if outside is not self._outside:
            # Kept, because a response that is streamed attaches it for every chunk.
            self._outside, self._inside = outside, Context({**outside, _KEY: self})
        return otel_context.attach(self._inside), _REQUEST.set(self)


Attached: TypeAlias = "tuple[Token[Context], Token[Slot | None]]"

_REQUEST: Final[ContextVar[Slot | None]] = ContextVar("otel_sessions_request", default=None)


def detach(attached: Attached) -> None:
    """Undo `Slot.attach`."""
    try:
        _REQUEST.reset(attached[1])
    except ValueError:
        # Closed in another context than it was opened in: a coroutine that the garbage collector or a loop's end
        # finishes. Its own context is gone, and with it what was attached; OpenTelemetry's detach would log an error.
        return
    otel_context.detach(attached[0])


def request() -> Slot | None:
    """The current request's place."""
    return _REQUEST.get()


def find(context: Context | None = None) -> Session | None:
    """The session in `context` (the current one if not given), else that of the current request, else None."""
    held: Any = otel_context.get_value(_KEY, context)
    if held is None:
        held = _REQUEST.get()
    return held.session if type(held) is Slot else held


def holding(held: Session | Slot, context: Context | None = None) -> Context:
    """A context like `context` (the current one if not given) in which `held` is the session."""
    return otel_context.set_value(_KEY, held, context)


def around(session: Session, span: trace.Span, context: Context) -> Context:
    """A context like `context` in which `session` and its span are current: made in one step, for the hot path."""
    return Context({**context, _KEY: session, _SPAN_KEY: span})


def bind(function: Callable[P, R]) -> Callable[P, R]:
    """Bind `function` to the context of this moment: wherever it is called, it runs in the session that is current now.

    ::

        pool.submit(bind(work), item)

    Raises:
        InvalidValueError: `function` is a coroutine function.
    """
    if inspect.iscoroutinefunction(function):
        raise InvalidValueError(
            f"bind() is for functions that run in other threads, and {function!r} is a coroutine function: "
            "a task has the session in which it is created"
        )
    session = find()
    bound = otel_context.get_current() if session is None else holding(session)
    turn, mark = TURN.get(), in_a_hook()

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        token, turned = otel_context.attach(bound), TURN.set(turn)
        try:
            with marked(mark or in_a_hook()):
                return function(*args, **kwargs)
        finally:
            TURN.reset(turned)
            otel_context.detach(token)

    return run


class BoundExecutor(Executor):
    """An executor whose tasks run in the session that is current when they are submitted.

    ::

        with BoundExecutor(ThreadPoolExecutor()) as pool:
            pool.map(work, items)

    It wraps executors that run tasks in this process; a session does not travel into a process pool by itself.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit `fn`, bound to the current context."""
        return self._executor.submit(bind(fn), *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - Executor's own signature
        """Shut the wrapped executor down."""
        self._executor.shutdown(wait=wait, cancel_futures=cancel_futures)
