"""What `session(...)` was told, and the user whose session it is."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable
from typing import Any

import pytest

from otel_sessions import InvalidValueError, _definition, current_session, session
from otel_sessions.testing import RecordedSessions, record_sessions

from . import portrait


class TestMistakes:
    @pytest.mark.parametrize("value", ["", "a b", "x" * 65, "é"])
    @pytest.mark.parametrize(
        ("what", "define"),
        [
            ("session type", session),
            ("tier", lambda value: session("job", tier=value)),
            ("platform", lambda value: session("job", platform=value)),
        ],
    )
    def test_names(self, what: str, define: Callable[[str], object], value: str) -> None:
        """A type, tier or platform that cannot be one is refused where it is written."""
        with pytest.raises(InvalidValueError, match=f"cannot be a {what}: use a static name"):
            define(value)

    @pytest.mark.parametrize("value", [3, True, b"web", ["web"]], ids=repr)
    def test_names_that_are_no_text(self, value: Any) -> None:
        """So is one that is no text."""
        with pytest.raises(InvalidValueError, match="cannot be a tier"):
            session("job", tier=value)

    @pytest.mark.parametrize("user", ["", 3, b"eve", ["eve"]], ids=repr)
    def test_user(self, user: Any) -> None:
        """A user is a text or a callable that returns one."""
        with pytest.raises(InvalidValueError, match="cannot be a user: use a non-empty string or a callable"):
            session("job", user=user)

    @pytest.mark.parametrize("attributes", [3, "tenant", [("tenant", "x")], {"tenant"}], ids=repr)
    def test_attributes(self, attributes: Any) -> None:
        """Attributes are a mapping."""
        with pytest.raises(InvalidValueError, match="use a mapping of names to values"):
            session("job", attributes=attributes)

    def test_no_keyword_is_swallowed(self) -> None:
        """An option that there is not is an error."""
        with pytest.raises(TypeError, match="colour"):
            session("job", colour="red")  # type: ignore[call-overload]


class TestReuse:
    def test_one_after_the_other(self, recorded_sessions: RecordedSessions) -> None:
        """One definition may serve any number of blocks, one after the other, also after a block that failed."""
        definition = session("job")
        with definition as first:
            pass
        with pytest.raises(ValueError, match="x"), definition:
            raise ValueError("x")
        with definition as third:
            pass

        assert first.id != third.id
        assert ["success", "error", "success"] == [
            portrait.attributes(span)["app_session.status"] for span in recorded_sessions.spans
        ]

    @pytest.mark.parametrize("asynchronous", [True, False])
    def test_inside_itself(self, recorded_sessions: RecordedSessions, *, asynchronous: bool) -> None:
        """In a block of its own it is refused, with the way out; the block around it is not harmed."""
        definition = session("job")

        async def main() -> None:
            async with definition:
                with pytest.raises(InvalidValueError, match=r"is open already: call session\(\.\.\.\) in each `with`"):
                    async with definition:
                        raise AssertionError

        def block() -> None:
            with (
                definition,
                pytest.raises(InvalidValueError, match=r"is open already: call session\(\.\.\.\) in each `with`"),
                definition,
            ):
                raise AssertionError

        asyncio.run(main()) if asynchronous else block()

        assert ["success"] == [portrait.attributes(s)["app_session.status"] for s in recorded_sessions.spans]

    def test_decorator_and_block(self, recorded_sessions: RecordedSessions) -> None:
        """One definition may be a decorator and a block at once."""
        definition = session("job")

        @definition
        def work() -> int:
            return 1

        with definition:
            assert 1 == work()
        assert 2 == len(recorded_sessions.spans)

    def test_left_without_being_entered(self, recorded_sessions: RecordedSessions) -> None:
        """Leaving what was never entered does nothing."""
        session("job").__exit__(None, None, None)

        assert [] == recorded_sessions.spans

    def test_disabled(self) -> None:
        """Without sessions the same rules hold."""
        definition = session("job")
        with record_sessions(enabled=False):
            with definition, pytest.raises(InvalidValueError, match="is open already"):
                definition.__enter__()
            with definition as handle:
                assert "" == handle.id

    def test_defined_before_the_settings(self) -> None:
        """A definition keeps to the settings that hold when its sessions begin: redaction, users, providers."""
        definition = session("job", user="eve", attributes={"note": "hello"})
        found = []
        for key, redact in (("a" * 16, str.upper), ("b" * 16, str.title)):
            with record_sessions(pseudonym_key=key, redact=redact) as recorded:
                with definition:
                    pass
                found.append(portrait.attributes(recorded.spans[0]))

        assert ["HELLO", "Hello"] == [attributes["note"] for attributes in found]
        assert found[0]["enduser.pseudo.id"] != found[1]["enduser.pseudo.id"]


class TestUser:
    def test_pseudonym(self) -> None:
        """A user is the same pseudonym in every session and every process with the same key; the name stays inside."""
        ids = set()
        for _ in range(2):
            with record_sessions(pseudonym_key="a secret of ours") as recorded:
                for _ in range(2):
                    with session("job", user="eve@example") as handle:
                        ids.add(handle.user)
                assert "eve@example" not in str([span.to_json() for span in recorded.spans])

        assert 1 == len(ids)
        assert [32] == [len(user or "") for user in ids]

    def test_without_key(self) -> None:
        """Without a key, pseudonyms of two stores have nothing to do with each other."""
        ids = set()
        for _ in range(2):
            with record_sessions(), session("job", user="eve") as handle:
                ids.add(handle.user)

        assert 2 == len(ids)

    @pytest.mark.parametrize(("user", "same_as"), [(lambda: "eve", "eve"), (lambda: 42, "42")])
    def test_callable(self, recorded_sessions: RecordedSessions, user: Any, same_as: str) -> None:
        """A callable is asked when each session begins."""
        with session("job", user=user) as found, session("job", user=same_as) as expected:
            assert expected.user == found.user

    def test_callable_is_asked_each_time(self, recorded_sessions: RecordedSessions) -> None:
        """It may answer differently each time."""
        names = iter(["eve", "adam"])

        @session("job", user=lambda: next(names))
        def job() -> None: ...

        job()
        job()

        assert 2 == len({portrait.attributes(span)["enduser.pseudo.id"] for span in recorded_sessions.spans})

    @pytest.mark.parametrize("answer", [None, ""])
    def test_callable_that_knows_nobody(self, recorded_sessions: RecordedSessions, answer: str | None) -> None:
        """Nobody is nobody: not a pseudonym that all of them share, and not the user of this machine."""
        with session("job", user=lambda: answer) as handle:
            pass

        assert None is handle.user
        assert portrait.scoped(handle) == portrait.attributes(recorded_sessions.spans[0])

    def test_callable_that_raises(self, recorded_sessions: RecordedSessions, caplog: pytest.LogCaptureFixture) -> None:
        """A callable that raises costs the user, not the session; the failure is logged and counted."""

        def nobody() -> str:
            raise LookupError("no request")

        with session("job", user=nobody) as handle:
            pass

        assert (None, "success") == (handle.user, handle.status)
        (message,) = caplog.messages
        assert message.startswith("otel-sessions could not find out the user of a session")
        assert "no request" in caplog.text
        assert 1 == recorded_sessions.metric("app_session.dropped", app_session__drop__reason="internal_error")

    def test_name_that_cannot_be_read(self, recorded_sessions: RecordedSessions) -> None:
        """A name that raises when it is read costs the user, not the session."""

        class Unreadable(str):
            __slots__ = ()

            def __str__(self) -> str:
                raise RuntimeError("no name")

        @session("job", user=Unreadable("eve"))
        def job() -> str | None:
            return current_session().user

        assert [None, None] == [job(), job()]
        assert 2 == recorded_sessions.metric("app_session.dropped", app_session__drop__reason="internal_error")

    def test_callable_that_is_interrupted(self, recorded_sessions: RecordedSessions) -> None:
        """An interruption is the application's, and leaves no session behind."""

        def interrupted() -> str:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), session("job", user=interrupted):
            raise AssertionError

        assert [] == recorded_sessions.spans
        assert 0 == recorded_sessions.metric("app_session.active")

    def test_operating_system(self, recorded_sessions: RecordedSessions) -> None:
        """Without a user it is the operating system's, as a pseudonym."""
        with session("job") as found, session("job", user=getpass.getuser()) as expected:
            assert expected.user == found.user

    def test_operating_system_knows_nobody(
        self, recorded_sessions: RecordedSessions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where the operating system has no name for the user, as in containers, there is none, and no complaint."""

        def nobody() -> str:
            raise KeyError("getpwuid(): uid not found: 54321")

        monkeypatch.setattr(getpass, "getuser", nobody)
        _definition._os_user.cache_clear()
        with session("job") as handle:
            pass
        _definition._os_user.cache_clear()

        assert (None, []) == (handle.user, caplog.messages)
        assert portrait.scoped(handle) == portrait.attributes(recorded_sessions.spans[0])

    def test_not_detected(self) -> None:
        """Detection can be turned off."""
        with record_sessions(detect_user=False), session("job") as handle:
            assert None is handle.user

    @pytest.mark.parametrize("name", ["\udcff", "e" * 1_000_000, "\0", "用户", "eve@example.com"])
    def test_odd_names(self, recorded_sessions: RecordedSessions, name: str) -> None:
        """Any text is a user's name."""
        with session("job", user=name) as handle:
            assert handle.user is not None
            assert 32 == len(handle.user)
