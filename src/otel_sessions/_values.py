"""What is let in at the door: names are checked, attribute values are brought into the form OpenTelemetry accepts.

Names are part of the program, so a wrong one is an error at the call. Values are data: what cannot be represented is
dropped, counted and logged, and never raises.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import operator
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from . import _semconv as sc
from ._guard import dropped, log, swallow
from ._models import AttributeValue
from .exceptions import InvalidValueError
from .security.redaction import REDACTED, Redactor, is_secret_name

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*")
_LABEL: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]*")
_ID: Final = re.compile(r"[!-~]+")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_RESERVED: Final = frozenset({"app_session", "session", "otel"})
_MAX_UNIT: Final = 63  # https://opentelemetry.io/docs/specs/otel/metrics/api/#instrument-unit
_MAX_NAME: Final = 64
_MAX_ID: Final = 128
_MAX_MODEL: Final = 256
_MAX_KEY: Final = 255
_MAX_TEXT: Final = 4_096
_MARGIN: Final = 1_024
_MAX_ITEMS: Final = 128
_MAX_SECONDS: Final = 1e10
MAX_QUANTITY: Final = 2**53 - 1  # the integers that a floating-point number holds exactly
_MAX_INT: Final = 2**63  # OTLP carries signed 64-bit integers


class Stacktrace(str):
    """A stack trace: redacted already, and allowed to be longer than other texts."""

    __slots__ = ()


def event_name(name: str) -> str:
    """Check the name of an event or a metric of the user's own: static, lower-case, dotted, at most 64 characters.

    Raises:
        InvalidValueError: it is something else, or one of the names that are OpenTelemetry's or ours.
    """
    if not isinstance(name, str) or len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise InvalidValueError(
            f"{_named(name)} cannot name an event or a metric: use a static name of at most {_MAX_NAME} lower-case "
            "letters, digits and underscores in dotted parts, such as 'cart.checkout'; put what varies into attributes"
        )
    if name.partition(".")[0] in _RESERVED:
        raise InvalidValueError(f"{name!r} is taken: names under {', '.join(sorted(_RESERVED))} have a meaning already")
    return _plain(name)


def label(what: str, value: str) -> str:
    """Check a low-cardinality name (a type, tier, platform, role ...): at most 64 letters, digits and _ . : / -.

    Raises:
        InvalidValueError: it is something else.
    """
    if not isinstance(value, str) or len(value) > _MAX_NAME or not _LABEL.fullmatch(value):
        raise InvalidValueError(
            f"{_named(value)} cannot be {_article(what)} {what}: use a static name of at most {_MAX_NAME} characters "
            "out of letters, digits and _ . : / -, such as 'web' or 'security_audit'"
        )
    return _plain(value)


def _article(what: str) -> str:
    return "an" if what[0] in "aeio" else "a"


def labels(what: str, values: Iterable[str]) -> tuple[str, ...]:
    """Check several of them; one text is not several.

    Raises:
        InvalidValueError: they are something else.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidValueError(f"{shown(values)} are no names of {_article(what)} {what}: use a list of them")
    return tuple(label(what, value) for value in values)


def by_name(what: str, values: object) -> Mapping[str, Any]:
    """Check what is given by name; None is nothing.

    Raises:
        InvalidValueError: it is something else.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise InvalidValueError(f"{what}={shown(values)}: use amounts by name, such as {{'tokens': 100}}")
    return values


def session_id(value: object) -> str:
    """Check an id that the user gives: 1 to 128 visible ASCII characters.

    Raises:
        InvalidValueError: it is something else.
    """
    if not isinstance(value, str) or len(value) > _MAX_ID or not _ID.fullmatch(value):
        raise InvalidValueError(
            f"{_named(value)} cannot be a session id: use 1 to {_MAX_ID} visible ASCII characters without spaces, "
            "such as 'conv-42'"
        )
    return _plain(value)


def sought_id(value: object) -> str | None:
    """The id of a session that is looked for; None if it is a text that is no session's id.

    It comes out of a URL, or a cookie, and so may be anything.

    Raises:
        InvalidValueError: it is no text at all.
    """
    try:
        return session_id(value)
    except InvalidValueError:
        if isinstance(value, str):
            return None
        raise


def user_name(value: str) -> str:
    """Check the name of a user: any text but an empty one.

    Raises:
        InvalidValueError: it is something else.
    """
    if not isinstance(value, str) or not value:
        raise InvalidValueError(f"{_named(value)} cannot be a user: use a non-empty string")
    return value


def sought_user(value: str) -> str:
    """Check the name of a user whose sessions are looked for: any text; an empty one is nobody's.

    Raises:
        InvalidValueError: it is no text at all.
    """
    return value if isinstance(value, str) else user_name(value)


def model(value: str) -> str:
    """The name of a model, as its provider writes it; `_OTHER` if it is no short visible ASCII text.

    Raises:
        InvalidValueError: it is no text at all.
    """
    if not isinstance(value, str):
        raise InvalidValueError(f"{_named(value)} cannot be a model: use its name")
    return _plain(value) if len(value) <= _MAX_MODEL and _ID.fullmatch(value) else sc.OTHER


def amount(what: str, value: float) -> float:
    """Check an amount: a finite number, not negative. The result is an integer or a float, whatever it was.

    Raises:
        InvalidValueError: it is something else.
    """
    number = _number(value)
    if number is None or not 0 <= number < _MAX_INT:
        raise InvalidValueError(f"{shown(value)} cannot be {what}: use a finite number that is not negative")
    return number


def _number(value: Any) -> int | float | None:
    """The finite number that it is, in plain form; a decimal becomes a float. None if it is none."""
    try:
        if isinstance(value, float | decimal.Decimal):
            number = float(value)
            return number if math.isfinite(number) else None
        # Other people's integers, too.
        return None if isinstance(value, bool) else int(operator.index(value))
    except (OverflowError, TypeError, ValueError):
        return None


def quantity(name: str, value: float) -> float:
    """Check how much of a quota is asked for: a finite number, not negative, that every store counts exactly.

    Raises:
        InvalidValueError: it is something else.
    """
    checked = amount(f"an amount of {name}", value)
    if checked > MAX_QUANTITY:
        raise InvalidValueError(f"{shown(value)} cannot be an amount of {name}: use at most {MAX_QUANTITY}")
    return checked


def change(name: str, value: float) -> float:
    """Check by how much the use of a quota changes: as `quantity`, but it may be negative.

    Raises:
        InvalidValueError: it is something else.
    """
    number = _number(value)
    return -quantity(name, -number) if number is not None and number < 0 else quantity(name, value)


def times(name: str, value: int) -> int:
    """Check how often something is done: a whole number, one or more.

    Raises:
        InvalidValueError: it is something else.
    """
    return whole(f"a cost of {name}", value)


def whole(what: str, value: int) -> int:
    """Check a number of things: a whole one, one or more.

    Raises:
        InvalidValueError: it is something else.
    """
    number = _number(value)
    if not isinstance(number, int) or not 0 < number <= MAX_QUANTITY:
        raise InvalidValueError(f"{shown(value)} cannot be {what}: use a whole number from 1 on")
    return number


def seconds(what: str, value: float) -> float:
    """Check a time span in seconds: positive, and not for ever. The result is an integer or a float, whatever it was.

    Raises:
        InvalidValueError: it is something else.
    """
    checked = amount(what, value)
    if not 0 < checked < _MAX_SECONDS:
        raise InvalidValueError(f"{what}={shown(value)}: use a positive number of seconds")
    return checked


def unit(value: str) -> str:
    """Check a unit: a UCUM unit or an annotation in braces, at most 63 visible ASCII characters.

    Raises:
        InvalidValueError: it is something else.
    """
    if not isinstance(value, str) or len(value) > _MAX_UNIT or not _ID.fullmatch(value):
        raise InvalidValueError(
            f"{shown(value)} cannot be a unit: use a UCUM unit such as 's', 'By', '1' or '{{item}}'"
        )
    return _plain(value)


def currency(code: str) -> str:
    """Check a currency: three capital letters, as ISO 4217 has them.

    Raises:
        InvalidValueError: it is something else.
    """
    if not isinstance(code, str) or not _CURRENCY.fullmatch(code):
        raise InvalidValueError(f"{shown(code)} cannot be a currency: use an ISO 4217 code such as 'USD' or 'EUR'")
    return _plain(code)


def _plain(value: str) -> str:
    """The text itself: a member of a string enumeration formats differently from release to release of Python."""
    return value if type(value) is str else str.__str__(value)


def shown(value: object) -> str:
    try:
        shown = repr(value)
    except Exception:  # noqa: BLE001 - somebody else's __repr__
        shown = f"<{type(value).__name__}>"
    return shown if len(shown) <= 80 else f"{shown[:77]}..."  # noqa: PLR2004 - long enough to recognise it


def _named(value: object) -> str:
    """What should have been a text, as an error tells it: with its type if it is none."""
    return shown(value) if isinstance(value, str) else f"{shown(value)} ({type(value).__name__})"


def attributes(given: Mapping[str, object], redact: Redactor) -> dict[str, AttributeValue]:
    """Bring attributes into the form that spans and logs accept.

    Text is redacted and cut at 4,096 characters; under a name that says so, a value is a secret. Never raises: what
    cannot be represented is dropped, counted and logged.
    """
    cleaned: dict[str, AttributeValue] = {}
    try:
        items = list(given.items())
    except Exception as exc:  # noqa: BLE001 - a mapping of the user's
        swallow("read attributes", exc)
        return cleaned
    for key, value in items:
        if not isinstance(key, str) or not key or len(key) > _MAX_KEY or not _encodable(key):
            _drop(f"{shown(key)} cannot name one: use a non-empty string of at most {_MAX_KEY} characters")
            continue
        try:
            clean = REDACTED if is_secret_name(key) else _value(value, redact)
        except Exception as exc:  # noqa: BLE001 - conversions of other people's types
            swallow("read an attribute's value", exc)
            continue
        if clean is None:
            _drop(
                f"{shown(key)} has a value of type {type(value).__name__}: use a string, a boolean, a number of at "
                "most 64 bits, or a sequence of one of them"
            )
        else:
            cleaned[key] = clean
    return cleaned


def _drop(reason: str) -> None:
    log.warn("attribute", "An attribute was dropped: %s.", reason)
    dropped(sc.Drop.INVALID_ATTRIBUTE)


def text(value: object, redact: Redactor, longest: int = _MAX_TEXT) -> str:
    """Redact a text and cut it. If the redactor fails, nothing of the text is left."""
    try:
        # Cut after redacting: a secret that the cut splits would lose its shape and stay.
        return encodable(redact(str(value)[: longest + _MARGIN])[:longest])
    except Exception as exc:  # noqa: BLE001 - the redactor may be the user's, and so may be __str__
        swallow("redact a text", exc)
        return REDACTED


def encodable(value: str) -> str:
    """`value` in a form that UTF-8 can carry: one lone surrogate would cost the exporter the whole batch."""
    return value if _encodable(value) else value.encode("utf-8", "backslashreplace").decode()


def _encodable(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _value(value: Any, redact: Redactor) -> AttributeValue | None:
    if isinstance(value, list | tuple | set | frozenset):
        return _sequence(value, redact)
    return _scalar(value, redact)


def _sequence(values: Any, redact: Redactor) -> AttributeValue | None:
    """A homogeneous tuple (what the OpenTelemetry API accepts), or None."""
    items = tuple(_scalar(item, redact) for _, item in zip(range(_MAX_ITEMS), values, strict=False))
    kinds = {type(item) for item in items}
    if kinds == {int, float}:
        return tuple(float(item) for item in items)  # type: ignore[arg-type]  # all are numbers
    return items if len(kinds) <= 1 and kinds <= {str, bool, int, float} else None  # type: ignore[return-value]  # homogeneous


def _scalar(value: Any, redact: Redactor) -> str | bool | int | float | None:
    """A scalar in plain form: OpenTelemetry's own types, and those that applications commonly hold."""
    kind = type(value)
    if kind is str:
        return text(value, redact)
    if kind is bool or kind is float:
        return value  # type: ignore[no-any-return]  # just checked
    if isinstance(value, enum.Enum):
        return _scalar(value.value, redact)
    if isinstance(value, int):
        return int(value) if -_MAX_INT <= value < _MAX_INT else None
    if isinstance(value, Stacktrace):
        return encodable(str.__str__(value))
    return _common(value, redact)


def _common(value: Any, redact: Redactor) -> str | float | None:
    if isinstance(value, str):
        return text(str.__str__(value), redact)
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
        return text(path, redact) if isinstance(path, str) else None
    return None
