"""`timeline`: what happened in one session, in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import InvalidValueError, StoreError, session
from otel_sessions.limits import Quota, Tier
from otel_sessions.reports import Timeline, timeline
from otel_sessions.testing import RecordedSessions, record_sessions

from ..contract import STORES
from ..failing_store import FailingStore

PRO = Tier("pro", Quota("tokens", 100, per="day"))


@pytest.fixture(name="recorded", params=STORES)
def _recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedSessions]:
    """A process with a store of each kind."""
    store = STORES[request.param](tmp_path)
    with record_sessions(store=store, tiers=[PRO], pseudonym_key="k" * 32, detect_user=False) as recorded:
        yield recorded


def of(session_id: str) -> Timeline:
    """The timeline of a session that there is."""
    found = timeline(session_id)
    assert found is not None
    return found


def told(found: Timeline) -> list[tuple[float, str, str]]:
    """When what happened."""
    return [(entry.offset, entry.kind, entry.name) for entry in found.entries]


class TestActive:
    def test_in_order(self, recorded: RecordedSessions) -> None:
        """Start, events and uses stand in the order of their times, which are counted from the start."""
        chat = otel_sessions.start("chat", id="c", tier="pro")
        recorded.advance(1)
        chat.event("order.placed", articles=("a", "b"))
        recorded.advance(0.5)
        chat.use("tokens", 7, operation="answer")
        recorded.advance(2)
        chat.progress("half")
        found = of("c")
        assert told(found) == [
            (0, "start", "session.start"),
            (1, "event", "order.placed"),
            (1.5, "use", "tokens"),
            (3.5, "event", "app_session.progress"),
        ]
        assert found.entries[1].attributes == {"articles": ("a", "b")}
        assert found.entries[2].attributes == {
            "app_session.limit.amount": 7, "app_session.operation.name": "answer",
        }  # fmt: skip
        assert (found.missing_events, found.missing_uses) == (0, 0)
        chat.use("tokens", 1)
        assert of("c").entries[-1].attributes == {"app_session.limit.amount": 1}

    def test_quotas(self, recorded: RecordedSessions) -> None:
        """How its quotas stand, if its tier is known."""
        with otel_sessions.start("chat", id="c", tier="pro") as chat:
            chat.use("tokens", 7)
        assert [(quota.name, quota.used, quota.limit) for quota in of("c").quotas or ()] == [("tokens", 7, 100)]
        otel_sessions.start("chat", id="d", tier="unheard")
        assert of("d").quotas is None

    def test_duration(self, recorded: RecordedSessions) -> None:
        """It lasts until now."""
        otel_sessions.start("chat", id="c")
        recorded.advance(30)
        assert of("c").to_dict()["session"]["duration"] == 30

    def test_as_json(self, recorded: RecordedSessions) -> None:
        """It can be written as JSON."""
        chat = otel_sessions.start("chat", id="c", tier="pro")
        chat.limit(Quota("exports", 3))
        chat.event("order.placed", articles=("a", "b"))
        chat.use("tokens", 1)
        found = json.loads(json.dumps(of("c").to_dict()))
        assert [each["attributes"] for each in found["timeline"]][1] == {"articles": ["a", "b"]}
        assert [limit["name"] for limit in found["limits"]] == ["exports"]
        assert {quota["name"] for quota in found["quotas"]} == {"tokens", "exports"}


class TestEnded:
    def test_scoped(self, recorded: RecordedSessions) -> None:
        """The events of a scoped session are on its span: how many they were is known."""
        with session("job") as job:
            job.event("one.thing")
            recorded.advance(2)
            job.event("other.thing")
        found = of(job.id)
        assert told(found) == [(0, "start", "session.start"), (2, "end", "session.end")]
        assert found.entries[-1].attributes == {
            "app_session.status": "success", "app_session.end_reason": "completed",
        }  # fmt: skip
        assert (found.missing_events, found.quotas) == (2, None)

    def test_more_than_is_kept(self, recorded: RecordedSessions) -> None:
        """Of many events and uses the last are there, and how many are not."""
        chat = otel_sessions.start("chat", id="c", tier="pro")
        for _ in range(130):
            chat.event("order.placed")
        for _ in range(53):
            chat.use("tokens", 1)
        recorded.advance(1)
        found = of("c")
        assert len([entry for entry in found.entries if entry.kind == "event"]) == 128
        assert (found.missing_events, found.missing_uses) == (2, 3)

    def test_uses_that_are_gone(self) -> None:
        """Where only sums of uses are left it is said how many operations they were."""
        with record_sessions(tiers=[PRO]):
            with session("job", tier="pro") as first:
                first.use("tokens", 1)
            for _ in range(1_000):
                with session("job", tier="pro") as job:
                    job.use("tokens", 0.001)
            assert of(first.id).missing_uses == 1
            assert of(job.id).missing_uses == 0


class TestUnknown:
    def test_nobody(self, recorded: RecordedSessions) -> None:
        """Of an id that nobody knows there is none."""
        assert timeline("nobody") is None

    def test_no_id(self) -> None:
        """What is no text is refused; a text that cannot be an id is that of no session."""
        no_text: Any = None
        with record_sessions():
            assert [None] * 3 == [timeline(text) for text in ("", "a b", "x" * 129)]
            with pytest.raises(InvalidValueError, match="cannot be a session id"):
                timeline(no_text)

    def test_switched_off(self) -> None:
        """Where sessions are switched off nothing is known."""
        with record_sessions(enabled=False):
            assert timeline("c") is None

    def test_a_store_that_cannot_be_asked(self) -> None:
        """It is said, and not taken for a session that there is not."""
        store = FailingStore()
        with record_sessions(store=store):
            store.failing = {"get"}
            with pytest.raises(StoreError, match=r"cannot be asked \(get\)"):
                timeline("c")

    def test_a_scoped_session_that_goes_on(self) -> None:
        """One that only this process knows is asked of nobody else."""
        with record_sessions(), session("job") as job:
            assert told(of(job.id)) == [(0, "start", "session.start")]
