"""What is let in at the door: names are checked, attribute values are brought into the form OpenTelemetry accepts."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import logging
import math
import os
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

from ._guard import guarded, log
from ._models import AttributeValue
from .exceptions import InvalidValueError
from .security.redaction import Redactor

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*")
_LABEL: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]*")
_ID: Final = re.compile(r"[!-~]+")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_MAX_NAME: Final = 64
_MAX_ID: Final = 128
_MAX_KEY: Final = 255
_MAX_TEXT: Final = 4_096
_MAX_ITEMS: Final = 128


class Stacktrace(str):
    """A stack trace: redacted already, and allowed to be longer than other texts."""

    __slots__ = ()


def event_name(name: str) -> str:
    """Check the name of an event or a metric: static, lower-case, dotted, at most 64 characters.

    Raises:
        InvalidValueError: it is something else.
    """
    if not isinstance(name, str) or len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise InvalidValueError(
            f"{_shown(name)} cannot name an event or a metric: use a static name of at most {_MAX_NAME} lower-case "
            "letters, digits and underscores in dotted parts, such as 'cart.checkout'; put what varies into attributes"
        )
    return name


def label(what: str, value: str) -> str:
    """Check a low-cardinality name (a type, tier, platform, role, model ...): at most 64 visible characters.

    Raises:
        InvalidValueError: it is something else.
    """
    if not isinstance(value, str) or len(value) > _MAX_NAME or not _LABEL.fullmatch(value):
        raise InvalidValueError(
            f"{_shown(value)} cannot be a {what}: use a static name of at most {_MAX_NAME} characters "
            "out of letters, digits and _ . : / -, such as 'web' or 'security_audit'"
        )
    return value


def session_id(value: str) -> str:
    """Check an id that the user gives: 1 to 128 visible ASCII characters.

    Raises:
        InvalidValueError: it is something else.
    """
    if not isinstance(value, str) or len(value) > _MAX_ID or not _ID.fullmatch(value):
        raise InvalidValueError(
            f"{_shown(value)} cannot be a session id: use 1 to {_MAX_ID} visible ASCII characters without spaces, "
            "or leave it out and one is made"
        )
    return value


def amount(what: str, value: float) -> float:
    """Check an amount: a finite number, not negative.

    Raises:
        InvalidValueError: it is something else.
    """
    if isinstance(value, decimal.Decimal):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise InvalidValueError(f"{_shown(value)} cannot be {what}: use a finite number that is not negative")
    return value


def currency(code: str) -> str:
    """Check a currency: three capital letters, as ISO 4217 has them.

    Raises:
        InvalidValueError: it is something else.
    """
    if not isinstance(code, str) or not _CURRENCY.fullmatch(code):
        raise InvalidValueError(f"{_shown(code)} cannot be a currency: use an ISO 4217 code such as 'USD' or 'EUR'")
    return code


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - long enough to recognise it


def attributes(given: Mapping[str, object], redact: Redactor) -> dict[str, AttributeValue]:
    """Bring attributes into the form that spans and logs accept; text is redacted and cut at 4,096 characters.

    Never raises: what cannot be represented is dropped, counted and logged, because attributes carry run-time data.
    """
    cleaned: dict[str, AttributeValue] = {}
    for key, value in given.items():
        if not isinstance(key, str) or not key or len(key) > _MAX_KEY:
            _drop(f"{_shown(key)} cannot name an attribute: use a non-empty string of at most {_MAX_KEY} characters")
            continue
        clean = _value(value, redact)
        if clean is None:
            _drop(
                f"the attribute {key!r} has a value of type {type(value).__name__}: use a string, a boolean, a number, "
                "or a sequence of one of them"
            )
        else:
            cleaned[key] = clean
    return cleaned


def _drop(message: str) -> None:
    log.log(logging.WARNING, "attribute", "An attribute was dropped: %s.", message)
    if guarded.on_failure is not None:
        guarded.on_failure("invalid_attribute")


def text(value: str, redact: Redactor) -> str:
    """Redact a text and cut it at 4,096 characters."""
    return redact(value[:_MAX_TEXT])


def _value(value: Any, redact: Redactor) -> AttributeValue | None:
    kind = type(value)
    if kind is str:
        return text(value, redact)
    if kind is Stacktrace:
        return str(value)
    if kind is bool or kind is int or kind is float:
        return value  # type: ignore[no-any-return]  # just checked
    if isinstance(value, enum.Enum):
        return _value(value.value, redact)
    scalar = _scalar(value)
    if scalar is not None:
        return text(scalar, redact) if isinstance(scalar, str) else scalar
    if isinstance(value, list | tuple | set | frozenset):
        return _sequence(value, redact)
    return None


def _scalar(value: Any) -> str | bool | int | float | None:
    """The plain form of the scalar types that applications commonly hold."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float | decimal.Decimal):
        return float(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return path if isinstance(path, str) else None
    return None


def _sequence(values: Any, redact: Redactor) -> AttributeValue | None:
    """A homogeneous tuple (what the OpenTelemetry API accepts), or None."""
    items = tuple(_value(item, redact) for _, item in zip(range(_MAX_ITEMS), values, strict=False))
    kinds = {type(item) for item in items}
    if kinds == {int, float}:
        return tuple(float(item) for item in items)  # type: ignore[arg-type]  # all are numbers
    return items if len(kinds) <= 1 and kinds <= {str, bool, int, float} else None  # type: ignore[return-value]  # homogeneous
