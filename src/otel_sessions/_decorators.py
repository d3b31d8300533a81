"""`session`: the decorator and the `with` statement.

What kind of function is decorated is found out once, at decoration. A context is attached for as long as code of the
function runs, never across a `yield`: a generator's caller must not find itself in the generator's session.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from typing import Any, TypeVar, overload

from opentelemetry import context as otel_context

from . import _runtime
from ._class_session import decorate_class
from ._definition import Definition, UserSource
from ._session import NO_SESSION, Session
from .exceptions import InvalidValueError

F = TypeVar("F", bound=Callable[..., Any])


class SessionDefinition(Definition):
    """What `session("type", ...)` returns: a decorator, and a context manager for one `with` at a time."""

    __slots__ = ("_closing",)

    def __init__(self, session_type: str, *, closing: str | None = None, **given: Any) -> None:
        super().__init__(session_type, **given)
        self._closing = closing

    def __call__(self, target: F) -> F:
        """Decorate `target`: every call of it is a session."""
        decorated: F = _decorate(target, self, self._closing)
        return decorated


@overload
def session(target: F, /) -> F: ...


@overload
def session(
    session_type: str,
    /,
    *,
    user: UserSource = ...,
    tier: str | None = ...,
    platform: str | None = ...,
    attributes: Mapping[str, object] | None = ...,
    closing: str | None = ...,
) -> SessionDefinition: ...


def session(
    target: Callable[..., Any] | str,
    /,
    *,
    user: UserSource = None,
    tier: str | None = None,
    platform: str | None = None,
    attributes: Mapping[str, object] | None = None,
    closing: str | None = None,
) -> Any:
    """Make a call, a block or an object's life a session.

    ::

        @session
        def nightly(): ...

        @session("security_audit", user="admin@contoso.com", attributes={"tenant": "contoso"})
        async def audit(): ...

        with session("import", tier="pro") as s:
            s.progress("half way")

    Args:
        target: the function or class, or the session's type: a static low-cardinality name. Bare, the type is the
            function's name.
        user: whose session it is, or a callable that says so when it begins; only a pseudonym leaves the process. By
            default the operating system's user.
        tier: the set of limits that applies.
        platform: where it is used: `web`, `mobile`, `api`.
        attributes: attributes of the session's span.
        closing: of a decorated class, the method that ends the session; by default `close` and `aclose`, else `stop`,
            else `shutdown`, and in any case the end of a `with` block.

    Raises:
        InvalidValueError: a name cannot be one, or what is decorated is neither function nor class.
    """
    if isinstance(target, str):
        return SessionDefinition(
            target, user=user, tier=tier, platform=platform, attributes=attributes, closing=closing
        )
    name = getattr(target, "__name__", None)
    if not callable(target) and not isinstance(target, staticmethod | classmethod):
        raise InvalidValueError(
            f"session({target!r}): use it bare on a function or class, or call it with the session's type, "
            "such as session('nightly_import')"
        )
    return _decorate(
        target, SessionDefinition(name if isinstance(name, str) and name != "<lambda>" else "anonymous"), None
    )


def _decorate(target: Any, definition: Definition, closing: str | None) -> Any:
    if isinstance(target, staticmethod | classmethod):
        return type(target)(_decorate(target.__func__, definition, closing))
    if inspect.isclass(target):
        return decorate_class(target, definition, closing)
    if closing is not None:
        raise InvalidValueError(f"closing={closing!r} is for classes, and {target!r} is not one")
    if not callable(target):
        raise InvalidValueError(f"{target!r} cannot be a session: decorate a function or a class")
    # An object that can be called is of the kind that its __call__ is.
    called = target if inspect.isroutine(target) or isinstance(target, functools.partial) else type(target).__call__
    if inspect.isasyncgenfunction(called):
        return _async_generator(target, definition)
    code = getattr(called, "__code__", None)
    if inspect.iscoroutinefunction(called) or (code is not None and code.co_flags & inspect.CO_ITERABLE_COROUTINE):
        return _coroutine(target, definition)
    if inspect.isgeneratorfunction(called):
        return _generator(target, definition)
    return _function(target, definition)


def _function(function: Callable[..., Any], definition: Definition) -> Callable[..., Any]:
    begin = definition.begin

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        runtime = _runtime.current
        if runtime is not None and not runtime.enabled:
            # Asked here already, so that what is switched off costs next to nothing.
            return function(*args, **kwargs)
        handle = begin()
        if handle is NO_SESSION:
            return function(*args, **kwargs)
        handle._enter_scoped()
        try:
            result = function(*args, **kwargs)
        except BaseException as exc:
            handle.__exit__(None, exc, None)
            raise
        handle.__exit__(None, None, None)
        return result

    return wrapper


def _coroutine(function: Callable[..., Awaitable[Any]], definition: Definition) -> Callable[..., Any]:
    begin = definition.begin

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        runtime = _runtime.current
        if runtime is None or runtime.may_block:
            async with await definition.begin_async():
                return await function(*args, **kwargs)
        handle = begin()
        if handle is NO_SESSION:
            return await function(*args, **kwargs)
        handle._enter_scoped()
        try:
            result = await function(*args, **kwargs)
        except BaseException as exc:
            handle.__exit__(None, exc, None)
            raise
        handle.__exit__(None, None, None)
        return result

    return wrapper


class _Steps:
    """The session of a generator: its context is attached for each step and put aside at each `yield`.

    What the generator itself attaches (a span held across a `yield`, say) is kept from step to step.
    """

    __slots__ = ("_context", "_outer", "handle")

    def __init__(self, handle: Session) -> None:
        self.handle = handle
        handle._outer = None if handle is NO_SESSION else otel_context.get_current()
        self._context = handle._context()
        self._outer: Any = None

    def __enter__(self) -> None:
        self._outer = otel_context.attach(self._context)

    def __exit__(self, *_: object) -> None:
        self._context = otel_context.get_current()
        otel_context.detach(self._outer)


def _generator(function: Callable[..., Generator[Any, Any, Any]], definition: Definition) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps = _Steps(definition.begin())
        try:
            with steps:
                generator = function(*args, **kwargs)
            result = yield from _stepping(generator, steps)
        except BaseException as exc:
            steps.handle._finish(exc)
            raise
        steps.handle._finish(None)
        return result

    return wrapper


def _stepping(generator: Generator[Any, Any, Any], steps: _Steps) -> Generator[Any, Any, Any]:
    """`yield from generator`, with the context attached only while the generator runs (PEP 380)."""
    step: Callable[[], Any] = functools.partial(next, generator)
    while True:
        try:
            with steps:
                value = step()
        except StopIteration as stop:
            return stop.value
        try:
            sent = yield value
        except GeneratorExit as closed:
            with steps:
                # Since Python 3.13 closing has a result.
                result: Any = generator.close()  # type: ignore[func-returns-value]
            steps.handle._finish(closed)
            return result
        except BaseException as exc:  # noqa: BLE001 - handed to the generator, which decides
            step = functools.partial(generator.throw, exc)
        else:
            step = functools.partial(generator.send, sent)


def _async_generator(function: Callable[..., AsyncGenerator[Any, Any]], definition: Definition) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps = _Steps(await definition.begin_async())
        try:
            with steps:
                generator = function(*args, **kwargs)
            step: Callable[[], Awaitable[Any]] = functools.partial(anext, generator)
            while True:
                with steps:
                    value = await step()
                try:
                    sent = yield value
                except GeneratorExit:
                    with steps:
                        await generator.aclose()
                    raise
                except BaseException as exc:  # noqa: BLE001 - handed to the generator, which decides
                    step = functools.partial(generator.athrow, exc)
                else:
                    step = functools.partial(generator.asend, sent)
        except StopAsyncIteration:
            await steps.handle._finish_async(None)
        except BaseException as exc:
            await steps.handle._finish_async(exc)
            raise

    return wrapper
