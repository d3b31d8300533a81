"""Numbers as people read them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_TEN_THOUSAND: Final = 10_000
_LEAST_MONEY: Final = 1e-6
_DECIMALS: Final = -7
_DIGITS: Final = 400
"""As many as the largest float has, with some decimals."""


def duration(seconds: float | None) -> str:
    """A duration: `250 ms`, `12.3 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    if seconds < _HOUR:
        return "{} min {:02d} s".format(*divmod(round(seconds), _MINUTE))
    if seconds < _DAY:
        return "{} h {:02d} min".format(*divmod(round(seconds / _MINUTE), 60))
    return "{} d {} h".format(*divmod(round(seconds / _HOUR), 24))


def brief(seconds: float) -> str:
    """A whole duration, as an axis has it: `10 s`, `1 h`."""
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE), ("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds * 1e6:g} µs"


def percent(share: float | None) -> str:
    """A share. What is not all, or not nothing, does not become it by rounding."""
    if share is None:
        return "-"
    shown = f"{share:.1%}"
    if shown == "100.0%" and share < 1:
        return "> 99.9%"
    return "< 0.1%" if shown == "0.0%" and share > 0 else shown


def count(number: int) -> str:
    """How many, with three digits where there are very many."""
    if number < _TEN_THOUSAND:
        return f"{number:,}"
    return short(number)


def short(number: float) -> str:
    """A number in at most five letters."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def money(cost: Mapping[str, float]) -> str:
    """Sums of money, the largest first: `1,234.50 USD, 0.0040 EUR`."""
    largest = sorted(cost.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{_amount(amount)} {currency}" for currency, amount in largest) or "-"


def _amount(amount: float) -> str:
    """With two decimals, and as many more as two digits that say something need."""
    if 0 < amount < _LEAST_MONEY:
        return f"< {_LEAST_MONEY:f}"
    exact = Decimal(repr(float(amount)))
    if not exact.is_finite():
        return f"{amount}"
    # Rounded as people do it, who read 0.155 and expect 0.16.
    smallest = Decimal(1).scaleb(max(_DECIMALS, min(-2, exact.adjusted() - 1)))
    with localcontext() as context:
        context.prec = _DIGITS
        return f"{exact.quantize(smallest, ROUND_HALF_UP):,f}"


def counted(number: int, what: str = "session") -> str:
    """A number of things: `1 session`, `2,000 active sessions`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def time(moment: dt.datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M}"
