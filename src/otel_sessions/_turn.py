"""One exchange in a conversation."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from . import _values
from ._models import Role

if TYPE_CHECKING:
    from ._session import Session


class Turn:
    """From the user's message to the answer. Entering counts the user's message, leaving without an exception counts
    the assistant's; the time between is the response time. Outside a session everything does nothing.
    """

    __slots__ = ("_began_ns", "_model", "_session")

    def __init__(self, session: Session, model: str | None) -> None:
        self._session = session
        self._model = model
        self._began_ns = 0

    def tokens(self, **counts: int) -> None:
        """Count tokens by type: `tokens(input=1500, output=2000)`; `cache_read` and others too.

        Raises:
            InvalidValueError: a count is not a number, or is negative.
        """
        checked = [
            (_values.label("type of token", kind), int(_values.amount(f"a number of {kind} tokens", count)))
            for kind, count in counts.items()
        ]
        live = self._session._usable("tokens")
        if live is not None:
            for kind, count in checked:
                self._session._lifecycle.recorder.tokens(live, kind, count, self._model)

    def cost(self, amount: float, currency: str = "USD") -> None:
        """Add what the exchange cost.

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
            self._session._lifecycle.recorder.cost(live, spent, currency, self._model)

    def message(self, role: Role) -> None:
        """Count a further message, of a tool for instance.

        Raises:
            InvalidValueError: `role` cannot be a name.
        """
        self._session.message(role)

    def __enter__(self) -> Turn:
        live = self._session._usable("turn")
        if live is not None:
            self._session._lifecycle.recorder.message(live, "user")
            self._began_ns = self._session._lifecycle.clock.monotonic_ns()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        live = self._session._usable("turn")
        if live is not None:
            duration_ns = self._session._lifecycle.clock.monotonic_ns() - self._began_ns
            self._session._lifecycle.recorder.turn(live, duration_ns, self._model, answered=exc is None)

    async def __aenter__(self) -> Turn:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(exc_type, exc, tb)
