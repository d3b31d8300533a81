"""What is answered to whom, whatever framework asks."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from .. import _runtime, _values, reports
from .._answers import Answer
from .._health.judge import UNREACHABLE
from .._queue import Queue
from ..exceptions import ConfigurationError, InvalidValueError, StoreError
from ..reports._description import describe
from ..reports._history import history_of
from ..reports._question import question
from ..security.pseudonyms import is_pseudonym
from ._access import FORBIDDEN, UNAUTHORIZED, Operator, Resource, Result, Visitor

Query = Mapping[str, str]

METHODS: Final = ("GET", "HEAD", "OPTIONS")
"""Those that the routes answer to: nothing can be changed. What else is asked the framework refuses."""

_UNKEPT: Final = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
"""What every answer says: it is for who has asked, and now."""

MAY: Final = Answer(HTTPStatus.NO_CONTENT, [("Allow", ", ".join(METHODS)), *_UNKEPT], b"")
"""The answer to `OPTIONS`, whoever asks: a browser asks so before it says who its user is."""

LIVE: Final = Answer(HTTPStatus.NO_CONTENT, [*_UNKEPT], b"")
"""That the process answers is all that is said."""

_PAUSE_SECONDS: Final = 5
_STEP_SECONDS: Final = 0.05
"""Much longer than it takes to read a session and to find that it is somebody else's."""
_MOST_SESSIONS: Final = 1_000
_MOST_PARAMETERS: Final = 20
_WHOLE: Final = re.compile(r"[0-9]{1,20}")
_DECIMAL: Final = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")
"""Numbers as everybody writes them: Python also reads those of other scripts, and `1_0`, and spaces around them."""
_OF_OWNERS: Final[Collection[Resource]] = ("mine", "session")
_LISTED: Final = ("type", "status", "days", "limit", "after")


class _NotFoundError(Exception):
    """There is no such session for who asks."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def answer(visitor: Visitor, query: bytes, *, challenge: str | None) -> Answer:
    """What is told to a visitor; it is noted. Waits for the store, and before that for its turn.

    Args:
        visitor: who asks, and for what.
        query: the parameters of the URL, as they were sent.
        challenge: how somebody who is not known can say who it is, for `WWW-Authenticate`.
    """
    refusal = _refusal(visitor, challenge)
    if refusal is not None:
        return refusal
    return _queue(visitor).call(functools.partial(_told, visitor, query), functools.partial(_busy, visitor))


async def answer_async(visitor: Visitor, query: bytes, *, challenge: str | None) -> Answer:
    """The same while an event loop goes on."""
    runtime = _runtime.get()
    if runtime.enabled and "pseudonyms" not in vars(runtime.lifecycle):
        # By these it is noted who asks, and the store may have their key.
        await runtime.lifecycle.threads.call(getattr, runtime.lifecycle, "pseudonyms")
    refusal = _refusal(visitor, challenge)
    if refusal is not None:
        return refusal
    return await _queue(visitor).call_async(functools.partial(_told, visitor, query), functools.partial(_busy, visitor))


def held_back(visitor: Visitor, told: Answer, taken: float) -> float:
    """For how many seconds an answer is to wait yet that took so many.

    Nobody is to find out which ids there are: not by the time either that somebody else's session, of which there is
    more to read than of none, takes longer. So both come at the end of a full step of time.
    """
    if visitor.resource != "session" or told.status != HTTPStatus.NOT_FOUND or isinstance(visitor.access, Operator):
        return 0.0
    return _STEP_SECONDS - taken % _STEP_SECONDS


def _refusal(visitor: Visitor, challenge: str | None) -> Answer | None:
    """What is told to who may not ask this at all: at once, and nobody else waits for it."""
    if visitor.access is None:
        # Without a challenge 401 is not to be sent (RFC 9110, section 15.5.2).
        told = _problem(FORBIDDEN if challenge is None else UNAUTHORIZED, "Nothing is shown to you.", challenge)
    elif visitor.resource not in _OF_OWNERS and not isinstance(visitor.access, Operator):
        told = _problem(FORBIDDEN, "This is shown to operators only.")
    else:
        return None
    visitor.note("refused", told.status)
    return told


def _queue(visitor: Visitor) -> Queue:
    queues = _runtime.get().queues
    return queues.health if visitor.resource == "health" else queues.reports


def _busy(visitor: Visitor) -> Answer:
    visitor.note("failed", _BUSY.status)
    return _BUSY


def _told(visitor: Visitor, query: bytes) -> Answer:
    result: Result = "failed"
    try:
        status, found = _FOUND[visitor.resource](visitor, _read(query))
        told, result = _reply(status, "application/json", found), "granted"
    except _NotFoundError as error:
        told, result = _problem(HTTPStatus.NOT_FOUND, "There is no such session."), error.result
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


def _read(query: bytes) -> Query:
    """The parameters by name. Frameworks read what is no UTF-8 each in a way of its own, and take the last of several.

    Raises:
        InvalidValueError: they cannot be read, or not in one way.
    """
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except UnicodeDecodeError:
        raise InvalidValueError("the query is no text: encode it as UTF-8, then by percent") from None
    except ValueError:
        raise InvalidValueError(f"the query has too many parameters: use at most {_MOST_PARAMETERS}") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidValueError(f"{_values.shown(name)} is given more than once: give it once")
        found[name] = value
    return found


def _known(query: Query, names: Collection[str]) -> None:
    for name in query:
        if name not in names:
            there_are = f"there are {', '.join(names)}" if names else "there are none"
            raise InvalidValueError(f"{_values.shown(name)} is no parameter of this: {there_are}")


def _health(_visitor: Visitor, query: Query) -> tuple[int, Any]:
    _known(query, ())
    report = reports.health()
    unhealthy = report.verdict == "unhealthy"
    found = report.to_dict()
    for check in found["checks"]:
        if check["type"] == UNREACHABLE and check["reason"]:
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
    return HTTPStatus.OK, _listed(query, visitor.pseudonym)


def _listed(query: Query, pseudonym: str | None) -> dict[str, Any]:
    asked = question(
        _runtime.get(),
        type=query.get("type"),
        # Not here: it may be a name or a pseudonym there, and who it is is certain here.
        user=None,
        status=query.get("status"),  # type: ignore[arg-type]  # it says itself if it is none
        end_reason=None,
        tier=None,
        attributes=None,
        days=_days(query, None),
        since=None,
        until=None,
    )
    wanted = [each._replace(user=pseudonym) for each in asked]
    return history_of(wanted, limit=_limit(query), after=query.get("after")).to_dict()


def _session(visitor: Visitor, query: Query) -> tuple[int, Any]:
    _known(query, ())
    runtime = _runtime.get()
    record = None
    if visitor.session_id is not None and runtime.enabled:
        record = runtime.lifecycle.ledger.get_or_fail(visitor.session_id)
    if record is None:
        raise _NotFoundError("not_found")
    if not isinstance(visitor.access, Operator) and record.user != visitor.pseudonym:
        # In the same words, see `held_back`.
        raise _NotFoundError("refused")
    return HTTPStatus.OK, describe(record, runtime.lifecycle.clock.time_ns())


_FOUND: Final[Mapping[Resource, Callable[[Visitor, Query], tuple[int, Any]]]] = {
    "health": _health,
    "statistics": _statistics,
    "sessions": _sessions,
    "mine": _mine,
    "session": _session,
}


def _days(query: Query, default: float | None) -> float | None:
    given = query.get("days")
    if given is None:
        return default
    if not _DECIMAL.fullmatch(given) or not float(given):
        raise InvalidValueError(f"days={_values.shown(given)}: use a positive number of days, such as 7 or 0.5")
    return float(given)


def _limit(query: Query) -> int:
    given = query.get("limit", "100")
    if not _WHOLE.fullmatch(given) or not 0 < int(given) <= _MOST_SESSIONS:
        raise InvalidValueError(
            f"limit={_values.shown(given)}: use a whole number from 1 to {_MOST_SESSIONS}; `after` goes on"
        )
    return int(given)


def _problem(status: int, detail: str, challenge: str | None = None) -> Answer:
    """What is wrong, as RFC 9457 has it."""
    found = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}
    told = _reply(status, "application/problem+json", found)
    if status == UNAUTHORIZED and challenge is not None:
        told.headers.append(("WWW-Authenticate", challenge))
    return told


def _reply(status: int, kind: str, found: Any) -> Answer:
    return Answer(status, [("Content-Type", kind), *_UNKEPT], json.dumps(found).encode())


NOT_THIS_WAY: Final = _problem(HTTPStatus.NOT_FOUND, "There is nothing here: leave out the slash at the end.")
"""The answer to a route with a slash behind it: FastAPI would send it on, by the host that the client says, and Flask
not."""

_BUSY: Final = _problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    f"More is asked than can be answered at a time; ask again in {_PAUSE_SECONDS} seconds.",
)
_BUSY.headers.append(("Retry-After", str(_PAUSE_SECONDS)))
