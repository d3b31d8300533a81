"""One exchange in a conversation."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from . import _context, _values
from ._guard import guarded
from ._models import Role
from ._turn_usage import TurnUsage

if TYPE_CHECKING:
    from ._consumption import Consumption
    from ._live import Live
    from ._session import Session


class Turn:
    """From the user's message to the answer. Entering counts the user's message, leaving without an exception counts
    the assistant's; the time between is the response time. Outside a session everything does nothing.

    When it is left, what it consumed is known: what `tokens` was told, or else what the spans of GenAI instrumentations
    say that were made in it. That is priced by the price list then, unless `cost` was told.
    """

    __slots__ = ("_began_ns", "_outer", "_session", "_usage")

    def __init__(self, session: Session, model: str | None, provider: str | None = None) -> None:
        self._session = session
        self._usage = TurnUsage(model, provider)
        self._outer: Turn | None = None
        self._began_ns = 0

    def tokens(self, **counts: int) -> None:
        """Count tokens by type: `tokens(input=1500, output=2000, cache_read=1200)`.

        As in the semantic conventions `input` includes `cache_read` and `cache_write`, and `output` `reasoning`.

        Raises:
            InvalidValueError: a count is not a number, or is negative.
        """
        checked = {
            _values.label("type of token", kind): int(_values.amount(f"a number of {kind} tokens", count))
            for kind, count in counts.items()
        }
        live = self._session._usable("tokens")
        if live is not None:
            lifecycle = self._session._lifecycle
            self._usage.tokens(lifecycle.meter, live, checked, lifecycle.clock.time_ns())

    def cost(self, amount: float, currency: str = "USD") -> None:
        """Add what the exchange cost; nothing is priced by the price list then, not even if it cost nothing.

        Args:
            amount: in units of the currency, not negative.
            currency: an ISO 4217 code.

        Raises:
            InvalidValueError: the amount is not a number, or the currency not three capital letters.
        """
        spent = float(_values.amount("a cost", amount))
        currency = _values.currency(currency)
        live = self._session._usable("cost")
        if live is not None:
            self._usage.cost(self._session._lifecycle.meter, live, spent, currency)

    def message(self, role: Role) -> None:
        """Count a further message, of a tool for instance.

        Raises:
            InvalidValueError: `role` cannot be a name.
        """
        self._session.message(role)

    def __enter__(self) -> Turn:
        live = self._session._usable("turn")
        if live is not None:
            lifecycle = self._session._lifecycle
            lifecycle.recorder.begin_turn(live)
            self._usage.open()
            self._outer = current_turn()
            self._become(self)
            self._began_ns = lifecycle.clock.monotonic_ns()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._become(self._outer)
        live = self._session._usable("turn")
        if live is None:
            self._usage.discard()
        else:
            lifecycle = self._session._lifecycle
            duration_ns = lifecycle.clock.monotonic_ns() - self._began_ns
            lifecycle.recorder.turn(live, duration_ns, self._usage.model, answered=exc is None)
            with guarded("count what a turn consumed"):
                self._usage.close(lifecycle.meter, live, lifecycle.clock.time_ns())

    async def __aenter__(self) -> Turn:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        # A coroutine that is closed cannot wait any more.
        if self._usage.is_to_be_priced and not isinstance(exc, GeneratorExit):
            try:
                await self._session._lifecycle.meter.load_prices()
            finally:
                self.__exit__(exc_type, exc, tb)
        else:
            self.__exit__(exc_type, exc, tb)

    def _become(self, turn: Turn | None) -> None:
        """Make `turn` the current one, where this one is, or is to be."""
        # Not by the token of entering: that may have been in another context, in another step of a generator.
        if turn is self or _context.TURN.get() is self:
            _context.TURN.set(turn)
        slot = _context.request()
        if slot is not None and (turn is self or slot.turn is self):
            slot.turn = turn

    @property
    def is_open(self) -> bool:
        """Whether it has begun and not ended."""
        return self._usage.is_open

    def _is_of(self, live: Live) -> bool:
        """Whether it is a turn of that session."""
        return self._session._now() is live

    def _consumed(self, live: Live, consumption: Consumption) -> None:
        """A span that was started in it tells of a call of a model."""
        self._usage.span(self._session._lifecycle.meter, live, consumption)


def current_turn() -> Turn | None:
    """The innermost turn that is under way here, of whichever session; else the current request's."""
    turn = _open(_context.TURN.get())
    if turn is None:
        slot = _context.request()
        if slot is not None:
            turn = _open(slot.turn)
    return turn


def _open(turn: Turn | None) -> Turn | None:
    # One that has ended is left behind where it began in a step of a generator.
    while turn is not None and not turn.is_open:
        turn = turn._outer
    return turn
