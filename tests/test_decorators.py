"""`session` on functions of all kinds: what they are stays, what they do becomes a session."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import pickle
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from otel_sessions import InvalidValueError, Session, current_session, session
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait
from .outcome import raised_by, result_of


@session("importable")
def importable(number: int) -> int:
    """Double a number."""
    return number * 2


@session("importable")
async def importable_coroutine(number: int) -> int:
    """Double a number."""
    return number * 2


@session("importable")
def importable_generator(number: int) -> Iterator[int]:
    """Double a number."""
    yield number * 2


@session("importable")
async def importable_async_generator(number: int) -> AsyncIterator[int]:
    """Double a number."""
    yield number * 2


IMPORTABLE: list[Any] = [importable, importable_coroutine, importable_generator, importable_async_generator]


class TestBare:
    def test_type_is_name(self, recorded_sessions: RecordedSessions) -> None:
        """The bare decorator takes the function's name for the type."""

        @session
        def nightly() -> str:
            return current_session().type

        assert "nightly" == nightly()
        assert ["session nightly"] == [span.name for span in recorded_sessions.spans]

    def test_anonymous(self, recorded_sessions: RecordedSessions) -> None:
        """What has no usable name of its own is an anonymous session."""
        session(lambda: None)()
        session(functools.partial(int, "7"))()

        assert ["session anonymous"] * 2 == [span.name for span in recorded_sessions.spans]

    def test_name_that_cannot_be_a_type(self) -> None:
        """A function whose name cannot be a type is refused where it is decorated, with the remedy."""

        def überprüfen() -> None:  # noqa: PLC2401 - that is the point
            """Do nothing."""

        with pytest.raises(InvalidValueError, match="'überprüfen' cannot be a session type: use a static name"):
            session(überprüfen)


class TestMisuse:
    @pytest.mark.parametrize("target", [None, 42, object(), property(lambda self: None)])
    def test_not_callable_bare(self, target: object) -> None:
        """What is neither function nor class cannot be a session, and the error says how it is used."""
        with pytest.raises(InvalidValueError, match=r"use it bare on a function or class, or call it with the session"):
            session(target)  # type: ignore[call-overload]

    @pytest.mark.parametrize("target", [None, 42, "name", property(lambda self: None)])
    def test_not_callable(self, target: object) -> None:
        """The same for the decorator with a type."""
        with pytest.raises(InvalidValueError, match="cannot be a session: decorate a function or a class"):
            session("job")(target)  # type: ignore[type-var]

    def test_closing_is_for_classes(self) -> None:
        """A closing method on a function is a mistake, and is said to be one."""
        with pytest.raises(InvalidValueError, match="closing='close' is for classes"):
            session("job", closing="close")(lambda: None)


class TestIdentity:
    """A decorated function is still what it was."""

    @pytest.mark.parametrize("function", IMPORTABLE)
    def test_metadata(self, function: Any) -> None:
        """Name, module, docstring, annotations and signature are those of the function."""
        original = function.__wrapped__

        assert (
            original.__name__,
            original.__qualname__,
            original.__module__,
            "Double a number.",
            original.__annotations__,
            inspect.signature(original),
        ) == (
            function.__name__,
            function.__qualname__,
            function.__module__,
            function.__doc__,
            function.__annotations__,
            inspect.signature(function),
        )

    @pytest.mark.parametrize("function", IMPORTABLE)
    @pytest.mark.parametrize(
        "kind",
        [
            inspect.isfunction,
            inspect.iscoroutinefunction,
            inspect.isgeneratorfunction,
            inspect.isasyncgenfunction,
        ],
    )
    def test_kind(self, function: Any, kind: Callable[[object], bool]) -> None:
        """`inspect` finds the kind of function that was written."""
        assert kind(function.__wrapped__) == kind(function)

    @pytest.mark.parametrize("function", IMPORTABLE)
    def test_pickle(self, function: Any) -> None:
        """It can be sent to a process pool: pickled by reference."""
        assert function is pickle.loads(pickle.dumps(function))


class TestFunction:
    def test_span(self, recorded_sessions: RecordedSessions) -> None:
        """One call is one span, from the call to the return, with everything the decorator was given."""
        seen: list[Session] = []

        @session(
            "security_audit", user="admin", tier="pro", platform="api", attributes={"tenant": "contoso", "depth": 3}
        )
        def audit(host: str, *, port: int = 443) -> str:
            seen.append(current_session())
            recorded_sessions.clock.advance(2.5)
            return f"{host}:{port}"

        began = recorded_sessions.clock.time_ns()
        assert "contoso.com:8443" == audit("contoso.com", port=8443)

        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.scoped(
            seen[0],
            {
                "app_session.tier": "pro",
                "app_session.platform": "api",
                "tenant": "contoso",
                "depth": 3,
            },
        )
        assert ("session security_audit", SpanKind.INTERNAL, None, began, began + 2_500_000_000, StatusCode.UNSET) == (
            span.name,
            span.kind,
            span.parent,
            span.start_time,
            span.end_time,
            span.status.status_code,
        )

    def test_each_call_is_a_session(self, recorded_sessions: RecordedSessions) -> None:
        """Every call has an id of its own; outside there is no session."""

        @session("job")
        def job() -> str:
            return current_session().id

        ids = {job(), job(), job()}

        assert 3 == len(ids)
        assert ids == {portrait.attributes(span)["session.id"] for span in recorded_sessions.spans}
        assert "" == current_session().id

    def test_child_spans(self, recorded_sessions: RecordedSessions) -> None:
        """Spans made inside are children of the session's span and carry its id."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")

        @session("job")
        def job() -> None:
            with tracer.start_as_current_span("work"):
                pass

        with tracer.start_as_current_span("request"):
            job()

        work, own, request = recorded_sessions.spans
        assert [portrait.span_id(own), portrait.span_id(request), None] == [
            portrait.parent_id(span) for span in (work, own, request)
        ]
        assert {"session.id": portrait.attributes(own)["session.id"]} == portrait.attributes(work)
        assert {} == portrait.attributes(request)

    def test_recursion(self, recorded_sessions: RecordedSessions) -> None:
        """A function that calls itself nests sessions: each knows the one it was started in."""

        @session
        def descend(depth: int) -> list[tuple[str, str | None]]:
            here = current_session()
            below = descend(depth - 1) if depth else []
            assert here is current_session()
            return [(here.id, here.parent_id), *below]

        (first, none), (second, of_first), (third, of_second) = descend(2)

        assert (None, first, second) == (none, of_first, of_second)
        assert [third, second, first] == [portrait.attributes(s)["session.id"] for s in recorded_sessions.spans]

    def test_one_definition_for_several_functions(self, recorded_sessions: RecordedSessions) -> None:
        """What `session(...)` returns may decorate any number of functions, also nested ones."""
        definition = session("job")

        @definition
        def inner() -> str | None:
            return current_session().parent_id

        @definition
        def outer() -> bool:
            return inner() == current_session().id

        assert outer()
        assert ["session job", "session job"] == [span.name for span in recorded_sessions.spans]

    def test_methods(self, recorded_sessions: RecordedSessions) -> None:
        """Methods of every sort can be decorated, on either side of the other decorator."""

        class Desk:
            name = "desk"

            @session("method")
            def method(self) -> str:
                return f"{self.name} {current_session().type}"

            @classmethod
            @session("inside")
            def classmethod_outside(cls) -> str:
                return f"{cls.name} {current_session().type}"

            @session("outside")
            @classmethod
            def classmethod_inside(cls) -> str:
                return f"{cls.name} {current_session().type}"

            @staticmethod
            @session("inside")
            def staticmethod_outside() -> str:
                return current_session().type

            @session("outside")
            @staticmethod
            def staticmethod_inside() -> str:
                return current_session().type

            @session
            @staticmethod
            def bare_staticmethod() -> str:
                return current_session().type

            @property
            @session("property")
            def attribute(self) -> str:
                return f"{self.name} {current_session().type}"

        desk = Desk()
        assert [
            "desk method",
            "desk inside",
            "desk outside",
            "desk outside",
            "inside",
            "outside",
            "outside",
            "bare_staticmethod",
            "desk property",
        ] == [
            desk.method(),
            desk.classmethod_outside(),
            desk.classmethod_inside(),
            Desk.classmethod_inside(),
            desk.staticmethod_outside(),
            desk.staticmethod_inside(),
            Desk.staticmethod_inside(),
            desk.bare_staticmethod(),
            desk.attribute,
        ]
        assert 9 == len(recorded_sessions.session_spans)

    def test_callable_object(self, recorded_sessions: RecordedSessions) -> None:
        """An object that can be called is decorated like a function."""

        class Job:
            def __call__(self, number: int) -> tuple[int, str]:
                return number, current_session().type

        assert (3, "job") == session("job")(Job())(3)
        assert 1 == len(recorded_sessions.session_spans)

    def test_callable_object_whose_call_is_a_coroutine(self, recorded_sessions: RecordedSessions) -> None:
        """The session of an object with an asynchronous call lasts until it has been awaited."""

        class Job:
            async def __call__(self) -> str:
                await asyncio.sleep(0)
                return current_session().type

        assert "job" == asyncio.run(session("job")(Job())())
        assert 1 == len(recorded_sessions.session_spans)


class TestException:
    """What the function raises reaches the caller as it was; the session tells how it ended."""

    @pytest.mark.parametrize(
        ("exception", "status", "reason", "span_status"),
        [
            (ValueError("bad"), "error", "exception", StatusCode.ERROR),
            (TimeoutError("slow"), "error", "exception", StatusCode.ERROR),
            (SystemExit(1), "error", "exception", StatusCode.ERROR),
            (SystemExit("give up"), "error", "exception", StatusCode.ERROR),
            (SystemExit(0), "success", "completed", StatusCode.UNSET),
            (SystemExit(), "success", "completed", StatusCode.UNSET),
            (asyncio.CancelledError(), "cancelled", "cancelled", StatusCode.UNSET),
            (KeyboardInterrupt(), "cancelled", "cancelled", StatusCode.UNSET),
            (GeneratorExit(), "cancelled", "cancelled", StatusCode.UNSET),
        ],
        ids=repr,
    )
    def test_outcome(
        self,
        recorded_sessions: RecordedSessions,
        exception: BaseException,
        status: str,
        reason: str,
        span_status: StatusCode,
    ) -> None:
        """The status says honestly how the call was left, and the very same exception leaves it."""
        seen: list[Session] = []

        @session("job")
        def job() -> None:
            seen.append(current_session())
            raise exception

        @session("job")
        async def coroutine() -> None:
            job()

        def generator() -> None:
            list(session("job")(_raising)(exception))

        async def async_generator() -> None:
            async for _ in session("job")(_raising_async)(exception):
                pass

        for call in (job, lambda: result_of(coroutine()), generator, lambda: result_of(async_generator())):
            recorded_sessions.clear()
            assert exception is raised_by(call)
            assert {(status, reason, span_status)} == {
                (
                    portrait.attributes(span)["app_session.status"],
                    portrait.attributes(span)["app_session.end_reason"],
                    span.status.status_code,
                )
                for span in recorded_sessions.session_spans
            }
            assert "" == current_session().id

        assert (status, reason) == (seen[0].status, seen[0].end_reason)

    def test_error_is_written_down(self, recorded_sessions: RecordedSessions) -> None:
        """An escaped exception is the span's status and one event; nothing private is in its text."""
        seen: list[Session] = []

        @session("job")
        def job() -> None:
            seen.append(current_session())
            raise LookupError("no mail to eve@example.com, password=hunter2")  # a line that stack traces show

        assert isinstance(raised_by(job), LookupError)

        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.scoped(
            seen[0], {"error.type": "LookupError"}, status="error", reason="exception", events=1, errors=1
        )
        message = "no mail to [email], password=[redacted]"
        assert (StatusCode.ERROR, message) == (span.status.status_code, span.status.description)
        ((name, event),) = portrait.events(span)
        stack = event.pop("exception.stacktrace")
        assert ("exception", {"exception.type": "LookupError", "exception.message": message}) == (name, event)
        assert "Traceback" in stack
        assert "in job" in stack
        assert "hunter2" not in stack
        assert "eve@example.com" not in stack
        assert 1 == recorded_sessions.metric("app_session.errors", app_session__type="job", error__type="LookupError")

    def test_exception_without_text(self, recorded_sessions: RecordedSessions) -> None:
        """An exception whose text cannot be had is an error like others."""

        class SilentError(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no text")

        @session("job")
        def job() -> None:
            raise SilentError

        assert isinstance(raised_by(job), SilentError)

        (span,) = recorded_sessions.spans
        assert StatusCode.ERROR is span.status.status_code
        ((name, event),) = portrait.events(span)
        kind = f"{__name__}.{SilentError.__qualname__}"
        assert ("exception", kind, kind, 1) == (
            name,
            event["exception.type"],
            portrait.attributes(span)["error.type"],
            portrait.attributes(span)["app_session.error.count"],
        )

    def test_each_session_tells(self, recorded_sessions: RecordedSessions) -> None:
        """An exception that passes through two sessions is an error of both."""

        @session("inner")
        def inner() -> None:
            raise ValueError("x")

        @session("outer")
        def outer() -> None:
            inner()

        assert isinstance(raised_by(outer), ValueError)
        assert [("session inner", "error", 1), ("session outer", "error", 1)] == [
            (
                span.name,
                portrait.attributes(span)["app_session.status"],
                portrait.attributes(span)["app_session.error.count"],
            )
            for span in recorded_sessions.spans
        ]

    @pytest.mark.parametrize("enabled", [True, False])
    def test_traceback_context_and_cause(self, *, enabled: bool) -> None:
        """The traceback leads to the raising line; context and cause are what they would be without us."""

        def plain() -> None:
            try:
                raise KeyError("first")  # noqa: TRY301 - it is here to be caught
            except KeyError as first:
                raise ValueError("second") from first

        with record_sessions(enabled=enabled):
            bare, decorated = raised_by(plain), raised_by(session("job")(plain))

        names = [frame.name for frame in traceback.extract_tb(decorated.__traceback__)]
        assert ["raised_by", "wrapper", "plain"] == names
        assert (repr(bare.__cause__), repr(bare.__context__)) == (
            repr(decorated.__cause__),
            repr(decorated.__context__),
        )

    def test_no_context_of_ours(self, recorded_sessions: RecordedSessions) -> None:
        """A plain exception gets no `__context__`, not even when something of ours failed while it passed."""

        class SilentError(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no text")

        def job() -> None:
            raise SilentError

        def generator() -> Iterator[None]:
            job()
            yield

        assert [None, None] == [
            raised_by(call).__context__ for call in (session("job")(job), lambda: list(session("job")(generator)()))
        ]


def _raising(exception: BaseException) -> Iterator[None]:
    yield
    raise exception


async def _raising_async(exception: BaseException) -> AsyncIterator[None]:
    yield
    raise exception


class TestCoroutine:
    def test_span(self, recorded_sessions: RecordedSessions) -> None:
        """The session of a coroutine lasts from its first step to its return, whatever it awaits."""
        seen: list[Session] = []

        @session("fetch", user="u1")
        async def fetch(url: str) -> str:
            seen.append(current_session())
            await asyncio.sleep(0)
            recorded_sessions.clock.advance(1)
            assert seen[0] is current_session()
            return url.upper()

        coroutine = fetch("x")
        assert [] == seen
        assert "X" == asyncio.run(coroutine)

        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.scoped(seen[0])
        assert span.start_time is not None
        assert span.start_time + 1_000_000_000 == span.end_time

    def test_cancelled(self, recorded_sessions: RecordedSessions) -> None:
        """A cancelled task is a cancelled session, not an error, and stays a cancelled task."""
        seen: list[Session] = []

        @session("wait")
        async def wait() -> None:
            seen.append(current_session())
            await asyncio.Event().wait()

        async def main() -> bool:
            task = asyncio.create_task(wait())
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return task.cancelled()

        assert asyncio.run(main())
        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.scoped(seen[0], status="cancelled", reason="cancelled")
        assert (StatusCode.UNSET, []) == (span.status.status_code, portrait.events(span))

    def test_timeout(self, recorded_sessions: RecordedSessions) -> None:
        """A coroutine that a timeout cancels is cancelled; the caller has its TimeoutError."""

        @session("wait")
        async def wait() -> None:
            await asyncio.Event().wait()

        async def main() -> None:
            await asyncio.wait_for(wait(), 0.01)

        with pytest.raises(asyncio.TimeoutError):
            asyncio.run(main())
        assert ["cancelled"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    def test_never_awaited(self, recorded_sessions: RecordedSessions) -> None:
        """A coroutine that nobody runs is no session."""

        @session("never")
        async def never() -> None:
            raise AssertionError

        never().close()

        assert [] == recorded_sessions.spans
        assert 0 == recorded_sessions.metric("app_session.starts")


class TestDisabled:
    """With `enabled=False` decorated functions do what they did, and nothing is emitted."""

    def test_all_kinds(self) -> None:
        """Functions, coroutines and generators of both kinds work; sessions in them are no sessions."""
        with record_sessions(enabled=False) as recorded:
            assert 4 == importable(2)
            assert 4 == asyncio.run(importable_coroutine(2))
            assert [4] == list(importable_generator(2))
            assert [4] == asyncio.run(_collected(importable_async_generator(2)))

            @session("job")
            def job() -> Session:
                current_session().progress("nothing")
                return current_session()

            assert ("", None) == (job().id, job().status)

        assert ([], [], 0) == (recorded.spans, recorded.logs, recorded.metric("app_session.starts"))

    def test_exceptions(self) -> None:
        """Exceptions pass."""
        exception = ValueError("x")

        @session("job")
        def job() -> None:
            raise exception

        with record_sessions(enabled=False):
            assert exception is raised_by(job)


async def _collected(generator: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in generator]
