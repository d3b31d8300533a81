"""What the judge of killed workers says of stories that are made up."""

from __future__ import annotations

import pytest

from otel_sessions import _semconv as sc
from otel_sessions.testing import ReceivedSpan

from .journal import Journal
from .verdict import Verdict, judge

ID = "9" * 32
TRACE, SPAN = "a" * 32, "b" * 16
_MS = 1_000_000
_STARTED = f"started 1 {10 * _MS} {ID} {TRACE} {SPAN}"
_END_MS = 100
"""When the session ended, in all stories in which it did."""
_DIED = f"died 1 {10_000 * _MS}"


def arrived(count: int, *, span_id: str = SPAN, status: str = "error") -> ReceivedSpan:
    return ReceivedSpan(
        name="session chat",
        trace_id=TRACE,
        span_id=span_id,
        parent_id="",
        kind=1,
        start_ns=10 * _MS,
        end_ns=_END_MS * _MS,
        status=0,
        attributes={
            sc.SESSION_ID: ID,
            sc.TYPE: "chat",
            sc.STATUS: status,
            sc.END_REASON: "exception",
            sc.EVENT_COUNT: count,
            sc.ERROR_COUNT: 0,
        },
        events=[],
        links=[],
        resource={},
        scope="",
    )


def counted(ms: int) -> list[str]:
    return [f"counting 1 {(ms - 1) * _MS} {ID}", f"counted 1 {ms * _MS} {ID}"]


def ended(ms: int, status: str, thread: int, *, won: bool) -> list[str]:
    """A thread was about to end the session then; three milliseconds later it had, if it won."""
    told = [f"ending 1 {ms * _MS} {ID} {status} {thread}"]
    return [*told, f"ended 1 {(ms + 3) * _MS} {ID} {status} {thread}"] if won else told


def judged(lines: list[str], *spans: ReceivedSpan) -> Verdict:
    # Workers merge once in ten seconds: what nobody ended need not be there.
    return judge(Journal([_STARTED, *lines, _DIED]), spans, {1: 10.0, 2: 10.0}, 2)


def test_all_is_well() -> None:
    assert not judged([*counted(50), *ended(99, "error", 7, won=True)], arrived(1)).violations


def test_nothing_arrived() -> None:
    assert len(judged(counted(50)).lost) == 1


def test_arrived_under_another_identity() -> None:
    assert len(judged([], arrived(0, span_id="c" * 16)).doubled) == 1


def test_what_was_counted_before_the_end_is_missing() -> None:
    (wrong,) = judged([*counted(50), *ended(99, "error", 7, won=True)], arrived(0)).wrong
    assert "0 counted, not 1 to 1" in wrong


@pytest.mark.parametrize("loser", ["error", "cancelled"])
def test_a_thread_that_came_too_late_does_not_move_the_end(loser: str) -> None:
    """It is told that it has ended after two others were about to count in it, and to end it."""
    lines = [*ended(99, "error", 7, won=True), *counted(100), *ended(101, loser, 8, won=False)]
    assert not judged(lines, arrived(0)).violations


def test_an_end_that_nobody_made() -> None:
    (wrong,) = judged(ended(99, "error", 7, won=True), arrived(0, status="cancelled")).wrong
    assert "cancelled/exception, not ['error']" in wrong


def test_copies_that_differ() -> None:
    (wrong,) = judged([*counted(50), *counted(60)], *(arrived(n, status="success") for n in (2, 1))).wrong
    assert "the copies differ" in wrong
