"""What is no text is refused at the door, in the same words on every store; a text that names nothing is not."""

from __future__ import annotations

import io
import logging
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import otel_sessions
from otel_sessions import InvalidValueError, SessionNotFoundError, reports, session
from otel_sessions.stores import from_url
from otel_sessions.testing import record_sessions

from . import redis_server

ID: Final = r" cannot be a session id: use 1 to 128 visible ASCII characters without spaces, such as 'conv-42'"
USER: Final = " cannot be a user: use a non-empty string"
TYPE: Final = " cannot be a session type: use a static name of at most 64 characters"
NO_TEXT: Final = [3, 1.5, True, b"s1", ["s1"], ("s1",), {"id": "s1"}, object]

Call = Callable[[Any], object]
IDS: Final[dict[str, Call]] = {
    "get": otel_sessions.get,
    "resume": otel_sessions.resume,
    "end": otel_sessions.end,
    "timeline": reports.timeline,
    "start": lambda value: otel_sessions.start("chat", id=value),
}
USERS: Final[dict[str, Call]] = {
    "active": lambda value: otel_sessions.active(user=value),
    "history": lambda value: otel_sessions.history(user=value),
    "export": lambda value: otel_sessions.export(io.StringIO(), format="csv", user=value),
    "user_analytics": otel_sessions.user_analytics,
    "usage_history": otel_sessions.usage_history,
    "start": lambda value: otel_sessions.start("chat", user=value),
}
TYPES: Final[dict[str, Call]] = {
    "history": otel_sessions.history,
    "export": lambda value: otel_sessions.export(io.StringIO(), format="csv", type=value),
    "start": otel_sessions.start,
}
OTHERS: Final[dict[str, Call]] = {
    "history tier": lambda value: otel_sessions.history(tier=value),
    "history status": lambda value: otel_sessions.history(status=value),
    "history end_reason": lambda value: otel_sessions.history(end_reason=value),
    "history after": lambda value: otel_sessions.history(after=value),
    "resume handoff": lambda value: otel_sessions.resume(handoff=value),
    "session type": session,
    "session tier": lambda value: session("chat", tier=value),
    "start tier": lambda value: otel_sessions.start("chat", tier=value),
    "start platform": lambda value: otel_sessions.start("chat", platform=value),
    "end status": lambda value: otel_sessions.end("s1", status=value),
    "end reason": lambda value: otel_sessions.end("s1", reason=value),
}


@pytest.fixture(name="store", params=["memory", "sqlite", "redis"])
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A process that keeps its sessions there, and in which there is one; its URL."""
    if request.param == "redis":
        url = f"{redis_server.shared().url}?prefix={secrets.token_hex(4)}"
    else:
        url = f"sqlite:///{tmp_path / 'sessions.db'}" if request.param == "sqlite" else "memory://"
    with record_sessions(store=from_url(url), pseudonym_key="k" * 32):
        otel_sessions.start("chat", id="s1", user="ada")
        yield url


def refusal(call: Call, value: object) -> str:
    with pytest.raises(InvalidValueError) as raised:
        call(value)
    return str(raised.value)


class TestData:
    """What is looked for comes out of a URL, a cookie or a form, and is the name of nothing if it cannot be one."""

    @pytest.mark.parametrize("value", ["", "a b", "ü", "x" * 129, "a\0", "\ud800"])
    def test_no_id(self, store: str, value: str, caplog: pytest.LogCaptureFixture) -> None:
        """A text that cannot be an id is the id of no session; none can be started with it."""
        assert otel_sessions.get(value) is None
        assert reports.timeline(value) is None
        assert not otel_sessions.end(value)
        with pytest.raises(SessionNotFoundError, match="no active session has the id"):
            otel_sessions.resume(value)
        assert ID in refusal(IDS["start"], value)
        assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]

    def test_no_user(self, store: str, caplog: pytest.LogCaptureFixture) -> None:
        """An empty text is the name of nobody; no session can be started for it."""
        otel_sessions.start("chat", id="s2")
        otel_sessions.end("s2")
        assert [] == otel_sessions.active(user="")
        assert [] == list(otel_sessions.history(user="", active=True))
        assert 0 == otel_sessions.export(io.StringIO(), format="jsonl", user="", active=True)
        assert (0, []) == (otel_sessions.user_analytics("").sessions, otel_sessions.usage_history(""))
        assert USER in refusal(USERS["start"], "")
        assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]

    def test_switched_off(self) -> None:
        """Nothing is known where the package is switched off."""
        with record_sessions(enabled=False):
            assert otel_sessions.get("a b") is None
            assert [] == otel_sessions.active(user="")


class TestNoText:
    @pytest.mark.parametrize(
        ("call", "said"),
        [
            *(pytest.param(call, ID, id=f"id of {name}") for name, call in IDS.items()),
            *(pytest.param(call, USER, id=f"user of {name}") for name, call in USERS.items()),
            *(pytest.param(call, TYPE, id=f"type of {name}") for name, call in TYPES.items()),
        ],
    )
    def test_refused(self, store: str, call: Call, said: str, caplog: pytest.LogCaptureFixture) -> None:
        """The value, its type and what to give are said; nothing reaches the store, and nothing is logged."""
        for value in NO_TEXT:
            expected = f"{value!r} ({type(value).__name__}){said}"
            assert expected == refusal(call, value)[: len(expected)]
        assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert ["s1"] == [record.id for record in otel_sessions.active()]

    @pytest.mark.parametrize("call", OTHERS.values(), ids=OTHERS)
    def test_others(self, store: str, call: Call, caplog: pytest.LogCaptureFixture) -> None:
        """So is what is no text where another name is asked for."""
        for value in NO_TEXT[:-1]:  # a class can be a session
            assert ": " in refusal(call, value)
        assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]

    @pytest.mark.parametrize("call", [call for name, call in IDS.items() if name != "start"])
    def test_none(self, store: str, call: Call) -> None:
        """None is no id either."""
        assert refusal(call, None).startswith(f"None (NoneType){ID}")

    @pytest.mark.parametrize("call", [*IDS.values(), *USERS.values(), *TYPES.values()])
    def test_switched_off(self, call: Call) -> None:
        """Also where the package is switched off: a mistake does not wait until it is switched on."""
        with record_sessions(enabled=False):
            refusal(call, 3)
