"""What the arguments of a report ask for: the one place that looks at them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import get_args

from .. import _values
from .._models import AttributeValue, EndReason, Status
from .._runtime import Runtime
from .._wanted import Wanted
from ..exceptions import InvalidValueError
from ..security.redaction import Redactor
from ._period import period


def question(
    runtime: Runtime,
    *,
    type: str | None,  # noqa: A002 - the session's, as everywhere
    user: str | None,
    status: Status | None,
    end_reason: EndReason | None,
    tier: str | None,
    attributes: Mapping[str, object] | None,
    days: float | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
) -> tuple[Wanted, ...]:
    """What is wanted: any of these, for a user may be meant by the clear name or by the pseudonym.

    None if the package is switched off.

    Raises:
        InvalidValueError: an argument is wrong.
    """
    for what, name in (("session type", type), ("tier", tier)):
        if name is not None:
            _values.label(what, name)
    _one_of("status", status, get_args(Status))
    _one_of("end_reason", end_reason, get_args(EndReason))
    if user is not None:
        _values.sought_user(user)
    if attributes is not None and not isinstance(attributes, Mapping):
        raise InvalidValueError(f"attributes={attributes!r}: use a mapping of names to values")
    asked = period(runtime.lifecycle.clock.time_ns(), days, since, until)
    if not runtime.enabled:
        return ()
    wanted = Wanted(
        type=type,
        status=status,
        reason=end_reason,
        tier=tier,
        attributes=None if attributes is None else _attributes(attributes, runtime.settings.redact),
        since_ns=asked.since_ns,
        # What another machine has ended, whose clock is ahead, has ended.
        until_ns=None if until is None else asked.until_ns,
    )
    names = [None] if user is None else runtime.lifecycle.pseudonyms.meant_by(user)
    return tuple(wanted._replace(user=name) for name in names)


def _attributes(given: Mapping[str, object], redact: Redactor) -> Mapping[str, AttributeValue]:
    """Attributes as sessions have them. One that none can have is not left out, or what has others would be found."""
    for name, value in given.items():
        if not _values.attributes({name: value}, redact):
            raise InvalidValueError(
                f"attributes: no session has {_values.shown({name: value})}: a name is text; a value is text, a "
                "boolean, a number of at most 64 bits, or a sequence of one of them"
            )
    found = _values.attributes(given, redact)
    for name, value in found.items():
        each = value if isinstance(value, tuple) else (value,)
        if any(isinstance(one, float) and math.isnan(one) for one in each):
            raise InvalidValueError(
                f"attributes: {_values.shown({name: value})} finds no session, for NaN equals nothing, not even "
                "itself: leave it out, or give another value"
            )
    return found


def _one_of(what: str, value: str | None, values: Sequence[str]) -> None:
    if value is not None and value not in values:
        raise InvalidValueError(f"{what}={_values.shown(value)}: use one of {', '.join(values)}")
