"""`limited`: limits asked before each call, of every kind of function."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import otel_sessions
from otel_sessions import InvalidValueError, QuotaExceededError, RateLimitedError, current_session, limited, session
from otel_sessions.limits import Concurrency, Quota, Rate, Tier
from otel_sessions.testing import RecordedSessions, record_sessions

TRIAL = Tier("trial", Quota("api_calls", 3), Rate("report", "2/minute"), Concurrency("export", 1))
ASKED: Any = {"uses": {"api_calls": 1}, "rates": ["report"], "leases": ["export"]}


@pytest.fixture(name="recorded")
def _recorded() -> Iterator[RecordedSessions]:
    with record_sessions(tiers=[TRIAL]) as recorded:
        yield recorded


def held(recorded: RecordedSessions) -> float:
    """How many slots are held now."""
    active: float = recorded.metric("app_session.lease.active")
    return active


class TestFunction:
    def test_asked(self, recorded: RecordedSessions) -> None:
        """Each call is asked for, a refused one is not made, and slots are held while it runs."""
        calls: list[float] = []

        @limited(**ASKED)
        def report(text: str, *, end: str = "") -> str:
            """Make one."""
            calls.append(held(recorded))
            return text + end

        with session("job", tier="trial", user="u1") as s:
            assert ["a.", "a."] == [report("a", end=".") for _ in range(2)]
            with pytest.raises(RateLimitedError):
                report("a")
            assert ([1, 1], 0, 2) == (calls, held(recorded), s.quota("api_calls").used)
            recorded.clock.advance(60)
            report("a")
            with pytest.raises(QuotaExceededError):
                report("a")
        assert ("report", "Make one.", ["text", "end"]) == (
            report.__name__,
            report.__doc__,
            list(inspect.signature(report).parameters),
        )
        record = otel_sessions.get(s.id)
        assert record is not None
        assert {"report|api_calls": 3} == record.totals.operations

    def test_error(self, recorded: RecordedSessions) -> None:
        """What the function raises is raised, and its slot is free."""

        @limited(leases=["export"])
        def report() -> None:
            raise KeyError("x")

        with session("job", tier="trial"):
            for _ in range(3):
                with pytest.raises(KeyError):
                    report()
        assert 0 == held(recorded)

    def test_outside(self) -> None:
        """Outside of a session nothing is asked."""
        assert [1, 1, 1, 1] == [_one() for _ in range(4)]


@limited(**ASKED)
def _one() -> int:
    return 1


class TestOtherKinds:
    def test_coroutine(self, recorded: RecordedSessions) -> None:
        """A coroutine function stays one."""

        @session("job", tier="trial", user="u1")
        @limited(rates={"report": 2}, leases=["export"])
        async def report() -> float:
            await asyncio.sleep(0)
            return held(recorded)

        assert inspect.iscoroutinefunction(report)
        assert 1 == asyncio.run(report())
        with pytest.raises(RateLimitedError):
            asyncio.run(report())
        assert 0 == held(recorded)

    def test_generator(self, recorded: RecordedSessions) -> None:
        """A generator holds its slot until it is exhausted or closed."""

        @limited(leases=["export"])
        def lines() -> Any:
            received = yield held(recorded)
            yield received
            return "end"

        with session("job", tier="trial"):
            generator = lines()
            assert 0 == held(recorded)
            assert [1, "sent"] == [next(generator), generator.send("sent")]
            with pytest.raises(StopIteration, match="end"):
                next(generator)
            assert 0 == held(recorded)
            other = lines()
            next(other)
            assert 1 == held(recorded)
            other.close()
            assert 0 == held(recorded)

    def test_async_generator(self, recorded: RecordedSessions) -> None:
        """So does an asynchronous one; what is sent and thrown reaches it."""
        seen: list[object] = []

        @limited(leases=["export"])
        async def lines() -> Any:
            try:
                seen.append((yield held(recorded)))
                yield 2
            except KeyError as error:
                seen.append(type(error))
                yield 3

        async def main() -> None:
            with session("job", tier="trial"):
                generator = lines()
                assert [1, 2] == [await anext(generator), await generator.asend("sent")]
                assert 3 == await generator.athrow(KeyError("x"))
                with pytest.raises(StopAsyncIteration):
                    await anext(generator)
                assert 0 == held(recorded)
                other = lines()
                await anext(other)
                await other.aclose()
                assert 0 == held(recorded)

        asyncio.run(main())
        assert ["sent", KeyError] == seen

    def test_method(self, recorded: RecordedSessions) -> None:
        """It decorates methods, too."""

        class Reports:
            @limited(uses={"api_calls": 2}, operation="make")
            def make(self) -> str:
                return current_session().id

        with session("job", tier="trial") as s:
            assert s.id == Reports().make()
            assert 2 == s.quota("api_calls").used

    def test_without_instance(self, recorded: RecordedSessions) -> None:
        """Methods of a class may be decorated over or under what makes them so; the slot is held as long."""
        seen: list[float] = []

        async def work(_of: Any) -> None:
            seen.append(held(recorded))

        class Reports:
            over = limited(leases=["export"], operation="over")(staticmethod(work))
            under = staticmethod(limited(leases=["export"], operation="under")(work))
            of_class = limited(leases=["export"], operation="of_class")(classmethod(work))  # type: ignore[type-var]  # what mypy makes of one

        with session("job", tier="trial"):
            for call in (Reports.over, Reports().over, Reports.under):
                asyncio.run(call("x"))
            asyncio.run(Reports().of_class())
        assert ([1] * 4, 0) == (seen, held(recorded))


class TestWrong:
    def test_names(self) -> None:
        """A function that has no name of its own is anonymous; one whose name is none says what to do."""

        def size() -> None: ...

        size.__name__ = "größe"

        assert 1 == limited()(lambda: 1)()
        with pytest.raises(InvalidValueError, match=r"'größe' cannot be an operation.*give limited\(\) an operation="):
            limited()(size)

    @pytest.mark.parametrize(
        "asked",
        [
            {"uses": {"api_calls": -1}},
            {"uses": {"api calls": 1}},
            {"rates": {"report": 0}},
            {"rates": ["a b"]},
            {"leases": [""]},
            {"rates": "report"},
            {"leases": "export"},
        ],
    )
    def test_at_decoration(self, asked: Any) -> None:
        """What cannot be asked is refused where it is written."""
        with pytest.raises(InvalidValueError):
            limited(**asked)

    def test_no_function(self) -> None:
        """So is what cannot be decorated."""
        with pytest.raises(InvalidValueError, match="decorates functions"):
            limited(leases=["export"])(type)
        with pytest.raises(InvalidValueError, match="operation"):
            limited(leases=["export"], operation="two words")(len)

    def test_unknown(self, recorded: RecordedSessions) -> None:
        """A limit that no tier has is refused at the call."""

        @limited(rates=["repport"])
        def report() -> None: ...

        with session("job", tier="trial"), pytest.raises(InvalidValueError, match="'repport'"):
            report()
