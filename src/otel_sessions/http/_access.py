"""Who may see what, and the note of each who asked."""

from __future__ import annotations

import functools
from typing import Final, Literal, NamedTuple, TypeAlias

from opentelemetry._logs import SeverityNumber

from .. import _runtime, _values
from .. import _semconv as sc
from .._guard import guarded
from .._models import AttributeValue, Event
from .._session import current_session
from ..exceptions import ConfigurationError

Resource = Literal["health", "statistics", "sessions", "session", "mine"]
Result = Literal["granted", "refused", "not_found", "failed"]

_REASONS: Final = {401: "unauthorized", 403: "forbidden", 404: "forbidden"}
"""What the metric of refused accesses calls the status of a refusal; 404 hides that there is something to refuse."""


class Operator(NamedTuple):
    """May see everything."""

    user: str
    """The clear name; only its pseudonym is noted."""


class Owner(NamedTuple):
    """May see the sessions that are of this user, and nothing else."""

    user: str
    """The clear name, as sessions are told it; only its pseudonym is noted."""


Access: TypeAlias = "Operator | Owner"


class Asked(NamedTuple):
    """What somebody asked for, and who it was."""

    resource: Resource
    access: Access | None
    session_id: str | None = None

    @property
    def pseudonym(self) -> str:
        """Who asks, as records know users.

        Raises:
            StoreError: the key of the pseudonyms is in the store, and that cannot be asked.
        """
        return _runtime.get().lifecycle.pseudonyms.user(self.access.user) if self.access is not None else ""

    def note(self, result: Result, status: int) -> None:
        """Write down that it was granted or refused: an event, and a count if it was refused."""
        runtime = _runtime.get()
        if not runtime.enabled:
            return
        attributes: dict[str, AttributeValue] = {sc.ACCESS_RESOURCE: self.resource, sc.ACCESS_RESULT: result}
        if self.session_id is not None:
            attributes[sc.ACCESS_SESSION_ID] = self.session_id
        if self.access is not None:
            attributes[sc.ACCESS_ROLE] = _role(self.access)
            with guarded("make the pseudonym of who asks"):
                attributes[sc.ENDUSER_PSEUDO_ID] = self.pseudonym
        severity = SeverityNumber.WARN if result == "refused" else SeverityNumber.INFO
        event = Event(sc.EVENT_ACCESS, runtime.lifecycle.clock.time_ns(), attributes)
        runtime.telemetry.event(event, {}, severity=severity, always_log=True)
        # In a session, its middleware counts what is answered with 401 and 403.
        counted = status in {401, 403} and current_session().id
        if result == "refused" and not counted:
            runtime.telemetry.metrics.access_failures.add(1, None, _REASONS.get(status, "forbidden"))


def checked(decision: object) -> Access | None:
    """What an authorizer returned, if it can be that.

    Raises:
        ConfigurationError: it is something else; nobody is let in by it.
    """
    if decision is None or (isinstance(decision, Operator | Owner) and isinstance(decision.user, str)):
        if decision is not None:
            _values.user_name(decision.user)
        return decision
    raise ConfigurationError(
        f"authorize() returned a {type(decision).__name__}: return Operator(user), Owner(user), or None for nobody"
    )


def callable_(authorize: object) -> None:
    """Check that there is an authorizer.

    Raises:
        ConfigurationError: it cannot be called.
    """
    if not callable(authorize):
        raise ConfigurationError(
            f"authorize={authorize!r}: give a function that takes the request and returns Operator(user), Owner(user), "
            "or None; without one nothing is shown to anybody"
        )


@functools.singledispatch
def _role(access: Access) -> str:
    return "operator" if isinstance(access, Operator) else "owner"
