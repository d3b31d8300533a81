"""What a web client is told of limits: the `RateLimit` fields, and the answer to a request that was refused.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (draft 11), RFC 9457 for problem details.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from ._limiting.status import LimitStatus
from .exceptions import LimitExceededError, LimitUnknownError

_TYPE: Final = "https://iana.org/assignments/http-problem-types"
_MAX_INTEGER: Final = 10**15 - 1  # RFC 9651, section 3.3.1
_TOO_MANY_REQUESTS: Final = 429
_UNAVAILABLE: Final = 503
_REQUESTS: Final = "requests"
_UNITS: Final = {"bandwidth": "content-bytes"}
"""In what quotas of these names are counted, of the registry of the draft (section 7.3.1); others count requests."""


class Answer(NamedTuple):
    """A response to a request that a limit refused."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def fields(statuses: Sequence[LimitStatus]) -> list[tuple[str, str]]:
    """The fields that say how limits stand; none if there is none."""
    limited = [status for status in statuses if status.limit is not None]
    if not limited:
        return []
    return [
        ("RateLimit-Policy", ", ".join(map(_policy, limited))),
        ("RateLimit", ", ".join(map(_remaining, limited))),
    ]


def answer(error: LimitExceededError | LimitUnknownError, *, of_request: bool) -> Answer:
    """What a client is told whose request was refused.

    Args:
        error: the refusal.
        of_request: whether the limit counts requests, one for each; not what the application makes of them.
    """
    if isinstance(error, LimitUnknownError):
        return _answer(
            _UNAVAILABLE,
            "temporary-reduced-capacity",
            "Request cannot be satisfied due to temporary server capacity constraints",
            "Limits cannot be looked up at present.",
            error.retry_after,
        )
    violated = LimitStatus.of(error)
    # The fields count requests, or what the registry of units has. Tokens and money are neither.
    told = of_request or error.kind != "quota" or error.name in _UNITS
    return _answer(
        _TOO_MANY_REQUESTS,
        "quota-exceeded",
        "Request cannot be satisfied as assigned quota has been exceeded",
        str(error),
        error.retry_after,
        policies=[violated.policy],
        told=[violated] if told else [],
    )


def _answer(
    status: int,
    kind: str,
    title: str,
    detail: str,
    retry_after: float | None,
    *,
    policies: Sequence[str] = (),
    told: Sequence[LimitStatus] = (),
) -> Answer:
    problem: dict[str, object] = {"type": f"{_TYPE}#{kind}", "title": title, "status": status, "detail": detail}
    if policies:
        problem["violated-policies"] = list(policies)
    headers = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store"), *fields(told)]
    if retry_after is not None:
        # Rounded up: who comes at that time is to be let in.
        headers.append(("Retry-After", str(max(1, math.ceil(retry_after)))))
    body = json.dumps(problem).encode()
    return Answer(status, [*headers, ("Content-Length", str(len(body)))], body)


def _policy(status: LimitStatus) -> str:
    parameters = f";q={_integer(status.limit or 0)}"
    unit = "concurrent-requests" if status.kind == "concurrency" else _UNITS.get(status.name, _REQUESTS)
    if unit != _REQUESTS:
        parameters += f';qu="{unit}"'
    if status.window_seconds is not None:
        parameters += f";w={_integer(max(1, status.window_seconds))}"
    return f'"{status.policy}"{parameters}'


def _remaining(status: LimitStatus) -> str:
    # What is counted in steps goes down at the end of one, a little later than the window says.
    after = None if status.resets_after is None else min(status.resets_after, status.window_seconds or math.inf)
    reset = "" if after is None else f";t={_integer(math.ceil(after))}"
    return f'"{status.policy}";r={_integer((status.limit or 0) - status.used)}{reset}'


def _integer(number: float) -> int:
    return min(_MAX_INTEGER, max(0, math.floor(number)))
