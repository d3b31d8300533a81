"""`verify`: whether the sums that a store keeps are those of its sessions."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import ConfigurationError, _runtime
from otel_sessions.reports import Discrepancy, Verification, statistics, verify
from otel_sessions.stores.sqlite import SQLiteStore
from otel_sessions.testing import RecordedSessions, record_sessions
from otel_sessions.typing import Beginning

HOUR = 3_600
START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
"""When the clock of the tests starts."""


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> SQLiteStore:
    return SQLiteStore(str(tmp_path / "sessions.db"))


@pytest.fixture(name="recorded")
def _recorded(store: SQLiteStore) -> Iterator[RecordedSessions]:
    options: dict[str, Any] = {"idle_timeout": 1e7, "max_duration": 1e8}
    with record_sessions(store=store, detect_user=False, **options) as recorded:
        yield recorded


def execute(store: SQLiteStore, statement: str) -> None:
    """Do to the file what no verb does."""
    store._database.write(lambda cursor: cursor.execute(statement))


def run(recorded: RecordedSessions, kind: str, seconds: float, status: str = "success") -> None:
    """A durable session that lasts so long, and is owed by nobody."""
    started = otel_sessions.start(kind)
    recorded.advance(seconds)
    started.end(status)  # type: ignore[arg-type]  # one of them
    exported()


def exported() -> None:
    """What has ended is owed by nobody any more, and is in the sums."""
    _runtime.get().upkeep.export()


def told(found: Verification) -> list[str]:
    return [str(each) for each in found.discrepancies]


class TestVerify:
    def test_sound(self, recorded: RecordedSessions) -> None:
        """All hours from the first session on are gone through, and nothing differs."""
        for kind in ("chat", "import", "chat"):
            run(recorded, kind, HOUR)
        otel_sessions.start("chat")
        found = verify()
        assert found == Verification(START + dt.timedelta(hours=1), 3, 0, 0, 3, 1, (), (), (), repaired=False)
        assert found.is_sound

    def test_nothing(self, recorded: RecordedSessions) -> None:
        """An empty store is sound."""
        assert verify() == Verification(None, 0, 0, 0, 0, 0, (), (), (), repaired=False)
        assert json.loads(json.dumps(verify(repair=True).to_dict()))["is_sound"] is True

    def test_what_differs(self, recorded: RecordedSessions, store: SQLiteStore) -> None:
        """Of each hour and kind it is said what is kept and what was counted; after repairing it is one."""
        run(recorded, "chat", HOUR)
        run(recorded, "chat", HOUR, "error")
        before = statistics(since=START)
        execute(store, "DELETE FROM tally WHERE span = 1 AND kind LIKE '%error%'")
        found = verify()
        assert not found.is_sound
        assert told(found)[0] == ("hour from 2026-01-01 02:00 UTC, chat, error, exception: sessions 0 kept, 1 counted")
        assert found.discrepancies[0].figures["longest"] == found.discrepancies[0].figures["duration"] == (0, HOUR)
        assert [(each.span, each.start) for each in found.discrepancies] == [
            ("hour", START + dt.timedelta(hours=2)),
            ("day", START),
        ]
        assert verify(repair=True).discrepancies == found.discrepancies[:1], "with the hour its day is repaired"
        assert verify().is_sound
        assert statistics(since=START) == before

    def test_more_than_there_is(self, recorded: RecordedSessions, store: SQLiteStore) -> None:
        """Sums of sessions that somebody has taken out by hand are told."""
        for _ in range(3):
            run(recorded, "chat", HOUR / 2)
        execute(store, "DELETE FROM session WHERE number = 3")
        assert [each.figures["sessions"] for each in verify().discrepancies] == [(2, 1)]

    def test_what_was_forgotten_in_order(self, recorded: RecordedSessions, store: SQLiteStore) -> None:
        """Its sums stay as they are, also if a session comes that ended long ago."""
        for _ in range(8):
            run(recorded, "chat", HOUR / 2)
        store.purge(int((START + dt.timedelta(hours=2.2)).timestamp()) * 10**9)
        began = Beginning("late", "job", "durable", int(START.timestamp()) * 10**9)
        store.create(began)
        store.close("late", status="success", reason="completed", ended_ns=began.started_ns + 1)
        before = statistics(since=START)
        found = verify(repair=True)
        assert (found.is_sound, found.since, found.hours) == (True, START + dt.timedelta(hours=3), 2)
        assert found.left_out == 2, "those of which some have been forgotten"
        assert statistics(since=START) == before

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE session SET totals = CAST(X'ff' AS TEXT) WHERE number = 1",
            "UPDATE session SET totals = '{\"usage\":5}' WHERE number = 1",
            f"UPDATE session SET beginning = '{'[' * 100_000}' WHERE number = 1",
            'UPDATE tally SET sums = \'{"sessions":"x"}\' WHERE span = 1',
            "UPDATE tally SET sums = '{\"usage\":[1]}' WHERE span = 24",
            "UPDATE tally SET sums = CAST(X'ff' AS TEXT)",
        ],
    )
    def test_whatever_is_damaged(self, recorded: RecordedSessions, store: SQLiteStore, damage: str) -> None:
        """What somebody has written by hand, or a disk has, is told and mended, and fails nothing."""
        for _ in range(2):
            run(recorded, "chat", HOUR)
        execute(store, damage)
        assert not verify().is_sound
        assert verify(repair=True).is_mended
        assert verify().is_sound

    def test_a_day(self, recorded: RecordedSessions, store: SQLiteStore) -> None:
        """A day whose hours are right is made what they add up to."""
        run(recorded, "chat", HOUR)
        execute(store, "DELETE FROM tally WHERE span = 24")
        assert [each.span for each in verify(repair=True).discrepancies] == ["day"]
        assert verify().is_sound

    def test_users(self, recorded: RecordedSessions, store: SQLiteStore) -> None:
        """How often users were there is compared as well; no pseudonym is named."""
        otel_sessions.start("chat", user="ada").end()
        exported()
        execute(store, "UPDATE user_hour SET user = 'x', sessions = 0")
        assert told(verify(repair=True)) == [
            "hour from 2026-01-01 00:00 UTC, users: users 1 kept, 1 counted; sessions 0 kept, 1 counted"
        ]
        assert statistics(since=START).users == 1
        assert verify().is_sound

    def test_unreadable(self, recorded: RecordedSessions, store: SQLiteStore) -> None:
        """One record that cannot be read is missing from reports; it is named, and removed if that is wanted."""
        for _ in range(2):
            run(recorded, "chat", HOUR)
        execute(store, "UPDATE session SET totals = '{' WHERE number = 1")
        assert len(otel_sessions.history()) == 1
        [unreadable] = verify().unreadable
        found = verify(repair=True)
        assert (found.unreadable, found.sessions) == ((unreadable,), 1)
        assert verify().is_sound
        assert len(otel_sessions.history()) == statistics(since=START).total == 1

    def test_unreadable_active(self, recorded: RecordedSessions, store: SQLiteStore) -> None:
        """One that is active is named as well, and keeps the sums from nothing."""
        run(recorded, "chat", HOUR)
        started = otel_sessions.start("chat")
        execute(store, "UPDATE session SET beginning = '{' WHERE ended_ns IS NULL")
        found = verify()
        assert (found.unreadable, found.sessions, found.active, found.repaired) == ((started.id,), 1, None, False)
        assert verify(repair=True).is_mended
        assert verify() == found._replace(unreadable=(), active=0)

    def test_while_sessions_begin_and_end(self, recorded: RecordedSessions) -> None:
        """What differs only because time passes between two questions is not told."""
        stop = threading.Event()

        def go_on() -> None:
            while not stop.is_set():
                otel_sessions.start("chat").end()

        threads = [threading.Thread(target=go_on) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            assert [each for _ in range(10) for each in verify().discrepancies if each.span == "now"] == []
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def test_active_ones(self, recorded: RecordedSessions, store: SQLiteStore) -> None:
        """What the metrics show as active is held against the sessions."""
        otel_sessions.start("chat")
        execute(store, """UPDATE session SET kind = '["other",null]'""")
        assert told(verify()) == ["now, chat: active 0 kept, 1 counted", "now, other: active 1 kept, 0 counted"]

    def test_damage(self, recorded: RecordedSessions, store: SQLiteStore) -> None:
        """What SQLite finds wrong with its file is said in its words."""
        for _ in range(3):
            run(recorded, "chat", 1)
        with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "UPDATE sqlite_master SET sql = replace(sql, 'user TEXT', 'user TEXT NOT NULL') WHERE name = 'session'"
            )
            connection.execute("PRAGMA schema_version = 1000")
        found = verify()
        assert ("NULL value in session.user" in found.damage[0], found.is_sound) == (True, False)
        assert (found.sessions, found.active) == (0, None)

    def test_what_is_mended(self) -> None:
        """A repair mends sums and records: not a file, nor what is counted of active sessions, nor what goes on."""
        sound = Verification(None, 0, 0, 0, 0, 0, (), (), (), repaired=True)
        wrong = Discrepancy("hour", START, "chat", {"sessions": (1, 2)})
        assert sound.is_mended
        assert sound._replace(discrepancies=(wrong,), unreadable=("a",)).is_mended
        for left in (
            {"unsettled": 1, "discrepancies": (wrong,)},
            {"damage": ("torn",)},
            {"discrepancies": (wrong, wrong._replace(span="now"))},
            {"discrepancies": (wrong,), "repaired": False},
        ):
            assert not sound._replace(**left).is_mended

    def test_progress(self, recorded: RecordedSessions) -> None:
        """It is told after each hour."""
        for _ in range(2):
            run(recorded, "chat", HOUR)
        calls: list[tuple[int, int]] = []
        verify(progress=lambda done, hours: calls.append((done, hours)))
        assert calls == [(1, 2), (2, 2)]

    def test_json(self, recorded: RecordedSessions, store: SQLiteStore) -> None:
        """All of it is JSON."""
        run(recorded, "chat", HOUR)
        execute(store, "UPDATE tally SET sums = replace(sums, '\"sessions\":1', '\"sessions\":0')")
        found = json.loads(json.dumps(verify().to_dict()))
        assert found["discrepancies"] == [
            {
                "span": "hour",
                "start": "2026-01-01T01:00:00+00:00",
                "of": "chat, success, completed",
                "figures": {"sessions": {"kept": 0, "counted": 1}},
            }
        ]


def test_memory() -> None:
    """Its sums live and die with its sessions: it is said that there is nothing to verify."""
    with record_sessions(), pytest.raises(ConfigurationError, match="MemoryStore cannot be verified; it lacks"):
        verify()


def test_switched_off() -> None:
    """Then nothing is asked."""
    with record_sessions(enabled=False):
        assert verify().is_sound
