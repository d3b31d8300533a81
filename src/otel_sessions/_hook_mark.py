"""Whether it is a hook that does something: what a hook uses is told to no hook, for that would go on for ever.

It is known by the context, which goes along into what a hook hands to an event loop: `call_soon_threadsafe`, and with
it `asyncio.run_coroutine_threadsafe`, takes a copy of the caller's. What is finished later, or elsewhere, is kept with
the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Final, ParamSpec

P = ParamSpec("P")

_MARK: Final[ContextVar[bool]] = ContextVar("otel_sessions_hook", default=False)
_HOOK: Final = Context()
_HOOK.run(_MARK.set, True)

in_a_hook: Final = _MARK.get
"""Whether a hook is what runs here, or had it run."""


def run_as_hook(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call `function` in a context of its own, in which nothing but the mark is set."""
    _HOOK.copy().run(function, *args, **kwargs)


@contextmanager
def marked(mark: bool) -> Iterator[None]:  # noqa: FBT001 - as it was kept
    """What is done in the block is, or is not, what a hook does."""
    token = _MARK.set(mark)
    try:
        yield
    finally:
        _MARK.reset(token)
