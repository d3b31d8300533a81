"""Single uses, as the usage history has them."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_USES: Final = 50
"""How many of them a session keeps; of all there are sums."""


class Use(NamedTuple):
    """One use: when, in nanoseconds since the epoch, of what, how much, and by which operation.

    A session keeps its uses as lines of text. They are stored with it again and again, and hardly ever looked at.
    """

    time_ns: int
    name: str
    amount: float
    operation: str | None

    def line(self) -> str:
        """As text without a space in any of its parts; sorted by text, lines are sorted by time."""
        line = f"{self.time_ns:020d} {self.name} {self.amount!r}"
        return line if self.operation is None else f"{line} {self.operation}"

    @classmethod
    def read(cls, line: str) -> Use:
        """Invert `line`."""
        time_ns, name, amount, *operation = line.split(" ")
        number = int(amount) if amount.lstrip("-").isdigit() else float(amount)
        return cls(int(time_ns), name, number, operation[0] if operation else None)
