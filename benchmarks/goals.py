"""What is compared, what is aimed at, and what had been reached when that was last looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

_SLACK: Final = 1.5


class Line(NamedTuple):
    """One line of a table: a case beside its base."""

    what: str
    scenario: str
    case: str
    base: str
    goal: float | None = None
    """The ratio aimed at; None where the figure is only for information."""
    reached: float = 0
    """What was reached, where that is more than the goal."""
    quick: bool = False
    """Whether the short run looks at it."""

    @property
    def alarm(self) -> float:
        """The ratio from which on something has gone wrong: half as much again as what is expected."""
        return _SLACK * max(self.goal or 0, self.reached)


class Table(NamedTuple):
    """Lines that belong together."""

    title: str
    about: str
    lines: Sequence[Line]


def _decorated(what: str, scenario: str, goal: float | None = None, reached: float = 0, *, kind: str = "") -> Line:
    return Line(what, f"decorators:{scenario}", f"decorated{kind}", f"by hand{kind}", goal, reached, quick=not kind)


def _limit(what: str, scenario: str, case: str, base: str, goal: float | None = None, reached: float = 0) -> Line:
    return Line(what, f"limits:{scenario}", case, base, goal, reached, quick=scenario == "memory")


def _request(what: str, scenario: str, goal: float | None = None, reached: float = 0, *, quick: bool = False) -> Line:
    return Line(what, f"web:{scenario}", "with sessions", "alone", goal, reached, quick=quick)


DECORATED: Final = Table(
    "A decorated call",
    "The function does nothing. It is decorated with `session`, and with the same signals written by hand on the SDK, "
    "as tightly as one can: `start_span` and one attach, attributes in one piece. By hand "
    "nothing is kept of a session; "
    "a session is a record, too, that `active()`, `get()` and the metric of active sessions read while it runs and for "
    "some time after it. That takes 20 to 45 of the microseconds below, which weigh most where little else is done.",
    (
        _decorated("span, two log events, counter, histogram", "all_signals", 1.15, 1.3),
        _decorated("the same, `async def`", "all_signals", 1.15, kind=", async"),
        _decorated("the same, sampled out", "sampled_out", reached=1.5),
        _decorated("the same, in a trace that is not sampled", "unrecorded_parent", reached=1.5),
        _decorated("span alone", "one_span", 1.15, 2.0),
        _decorated("span alone, `async def`", "one_span", 1.15, 2.0, kind=", async"),
        _decorated("no SDK; by hand a span and a counter that nobody collects", "no_sdk", 1.5, 9.5),
        _decorated("`enabled=False`; by hand `functools.wraps` and nothing else", "switched_off", 1.5, 1.7),
    ),
)

LIMITS: Final = Table(
    "A decision about a limit",
    "What the store does of it: it lets time pass, looks whether there is room, counts, and says how the limit stands "
    "and when there will be room. Beside it the library `limits`, which says yes or no, and the least there can be: a "
    "lock and an addition, and a script in Redis that adds one. In Redis the clock on the wall is measured; a decision "
    "about several limits together is one round trip. A limited FastAPI request is compared with slowapi, which limits "
    "alone, while here it also is in a session.",
    (
        _limit("in memory, over a lock and an addition", "memory", "one rate", "a lock and an addition", 4, 6.5),
        _limit("the same, a quota with its rate of use", "memory", "one quota", "a lock and an addition", None, 9.5),
        _limit("over `limits`, fixed window", "memory", "one rate", "limits, fixed window", 0.25, 0.6),
        _limit("over `limits`, moving window", "memory", "one rate, moving window", "limits, moving window", 0.25, 1.1),
        _limit("in Redis, over the script", "redis", "one rate", "EVALSHA of an INCR", 1.15, 2.5),
        _limit("over `limits`, fixed window", "redis", "one rate", "limits, fixed window", None, 1.8),
        _limit("over `limits`, moving window", "redis", "one rate, moving window", "limits, moving window", None, 1.8),
        _limit(
            "three limits together, over three of `limits`",
            "redis",
            "two quotas and a slot together",
            "limits, three fixed windows",
            None,
            1.1,
        ),
        _limit(
            "a FastAPI request in a session, over slowapi",
            "requests",
            "in sessions, limited",
            "with slowapi",
            None,
            1.5,
        ),
        _limit(
            "the same, over one in a session without limits",
            "requests",
            "in sessions, limited",
            "in sessions",
            None,
            1.6,
        ),
    ),
)

REQUESTS: Final = Table(
    "A web request",
    "A small JSON response, from a hundred clients in turn, each recognised by its cookie. With sessions, a request "
    "also finds its session, counts in it, and gives the server span the session's id and "
    "a link to the session's span; "
    "every other span of the request gets `session.id`: FastAPI makes three of them, its contrib instrumentation two. "
    "Nothing is recorded in a histogram. The link and the attributes alone, through the SDK, are more than 1.04.",
    (
        _request("FastAPI with its own telemetry", "fastapi", 1.04, 1.33, quick=True),
        _request("the same, without metrics", "fastapi_traces", 1.04, 1.38),
        _request("the same, sampled out", "fastapi_sampled_out", 1.04, 1.25),
        _request("the same, `stamp=False`: only the server span is touched", "fastapi_unstamped", 1.04, 1.25),
        _request("FastAPI with contrib instrumentation", "fastapi_contrib", 1.04, 1.22),
        _request("the same, without metrics", "fastapi_contrib_traces", 1.04, 1.25),
        _request("the same, sampled out", "fastapi_contrib_sampled_out", 1.04, 1.2),
        _request("Flask with contrib instrumentation", "flask_contrib", 1.04, 1.3, quick=True),
        _request("the same, without metrics", "flask_contrib_traces", 1.04, 1.35),
        _request("the same, sampled out", "flask_contrib_sampled_out", 1.04, 1.35),
    ),
)
