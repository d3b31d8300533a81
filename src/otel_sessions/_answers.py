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


def answer(error: LimitExceededError | LimitUnknownError) -> Answer:
    """What a client is told whose request was refused."""
    if isinstance(error, LimitUnknownError):
        return _answer(
            _UNAVAILABLE,
            "temporary-reduced-capacity",
            "Request cannot be satisfied due to temporary server capacity constraints",
            "Limits cannot be looked up at present.",
            error.retry_after,
            [],
        )
    return _answer(
        _TOO_MANY_REQUESTS,
        "quota-exceeded",
        "Request cannot be satisfied as assigned quota has been exceeded",
        str(error),
        error.retry_after,
        [LimitStatus.of(error)],
    )


def _answer(
    status: int, kind: str, title: str, detail: str, retry_after: float | None, violated: Sequence[LimitStatus]
) -> Answer:
    problem: dict[str, object] = {"type": f"{_TYPE}#{kind}", "title": title, "status": status, "detail": detail}
    if violated:
        problem["violated-policies"] = [each.policy for each in violated]
    headers = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store"), *fields(violated)]
    if retry_after is not None:
        # Rounded up: who comes at that time is to be let in.
        headers.append(("Retry-After", str(max(1, math.ceil(retry_after)))))
    body = json.dumps(problem).encode()
    return Answer(status, [*headers, ("Content-Length", str(len(body)))], body)


def _policy(status: LimitStatus) -> str:
    parameters = f";q={_integer(status.limit or 0)}"
    if status.kind == "concurrency":
        parameters += ';qu="concurrent-requests"'
    if status.window_seconds is not None:
        parameters += f";w={_integer(max(1, status.window_seconds))}"
    return f'"{status.policy}"{parameters}'


def _remaining(status: LimitStatus) -> str:
    reset = "" if status.resets_after is None else f";t={_integer(math.ceil(status.resets_after))}"
    return f'"{status.policy}";r={_integer((status.limit or 0) - status.used)}{reset}'


def _integer(number: float) -> int:
    return min(_MAX_INTEGER, max(0, math.floor(number)))
