"""`session` on generators: the session is current while the generator runs, and never at its caller's."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry.trace import StatusCode

from otel_sessions import Session, current_session, session
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait
from .outcome import raised_by, result_of


class StopAtError(Exception):
    """What the dialogue raises by itself."""


def dialogue() -> Generator[tuple[str, ...], str | None, int]:
    """Answer with all that was heard; endure KeyError, end at "stop", fail at "fail", clean up at the end."""
    heard: list[str] = []
    try:
        while True:
            try:
                said = yield tuple(heard)
            except KeyError as error:
                said = f"caught {error}"
            heard.append(str(said))
            if said == "stop":
                return len(heard)
            if said == "fail":
                raise StopAtError(len(heard))
    finally:
        if "stubborn" in heard:
            yield ("still here",)


async def async_dialogue() -> AsyncGenerator[tuple[str, ...], str | None]:
    """Do as `dialogue`, asynchronously; an asynchronous generator returns nothing."""
    heard: list[str] = []
    try:
        while True:
            try:
                said = yield tuple(heard)
            except KeyError as error:
                said = f"caught {error}"
            await asyncio.sleep(0)
            heard.append(str(said))
            if said == "stop":
                return
            if said == "fail":
                raise StopAtError(len(heard))
    finally:
        await asyncio.sleep(0)
        if "stubborn" in heard:
            yield ("still here",)


MOVES = st.lists(
    st.one_of(
        st.just(("next", None)),
        st.tuples(st.just("send"), st.sampled_from(["a", "stop", "fail", "stubborn"])),
        st.tuples(st.just("throw"), st.sampled_from([KeyError, ValueError, KeyboardInterrupt, StopIteration])),
    ),
    max_size=8,
).flatmap(lambda moves: st.sampled_from([moves, [*moves, ("close", None)]]))


def play(generator: Any, moves: list[tuple[str, Any]]) -> list[object]:
    """What each move on a generator leads to; the caller must find no session of ours at any time."""
    answers: list[object] = []
    for move, value in moves:
        try:
            if move == "next":
                answers.append(next(generator))
            elif move == "send":
                answers.append(generator.send(value))
            elif move == "throw":
                answers.append(generator.throw(value("thrown")))
            else:
                answers.append(generator.close())
        except StopIteration as stop:
            answers.append(("returned", stop.value))
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - compared
            answers.append((type(error), str(error)))
        assert "" == current_session().id
    return answers


async def play_async(generator: Any, moves: list[tuple[str, Any]]) -> list[object]:
    """Do as `play`, asynchronously."""
    answers: list[object] = []
    for move, value in moves:
        try:
            if move == "next":
                answers.append(await anext(generator))
            elif move == "send":
                answers.append(await generator.asend(value))
            elif move == "throw":
                answers.append(await generator.athrow(value("thrown")))
            else:
                answers.append(await generator.aclose())
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - compared
            answers.append((type(error), str(error)))
        assert "" == current_session().id
    return answers


class TestGenerator:
    @settings(max_examples=100, deadline=None)
    @given(MOVES)
    def test_behaves_as_undecorated(self, moves: list[tuple[str, Any]]) -> None:
        """Whatever is sent, thrown or asked of it, a decorated generator answers as it would undecorated."""
        with record_sessions() as recorded:
            plain, decorated = dialogue(), session("dialogue")(dialogue)()
            before = otel_context.get_current()
            assert play(plain, moves) == play(decorated, moves)
            assert before == otel_context.get_current()
            with contextlib.suppress(RuntimeError):
                plain.close()
            with contextlib.suppress(RuntimeError):
                decorated.close()
            started = recorded.metric("app_session.starts")
            assert started == len(recorded.session_spans)

    def test_current_only_inside(self, recorded_sessions: RecordedSessions) -> None:
        """The generator is in its session at every step; its caller never is, and sees its own context unchanged."""

        @session("pages")
        def pages() -> Iterator[str]:
            for _ in range(3):
                yield current_session().id

        context = otel_context.get_current()
        ids = set()
        for page in pages():
            assert context is otel_context.get_current()
            assert "" == current_session().id
            ids.add(page)

        (span,) = recorded_sessions.spans
        assert {portrait.attributes(span)["session.id"]} == ids

    def test_begins_with_first_step(self, recorded_sessions: RecordedSessions) -> None:
        """A generator that is never asked is no session; one that is asked begins then and ends with its last step."""

        @session("pages")
        def pages() -> Iterator[int]:
            yield 1

        pages()
        generator = pages()
        recorded_sessions.clock.advance(5)
        began = recorded_sessions.clock.time_ns()
        list(generator)

        assert [began] == [span.start_time for span in recorded_sessions.spans]

    def test_return_value(self, recorded_sessions: RecordedSessions) -> None:
        """`yield from` a decorated generator gives what it returns."""

        @session("sum")
        def total() -> Generator[int, int, int]:
            first = yield 1
            second = yield 2
            return first + second

        result = 0

        def caller() -> Generator[int, int, None]:
            nonlocal result
            result = yield from total()

        generator = caller()
        assert [1, 2] == [next(generator), generator.send(10)]
        with pytest.raises(StopIteration):
            generator.send(20)
        assert 30 == result
        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    @pytest.mark.parametrize("leave", ["close", "collect"])
    def test_abandoned(self, recorded_sessions: RecordedSessions, leave: str) -> None:
        """A generator closed or dropped half-way ends its session as cancelled, and leaves no context behind."""
        seen: list[Session] = []
        cleaned: list[str] = []

        @session("pages")
        def pages() -> Iterator[int]:
            seen.append(current_session())
            try:
                yield 1
                yield 2
            finally:
                cleaned.append(current_session().id)

        before = otel_context.get_current()
        generator = pages()
        assert 1 == next(generator)
        if leave == "close":
            generator.close()  # type: ignore[attr-defined]
        del generator
        gc.collect()

        assert before is otel_context.get_current()
        assert [seen[0].id] == cleaned
        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.scoped(seen[0], status="cancelled", reason="cancelled")
        assert StatusCode.UNSET is span.status.status_code

    def test_error_in_cleanup(self, recorded_sessions: RecordedSessions) -> None:
        """An exception out of the clean-up of a closed generator is the session's error."""

        @session("pages")
        def pages() -> Generator[int, None, None]:
            try:
                yield 1
            finally:
                raise OSError("disk full")

        generator = pages()
        next(generator)
        with pytest.raises(OSError, match="disk full"):
            generator.close()
        assert ["error"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    def test_interleaved(self, recorded_sessions: RecordedSessions) -> None:
        """Generators whose steps alternate each stay in their own session; none is the parent of another."""

        @session("pages")
        def pages() -> Iterator[tuple[str, str | None]]:
            for _ in range(3):
                here = current_session()
                yield here.id, here.parent_id

        rows = list(zip(pages(), pages(), strict=True))

        assert 1 == len({first for first, _ in rows})
        assert 1 == len({second for _, second in rows})
        assert {None} == {parent for row in rows for _, parent in row}
        assert 2 == len({session_id for row in rows for session_id, _ in row})

    def test_own_span_is_kept_from_step_to_step(self, recorded_sessions: RecordedSessions) -> None:
        """A span that the generator holds across a `yield` is current again at its next step, and only there."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")

        @session("pages")
        def pages() -> Iterator[None]:
            with tracer.start_as_current_span("held"):
                yield
                with tracer.start_as_current_span("inside"):
                    pass
                yield
            with tracer.start_as_current_span("after"):
                pass

        before = otel_context.get_current()
        for _ in pages():
            assert before is otel_context.get_current()
            with tracer.start_as_current_span("caller's"):
                pass

        spans = {span.name: span for span in recorded_sessions.spans}
        assert {
            "held": portrait.span_id(spans["session pages"]),
            "inside": portrait.span_id(spans["held"]),
            "after": portrait.span_id(spans["session pages"]),
            "caller's": None,
        } == {name: portrait.parent_id(spans[name]) for name in ("held", "inside", "after", "caller's")}
        assert {"inside", "held", "after", "session pages"} == {
            span.name for span in recorded_sessions.spans if "session.id" in portrait.attributes(span)
        }

    def test_steps_on_several_threads(self, recorded_sessions: RecordedSessions) -> None:
        """Each step may run on another thread: the session goes along, and no thread keeps it."""

        @session("pages")
        def pages() -> Iterator[str]:
            for _ in range(4):
                yield current_session().id

        generator = pages()
        ids: list[str] = []
        left: list[str] = []

        def step() -> None:
            ids.append(next(generator))
            left.append(current_session().id)

        for _ in range(4):
            thread = threading.Thread(target=step)
            thread.start()
            thread.join()
        generator.close()  # type: ignore[attr-defined]

        assert 1 == len(set(ids))
        assert [""] * 4 == left

    @pytest.mark.parametrize("exception", [None, ValueError("x"), StopIteration("x"), KeyboardInterrupt()], ids=repr)
    def test_context_manager(self, recorded_sessions: RecordedSessions, exception: BaseException | None) -> None:
        """Under `contextlib.contextmanager` it is a context manager whose block is outside of the session."""

        @contextlib.contextmanager
        @session("unit")
        def unit() -> Iterator[str]:
            yield current_session().id

        def block() -> None:
            with unit() as inside:
                assert (True, "") == (bool(inside), current_session().id)
                if exception is not None:
                    raise exception

        if exception is None:
            block()
        else:
            assert exception is raised_by(block)
        expected = {type(None): "success", KeyboardInterrupt: "cancelled"}.get(type(exception), "error")
        assert [expected] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    def test_rotation(self, recorded_sessions: RecordedSessions) -> None:
        """A generator that rotates its session goes on in the new one: its spans are that one's children, at once."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")

        @session("pages")
        def pages() -> Iterator[Session]:
            current_session().rotate()
            with tracer.start_as_current_span("same step"):
                yield current_session()
            with tracer.start_as_current_span("next step"):
                pass

        (handle,) = pages()

        spans = {span.name: span for span in recorded_sessions.spans}
        new = recorded_sessions.session_spans[-1]
        assert handle.id == portrait.attributes(new)["session.id"]
        assert [portrait.span_id(new)] * 2 == [portrait.parent_id(spans[name]) for name in ("same step", "next step")]
        assert (None, None) == (handle.parent_id, portrait.parent_id(new))


class TestAsyncGenerator:
    @settings(max_examples=100, deadline=None)
    @given(MOVES)
    def test_behaves_as_undecorated(self, moves: list[tuple[str, Any]]) -> None:
        """Whatever is sent, thrown or asked of it, a decorated async generator answers as it would undecorated."""

        async def main() -> None:
            plain, decorated = async_dialogue(), session("dialogue")(async_dialogue)()
            before = otel_context.get_current()
            assert await play_async(plain, moves) == await play_async(decorated, moves)
            assert before == otel_context.get_current()
            for generator in (plain, decorated):
                with contextlib.suppress(RuntimeError, StopAsyncIteration):
                    await generator.aclose()

        with record_sessions() as recorded:
            asyncio.run(main())
            assert recorded.metric("app_session.starts") == len(recorded.session_spans)

    def test_current_only_inside(self, recorded_sessions: RecordedSessions) -> None:
        """The generator is in its session at every step and across its awaits; its caller never is."""

        @session("tokens")
        async def tokens() -> AsyncIterator[str]:
            for _ in range(3):
                await asyncio.sleep(0)
                yield current_session().id

        async def main() -> set[str]:
            context = otel_context.get_current()
            ids = set()
            async for token in tokens():
                assert context is otel_context.get_current()
                ids.add(token)
            return ids

        ids = asyncio.run(main())
        (span,) = recorded_sessions.spans
        assert {portrait.attributes(span)["session.id"]} == ids
        assert "success" == portrait.attributes(span)["app_session.status"]

    def test_cancelled_while_it_waits(self, recorded_sessions: RecordedSessions) -> None:
        """A task cancelled inside a step ends the session as cancelled; the context is clean, the task cancelled."""
        seen: list[Session] = []

        @session("tokens")
        async def tokens() -> AsyncIterator[int]:
            seen.append(current_session())
            yield 1
            await asyncio.Event().wait()

        async def consume() -> None:
            async for _ in tokens():
                pass

        async def main() -> bool:
            before = otel_context.get_current()
            task = asyncio.create_task(consume())
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert before is otel_context.get_current()
            return task.cancelled()

        assert asyncio.run(main())
        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.scoped(seen[0], status="cancelled", reason="cancelled")

    def test_cancelled_in_the_caller(self, recorded_sessions: RecordedSessions) -> None:
        """A consumer cancelled between two steps leaves the generator to the loop, which closes it: cancelled."""

        @session("tokens")
        async def tokens() -> AsyncIterator[int]:
            yield 1
            yield 2

        async def consume() -> None:
            async for _ in tokens():
                await asyncio.Event().wait()

        async def main() -> None:
            task = asyncio.create_task(consume())
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert [("cancelled", "cancelled")] == [
            (portrait.attributes(s)["app_session.status"], portrait.attributes(s)["app_session.end_reason"])
            for s in recorded_sessions.spans
        ]

    @pytest.mark.parametrize("leave", ["aclose", "break", "no loop"])
    def test_abandoned(self, recorded_sessions: RecordedSessions, leave: str) -> None:
        """Closed, left by `break`, or dropped where no loop could close it: cancelled, cleaned up, context clean."""
        seen: list[Session] = []
        cleaned: list[str] = []

        @session("tokens")
        async def tokens() -> AsyncGenerator[int, None]:
            seen.append(current_session())
            try:
                yield 1
                yield 2
            finally:
                cleaned.append(current_session().id)

        async def main() -> None:
            generator = tokens()
            if leave == "aclose":
                await anext(generator)
                await generator.aclose()
            else:
                async for _ in generator:
                    break

        before = otel_context.get_current()
        if leave == "no loop":
            generator = tokens()
            assert 1 == result_of(anext(generator))
            del generator
        else:
            asyncio.run(main())
        gc.collect()

        assert before is otel_context.get_current()
        assert [seen[0].id] == cleaned
        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.scoped(seen[0], status="cancelled", reason="cancelled")

    def test_steps_in_several_tasks(self, recorded_sessions: RecordedSessions) -> None:
        """Each step may run in a task of its own, as under `asyncio.wait_for`."""

        @session("tokens")
        async def tokens() -> AsyncIterator[str]:
            for _ in range(3):
                await asyncio.sleep(0)
                yield current_session().id

        async def main() -> list[str]:
            generator = tokens()
            return [await asyncio.wait_for(anext(generator), 10) for _ in range(3)]

        ids = asyncio.run(main())
        assert 1 == len(set(ids))

    def test_rotation(self, recorded_sessions: RecordedSessions) -> None:
        """An async generator that rotates its session goes on in the new one."""
        tracer = recorded_sessions.tracer_provider.get_tracer("app")

        @session("tokens")
        async def tokens() -> AsyncIterator[Session]:
            current_session().rotate()
            yield current_session()
            with tracer.start_as_current_span("next step"):
                pass

        async def main() -> Session:
            (handle,) = [handle async for handle in tokens()]
            return handle

        handle = asyncio.run(main())
        new = recorded_sessions.session_spans[-1]
        (child,) = (span for span in recorded_sessions.spans if span.name == "next step")
        assert (handle.id, portrait.span_id(new)) == (
            portrait.attributes(new)["session.id"],
            portrait.parent_id(child),
        )
