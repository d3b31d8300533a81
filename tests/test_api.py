"""The short functions: configure, start, resume, end, and look."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_sessions
from otel_sessions import (
    ConfigurationError,
    InvalidValueError,
    Session,
    SessionNotFoundError,
    SessionsError,
    current_session,
    session,
)
from otel_sessions.stores import MemoryStore
from otel_sessions.testing import ManualClock, RecordedSessions, record_sessions

from . import portrait

HOSTILE_IDS = [
    "",
    " ",
    "a b",
    "x" * 129,
    "x" * 1_000_000,
    "größe",
    "\u202e",
    "\udc00",
    "a\nb",
    "a\r\nSet-Cookie: x=y",
    "\0",
    None,
    42,
    b"conv",
    ["conv"],
]


class TestStart:
    def test_new(self, recorded_sessions: RecordedSessions) -> None:
        """A durable session starts with everything it is given; its span comes at its end, with its own times."""
        began = recorded_sessions.clock.time_ns()
        handle = otel_sessions.start(
            "chat", id="conv-42", user="u1", tier="pro", platform="web", attributes={"tenant": "contoso"}
        )
        recorded_sessions.clock.advance(5)
        assert [] == recorded_sessions.spans
        assert handle.end()

        (span,) = recorded_sessions.spans
        assert ("session chat", None, began, began + 5_000_000_000) == (
            span.name,
            span.parent,
            span.start_time,
            span.end_time,
        )
        assert portrait.attributes(span) == portrait.durable(
            handle,
            {"app_session.tier": "pro", "app_session.platform": "web", "tenant": "contoso"},
        )
        assert "conv-42" == handle.id

    def test_same_id(self, recorded_sessions: RecordedSessions) -> None:
        """The same id is the same session as long as that is active, whoever starts it again."""
        first = otel_sessions.start("chat", id="conv-42", user="u1")
        second = otel_sessions.start("chat", id="conv-42", user="u2")

        assert (first.id, first.user, first.span_context) == (second.id, second.user, second.span_context)
        assert (1, 1) == (recorded_sessions.metric("app_session.starts"), len(otel_sessions.active()))

    def test_same_id_of_another_type(
        self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The active session is returned though it is of another type; the log says so."""
        otel_sessions.start("chat", id="conv-42")
        handle = otel_sessions.start("import", id="conv-42")

        assert "chat" == handle.type
        assert [
            "start('import', id='conv-42') returned the active session with that id, whose type is 'chat'."
        ] == caplog.messages

    def test_same_id_after_the_end(self, recorded_sessions: RecordedSessions) -> None:
        """After its end the same id begins a session with a new one, which names the one before; so on and on."""
        ids: list[str] = []
        previous: list[str | None] = []
        for _ in range(3):
            handle = otel_sessions.start("chat", id="conv-42")
            ids.append(handle.id)
            previous.append(handle.previous_id)
            assert otel_sessions.end("conv-42")

        assert ("conv-42", 3) == (ids[0], len(set(ids)))
        assert [None, *ids[:2]] == previous
        assert previous == [portrait.attributes(s).get("session.previous_id") for s in recorded_sessions.spans]
        assert 3 == len({portrait.span_id(span) for span in recorded_sessions.spans})

    def test_same_id_after_idleness(self, recorded_sessions: RecordedSessions) -> None:
        """A session that has been idle for too long is over, even before anybody noticed."""
        first = otel_sessions.start("chat", id="conv-42", idle_timeout=60)
        recorded_sessions.clock.advance(61)
        second = otel_sessions.start("chat", id="conv-42")

        assert (first.id, True) == (second.previous_id, second.is_active)
        assert ["idle_timeout"] == [
            portrait.attributes(span)["app_session.end_reason"] for span in recorded_sessions.spans
        ]

    def test_without_id(self, recorded_sessions: RecordedSessions) -> None:
        """Without an id every start is a new session, whose id is found again."""
        ids = {otel_sessions.start("chat").id for _ in range(5)}

        assert 5 == len(ids)
        assert ids == {otel_sessions.resume(session_id).id for session_id in ids}

    @pytest.mark.parametrize("session_id", HOSTILE_IDS, ids=ascii)
    def test_hostile_ids(self, recorded_sessions: RecordedSessions, session_id: Any) -> None:
        """No session starts with an id that cannot be one, and none is found; it is not repeated in full."""
        calls: list[Callable[[], object]] = [lambda: otel_sessions.resume(session_id)]
        if session_id is not None:
            calls.append(lambda: otel_sessions.start("chat", id=session_id))
        if isinstance(session_id, str):
            assert not otel_sessions.end(session_id)
        else:
            calls.append(lambda: otel_sessions.end(session_id))
        for call in calls:
            with pytest.raises((InvalidValueError, SessionNotFoundError)) as raised:
                call()
            assert len(str(raised.value)) < 300
        assert [] == otel_sessions.active()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"tier": "a b"}, "cannot be a tier"),
            ({"platform": ""}, "cannot be a platform"),
            ({"user": ""}, "cannot be a user"),
            ({"user": 42}, "cannot be a user"),
            ({"attributes": 3}, "use a mapping of names to values"),
            ({"idle_timeout": 0}, "use a positive number of seconds"),
            ({"idle_timeout": -1}, "finite number that is not negative"),
            ({"idle_timeout": math.inf}, "finite number"),
            ({"idle_timeout": 1e300}, "finite number|positive number"),
            ({"idle_timeout": "60"}, "finite number"),
            ({"idle_timeout": True}, "finite number"),
            ({"max_duration": 0}, "use a positive number of seconds"),
            ({"max_duration": math.nan}, "finite number"),
        ],
        ids=str,
    )
    def test_mistakes(self, recorded_sessions: RecordedSessions, options: dict[str, Any], message: str) -> None:
        """A wrong argument is refused at the call, and starts nothing."""
        with pytest.raises(InvalidValueError, match=message):
            otel_sessions.start("chat", **options)
        assert [] == otel_sessions.active()

    @pytest.mark.parametrize("session_type", ["", "a b", "x" * 65, 3, None], ids=repr)
    def test_types(self, recorded_sessions: RecordedSessions, session_type: Any) -> None:
        """A type that cannot be one is refused."""
        with pytest.raises(InvalidValueError, match="cannot be a session type"):
            otel_sessions.start(session_type)

    @pytest.mark.parametrize(
        ("options", "lifetime", "reason"),
        [
            ({"idle_timeout": 5}, 5, "idle_timeout"),
            ({"max_duration": 7.5}, 7.5, "max_duration"),
            ({}, 30, "idle_timeout"),
        ],
    )
    def test_timeouts(self, options: dict[str, Any], lifetime: float, reason: str) -> None:
        """Timeouts are those of the call, else of the settings."""
        with record_sessions(idle_timeout=30) as recorded:
            handle = otel_sessions.start("chat", **options)
            recorded.advance(lifetime - 1)
            assert handle.is_active
            recorded.advance(2)
            assert ("expired", reason) == (handle.status, handle.end_reason)

    def test_broken_attributes(self, recorded_sessions: RecordedSessions) -> None:
        """Values that cannot be attributes are left out."""
        handle = otel_sessions.start("chat", attributes={"odd": object(), "even": 2})
        handle.end()

        assert portrait.durable(handle, {"even": 2}) == portrait.attributes(recorded_sessions.spans[0])


class TestResume:
    def test_active(self, recorded_sessions: RecordedSessions) -> None:
        """An active session is found by its id; what is done through any handle is done to it."""
        otel_sessions.start("chat", id="conv-42")
        for _ in range(3):
            with otel_sessions.resume("conv-42") as handle:
                handle.message("user")
        otel_sessions.end("conv-42")

        assert 3 == portrait.attributes(recorded_sessions.spans[0])["app_session.message.count"]

    def test_by_the_id_that_telemetry_shows(self, recorded_sessions: RecordedSessions) -> None:
        """A session that got a new id is found by that too."""
        otel_sessions.start("chat", id="conv-42").end()
        second = otel_sessions.start("chat", id="conv-42")

        assert [second.id] * 2 == [otel_sessions.resume("conv-42").id, otel_sessions.resume(second.id).id]

    @pytest.mark.parametrize("history", ["never", "ended", "scoped"])
    def test_unknown(self, recorded_sessions: RecordedSessions, history: str) -> None:
        """What is not an active durable session is not found; the error says what may be and what to do."""
        session_id = "conv-42"
        if history == "ended":
            otel_sessions.start("chat", id=session_id).end()
        with session("job") as scoped:
            if history == "scoped":
                session_id = scoped.id
            with pytest.raises(SessionNotFoundError) as raised:
                otel_sessions.resume(session_id)

        assert (
            f"no active session has the id {session_id!r} in the memory store: it never began there, or it has ended; "
            "start(..., id=...) returns the active one or begins a new one"
        ) == str(raised.value)
        assert isinstance(raised.value, SessionsError)
        assert isinstance(raised.value, LookupError)

    def test_does_not_touch(self, recorded_sessions: RecordedSessions) -> None:
        """Looking a session up is no activity of it."""
        otel_sessions.start("chat", id="conv-42", idle_timeout=60)
        recorded_sessions.advance(40)
        handle = otel_sessions.resume("conv-42")
        recorded_sessions.advance(40)

        assert ("expired", "idle_timeout") == (handle.status, handle.end_reason)

    def test_block_is_activity(self, recorded_sessions: RecordedSessions) -> None:
        """A block of it is, from its beginning to its end."""
        handle = otel_sessions.start("chat", id="conv-42", idle_timeout=60)
        with otel_sessions.resume("conv-42"):
            recorded_sessions.advance(100)
            assert handle.is_active
        recorded_sessions.advance(59)
        assert handle.is_active
        recorded_sessions.advance(2)
        assert not handle.is_active


class TestEnd:
    def test_once(self, recorded_sessions: RecordedSessions) -> None:
        """The first end says that it ended the session, later ones that they did not."""
        handle = otel_sessions.start("chat", id="conv-42")

        assert [True, False, False] == [
            otel_sessions.end("conv-42", status="error", reason="shutdown"),
            otel_sessions.end("conv-42"),
            handle.end(),
        ]
        (span,) = recorded_sessions.spans
        assert portrait.attributes(span) == portrait.durable(handle, status="error", reason="shutdown")

    def test_never_began(self, recorded_sessions: RecordedSessions) -> None:
        """Ending what never began ends nothing."""
        assert False is otel_sessions.end("conv-42")

    @pytest.mark.parametrize("arguments", [{"status": "active"}, {"status": "done"}, {"reason": "bored"}], ids=str)
    def test_mistakes(self, recorded_sessions: RecordedSessions, arguments: Any) -> None:
        """A status or reason that is none is refused, also when there is nothing to end."""
        with pytest.raises(InvalidValueError, match=r"cannot (end a session|be an end reason): use one of"):
            otel_sessions.end("conv-42", **arguments)


class TestLook:
    def test_get(self, recorded_sessions: RecordedSessions) -> None:
        """What is known of a session, while it is active and afterwards; of others nothing."""
        otel_sessions.start("chat", id="conv-42", user="u1", attributes={"tenant": "x"}).message("user")
        active = otel_sessions.get("conv-42")
        recorded_sessions.clock.advance(3)
        otel_sessions.end("conv-42")
        ended = otel_sessions.get("conv-42")

        assert active is not None
        assert ended is not None
        assert [("active", None, None, {"user": 1}), ("success", "completed", 3.0, {"user": 1})] == [
            (record.status, record.end_reason, record.duration_seconds, record.totals.messages)
            for record in (active, ended)
        ]
        assert ("conv-42", "chat", {"tenant": "x"}) == (ended.id, ended.type, ended.attributes)
        assert None is otel_sessions.get("unknown")

    def test_get_scoped(self, recorded_sessions: RecordedSessions) -> None:
        """A scoped session is known as well."""
        with session("job") as handle:
            handle.progress("on")
            record = otel_sessions.get(handle.id)

        assert record is not None
        assert ("active", 1) == (record.status, record.totals.events)

    def test_active(self, recorded_sessions: RecordedSessions) -> None:
        """The active sessions, oldest first, of all users or of one; by name or by pseudonym."""
        first = otel_sessions.start("chat", id="b", user="eve")
        recorded_sessions.clock.advance(1)
        otel_sessions.start("chat", id="a", user="adam")
        recorded_sessions.clock.advance(1)
        otel_sessions.start("chat", id="c", user="eve")
        otel_sessions.start("chat", id="d", user="eve").end()

        assert first.user is not None
        assert [["b", "a", "c"], ["b", "c"], ["b", "c"], []] == [
            [record.id for record in otel_sessions.active(**options)]
            for options in ({}, {"user": "eve"}, {"user": first.user}, {"user": "nobody"})
        ]

    def test_nothing(self, recorded_sessions: RecordedSessions) -> None:
        """Where there is nothing, nothing is found."""
        assert ([], None) == (otel_sessions.active(), otel_sessions.get("x"))


class TestConfigure:
    def test_twice_alike(self) -> None:
        """Configuring again in the same way changes nothing."""
        otel_sessions.configure(background=False, idle_timeout=60)
        handle = otel_sessions.start("chat", id="conv-42")
        otel_sessions.configure(background=False, idle_timeout=60)

        assert handle.id == otel_sessions.resume("conv-42").id

    def test_twice_differently(self) -> None:
        """Configuring in another way is a mistake; the error says what differs and what to do. The first holds."""
        otel_sessions.configure(background=False, idle_timeout=60)
        with pytest.raises(ConfigurationError) as raised:
            otel_sessions.configure(background=False, idle_timeout=61, history=5)

        assert (
            "otel-sessions is configured already, with another idle_timeout, history: configure it once, "
            "or call otel_sessions.shutdown() before"
        ) == str(raised.value)
        assert 60_000_000_000 == _beginning(otel_sessions.start("chat")).idle_timeout_ns

    def test_after_shutdown(self) -> None:
        """After a shutdown it may be configured anew."""
        otel_sessions.configure(background=False, idle_timeout=60)
        otel_sessions.shutdown()
        otel_sessions.configure(background=False, idle_timeout=61)

        assert 61_000_000_000 == _beginning(otel_sessions.start("chat")).idle_timeout_ns

    def test_after_use(self) -> None:
        """Sessions that began before it was configured go on; new ones follow the new settings."""
        exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        durable = otel_sessions.start("chat", id="conv-42")
        with session("before") as before:
            otel_sessions.configure(background=False, tracer_provider=provider, idle_timeout=60)
            assert before.is_active
            with session("after") as after:
                assert before.id == after.parent_id

        assert ("success", "conv-42") == (before.status, otel_sessions.resume("conv-42").id)
        assert durable.end()
        assert "session after" in [span.name for span in exporter.get_finished_spans()]

    def test_unknown_setting(self) -> None:
        """A setting that there is not is named, with those that there are."""
        with pytest.raises(ConfigurationError, match=r"no such setting: colour; there are active_gap, background, "):
            otel_sessions.configure(colour="red")  # type: ignore[call-arg]  # as a caller without types would

    def test_wrong_setting(self) -> None:
        """A wrong setting leaves the process as it was."""
        with pytest.raises(ConfigurationError, match="idle_timeout=-1"):
            otel_sessions.configure(idle_timeout=-1)
        otel_sessions.configure(background=False)
        assert 1_800_000_000_000 == _beginning(otel_sessions.start("chat")).idle_timeout_ns

    def test_unknown_store(self) -> None:
        """A store that there is not is named, without its credentials, with those that there are."""
        with pytest.raises(
            ConfigurationError, match=r"no store .*; there are memory://, redis://, rediss://, sqlite://, unix://"
        ) as raised:
            otel_sessions.configure(store="cassandra://user:hunter2@host/db")
        assert "hunter2" not in str(raised.value)

    def test_own_store_and_clock(self) -> None:
        """Stores and clocks may be objects of one's own."""
        store, clock = MemoryStore(history=3), ManualClock()
        otel_sessions.configure(background=False, store=store, clock=clock)
        otel_sessions.start("chat", id="conv-42")

        record = store.get("conv-42")
        assert record is not None
        assert clock.time_ns() == record.beginning.started_ns


def _beginning(handle: Session) -> Any:
    record = handle.snapshot()
    assert record is not None
    return record.beginning


class TestShutdown:
    def test_ends_what_is_open(self, recorded_sessions: RecordedSessions) -> None:
        """Sessions that nobody else can see end with the process: cancelled, by the shutdown."""
        durable = otel_sessions.start("chat")
        with session("job") as scoped:
            otel_sessions.shutdown()

        assert [("cancelled", "shutdown")] * 2 == [(h.status, h.end_reason) for h in (durable, scoped)]
        assert ["session chat", "session job"] == sorted(span.name for span in recorded_sessions.spans)

    def test_twice(self, recorded_sessions: RecordedSessions) -> None:
        """Shutting down again does nothing."""
        otel_sessions.start("chat")
        otel_sessions.shutdown()
        otel_sessions.shutdown()

        assert (1, []) == (len(recorded_sessions.spans), otel_sessions.active())

    def test_starts_anew(self, recorded_sessions: RecordedSessions) -> None:
        """The next session starts anew."""
        otel_sessions.shutdown()
        otel_sessions.configure(background=False)
        with session("job") as handle:
            assert handle is current_session()
        assert "success" == handle.status


class TestDisabled:
    def test_everything(self) -> None:
        """With `enabled=False` the functions answer as if there were no sessions; mistakes stay mistakes."""
        with record_sessions(enabled=False) as recorded:
            handle = otel_sessions.start("chat", id="conv-42", user="u1", attributes={"a": 1})
            with handle, otel_sessions.resume("conv-42") as resumed:
                assert "" == current_session().id
            assert ["", "", False, None, [], []] == [
                handle.id,
                resumed.id,
                otel_sessions.end("conv-42"),
                otel_sessions.get("conv-42"),
                otel_sessions.active(),
                otel_sessions.active(user="u1"),
            ]
            otel_sessions.sweep()
            with pytest.raises(InvalidValueError):
                otel_sessions.start("a b")
            with pytest.raises(InvalidValueError):
                otel_sessions.start("chat", id="")

        assert ([], []) == (recorded.spans, recorded.logs)
