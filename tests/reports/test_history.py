"""`history`: which sessions have ended."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import ConfigurationError, InvalidValueError, StoreError, session
from otel_sessions.reports import history
from otel_sessions.testing import RecordedSessions, record_sessions

from ..contract import STORES
from ..failing_store import FailingStore

START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
"""When the clock of the tests starts."""


@pytest.fixture(name="recorded", params=STORES)
def _recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedSessions]:
    """A process with a store of each kind."""
    store = STORES[request.param](tmp_path)
    with record_sessions(store=store, pseudonym_key="k" * 32, detect_user=False) as recorded:
        yield recorded


def audits(recorded: RecordedSessions, *users: str, **fields: Any) -> None:
    """Scoped sessions, a minute after each other."""
    for user in users:
        with session("audit", user=user, **fields):
            recorded.advance(60)


class TestFound:
    def test_nothing(self, recorded: RecordedSessions) -> None:
        """No history is an empty one."""
        otel_sessions.start("chat")
        assert (list(history()), history().next) == ([], None)

    def test_scoped_and_durable_ones(self, recorded: RecordedSessions) -> None:
        """Both, the latest end first; those that go on are none."""
        otel_sessions.start("chat", id="c1", user="ada")
        audits(recorded, "ada")
        recorded.advance(1)
        otel_sessions.end("c1")
        otel_sessions.start("chat", id="c2")
        assert [record.type for record in history()] == ["chat", "audit"]

    def test_of_a_user(self, recorded: RecordedSessions) -> None:
        """By the clear name, and by the pseudonym that the records have."""
        audits(recorded, "ada", "bob", "ada")
        found = history(user="ada")
        assert len(found) == 2
        pseudonym = found[0].user
        assert pseudonym is not None
        assert list(history(user=pseudonym)) == list(found)
        assert len(history(user="carol")) == 0

    def test_failed_audits_of_a_user(self, recorded: RecordedSessions) -> None:
        """Several conditions at once."""
        audits(recorded, "ada", "bob")
        with pytest.raises(ValueError, match="no"), session("audit", user="ada"):
            raise ValueError("no")
        found = history("audit", user="ada", status="error", end_reason="exception", days=30)
        assert [record.totals.error for record in found] == [("ValueError", "no")]

    def test_by_attributes(self, recorded: RecordedSessions) -> None:
        """Attributes that were given at the start, and since."""
        with session("audit", attributes={"shop": "a"}) as one:
            one.set_attributes(rows=3)
        audits(recorded, "ada", attributes={"shop": "b"})
        assert len(history(attributes={"shop": "a", "rows": 3})) == 1
        assert len(history(attributes={"shop": "b", "rows": 3})) == 0

    def test_by_numbers_that_json_does_not_have(self, recorded: RecordedSessions) -> None:
        """Infinity is found; that NaN equals nothing is said, in every store, and by what to do."""
        audits(recorded, "ada", attributes={"x": math.inf, "all": [1.0, -math.inf], "no": math.nan})
        otel_sessions.start("chat", attributes={"x": math.inf}).end()
        assert [len(history(attributes={"x": x})) for x in (math.inf, -math.inf, "Infinity")] == [2, 0, 0]
        assert len(history(attributes={"all": [1.0, -math.inf]})) == 1
        with pytest.raises(InvalidValueError, match=r"'no': nan.* NaN equals nothing, not even itself: leave it out"):
            history(attributes={"no": math.nan})

    def test_in_a_period(self, recorded: RecordedSessions) -> None:
        """By days back, or from and until a moment; a moment in another zone is the same moment."""
        audits(recorded, "a", "b", "c")
        zone = dt.timezone(dt.timedelta(hours=5))
        assert len(history(since=START + dt.timedelta(seconds=120))) == 2
        assert len(history(since=START.astimezone(zone), until=START + dt.timedelta(seconds=120))) == 1
        recorded.advance(86_400)
        assert len(history(days=1)) == 1
        assert len(history(days=2)) == 3

    def test_pages(self, recorded: RecordedSessions) -> None:
        """Each page says how to go on; the last that nothing comes."""
        audits(recorded, *"abcdefg")
        page = history(limit=3)
        found = list(page)
        while page.next is not None:
            page = history(limit=3, after=page.next)
            found += page
        assert found == list(history(limit=7))
        assert history(limit=7).next is None

    def test_as_json(self, recorded: RecordedSessions) -> None:
        """A page can be written as JSON."""
        audits(recorded, "ada")
        found = json.loads(json.dumps(history().to_dict()))
        assert (found["sessions"][0]["type"], found["next"]) == ("audit", None)

    def test_numbers_that_json_does_not_have(self, recorded: RecordedSessions) -> None:
        """They are text there."""
        audits(recorded, "ada", attributes={"share": float("nan"), "all": (1.5, float("-inf"))})
        found = json.loads(json.dumps(history().to_dict(), allow_nan=False))
        assert found["sessions"][0]["attributes"] == {"share": "NaN", "all": [1.5, "-Infinity"]}


class TestActive:
    def test_before_the_others(self, recorded: RecordedSessions) -> None:
        """Those that are active come first, the latest start first, and then the ended ones, page by page."""
        for number in range(3):
            otel_sessions.start("chat", id=f"c{number}")
            audits(recorded, "ada")
        page = history(limit=2, active=True)
        found = list(page)
        while page.next is not None:
            page = history(limit=2, active=True, after=page.next)
            found += page
        assert [record.id for record in found[:3]] == ["c2", "c1", "c0"]
        assert found[3:] == list(history())
        assert len(found) == 6

    def test_alone(self, recorded: RecordedSessions) -> None:
        """The status asks for them alone, and their durations are as of now."""
        chat = otel_sessions.start("chat")
        audits(recorded, "ada")
        found = history(status="active")
        assert [record.id for record in found] == [chat.id]
        assert [each["duration"] for each in found.to_dict()["sessions"]] == [60]

    def test_by_what_is_asked_of_the_others(self, recorded: RecordedSessions) -> None:
        """Each condition holds for them as well; those of ends say that they have not ended yet."""
        chat = otel_sessions.start("chat", user="ada", tier="pro", attributes={"shop": "a"})
        recorded.advance(10)
        now = START + dt.timedelta(seconds=10)
        wanted: list[dict[str, Any]] = [
            {"type": "chat"},
            {"user": "ada"},
            {"user": chat.user},
            {"tier": "pro"},
            {"attributes": {"shop": "a"}},
            {"days": 1},
            {"since": now},
        ]
        assert [len(history(active=True, **each)) for each in wanted] == [1] * len(wanted)
        unwanted: list[dict[str, Any]] = [
            {"type": "audit"},
            {"user": "bob"},
            {"tier": "free"},
            {"attributes": {"shop": "b"}},
            {"end_reason": "completed"},
            {"status": "success"},
            {"until": now + dt.timedelta(days=1)},
        ]
        assert [len(history(active=True, **each)) for each in unwanted] == [0] * len(unwanted)


class TestRefused:
    def test_nobody(self) -> None:
        """A user's name that is empty, as out of a form, is the name of nobody."""
        with record_sessions():
            with session("chat", user="ada"):
                pass
            assert len(history(user="")) == 0

    @pytest.mark.parametrize(
        "arguments",
        [
            {"type": "no type"},
            {"tier": ""},
            {"status": "failed"},
            {"end_reason": "why"},
            {"attributes": ["a"]},
            {"attributes": {"a": object()}},
            {"attributes": {"a": 2**64}},
            {"attributes": {"a": [1, "x"], "b": 1}},
            {"attributes": {3: "a"}},
            {"attributes": {"a": 1, "x": float("nan")}},
            {"attributes": {"x": [1.0, float("nan")]}},
            {"days": 0},
            {"days": float("nan")},
            {"days": 1, "since": START},
            {"since": "yesterday"},
            {"since": START + dt.timedelta(days=400)},
            {"since": START, "until": START},
            {"limit": 0},
            {"limit": 1.5},
            {"after": "x"},
            {"after": "1:"},
            {"after": 7},
            {"after": "active:1"},
            {"after": "active:-1:x"},
        ],
    )
    def test_bad_arguments(self, arguments: dict[str, Any]) -> None:
        """They are refused at the door, with the value."""
        with record_sessions(), pytest.raises(InvalidValueError):
            history(**arguments)

    def test_switched_off(self) -> None:
        """Where sessions are switched off there are none."""
        with record_sessions(enabled=False):
            assert list(history(active=True)) == []

    def test_a_store_that_cannot_be_asked(self) -> None:
        """It is said, and not taken for an empty history."""
        with record_sessions(store=FailingStore()), pytest.raises((StoreError, ConfigurationError)):
            history()
