"""The token that carries a session into another process: what it is found by, and the trace that handed it over."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .exceptions import InvalidValueError

_VERSION: Final = 1
_MAX_LENGTH: Final = 8_192
_TRACE: Final = TraceContextTextMapPropagator()


class Handoff(NamedTuple):
    """What a token says."""

    key: str
    trace: dict[str, str]
    """The trace context as W3C Trace Context writes it: `traceparent`, `tracestate`; empty outside of a trace."""

    @classmethod
    def of(cls, key: str) -> Handoff:
        """What hands over the session under `key`, here and now."""
        trace: dict[str, str] = {}
        _TRACE.inject(trace)
        return cls(key, trace)

    @property
    def context(self) -> Context:
        """A context in which the span that was current at the handing over is the current one."""
        return _TRACE.extract(self.trace, Context())

    def token(self) -> str:
        """The token: text for a header, a field of a job, a command line."""
        data = json.dumps({"v": _VERSION, "key": self.key, **self.trace}, separators=(",", ":"))
        return base64.urlsafe_b64encode(data.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, token: str) -> Handoff:
        """Invert `token`.

        Raises:
            InvalidValueError: it is none, or one of a later version.
        """
        data = _decoded(token)
        version = data.pop("v", None)
        if version != _VERSION:
            raise InvalidValueError(
                f"a handoff token of version {version!r} cannot be read, this version of otel-sessions knows {_VERSION}"
            )
        key = data.pop("key", None)
        if not isinstance(key, str) or not key or not all(isinstance(value, str) for value in data.values()):
            raise _no_token(token)
        return cls(key, data)


def _decoded(token: str) -> dict[str, Any]:
    try:
        if len(token) > _MAX_LENGTH:
            raise _no_token(token)
        data = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (TypeError, ValueError, RecursionError, binascii.Error) as error:
        raise _no_token(token) from error
    if not isinstance(data, dict):
        raise _no_token(token)
    return data


def _no_token(token: object) -> InvalidValueError:
    # Not the token itself: it may be another kind of secret, put in the wrong place.
    return InvalidValueError(
        f"this {type(token).__name__} is not a handoff token: use what Session.handoff() returned, unchanged"
    )
