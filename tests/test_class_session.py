"""`session` on a class: each object's life is a session, from its construction to the method that closes it."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import gc
import inspect
import io
import pickle
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pydantic
import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.trace import StatusCode

import otel_sessions
from otel_sessions import InvalidValueError, Session, current_session, session
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait
from .outcome import raised_by


@session("connection", tier="pro")
class Connection:
    """Something that is opened and closed."""

    def __init__(self, host: str, *, port: int = 443) -> None:
        self.host = host
        self.port = port
        self.seen = [current_session()]

    def ask(self, question: str) -> str:
        """Return the question, louder."""
        self.seen.append(current_session())
        return question.upper()

    async def ask_later(self, question: str) -> str:
        """Return the question, louder, later."""
        await asyncio.sleep(0)
        self.seen.append(current_session())
        return question.upper()

    def fail(self) -> None:
        """Raise an error."""
        raise LookupError("nothing there")

    def _private(self) -> Session:
        return current_session()

    @property
    def attribute(self) -> Session:
        """The session that is current for a property."""
        return current_session()

    @classmethod
    def of_class(cls) -> Session:
        """Return the current session."""
        return current_session()

    @staticmethod
    def static() -> Session:
        """Return the current session."""
        return current_session()

    def pages(self) -> Iterator[Session]:
        """Iterate lazily."""
        yield current_session()

    def close(self) -> str:
        """Close it."""
        self.seen.append(current_session())
        return "closed"


@session("point")
@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: int
    y: list[int] = dataclasses.field(default_factory=list)

    def where(self) -> Session:
        """Return the current session."""
        return current_session()

    def close(self) -> None:
        """Close it."""


class TestLife:
    def test_span(self, recorded_sessions: RecordedSessions) -> None:
        """The session lasts from the constructor to the closing method, both included; public methods run in it."""
        began = recorded_sessions.clock.time_ns()
        connection = Connection("contoso.com", port=8443)
        recorded_sessions.clock.advance(2)
        assert "HELLO" == connection.ask("hello")
        assert [] == recorded_sessions.spans
        recorded_sessions.clock.advance(1)
        assert "closed" == connection.close()

        (span,) = recorded_sessions.spans
        assert [connection.seen[0]] * 3 == connection.seen
        assert portrait.attributes(span) == portrait.scoped(connection.seen[0], {"app_session.tier": "pro"})
        assert ("session connection", None, began, began + 3_000_000_000) == (
            span.name,
            span.parent,
            span.start_time,
            span.end_time,
        )
        assert "" == current_session().id

    def test_bare(self, recorded_sessions: RecordedSessions) -> None:
        """The bare decorator takes the class's name for the type."""

        @session
        class Wizard:
            def stop(self) -> None: ...

        Wizard().stop()

        assert ["session Wizard"] == [span.name for span in recorded_sessions.spans]

    def test_child_spans(self, recorded_sessions: RecordedSessions) -> None:
        """Spans made in its methods are children of the session's span, wherever the methods are called from."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")

        @session("job")
        class Job:
            def __init__(self) -> None:
                with tracer.start_as_current_span("construct"):
                    pass

            def run(self) -> None:
                with tracer.start_as_current_span("run"):
                    pass

            def close(self) -> None: ...

        job = Job()
        with tracer.start_as_current_span("request"):
            job.run()
        job.close()

        spans = {span.name: span for span in recorded_sessions.spans}
        own = portrait.span_id(spans["session job"])
        assert {"construct": own, "run": own, "request": None} == {
            name: portrait.parent_id(spans[name]) for name in ("construct", "run", "request")
        }

    def test_what_stays_outside(self, recorded_sessions: RecordedSessions) -> None:
        """Private methods, properties, static and class methods do not enter the session by themselves."""
        connection = Connection("a")
        try:
            assert [""] * 4 == [
                found.id
                for found in (
                    connection._private(),
                    connection.attribute,
                    connection.of_class(),
                    connection.static(),
                )
            ]
        finally:
            connection.close()

    def test_generator_method(self, recorded_sessions: RecordedSessions) -> None:
        """A generator method stays one; it belongs to whoever iterates, whose context it leaves alone."""
        connection = Connection("a")
        before = otel_context.get_current()
        for found in connection.pages():
            assert "" == found.id
            assert before is otel_context.get_current()
        connection.close()

        assert inspect.isgeneratorfunction(Connection.pages)

    def test_coroutine_method(self, recorded_sessions: RecordedSessions) -> None:
        """Coroutine methods run in the session across their awaits, several objects at once."""

        async def main() -> list[Connection]:
            connections = [Connection(str(number)) for number in range(20)]
            await asyncio.gather(*(c.ask_later("x") for c in connections for _ in range(3)))
            for connection in connections:
                connection.close()
            return connections

        connections = asyncio.run(main())
        assert inspect.iscoroutinefunction(Connection.ask_later)
        assert 20 == len({connection.seen[0].id for connection in connections})
        assert [[connection.seen[0]] * 5 for connection in connections] == [c.seen for c in connections]

    def test_threads(self, recorded_sessions: RecordedSessions) -> None:
        """Methods may be called from any thread: each call is inside, no thread stays so."""
        connection = Connection("a")
        left: list[str] = []

        def work() -> None:
            for _ in range(20):
                connection.ask("x")
            left.append(current_session().id)

        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connection.close()

        assert [connection.seen[0]] * 202 == connection.seen
        assert [""] * 10 == left

    def test_nesting(self, recorded_sessions: RecordedSessions) -> None:
        """A session begun in a method is inside the object's, and that inside the one in which it was constructed."""

        @session("outer")
        class Outer:
            def __init__(self) -> None:
                self.inner = Connection("a")

            def close(self) -> None:
                self.inner.close()

        with session("job") as job:
            outer = Outer()
        outer.close()

        assert ["session job", "session connection", "session outer"] == [s.name for s in recorded_sessions.spans]
        own = portrait.attributes(recorded_sessions.spans[2])
        assert (own["session.id"], job.id) == (
            portrait.attributes(recorded_sessions.spans[1])["app_session.parent.id"],
            own["app_session.parent.id"],
        )

    def test_context_of_the_caller(self, recorded_sessions: RecordedSessions) -> None:
        """A method sees what its caller put into the context: baggage, and what other libraries keep there."""

        @session("job")
        class Job:
            def tenant(self) -> object:
                return baggage.get_baggage("tenant")

            def close(self) -> None: ...

        job = Job()
        token = otel_context.attach(baggage.set_baggage("tenant", "contoso"))
        try:
            assert "contoso" == job.tenant()
        finally:
            otel_context.detach(token)
        job.close()

    def test_rotation(self, recorded_sessions: RecordedSessions) -> None:
        """A method that rotates the session goes on in the new one, and so do later calls."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")

        @session("job")
        class Job:
            def run(self) -> None:
                current_session().rotate()
                with tracer.start_as_current_span("same call"):
                    pass

            def again(self) -> None:
                with tracer.start_as_current_span("next call"):
                    pass

            def close(self) -> None: ...

        before = otel_context.get_current()
        job = Job()
        job.run()
        assert before == otel_context.get_current()
        job.again()
        job.close()

        old, new = recorded_sessions.session_spans
        assert ("rotated", "completed") == (
            portrait.attributes(old)["app_session.end_reason"],
            portrait.attributes(new)["app_session.end_reason"],
        )
        spans = {span.name: span for span in recorded_sessions.spans}
        assert [portrait.span_id(new)] * 2 == [portrait.parent_id(spans[name]) for name in ("same call", "next call")]

    def test_shutdown(self, recorded_sessions: RecordedSessions) -> None:
        """An object that is still open when the process ends has been cancelled by the shutdown."""
        connection = Connection("a")
        otel_sessions.shutdown()

        (span,) = recorded_sessions.spans
        assert ("cancelled", "shutdown") == (connection.seen[0].status, connection.seen[0].end_reason)
        assert "shutdown" == portrait.attributes(span)["app_session.end_reason"]
        assert "closed" == connection.close()


def closed_by(method: str, **options: Any) -> Callable[[], None]:
    """Construct an object that only has `method`, and call that."""

    def end(self: object, *_: object) -> None: ...

    kind = session("job", **options)(type("Job", (), {method: end}))

    def construct_and_close() -> None:
        getattr(kind(), method)()

    return construct_and_close


class TestClosing:
    @pytest.mark.parametrize("method", ["close", "stop", "shutdown", "aclose", "__exit__"])
    def test_by_default(self, recorded_sessions: RecordedSessions, method: str) -> None:
        """The usual names end the session."""
        closed_by(method)()

        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    @pytest.mark.parametrize("method", ["close", "aclose"])
    def test_both_close_and_aclose(self, recorded_sessions: RecordedSessions, method: str) -> None:
        """A class that can be closed in both ways ends its session in both ways."""

        @session("client")
        class Client:
            def close(self) -> None: ...

            async def aclose(self) -> None: ...

        client = Client()
        client.close() if method == "close" else asyncio.run(client.aclose())

        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    @pytest.mark.parametrize("method", ["finish", "_finish", "close", "__del__"])
    def test_by_name(self, recorded_sessions: RecordedSessions, method: str) -> None:
        """The method that is named ends the session, whatever its name."""
        closed_by(method, closing=method)()

        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    def test_named_one_only(self, recorded_sessions: RecordedSessions) -> None:
        """When one is named, methods with the usual names do not end the session."""

        @session("job", closing="finish")
        class Job:
            def stop(self) -> Session:
                return current_session()

            def finish(self) -> None: ...

        job = Job()
        assert job.stop().is_active
        assert [] == recorded_sessions.spans
        job.finish()
        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    def test_not_written_in_python(self, recorded_sessions: RecordedSessions) -> None:
        """A closing method that a base class written in C provides ends the session too."""
        unread = session("unread")(type("Unread", (io.BytesIO,), {}))(b"bytes")
        unread.close()

        assert unread.closed
        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    @pytest.mark.parametrize("delegates", [True, False])
    def test_with_block(self, recorded_sessions: RecordedSessions, *, delegates: bool) -> None:
        """Leaving the object's `with` block ends the session, whether `__exit__` calls `close` or not."""

        @session("job")
        class Job:
            def __enter__(self) -> Job:
                assert current_session().is_active
                return self

            def __exit__(self, *_: object) -> None:
                if delegates:
                    self.close()

            def close(self) -> None: ...

        with Job():
            assert "" == current_session().id

        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    @pytest.mark.parametrize("delegates", [True, False])
    @pytest.mark.parametrize(
        ("exception", "status"),
        [(LookupError("x"), "error"), (KeyboardInterrupt(), "cancelled"), (SystemExit(0), "success")],
        ids=repr,
    )
    def test_with_block_left_by_exception(
        self, recorded_sessions: RecordedSessions, exception: BaseException, status: str, *, delegates: bool
    ) -> None:
        """What the object's `with` block was left with says how the session ended."""

        @session("job")
        class Job:
            def __enter__(self) -> Job:
                return self

            def __exit__(self, *_: object) -> None:
                if delegates:
                    self.close()

            def close(self) -> None: ...

        def work() -> None:
            with Job():
                raise exception

        assert exception is raised_by(work)
        assert [(status, int(status == "error"))] == [
            (portrait.attributes(s)["app_session.status"], portrait.attributes(s)["app_session.error.count"])
            for s in recorded_sessions.spans
        ]

    @pytest.mark.parametrize("fails", [True, False])
    def test_async_with_block(self, recorded_sessions: RecordedSessions, *, fails: bool) -> None:
        """The same for `async with`."""

        @session("job")
        class Job:
            async def __aenter__(self) -> Job:
                assert current_session().is_active
                return self

            async def __aexit__(self, *_: object) -> None:
                await self.aclose()

            async def aclose(self) -> None:
                await asyncio.sleep(0)

        async def main() -> None:
            async with Job():
                if fails:
                    raise LookupError("x")

        if fails:
            with pytest.raises(LookupError):
                asyncio.run(main())
        else:
            asyncio.run(main())
        assert ["error" if fails else "success"] == [
            portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans
        ]

    def test_twice(self, recorded_sessions: RecordedSessions) -> None:
        """Closing again is the object's business; the session ended once. Later calls are outside of it."""
        connection = Connection("a")
        assert ["closed", "closed"] == [connection.close(), connection.close()]
        connection.ask("x")

        assert 1 == len(recorded_sessions.spans)
        assert ["success", "success", None, None] == [handle.status for handle in connection.seen]

    def test_never(self, recorded_sessions: RecordedSessions) -> None:
        """An object that is dropped without being closed was cancelled; nothing of ours keeps it alive."""
        connection = Connection("a")
        handle, alive = connection.seen[0], weakref.ref(connection)
        del connection
        gc.collect()

        assert None is alive()
        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.scoped(
            handle, {"app_session.tier": "pro"}, status="cancelled", reason="cancelled"
        )

    def test_closed_objects_are_dropped_quietly(self, recorded_sessions: RecordedSessions) -> None:
        """A closed object that is collected says nothing more, and a thousand of them leave nothing behind."""
        for _ in range(1_000):
            Connection("a").close()
        gc.collect()

        assert 1_000 == len(recorded_sessions.spans)
        assert [] == otel_sessions.active()
        assert 0 == recorded_sessions.metric("app_session.active")


class TestException:
    def test_in_constructor(self, recorded_sessions: RecordedSessions) -> None:
        """An object that cannot be constructed was a session that failed; the exception is the caller's."""
        exception = LookupError("no such host")

        @session("job")
        class Job:
            def __init__(self) -> None:
                raise exception

            def close(self) -> None: ...

        assert exception is raised_by(Job)
        gc.collect()
        (span,) = recorded_sessions.spans
        assert (StatusCode.ERROR, "no such host", "LookupError") == (
            span.status.status_code,
            span.status.description,
            portrait.attributes(span)["error.type"],
        )

    @pytest.mark.parametrize("arguments", [(), ("a", "b"), ("a", 1, 2)])
    def test_wrong_arguments(self, recorded_sessions: RecordedSessions, arguments: tuple[Any, ...]) -> None:
        """Wrong arguments are a TypeError as ever."""
        assert isinstance(raised_by(lambda: Connection(*arguments)), TypeError)

    def test_in_method(self, recorded_sessions: RecordedSessions) -> None:
        """An exception out of a method is written down once; whoever catches it goes on with the same session."""
        connection = Connection("a")
        with pytest.raises(LookupError):
            connection.fail()
        connection.ask("x")
        connection.close()

        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.scoped(
            connection.seen[0], {"app_session.tier": "pro"}, events=1, errors=1
        )
        assert (["exception"], StatusCode.UNSET) == ([e.name for e in span.events], span.status.status_code)

    def test_again_and_again(self, recorded_sessions: RecordedSessions) -> None:
        """Each exception counts, however alike they are."""
        connection = Connection("a")
        for _ in range(5):
            with pytest.raises(LookupError):
                connection.fail()
        connection.close()

        assert [5] == [portrait.attributes(s)["app_session.error.count"] for s in recorded_sessions.spans]
        assert 5 == recorded_sessions.metric("app_session.errors")

    def test_through_several_methods(self, recorded_sessions: RecordedSessions) -> None:
        """An exception that passes several methods of one object on its way out counts once."""

        @session("job")
        class Job:
            def one(self) -> None:
                self.two()

            def two(self) -> None:
                raise LookupError("x")

            def close(self) -> None: ...

        job = Job()
        for _ in range(2):
            with pytest.raises(LookupError):
                job.one()
        job.close()

        assert [2] == [portrait.attributes(s)["app_session.error.count"] for s in recorded_sessions.spans]

    def test_after_the_end(self, recorded_sessions: RecordedSessions) -> None:
        """A method that ends the session and raises then leaves the ended session as it is."""

        @session("job")
        class Job:
            def run(self) -> None:
                current_session().end("cancelled")
                raise LookupError("x")

            def close(self) -> None: ...

        with pytest.raises(LookupError):
            Job().run()

        assert 0 == recorded_sessions.metric("app_session.errors")
        assert "session.end" == recorded_sessions.logs[-1].log_record.event_name

    def test_in_closing_method(self, recorded_sessions: RecordedSessions) -> None:
        """An exception out of the closing method is how the session ended."""
        exception = OSError("disk full")

        @session("job")
        class Job:
            def close(self) -> None:
                raise exception

        assert exception is raised_by(Job().close)
        assert ["error"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    def test_end_of_iteration(self, recorded_sessions: RecordedSessions) -> None:
        """An iterator that is used up is no error."""

        @session("rows")
        class Rows:
            def __init__(self) -> None:
                self.left = 3

            def __iter__(self) -> Rows:
                return self

            def __next__(self) -> str:
                if not self.left:
                    raise StopIteration
                self.left -= 1
                return current_session().id

            def close(self) -> None: ...

        rows = Rows()
        ids = set(rows)
        rows.close()

        (span,) = recorded_sessions.spans
        assert {portrait.attributes(span)["session.id"]} == ids
        assert (0, 0, []) == (
            portrait.attributes(span)["app_session.error.count"],
            recorded_sessions.metric("app_session.errors"),
            portrait.events(span),
        )

    def test_end_of_asynchronous_iteration(self, recorded_sessions: RecordedSessions) -> None:
        """The same for an asynchronous iterator."""

        @session("rows")
        class Rows:
            def __aiter__(self) -> AsyncIterator[str]:
                return self

            async def __anext__(self) -> str:
                raise StopAsyncIteration

            async def aclose(self) -> None: ...

        async def main() -> list[str]:
            rows: Any = Rows()
            found = [row async for row in rows]
            await rows.aclose()
            return found

        assert [] == asyncio.run(main())
        assert [0] == [portrait.attributes(s)["app_session.error.count"] for s in recorded_sessions.spans]


class TestInheritance:
    def test_plain_subclass(self, recorded_sessions: RecordedSessions) -> None:
        """Objects of a subclass are sessions of its base's definition; what it overrides still ends them."""

        class Secure(Connection):
            def __init__(self) -> None:
                super().__init__("a")
                self.closings = 0

            def close(self) -> str:
                self.closings += 1
                return super().close()

        secure = Secure()
        assert ("X", "closed", 1) == (secure.ask("x"), secure.close(), secure.closings)

        assert isinstance(secure, Connection)
        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.scoped(secure.seen[0], {"app_session.tier": "pro"})

    def test_decorated_subclass(self, recorded_sessions: RecordedSessions) -> None:
        """An object is one session, of the outermost decorated class's type; its errors are counted once."""

        @session("secure")
        class Secure(Connection): ...

        secure = Secure("a")
        with pytest.raises(LookupError):
            secure.fail()
        secure.close()
        Connection("b").close()

        assert [("session secure", 1), ("session connection", 0)] == [
            (span.name, portrait.attributes(span)["app_session.error.count"]) for span in recorded_sessions.spans
        ]
        assert 1 == recorded_sessions.metric("app_session.errors")

    def test_base_is_left_alone(self, recorded_sessions: RecordedSessions) -> None:
        """Decorating a subclass changes nothing of its base."""

        class Base:
            def run(self) -> Session:
                return current_session()

            def close(self) -> None: ...

        @session("job")
        class Job(Base): ...

        job, base = Job(), Base()
        assert ("job", "") == (job.run().type, base.run().type)
        job.close()
        base.close()
        assert ["session job"] == [span.name for span in recorded_sessions.spans]

    def test_method_resolution_order(self, recorded_sessions: RecordedSessions) -> None:
        """Which method is called is not changed by decorating one of several bases."""

        class Base:
            def run(self) -> str:
                return "base"

        class Other(Base):
            def run(self) -> str:
                return "other"

        class Closing(Base):
            def close(self) -> None: ...

        decorated = type("Decorated", (session("job")(type("Closing", (Closing,), {})), Other), {})
        plain = type("Plain", (type("Closing", (Closing,), {}), Other), {})

        assert plain().run() == decorated().run()


class TestIdentity:
    """A decorated class is still what it was."""

    def test_class(self) -> None:
        """The decorator returns the very class; docstrings, names and signatures are its own."""

        class Job:
            """Do a job."""

            def __init__(self, host: str, *, port: int = 1) -> None: ...

            def run(self, times: int) -> int:
                """Run."""
                return times

            def close(self) -> None: ...

        before = [inspect.signature(Job), inspect.signature(Job.run), Job.run.__doc__, Job.run.__qualname__]
        decorated = session("job")(Job)

        assert Job is decorated
        assert ("Do a job.", before) == (
            Job.__doc__,
            [inspect.signature(Job), inspect.signature(Job.run), Job.run.__doc__, Job.run.__qualname__],
        )

    def test_constructed_by_new(self, recorded_sessions: RecordedSessions) -> None:
        """A class that takes its arguments in `__new__` can still be constructed."""

        class Job:
            number: int

            def __new__(cls, number: int) -> Job:
                self = super().__new__(cls)
                self.number = number
                return self

            def close(self) -> None: ...

        signature = inspect.signature(Job)
        job = session("job")(Job)(7)
        job.close()

        assert (7, signature) == (job.number, inspect.signature(Job))
        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    def test_dataclass(self, recorded_sessions: RecordedSessions) -> None:
        """A dataclass compares, shows and converts as ever."""
        point, other = Point(1, [2]), Point(1, [2])
        assert (point, {"x": 1, "y": [2]}, "Point(x=1, y=[2])") == (other, dataclasses.asdict(point), repr(other))
        assert "point" == point.where().type
        point.close()
        other.close()
        assert 2 == len(recorded_sessions.spans)

    def test_pydantic_model(self, recorded_sessions: RecordedSessions) -> None:
        """A pydantic model, which fills its instances in its own way, is a session like others."""

        @session("chat")
        class Chat(pydantic.BaseModel):
            topic: str = "otel"

            def where(self) -> Session:
                return current_session()

            def close(self) -> None: ...

        chat = Chat(topic="logs")
        assert ("chat", {"topic": "logs"}) == (chat.where().type, chat.model_dump())
        chat.close()
        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    @pytest.mark.parametrize(
        "duplicate",
        [copy.copy, copy.deepcopy, lambda point: pickle.loads(pickle.dumps(point))],
        ids=["copy", "deepcopy", "pickle"],
    )
    def test_copies(self, recorded_sessions: RecordedSessions, duplicate: Callable[[Point], Point]) -> None:
        """An object can be copied and pickled; the copy is equal, is not the session, and cannot end it."""
        point = Point(1, [2])
        twin = duplicate(point)

        assert point == twin
        twin.close()
        assert ("point", True) == (point.where().type, point.where().is_active)
        point.close()
        assert 1 == len(recorded_sessions.spans)

    @pytest.mark.parametrize("slots", [(), ("x",), ("__dict__",), ("__weakref__",), ("__dict__", "__weakref__")])
    def test_slots(self, recorded_sessions: RecordedSessions, slots: tuple[str, ...]) -> None:
        """A class whose instances cannot carry a session is refused where it is decorated, not where it is used."""
        plain = type("Job", (), {"__slots__": slots, "close": lambda self: None})
        try:
            kind = session("job")(plain)
        except InvalidValueError as error:
            assert "__slots__" in str(error)  # noqa: PT017 - which of them can is not the promise
            assert "__weakref__" not in slots or "__dict__" not in slots
        else:
            kind().close()
            assert 1 == len(recorded_sessions.spans)


class TestMisuse:
    def test_no_closing_method(self) -> None:
        """A class that nothing ends is refused, with what to add."""

        class Job:
            def run(self) -> None: ...

        with pytest.raises(
            InvalidValueError, match=r"Job has no method that could end its session: add one of close, "
        ):
            session("job")(Job)

    def test_named_method_is_missing(self) -> None:
        """A closing method that does not exist is named in the error."""

        class Job:
            def close(self) -> None: ...

        with pytest.raises(InvalidValueError, match=r"Job has no method finish"):
            session("job", closing="finish")(Job)

    @pytest.mark.parametrize("kind", [staticmethod, classmethod])
    def test_closing_method_without_an_object(self, kind: type) -> None:
        """A closing method that knows no object cannot end the session of one."""
        plain = type("Job", (), {"close": kind(lambda *_: None)})

        with pytest.raises(InvalidValueError, match=r"Job\.close cannot end a session: make it a plain method"):
            session("job")(plain)

    def test_named_method_is_none(self) -> None:
        """An attribute that cannot be called ends nothing."""

        class Job:
            finish = 3

        with pytest.raises(InvalidValueError, match=r"Job has no method finish"):
            session("job", closing="finish")(Job)


class TestDisabled:
    def test_works(self) -> None:
        """With `enabled=False` objects do what they did, outside of any session."""
        with record_sessions(enabled=False) as recorded:
            connection = Connection("a")
            assert ("X", "Y", "closed") == (
                connection.ask("x"),
                asyncio.run(connection.ask_later("y")),
                connection.close(),
            )
            with pytest.raises(LookupError):
                connection.fail()

        assert [""] * 4 == [handle.id for handle in connection.seen]
        assert ([], []) == (recorded.spans, recorded.logs)

    def test_keeps_nothing(self) -> None:
        """Nothing of the caller's context outlives the call."""

        class Value: ...

        value = Value()
        alive = weakref.ref(value)
        with record_sessions(enabled=False):
            token = otel_context.attach(otel_context.set_value("value", value))
            connection = Connection("a")
            otel_context.detach(token)
            connection.close()
        del value, token, connection
        gc.collect()

        assert None is alive()
