"""`otel-sessions watch`: what goes on, drawn again and again."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Annotated, Any, Final, Protocol

import typer
from rich.console import Console, RenderableType, ScreenContext
from rich.control import Control

from ..exceptions import StoreError
from ..reports import Situation, Watch
from . import _typed
from ._failure import Misuse
from ._output import console, plain
from ._store import StoreUrl, opened
from ._view import view

_SHORTEST: Final = 0.2
_LONGEST: Final = 3600.0
_NAP: Final = 0.2
_MOST: Final = 1_000_000_000


class Sheet(Protocol):
    """Where it is drawn."""

    def draw(self, seen: Situation, error: str | None) -> None:
        """Show what was seen last, and why it could not be looked at now, if it could not."""

    def fit(self) -> None:
        """See that it is as large as what it is drawn on, which may have changed."""


Interval = Annotated[str, typer.Option(metavar="SECONDS", help="How long to wait between two looks.")]
Count = Annotated[
    str | None,
    typer.Option(metavar="N", help="How often it is drawn; until Ctrl-C, if not given.", show_default=False),
]
Once = Annotated[bool, typer.Option("--once", help="The same as --count 1.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Write one JSON object a line, for other programs.")]


def show(
    *,
    store: StoreUrl = None,
    interval: Interval = "2",
    count: Count = None,
    once: Once = False,
    as_json: AsJsonLines = False,
) -> None:
    """What goes on now: active sessions, ends, errors, limits and findings; redrawn in place until Ctrl-C.

    For example: otel-sessions watch --interval 5
    """
    drawings = _drawings(count, once=once)
    seconds = _typed.number(interval)
    if seconds is None or not _SHORTEST <= seconds <= _LONGEST:
        raise Misuse(f"--interval {plain(interval)}: use {_SHORTEST:g} to {_LONGEST:g} seconds")
    stop = _Stop()
    with stop.listening(), opened(store):
        watch = Watch()
        seen = watch.look()
        with _on_json() if as_json else _on(console(), once=drawings == 1) as sheet:
            sheet.draw(seen, None)
            for _ in itertools.count() if drawings is None else range(drawings - 1):
                stop.wait(seconds, sheet)
                began = time.monotonic()
                seen = _again(watch, seen, sheet)
                # As long as it has taken at least: a store that has much to say is not kept busy by this.
                stop.wait(time.monotonic() - began, sheet)


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

    def wait(self, seconds: float, sheet: Sheet) -> None:
        """Wait, unless it is to end."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._is_asked:
                raise KeyboardInterrupt
            sheet.fit()
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


def _drawings(count: str | None, *, once: bool) -> int | None:
    """How many; None if nobody says."""
    if count is None:
        return 1 if once else None
    drawings = _typed.whole("--count", count, _MOST)
    if once and drawings != 1:
        raise Misuse(f"--once and --count {plain(count)}: give one of them")
    return drawings


def _again(watch: Watch, seen: Situation, sheet: Sheet) -> Situation:
    """Look, and draw; a store that cannot be asked now may be there the next time."""
    try:
        seen = watch.look()
    except StoreError as error:
        sheet.draw(seen, str(error))
    else:
        sheet.draw(seen, None)
    return seen


class _Lines:
    """One object a line."""

    def draw(self, seen: Situation, error: str | None) -> None:
        value: dict[str, Any] = {"error": error, "situation": seen.to_dict() if error is None else None}
        typer.echo(json.dumps(value))

    def fit(self) -> None:
        pass


class _Paper:
    """One drawing below the other, without anything that moves a cursor."""

    def __init__(self, out: Console) -> None:
        self._out = out

    def draw(self, seen: Situation, error: str | None) -> None:
        self._out.print(view(seen, error, width=self._out.width), "", sep="\n")

    def fit(self) -> None:
        pass


class _Screen:
    """One drawing in the place of the other."""

    def __init__(self, out: Console, screen: ScreenContext) -> None:
        self._out = out
        self._screen = screen
        self._size = out.size
        self._last: tuple[Situation, str | None] | None = None

    def draw(self, seen: Situation, error: str | None) -> None:
        self._last, self._size = (seen, error), self._out.size
        self._out.control(Control.home())
        self._screen.update(self.drawing())

    def fit(self) -> None:
        if self._last is not None and self._size != self._out.size:
            self.draw(*self._last)

    def drawing(self) -> RenderableType:
        """The last one, a line less than the terminal has: there the prompt goes."""
        return "" if self._last is None else view(*self._last, width=self._out.width, height=self._out.height - 1)


@contextlib.contextmanager
def _on_json() -> Iterator[Sheet]:
    yield _Lines()


@contextlib.contextmanager
def _on(out: Console, *, once: bool) -> Iterator[Sheet]:
    if once or not out.is_terminal or out.is_dumb_terminal:
        yield _Paper(out)
        return
    # A screen of its own: a terminal that is resized folds the lines of its usual one, and nobody knows any more where
    # the drawing began.
    screen = out.screen()
    sheet = _Screen(out, screen)
    try:
        with screen:
            yield sheet
    finally:
        # What was seen last stays.
        out.print(sheet.drawing())
