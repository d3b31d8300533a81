"""What is answered to whom, whatever framework asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from .. import _runtime, _values, reports
from .._answers import Answer
from .._models import SessionRecord
from ..exceptions import ConfigurationError, InvalidValueError, StoreError
from ..reports._description import describe
from ..security.pseudonyms import is_pseudonym
from ._access import FORBIDDEN, UNAUTHORIZED, Operator, Resource, Result, Visitor

Query = Mapping[str, str]

LIVE: Final = Answer(HTTPStatus.NO_CONTENT, [("Cache-Control", "no-store")], b"")
"""That the process answers is all that is said."""

_NOT_FOUND: Final = 404
_MOST_SESSIONS: Final = 1_000
_DIGITS: Final = 20
"""Python refuses to read numbers that are very long."""
_OF_OWNERS: Final[Collection[Resource]] = ("mine", "session")
_LISTED: Final = ("type", "status", "days", "limit", "after")


class _Refusal(Exception):  # noqa: N818 - it is an answer, and nothing went wrong
    """What is answered instead of what was asked for."""

    def __init__(self, status: int, detail: str, result: Result = "refused") -> None:
        super().__init__(detail)
        self.status, self.detail, self.result = status, detail, result


def answer(visitor: Visitor, query: Iterable[tuple[str, str]], *, challenge: str | None) -> Answer:
    """What is told to a visitor; it is noted. May wait for the store.

    Args:
        visitor: who asks, and for what.
        query: the parameters of the URL.
        challenge: how somebody who is not known can say who it is, for `WWW-Authenticate`.
    """
    result: Result = "failed"
    try:
        _check(visitor, challenge)
        status, found = _FOUND[visitor.resource](visitor, _single(query))
        told, result = _reply(status, "application/json", found), "granted"
    except _Refusal as refusal:
        told, result = _problem(refusal.status, refusal.detail, challenge), refusal.result
    except InvalidValueError as error:
        told = _problem(HTTPStatus.BAD_REQUEST, str(error))
    except ConfigurationError as error:
        told = _problem(HTTPStatus.NOT_IMPLEMENTED, str(error))
    except StoreError:
        # Its message says where the store is, which is nobody's business here; the log has it.
        told = _problem(HTTPStatus.SERVICE_UNAVAILABLE, "The store cannot be asked at present.")
    except Exception:
        visitor.note(result, HTTPStatus.INTERNAL_SERVER_ERROR)
        raise
    visitor.note(result, told.status)
    return told


def _check(visitor: Visitor, challenge: str | None) -> None:
    if visitor.access is None:
        # Without a challenge 401 is not to be sent (RFC 9110, section 15.5.2).
        status = FORBIDDEN if challenge is None else UNAUTHORIZED
        raise _Refusal(status, "Nothing is shown to you.")
    if visitor.resource not in _OF_OWNERS and not isinstance(visitor.access, Operator):
        raise _Refusal(FORBIDDEN, "This is shown to operators only.")


def _single(query: Iterable[tuple[str, str]]) -> Query:
    found: dict[str, str] = {}
    for name, value in query:
        if name in found:
            raise InvalidValueError(f"{name} is given more than once: give it once")
        found[name] = value
    return found


def _known(query: Query, names: Collection[str]) -> None:
    for name in query:
        if name not in names:
            there_are = f"there are {', '.join(names)}" if names else "there are none"
            raise InvalidValueError(f"{name!r} is no parameter of this: {there_are}")


def _health(_visitor: Visitor, query: Query) -> tuple[int, Any]:
    _known(query, ())
    report = reports.health()
    unhealthy = report.verdict == "unhealthy"
    found = report.to_dict()
    for check in found["checks"]:
        if check["type"] == "SessionStoreFailing" and check["reason"]:
            # It says where the store is, which is nobody's business here; the log has it.
            check["reason"] = "the store cannot be asked"
    return (HTTPStatus.SERVICE_UNAVAILABLE if unhealthy else HTTPStatus.OK), found


def _statistics(_visitor: Visitor, query: Query) -> tuple[int, Any]:
    _known(query, ("days",))
    return HTTPStatus.OK, reports.statistics(days=_days(query, 30)).to_dict()


def _sessions(_visitor: Visitor, query: Query) -> tuple[int, Any]:
    _known(query, (*_LISTED, "user"))
    user = query.get("user")
    if user is not None and not is_pseudonym(user):
        # A URL stands in the access log, on the server's span, and in what lies between: a name must not.
        raise InvalidValueError("user: use the pseudonym, 32 hexadecimal digits; a name is not asked for in a URL")
    return HTTPStatus.OK, _listed(query, user)


def _mine(visitor: Visitor, query: Query) -> tuple[int, Any]:
    _known(query, _LISTED)
    found = _listed(query, visitor.pseudonym)
    # A pseudonym that is asked for may also be somebody's name.
    found["sessions"] = [each for each in found["sessions"] if each["user"] == visitor.pseudonym]
    return HTTPStatus.OK, found


def _listed(query: Query, user: str | None) -> dict[str, Any]:
    """Ended sessions, the latest end first; with the status `active` those, the oldest first."""
    limit, session_type = _limit(query), query.get("type")
    if query.get("status") != "active":
        return reports.history(
            session_type,
            user=user,
            status=query.get("status"),  # type: ignore[arg-type]  # it says itself if it is none
            days=_days(query, None),
            limit=limit,
            after=query.get("after"),
        ).to_dict()
    for name in ("days", "after"):
        if name in query:
            raise InvalidValueError(
                f"{name} is about sessions that have ended: leave it out, or ask for another status"
            )
    return {"sessions": [describe(record) for record in _active(user, session_type)[:limit]], "next": None}


def _active(user: str | None, session_type: str | None) -> list[SessionRecord]:
    if session_type is not None:
        _values.label("session type", session_type)
    runtime = _runtime.get()
    if not runtime.enabled:
        return []
    names = None if user is None else runtime.lifecycle.pseudonyms.meant_by(_values.user_name(user))
    return [
        record
        for record in runtime.lifecycle.ledger.active_or_fail()
        if session_type in {None, record.type} and (names is None or record.user in names)
    ]


def _session(visitor: Visitor, query: Query) -> tuple[int, Any]:
    _known(query, ())
    runtime = _runtime.get()
    record = None
    if visitor.session_id is not None and runtime.enabled:
        record = runtime.lifecycle.ledger.get_or_fail(visitor.session_id)
    if record is None:
        raise _Refusal(_NOT_FOUND, "There is no such session.", "not_found")
    if not isinstance(visitor.access, Operator) and record.user != visitor.pseudonym:
        # In the same words: nobody is to find out which ids there are.
        raise _Refusal(_NOT_FOUND, "There is no such session.")
    return HTTPStatus.OK, describe(record, runtime.lifecycle.clock.time_ns())


_FOUND: Final[Mapping[Resource, Callable[[Visitor, Query], tuple[int, Any]]]] = {
    "health": _health,
    "statistics": _statistics,
    "sessions": _sessions,
    "mine": _mine,
    "session": _session,
}


def _days(query: Query, default: float | None) -> float | None:
    if "days" not in query:
        return default
    try:
        return _values.seconds("days", float(query["days"]))
    except ValueError:
        raise InvalidValueError(f"days={query['days']!r}: use a positive number of days") from None


def _limit(query: Query) -> int:
    given = query.get("limit", "100")
    if not given.isdecimal() or not 0 < int(given[:_DIGITS]) <= _MOST_SESSIONS:
        raise InvalidValueError(f"limit={given!r}: use a whole number from 1 to {_MOST_SESSIONS}; `after` goes on")
    return int(given[:_DIGITS])


def _problem(status: int, detail: str, challenge: str | None = None) -> Answer:
    """What is wrong, as RFC 9457 has it."""
    found = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}
    told = _reply(status, "application/problem+json", found)
    if status == UNAUTHORIZED and challenge is not None:
        told.headers.append(("WWW-Authenticate", challenge))
    return told


def _reply(status: int, kind: str, found: Any) -> Answer:
    headers = [("Content-Type", kind), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
    return Answer(status, headers, json.dumps(found).encode())
