"""A class whose instances are sessions: from construction to the closing method."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ._definition import Definition
from ._session import Session
from .exceptions import InvalidValueError

C = TypeVar("C", bound=type)

_CLOSING: Final = ("close", "aclose", "stop", "shutdown", "__exit__", "__aexit__")
_SPECIAL: Final = ("__call__", "__enter__", "__aenter__", "__exit__", "__aexit__", "__next__", "__anext__")
_SLOT: Final = "_otel_sessions_handle"


def decorate_class(cls: C, definition: Definition, closing: str | None) -> C:
    """Make each instance of `cls` a session; its public methods run inside it.

    Raises:
        InvalidValueError: the class has no method that could end the session, or its instances cannot carry one.
    """
    ends = [closing] if closing is not None else [name for name in _CLOSING if callable(getattr(cls, name, None))]
    if not ends or not callable(getattr(cls, ends[0], None)):
        raise InvalidValueError(
            f"{cls.__qualname__} has no method {closing or 'that could end its session'}: add one of "
            f"{', '.join(_CLOSING[:4])}, or name it: session(..., closing='finish')"
        )
    if not getattr(cls, "__dictoffset__", 0):
        raise InvalidValueError(
            f"{cls.__qualname__} has __slots__ without __dict__: its instances cannot carry a session"
        )
    for name in _methods(cls):
        setattr(cls, name, _inside(getattr(cls, name), last=name in ends))
    construct: Callable[..., None] = cls.__init__  # type: ignore[misc]  # replaced by one that calls it

    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - becomes the class's own
        if _SLOT in self.__dict__:
            # A subclass that is decorated too, or that calls this twice: one object is one session.
            construct(self, *args, **kwargs)
            return
        handle = definition.begin()
        self.__dict__[_SLOT] = handle
        weakref.finalize(self, handle._abandon).atexit = False
        try:
            with handle._step():
                construct(self, *args, **kwargs)
        except BaseException as exc:
            handle._finish(exc)
            raise

    cls.__init__ = __init__  # type: ignore[misc]  # decorated in place, so that isinstance and pickling go on working
    return cls


def _methods(cls: type) -> list[str]:
    """The methods that run in the session: public ones and those of protocols, as far as they are plain functions."""
    return [
        name
        for name, member in inspect.getmembers_static(cls, inspect.isfunction)
        if name in _SPECIAL or not name.startswith("_")
    ]


def _inside(method: Callable[..., Any], *, last: bool) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
        # It would run outside the call: its steps belong to whoever iterates.
        return method
    exits = method.__name__ in {"__exit__", "__aexit__"}

    @functools.wraps(method)
    async def run_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        handle = _open(self, args if exits else ())
        if handle is None:
            return await method(self, *args, **kwargs)
        try:
            with handle._step():
                result = await method(self, *args, **kwargs)
        except BaseException as exc:
            handle._left(exc, last=last)
            raise
        handle._left(None, last=last)
        return result

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        handle = _open(self, args if exits else ())
        if handle is None:
            return method(self, *args, **kwargs)
        try:
            with handle._step():
                result = method(self, *args, **kwargs)
        except BaseException as exc:
            handle._left(exc, last=last)
            raise
        handle._left(None, last=last)
        return result

    return run_async if inspect.iscoroutinefunction(method) else run


def _open(instance: Any, exit_args: tuple[Any, ...]) -> Session | None:
    """The session of `instance` if it is still open; what a `with` block was left with becomes its failure."""
    handle: Session | None = instance.__dict__.get(_SLOT)
    if handle is None or not handle.is_active:
        return None
    if len(exit_args) > 1 and isinstance(exit_args[1], BaseException):
        handle._failure = exit_args[1]
    return handle
