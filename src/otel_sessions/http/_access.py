"""Who may see what, and the note of each who asked."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from opentelemetry._logs import SeverityNumber

from .. import _runtime, _values
from .. import _semconv as sc
from .._guard import guarded
from .._models import AttributeValue, Event
from .._session import current_session
from ..exceptions import ConfigurationError

Resource = Literal["health", "statistics", "sessions", "mine", "session"]
Result = Literal["granted", "refused", "not_found", "failed"]

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
_REFUSALS: Final = frozenset({UNAUTHORIZED, FORBIDDEN})

_PREFIX: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?: [\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa0-\xff])?")
"""A scheme, and what comes after it (RFC 9110, sections 5.5 and 11.3)."""


class Operator(NamedTuple):
    """May see everything."""

    user: str
    """The clear name; only its pseudonym is noted."""


class Owner(NamedTuple):
    """May see the sessions of this user, and nothing else."""

    user: str
    """The clear name, as the sessions are told it; only its pseudonym is noted."""


Access: TypeAlias = "Operator | Owner"


class Visitor(NamedTuple):
    """Who asks, and for what."""

    access: Access | None
    resource: Resource
    session_id: str | None = None

    @property
    def pseudonym(self) -> str | None:
        """How records call who asks; None if nobody knows who it is."""
        return None if self.access is None else _runtime.get().lifecycle.pseudonyms.user(self.access.user)

    def note(self, result: Result, status: int) -> None:
        """Write down what came of it: an event, and a count if it was refused."""
        runtime = _runtime.get()
        if not runtime.enabled:
            return
        with guarded("note an access"):
            event = Event(sc.EVENT_ACCESS, runtime.lifecycle.clock.time_ns(), self._attributes(result))
            severity = SeverityNumber.WARN if result == "refused" else SeverityNumber.INFO
            runtime.telemetry.event(event, {}, severity=severity, always_log=True)
            # What is answered so inside a session, its middleware counts.
            if result == "refused" and not (current_session().id and status in _REFUSALS):
                reason = "unauthorized" if status == UNAUTHORIZED else "forbidden"
                runtime.telemetry.metrics.access_failures.add(1, None, reason)

    def note_raised(self, status: int | None) -> None:
        """Write down that the authorizer raised what the framework answers with that status; None if it is an error.

        It refuses with 401 and 403. Anything else, such as another service that it asks and that is down, or lets it
        not in, says nothing of who asked.
        """
        if status is not None and status in _REFUSALS:
            self.note("refused", status)
        else:
            self.note("failed", HTTPStatus.INTERNAL_SERVER_ERROR)

    def _attributes(self, result: Result) -> dict[str, AttributeValue]:
        known = {
            sc.ACCESS_RESOURCE: self.resource,
            sc.ACCESS_RESULT: result,
            sc.ACCESS_ROLE: None if self.access is None else type(self.access).__name__.lower(),
            sc.ACCESS_SESSION_ID: self.session_id,
            sc.ENDUSER_PSEUDO_ID: self.pseudonym,
        }
        return {name: value for name, value in known.items() if value is not None}


def decision(found: object) -> Access | None:
    """What an authorizer returned, if it can be that.

    Raises:
        ConfigurationError: it is something else, and lets nobody in.
    """
    if found is None:
        return None
    if isinstance(found, Operator | Owner):
        if isinstance(found.user, str) and found.user:
            return found
        raise ConfigurationError(f"authorize() returned {type(found).__name__}(...) without the name of a user")
    raise ConfigurationError(
        f"authorize() returned a {type(found).__name__}: return Operator(user), Owner(user), or None for nobody"
    )


def authorizer(authorize: Any) -> Any:
    """Check that there is one.

    Raises:
        ConfigurationError: it cannot be called.
    """
    if not callable(authorize):
        raise ConfigurationError(
            f"authorize={authorize!r}: give a function that takes the request and returns Operator(user), Owner(user), "
            "or None; nothing is shown to anybody without one"
        )
    return authorize


def prefix_of(given: object) -> str:
    """Check below what the routes are to be.

    Raises:
        ConfigurationError: it is no path, or one that clients never ask for as it stands.
    """
    if not isinstance(given, str) or not _PREFIX.fullmatch(given):
        raise ConfigurationError(
            f"prefix={_values.shown(given)}: use a path that begins with / and does not end with it, of letters, "
            "digits and . _ ~ -, such as '/monitoring'"
        )
    return given


def challenge_of(given: object) -> str | None:
    """Check what `WWW-Authenticate` is to say; None says nothing.

    Raises:
        ConfigurationError: it cannot stand in a header.
    """
    if given is None or (isinstance(given, str) and _CHALLENGE.fullmatch(given)):
        return given
    raise ConfigurationError(
        f"challenge={_values.shown(given)}: use what WWW-Authenticate may say, a scheme and its parameters in one line "
        "of Latin-1, such as 'Bearer' or 'Basic realm=\"operators\"'"
    )


def session_id_of(given: str | None) -> str | None:
    """An id that a session can have; None if there is none in the path, or something else."""
    return None if given is None else _values.sought_id(given)
