"""A class whose instances are sessions: from construction to the closing method."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ._definition import Definition
from ._session import Session, current_session
from .exceptions import InvalidValueError

C = TypeVar("C", bound=type)

_CLOSING: Final = ("close", "aclose", "stop", "shutdown", "__exit__", "__aexit__")
_CLOSES: Final = frozenset({"close", "aclose"})
_EXITS: Final = frozenset({"__exit__", "__aexit__"})
_SPECIAL: Final = frozenset({"__call__", "__enter__", "__aenter__", "__next__", "__anext__", *_EXITS})
_MARK: Final = "__otel_session__"

# By identity, beside the objects: an instance stays what it was for pickle, copy, slots and models that own __dict__.
_HANDLES: Final[dict[int, Session]] = {}


def decorate_class(cls: C, definition: Definition, closing: str | None) -> C:
    """Make each instance of `cls` a session; its public methods run inside it.

    Raises:
        InvalidValueError: the class has no method that could end the session, or its instances cannot be watched.
    """
    known = [name for name in _CLOSING if callable(getattr(cls, name, None))]
    ends = {closing} if closing is not None else _closing(known)
    if not ends or not all(callable(getattr(cls, str(name), None)) for name in ends):
        raise InvalidValueError(
            f"{cls.__qualname__} has no method {closing or 'that could end its session'}: add one of "
            f"{', '.join(_CLOSING[:4])}, or name it: session(..., closing='finish')"
        )
    if not getattr(cls, "__weakrefoffset__", 0):
        raise InvalidValueError(
            f"{cls.__qualname__} has __slots__ without '__weakref__': the end of its instances cannot be seen; add it"
        )
    if any(isinstance(inspect.getattr_static(cls, str(name)), staticmethod | classmethod) for name in ends):
        raise InvalidValueError(
            f"{cls.__qualname__}.{closing or known[0]} cannot end a session: make it a plain method"
        )
    for name in _methods(cls) | ends:
        method = inspect.getattr_static(cls, str(name))
        if not getattr(method, _MARK, False):
            setattr(cls, str(name), _inside(cls, str(name), method, last=name in ends))
    _wrap_init(cls, definition)
    return cls


def _closing(known: list[str]) -> set[str]:
    """`close` and `aclose`, else the first of the others; and the end of a `with` block in any case."""
    found = set(known)
    first = found & _CLOSES or set(known[:1])
    return first | (found & _EXITS)


def _methods(cls: type) -> set[str]:
    """The methods that run in the session: public ones and those of protocols, as far as they are plain functions."""
    names = {name for base in cls.__mro__ if base is not object for name in vars(base)}
    return {
        name
        for name in names
        if (name in _SPECIAL or not name.startswith("_"))
        and inspect.isfunction(inspect.getattr_static(cls, name, None))
    }


def _wrap_init(cls: type, definition: Definition) -> None:
    construct: Any = cls.__init__  # type: ignore[misc]  # replaced by one that calls it
    takes_nothing = construct is object.__init__ and getattr(cls, "__new__", None) is not object.__new__

    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - becomes the class's own
        if takes_nothing:
            # What was given was for __new__.
            args, kwargs = (), {}
        if id(self) in _HANDLES:
            # A subclass that is decorated too, or a second call: one object is one session.
            construct(self, *args, **kwargs)
            return
        handle = _HANDLES[id(self)] = definition.begin()
        weakref.finalize(self, _lost, id(self), handle).atexit = False
        try:
            with handle._step():
                construct(self, *args, **kwargs)
        except BaseException as exc:
            handle._finish(exc)
            raise

    cls.__init__ = __init__  # type: ignore[misc]  # decorated in place, so that isinstance and pickling go on working


def _lost(identity: int, handle: Session) -> None:
    _HANDLES.pop(identity, None)
    handle._abandon()


def _inside(cls: type, name: str, method: Any, *, last: bool) -> Any:
    if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
        # It would run outside the call: its steps belong to whoever iterates.
        return method
    own = name in vars(cls)

    def bound(self: Any) -> Callable[..., Any]:
        # Inherited methods are looked up at each call, so that the order of a diamond's bases stays what it was.
        return method.__get__(self) if own else getattr(super(cls, self), name)  # type: ignore[no-any-return]  # a method

    @functools.wraps(method)
    async def run_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        handle = _open(self, args if name in _EXITS else ())
        if handle is None:
            return await bound(self)(*args, **kwargs)
        outermost = current_session() is not handle
        try:
            with handle._step():
                result = await bound(self)(*args, **kwargs)
        except BaseException as exc:
            await handle._left_async(exc, last=last, outermost=outermost)
            raise
        await handle._left_async(None, last=last, outermost=outermost)
        return result

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        handle = _open(self, args if name in _EXITS else ())
        if handle is None:
            return bound(self)(*args, **kwargs)
        outermost = current_session() is not handle
        try:
            with handle._step():
                result = bound(self)(*args, **kwargs)
        except BaseException as exc:
            handle._left(exc, last=last, outermost=outermost)
            raise
        handle._left(None, last=last, outermost=outermost)
        return result

    wrapper = run_async if inspect.iscoroutinefunction(method) else run
    setattr(wrapper, _MARK, True)
    return wrapper


def _open(instance: Any, exit_args: tuple[Any, ...]) -> Session | None:
    """The session of `instance` if it is still open; what a `with` block was left with becomes its failure."""
    handle = _HANDLES.get(id(instance))
    if handle is None or not handle.is_active:
        return None
    if len(exit_args) > 1 and isinstance(exit_args[1], BaseException):
        handle._failure = exit_args[1]
    return handle
