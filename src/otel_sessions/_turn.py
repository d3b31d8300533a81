"""One exchange in a conversation."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from . import _values
from ._guard import guarded
from ._models import Role

if TYPE_CHECKING:
    from ._live import Live
    from ._recorder import Recorder


class Turn:
    """From the user's message to the answer. Entering counts the user's message, leaving without an exception counts
    the assistant's; the time between is the response time. Outside a session everything does nothing.
    """

    __slots__ = ("_began_ns", "_live", "_model", "_recorder")

    def __init__(self, recorder: Recorder | None, live: Live | None, model: str | None) -> None:
        self._recorder = recorder
        self._live = live
        self._model = model
        self._began_ns = 0

    def tokens(self, **counts: int) -> None:
        """Count tokens by type: `tokens(input=1500, output=2000)`; `cache_read` and others too.

        Raises:
            InvalidValueError: a count is not a number, or is negative.
        """
        for kind, count in counts.items():
            _values.label("type of token", kind)
            _values.amount(f"a number of {kind} tokens", count)
        if self._recorder is not None and self._live is not None:
            for kind, count in counts.items():
                self._recorder.tokens(self._live, kind, int(count), self._model)

    def cost(self, amount: float, currency: str = "USD") -> None:
        """Add what the exchange cost.

        Args:
            amount: in units of the currency, not negative.
            currency: an ISO 4217 code.

        Raises:
            InvalidValueError: the amount is not a number, or the currency not three capital letters.
        """
        spent = _values.amount("a cost", amount)
        _values.currency(currency)
        if self._recorder is not None and self._live is not None:
            self._recorder.cost(self._live, spent, currency, self._model)

    def message(self, role: Role) -> None:
        """Count a further message, of a tool for instance.

        Raises:
            InvalidValueError: `role` cannot be a name.
        """
        _values.label("role", role)
        if self._recorder is not None and self._live is not None:
            self._recorder.message(self._live, role)

    def __enter__(self) -> Turn:
        if self._recorder is not None and self._live is not None:
            self._recorder.message(self._live, "user")
            self._began_ns = self._recorder.monotonic_ns()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._recorder is None or self._live is None:
            return
        with guarded("record a turn"):
            answered = exc is None
            self._recorder.turn(
                self._live, self._recorder.monotonic_ns() - self._began_ns, self._model, answered=answered
            )

    async def __aenter__(self) -> Turn:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(exc_type, exc, tb)
