"""The short functions of the package: configure, start, resume, end, and look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, overload

from . import _runtime, _values
from ._definition import pseudonym
from ._guard import guarded, log
from ._handoff import Handoff
from ._models import EndReason, SessionRecord, Status
from ._session import NO_SESSION, Session, ending
from .exceptions import InvalidValueError, SessionNotFoundError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._config import Options


def configure(**settings: Unpack[Options]) -> None:
    """Say how sessions work in this process; optional, and at most once.

    Without it the first session takes its settings from the `OTEL_SESSIONS_*` variables. All settings stand in
    `docs/configuration.md`; arguments go before variables. Sessions that are open already go on, unless another store
    is to keep them from now on: then those are ended.

    Raises:
        ConfigurationError: a setting is wrong, or the process is configured already in another way.
    """
    _runtime.configure(**settings)


def shutdown() -> None:
    """End the sessions that cannot outlive this process, merge what is pending, stop the background thread.

    Called by itself at exit. The next session starts anew.
    """
    _runtime.shutdown()


def start(
    session_type: str,
    /,
    *,
    id: str | None = None,  # noqa: A002 - it is the session's id, as everywhere in OpenTelemetry
    user: str | None = None,
    tier: str | None = None,
    platform: str | None = None,
    attributes: Mapping[str, object] | None = None,
    idle_timeout: float | None = None,
    max_duration: float | None = None,
) -> Session:
    """Start a durable session, or return the active one with that id.

    It goes on until it is ended, is idle for too long, or reaches its maximum duration; any process that shares the
    store can resume it. Use the handle in a `with` statement to make it the current session.

    Args:
        session_type: a static low-cardinality name.
        id: your own id; one is made if not given. When the session has ended, the same id starts a session with a new
            one and `session.previous_id`.
        user: whose session it is; only a pseudonym is kept.
        tier: the set of limits that applies.
        platform: where it is used: `web`, `mobile`, `api`.
        attributes: attributes of the session's span.
        idle_timeout: seconds; by default the setting's.
        max_duration: seconds; by default the setting's.

    Raises:
        InvalidValueError: an argument is wrong.
    """
    _values.label("session type", session_type)
    for what, value in (("tier", tier), ("platform", platform)):
        if value is not None:
            _values.label(what, value)
    if idle_timeout is not None:
        idle_timeout = _values.seconds("idle_timeout", idle_timeout)
    if max_duration is not None:
        max_duration = _values.seconds("max_duration", max_duration)
    if user is not None:
        _values.user_name(user)
    if id is not None:
        _values.session_id(id)
    if attributes is not None and not isinstance(attributes, Mapping):
        raise InvalidValueError(f"attributes={attributes!r}: use a mapping of names to values")
    runtime = _runtime.get()
    if not runtime.enabled:
        return NO_SESSION
    lifecycle = runtime.lifecycle
    pseudo = None
    with guarded("make the pseudonym of a user"):
        pseudo = None if user is None else pseudonym(lifecycle, user)
    live = lifecycle.start(
        session_type,
        key=None if id is None else f"id:{id}",
        session_id=id,
        user=pseudo,
        tier=tier,
        platform=platform,
        attributes=_values.attributes(attributes, runtime.settings.redact) if attributes else None,
        idle_timeout=idle_timeout,
        max_duration=max_duration,
    )
    if live.beginning.type != session_type:
        log.warn(
            "type of a started session",
            "start(%r, id=%r) returned the active session with that id, whose type is %r.",
            session_type,
            id,
            live.beginning.type,
        )
    return Session(lifecycle, live)


@overload
def resume(id: str, /) -> Session: ...


@overload
def resume(*, handoff: str) -> Session: ...


def resume(id: str | None = None, /, *, handoff: str | None = None) -> Session:  # noqa: A002 - as in start
    """The active durable session with that id, started here or in another process.

    Args:
        id: the session's id.
        handoff: instead of it, what `Session.handoff()` returned in another process. What is done in the session, in a
            `with` statement and outside of any trace, continues the trace in which it was handed over.

    Raises:
        InvalidValueError: it is no text, or not a handoff token; or both are given.
        SessionNotFoundError: no active session has it.
    """
    token = None if handoff is None else Handoff.read(handoff)
    sought = None
    if token is None:
        sought = _values.sought_id(id)
    elif id is not None:
        raise InvalidValueError(f"resume({id!r}, handoff=...): give the id or the token, not both")
    runtime = _runtime.get()
    if not runtime.enabled:
        return NO_SESSION
    lifecycle = runtime.lifecycle
    if token is not None:
        live, what = lifecycle.resume(token.key), "was handed over by this token and is"
    else:
        what = f"has the id {_values.shown(id)}"
        live = None if sought is None else lifecycle.resume(f"id:{sought}") or lifecycle.resume_id(sought)
    if live is None:
        raise SessionNotFoundError(
            f"no active session {what} in the {lifecycle.store.name} store: it never began there, "
            "or it has ended; start(..., id=...) returns the active one or begins a new one"
        )
    return Session(lifecycle, live, None if token is None else token.context)


def end(id: str, /, status: Status = "success", *, reason: EndReason | None = None) -> bool:  # noqa: A002 - as in start
    """End the durable session with that id.

    Returns:
        Whether this call ended it: False if it has ended before, or never began.

    Raises:
        InvalidValueError: the id is no text, or the status or the reason is not one.
    """
    ending(status, reason)
    try:
        return resume(id).end(status, reason=reason)
    except SessionNotFoundError:
        return False


def get(id: str, /) -> SessionRecord | None:  # noqa: A002 - as in start
    """What is known of the session with that id, active or recently ended; None if nothing is.

    Raises:
        InvalidValueError: it is no text.
    """
    sought = _values.sought_id(id)
    runtime = _runtime.get()
    return runtime.lifecycle.ledger.get(sought) if runtime.enabled and sought is not None else None


def active(*, user: str | None = None) -> list[SessionRecord]:
    """The active sessions, oldest first; with `user`, those of that user (the clear name, or the pseudonym).

    Raises:
        InvalidValueError: the user is no text.
    """
    if user is not None:
        _values.sought_user(user)
    runtime = _runtime.get()
    if not runtime.enabled or user == "":
        return []
    ledger = runtime.lifecycle.ledger
    if user is None:
        return ledger.active()
    return ledger.active(runtime.lifecycle.pseudonyms.user(user)) or ledger.active(user)


def recover() -> int:
    """Finish now what crashed processes have left in the shared store; the background thread does it by itself.

    Their scoped sessions end as abandoned, at their last sign of life, and ends that they may not have exported are
    emitted again, with the same ids. A process of another machine counts as crashed when its heartbeat has stood still
    for the setting `crash_timeout`, as this process sees it.

    Returns:
        How many sessions were finished.
    """
    runtime = _runtime.get()
    return runtime.lifecycle.recovery.recover() if runtime.enabled else 0


def sweep() -> None:
    """Do one round of the background thread's work now: merge what is pending, end what has expired.

    Without the thread, that is with the setting `background` off, the health is checked as well, if that is due.
    """
    runtime = _runtime.get()
    if runtime.enabled:
        runtime.sweep()
