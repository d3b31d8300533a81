"""What calling something leads to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def raised_by(call: Callable[[], Any]) -> BaseException:
    """What `call` raises."""
    try:
        call()
    except BaseException as raised:  # noqa: BLE001 - any of them is what is asked for
        return raised
    raise AssertionError("nothing was raised")


def result_of(awaitable: Any) -> Any:
    """What an awaitable that waits for nothing returns: without a loop, which treats some exceptions in its own way."""
    try:
        awaitable.__await__().send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")
