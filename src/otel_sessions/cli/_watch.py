"""`otel-sessions watch`: what goes on, drawn again and again."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Annotated, Any, Final, TypeAlias

import typer
from rich.console import Console
from rich.live import Live

from ..exceptions import StoreError
from ..reports import Situation, Watch
from ._failure import Failure, explained
from ._output import console
from ._store import StoreUrl, opened
from ._view import view

_SHORTEST: Final = 0.2
_LONGEST: Final = 3600.0
_NAP: Final = 0.2

Draw: TypeAlias = "Callable[[Situation, str | None], object]"
"""Shows what was seen last, and why it could not be looked at now, if it could not."""

Interval = Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait between two looks.")]
Count = Annotated[
    int | None,
    typer.Option(metavar="N", help="How often it is drawn; until Ctrl-C, if not given.", show_default=False),
]
Once = Annotated[bool, typer.Option("--once", help="The same as --count 1.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Write one JSON object a line, for other programs.")]


def show(
    *,
    store: StoreUrl = None,
    interval: Interval = 2.0,
    count: Count = None,
    once: Once = False,
    as_json: AsJsonLines = False,
) -> None:
    """What goes on now: active sessions, ends, errors, limits and findings; redrawn in place until Ctrl-C.

    For example: otel-sessions watch --interval 5
    """
    stop = _Stop()
    with stop.listening(), explained():
        drawings = _drawings(count, once=once)
        if not _SHORTEST <= interval <= _LONGEST:
            raise Failure(f"--interval {interval:g}: use {_SHORTEST:g} to {_LONGEST:g} seconds")
        with opened(store):
            watch = Watch()
            seen = watch.look()
            with _on_json() if as_json else _on(console()) as draw:
                draw(seen, None)
                for _ in drawings:
                    stop.wait(interval)
                    began = time.monotonic()
                    seen = _again(watch, seen, draw)
                    # As long as it has taken at least: a store that has much to say is not kept busy by this.
                    stop.wait(time.monotonic() - began)


class _Stop:
    """Ends the watch at Ctrl-C, and at SIGTERM, which would leave a terminal without its cursor: neither is a failure.

    It is an exception, because a look may take long. One that is raised while the interpreter tidies up gets lost, so
    it is also remembered.
    """

    def __init__(self) -> None:
        self._is_asked = False

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._is_asked = True
        raise KeyboardInterrupt

    def wait(self, seconds: float) -> None:
        """Wait, unless it is to end."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._is_asked:
                raise KeyboardInterrupt
            # Not all of it at once: a signal that comes just before would be heard when it is over.
            time.sleep(min(left, _NAP))

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Leave the block when it is to end."""
        before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with contextlib.suppress(KeyboardInterrupt):
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _drawings(count: int | None, *, once: bool) -> Iterator[int]:
    """Counts those that come after the first."""
    if once and count not in {None, 1}:
        raise Failure(f"--once and --count {count}: give one of them")
    if count is not None and count < 1:
        raise Failure(f"--count {count}: use a whole number from 1 on")
    return itertools.count() if count is None and not once else iter(range((count or 1) - 1))


def _again(watch: Watch, seen: Situation, draw: Draw) -> Situation:
    """Look, and draw; a store that cannot be asked now may be there the next time."""
    try:
        seen = watch.look()
    except StoreError as error:
        draw(seen, str(error))
    else:
        draw(seen, None)
    return seen


@contextlib.contextmanager
def _on_json() -> Iterator[Draw]:
    def draw(seen: Situation, error: str | None) -> None:
        value: dict[str, Any] = {"error": error, "situation": seen.to_dict() if error is None else None}
        typer.echo(json.dumps(value))

    yield draw


@contextlib.contextmanager
def _on(out: Console) -> Iterator[Draw]:
    if not out.is_terminal or out.is_dumb_terminal:
        # One below the other, without anything that moves a cursor.
        yield lambda seen, error: out.print(view(seen, error, width=out.width), "", sep="\n")
        return
    with Live(console=out, auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda seen, error: live.update(view(seen, error, width=out.width, height=out.height), refresh=True)
