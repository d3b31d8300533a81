"""`limited`: the decorator that asks the current session's limits before each call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from . import _values
from ._limiting import lease as leasing
from ._limiting.lease import Lease
from ._session import current_session
from .exceptions import InvalidValueError

F = TypeVar("F", bound=Callable[..., Any])


class _Passage:
    """What one call asks for, and holds until it is over."""

    __slots__ = ("_asked", "_held", "_leases")

    def __init__(self, leases: Sequence[str], **asked: Any) -> None:
        self._asked = asked
        self._leases = leases
        self._held: list[Lease] = []

    def __enter__(self) -> None:
        session = current_session()
        self._held = [session.lease(name) for name in self._leases]
        session.admit(leases=self._held, **self._asked)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        for lease in self._held:
            lease.release()

    async def __aenter__(self) -> None:
        session = current_session()
        self._held = [session.lease(name) for name in self._leases]
        await session.admit_async(leases=self._held, **self._asked)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await leasing.release(self._held, exc)


def limited(
    *,
    uses: Mapping[str, float] | None = None,
    rates: Mapping[str, int] | Sequence[str] = (),
    leases: Sequence[str] = (),
    operation: str | None = None,
) -> Callable[[F], F]:
    """Ask the current session's limits before each call, together: all of it is allowed, or the call is not made.

    ::

        @session("report", tier="pro")
        @limited(uses={"api_calls": 1}, rates=["report"], leases=["export"])
        async def report(): ...

    Slots are held until the call is over, a generator's until it is exhausted or closed. Async functions do not keep
    the event loop waiting for a store. Outside of a session nothing is asked.

    Args:
        uses: amounts of quotas, by name.
        rates: what is done, or how often, by name.
        leases: the names of slots to hold.
        operation: a low-cardinality name for what it is used for; by default the function's.

    Raises:
        InvalidValueError: a name or an amount is not one, or what is decorated is no function. The decorated function
            raises what `Session.admit` does.
    """
    amounts = {name: _values.quantity(name, amount) for name, amount in _values.by_name("uses", uses).items()}
    costs = dict(rates) if isinstance(rates, Mapping) else dict.fromkeys(_values.labels("limit", rates), 1)
    leases = _values.labels("limit", leases)
    for name in (*amounts, *costs):
        _values.label("limit", name)
    for name, cost in costs.items():
        _values.times(name, cost)

    def decorate(function: F) -> F:
        if isinstance(function, staticmethod | classmethod):
            around: F = type(function)(decorate(function.__func__))
            return around
        if not inspect.isroutine(function):
            raise InvalidValueError(f"limited() decorates functions, and {function!r} is none")
        name = _operation(function) if operation is None else _values.label("operation", operation)
        passage = functools.partial(_Passage, leases, uses=amounts, rates=costs, operation=name)
        wrapped: F = _wrap(function, passage)
        return wrapped

    return decorate


def _operation(function: Callable[..., Any]) -> str:
    name = function.__name__
    try:
        return _values.label("operation", "anonymous" if name == "<lambda>" else name)
    except InvalidValueError as error:
        raise InvalidValueError(f"{error}; give limited() an operation=...") from None


def _wrap(function: Any, passage: Callable[[], _Passage]) -> Any:
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, passage)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, passage)
    if inspect.isgeneratorfunction(function):
        return _generator(function, passage)
    return _function(function, passage)


def _function(function: Callable[..., Any], passage: Callable[[], _Passage]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with passage():
            return function(*args, **kwargs)

    return wrapper


def _coroutine(function: Callable[..., Awaitable[Any]], passage: Callable[[], _Passage]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        async with passage():
            return await function(*args, **kwargs)

    return wrapper


def _generator(
    function: Callable[..., Generator[Any, Any, Any]], passage: Callable[[], _Passage]
) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with passage():
            return (yield from function(*args, **kwargs))

    return wrapper


def _async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], passage: Callable[[], _Passage]
) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        async with passage():
            generator = function(*args, **kwargs)
            step: Callable[[], Awaitable[Any]] = functools.partial(anext, generator)
            while True:
                try:
                    value = await step()
                except StopAsyncIteration:
                    return
                try:
                    sent = yield value
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as exc:  # noqa: BLE001 - handed to the generator, which decides
                    step = functools.partial(generator.athrow, exc)
                else:
                    step = functools.partial(generator.asend, sent)

    return wrapper
