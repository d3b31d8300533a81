"""One contract for all stores whose sums can be held against their sessions: `otel_sessions.typing.RecountStore`."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_sessions._tally import HOUR_NS, Tally
from otel_sessions.exceptions import StoreError
from otel_sessions.typing import Beginning, Recount, RecountStore, RetentionStore, SharedStore, Totals, Wanted

from .. import redis_server
from . import SHARED, SHARED_KINDS
from .test_history import ALWAYS, DAY, HOUR, SECOND, START, run


class Verifiable(RecountStore, RetentionStore, SharedStore, Protocol):
    """What these stores are."""


class Spoilt(NamedTuple):
    """A store, and how to do to it what no verb does."""

    store: Verifiable
    lose_sums: Callable[[], None]
    """Of hours, days and users."""
    lose_day: Callable[[int], None]
    break_record: Callable[[str], None]
    confuse_record: Callable[[str], None]
    """It can be read then, but not added up."""
    take_out: Callable[[str], None]
    """A session, as by hand."""


def _sqlite(store: Any) -> Spoilt:
    def execute(*statements: str) -> None:
        with closing(sqlite3.connect(store.path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return Spoilt(
        store,
        lambda: execute("DELETE FROM tally", "DELETE FROM user_hour"),
        lambda day: execute(f"UPDATE tally SET sums = '{{\"sessions\":99}}' WHERE span = 24 AND number = {day}"),
        lambda session_id: execute(f"UPDATE session SET beginning = 'no' || beginning WHERE id = '{session_id}'"),
        lambda session_id: execute(
            f'UPDATE session SET totals = \'{{"last_activity_ns":1,"tokens":{{"a":"b"}}}}\' WHERE id = \'{session_id}\''
        ),
        lambda session_id: execute(f"DELETE FROM session WHERE id = '{session_id}'"),
    )


def _redis(store: Any) -> Spoilt:
    client: Any = redis_server.shared().client()
    prefix = store._deployment.prefix

    def lose_sums() -> None:
        for kind in "hdu":
            for key in client.scan_iter(f"{prefix}{kind}:*"):
                client.delete(key)

    def lose_day(day: int) -> None:
        key = f"{prefix}d:{day}"
        for field in client.hkeys(key):
            if field.endswith(b"\nsessions"):
                client.hset(key, field, 99)

    def break_record(session_id: str) -> None:
        client.hset(f"{prefix}s:{session_id}", "b", "no")

    def confuse_record(session_id: str) -> None:
        client.hset(f"{prefix}s:{session_id}", "d1", '{"last_activity_ns":1,"tokens":{"a":"b"}}')

    def take_out(session_id: str) -> None:
        client.delete(f"{prefix}s:{session_id}")

    return Spoilt(store, lose_sums, lose_day, break_record, confuse_record, take_out)


@pytest.fixture(name="spoilt", params=SHARED_KINDS)
def _spoilt(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spoilt]:
    store: Any = SHARED[request.param](tmp_path)()
    yield (_sqlite if request.param == "sqlite" else _redis)(store)
    store.shutdown()


@pytest.fixture(name="store")
def _store(spoilt: Spoilt) -> Verifiable:
    return spoilt.store


def used(**fields: Any) -> Totals:
    """What a session adds, but for what is None."""
    totals = Totals(START)
    vars(totals).update({name: value for name, value in fields.items() if value is not None})
    return totals


def fill(store: Verifiable) -> None:
    """Six sessions in two hours, of two users; one owed, one active, one that is a part of another."""
    for number in range(6):
        delta = used(requests=number, user="u" * 32 if number % 2 else None, cost={"USD": 0.25})
        status = ("success", "error")[number == 5]
        run(store, f"s{number}", ended_ns=START + SECOND + number % 2 * HOUR_NS, status=status, delta=delta)
    run(store, "owed", ended_ns=START + SECOND, owner="process")
    assert store.create(Beginning("active", "chat", "durable", START)) is None
    run(store, "part", ended_ns=START + SECOND, part=1)


def recounted(store: Verifiable, hour: int, *, repair: bool = False) -> Recount:
    """An hour in which nothing goes on."""
    found = store.recount_hour(hour)
    assert found is not None
    if repair:
        assert store.replace_hour(hour, found)
    return found


def recounted_day(store: Verifiable, day: int, *, repair: bool = False) -> Recount:
    """A day, which is repaired if that is wanted."""
    found = store.recount_day(day)
    if repair:
        store.replace_day(day)
    return found


def everything(store: Verifiable) -> Any:
    """All sums, in no order."""
    sums: dict[Any, Tally] = {}
    for each in (*store.tallies(*ALWAYS), *store.daily_tallies(*ALWAYS)):
        sums.setdefault(each[:2], Tally()).add(each[2])
    return sums, store.users(*ALWAYS, 9, {})


def total(tallies: Any) -> Tally:
    return Tally.total(tallies.values())


class TestSound:
    def test_nothing(self, store: Verifiable) -> None:
        """Of an empty store nothing is remembered, and nothing differs; what is active is no part of it."""
        assert store.create(Beginning("active", "chat", "durable", START)) is None
        assert (store.next_hour(-1), store.unreadable(), store.damage()) == (None, [], ())
        for repair in (False, True):
            for found in (recounted(store, HOUR, repair=repair), recounted_day(store, DAY, repair=repair)):
                assert not any(found[:6])

    def test_what_is_kept_is_what_is_counted(self, store: Verifiable) -> None:
        """Of each hour and each day, without what is owed and without parts; repairing changes nothing."""
        fill(store)
        for repair in (False, True, False):
            first, second = (recounted(store, hour, repair=repair) for hour in (HOUR, HOUR + 1))
            assert [total(each.kept).sessions for each in (first, second)] == [3, 3]
            assert [each.kept == each.counted for each in (first, second)] == [True, True]
            assert first.kept_users == first.counted_users == {}
            assert second.kept_users == second.counted_users == {"u" * 32: 3}
            day = recounted_day(store, DAY, repair=repair)
            assert day.kept == day.counted
            assert total(day.kept).sessions == 6
        assert sum(each.tally.sessions for each in store.tallies(HOUR, HOUR + 2)) == 7, "with the one that is owed"

    def test_hours_in_which_something_ended(self, spoilt: Spoilt) -> None:
        """One after the other, and none of those between them, whether their sums are there or their sessions."""
        store = spoilt.store
        for hours in (0, 5, 5_000):
            run(store, f"s{hours}", ended_ns=START + hours * HOUR_NS)
        for _ in range(2):
            assert [store.next_hour(HOUR + hours) for hours in (-9, 0, 4, 5, 5_000)] == [
                *(HOUR, HOUR + 5, HOUR + 5, HOUR + 5_000, None)
            ]
            spoilt.lose_sums()

    @settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.sampled_from(["success", "error"]),
                st.sampled_from([None, "a" * 32, "b" * 32]),
                st.dictionaries(st.sampled_from(["input", "output"]), st.integers(1, 2**62)),
                st.floats(0, 1e6),
            ),
            max_size=12,
        )
    )
    def test_whatever_ended(self, spoilt: Spoilt, ended: list[Any]) -> None:
        """What is counted anew is what was counted as it ended."""
        store = spoilt.store
        store.purge(2**62)
        for number, (hours, status, user, tokens, cost) in enumerate(ended):
            delta = used(user=user, tokens=tokens or None, cost={"USD": cost})
            run(store, f"s{number}", ended_ns=START + hours * HOUR_NS, status=status, delta=delta)
        for hour in range(HOUR, HOUR + 4):
            found = recounted(store, hour)
            assert (found.kept.keys(), found.kept_users) == (found.counted.keys(), found.counted_users)
            for kind, kept in found.kept.items():
                counted = found.counted[kind]
                assert (kept.sessions, kept.durations) == (counted.sessions, counted.durations)
                assert (kept.cost or {}).get("USD", 0) == pytest.approx((counted.cost or {}).get("USD", 0))
                # Redis gives up whole numbers above 64 bits.
                assert kept.tokens == pytest.approx(counted.tokens) if kept.tokens else not counted.tokens


class TestRepaired:
    def test_sums_that_were_lost(self, spoilt: Spoilt) -> None:
        """They are told, and made what the sessions add up to, of hours, days and users alike."""
        store = spoilt.store
        fill(store)
        before = everything(store)
        spoilt.lose_sums()
        for hour in (HOUR, HOUR + 1):
            found = recounted(store, hour, repair=True)
            assert (total(found.kept).sessions, total(found.counted).sessions) == (0, 3)
            assert found.kept_users == {}
        assert everything(store) == before

    def test_sessions_that_were_taken_out(self, spoilt: Spoilt) -> None:
        """By hand, or by a server that ran out of memory: the sums are of more than there is, and that is no order."""
        store = spoilt.store
        fill(store)
        for session_id in ("s0", "s1"):
            spoilt.take_out(session_id)
        for hour in (HOUR, HOUR + 1):
            found = recounted(store, hour, repair=True)
            assert (found.is_partial, total(found.kept).sessions, total(found.counted).sessions) == (False, 3, 2)
            again = recounted(store, hour)
            assert (again.is_partial, again.kept, again.kept_users) == (False, found.counted, found.counted_users)

    def test_a_day_that_was_spoilt(self, spoilt: Spoilt) -> None:
        """It is made what its hours add up to; those are as they were."""
        store = spoilt.store
        fill(store)
        spoilt.lose_day(DAY)
        found = recounted_day(store, DAY, repair=True)
        assert (total(found.kept).sessions > 6, total(found.counted).sessions) == (True, 6)
        assert recounted_day(store, DAY).kept == found.counted
        assert recounted(store, HOUR).kept == recounted(store, HOUR).counted

    def test_records_that_cannot_be_read(self, spoilt: Spoilt) -> None:
        """They are named, and removed if that is wanted: whatever they were."""
        store = spoilt.store
        fill(store)
        for session_id in ("s0", "owed", "active"):
            spoilt.break_record(session_id)
        for _ in range(2):
            assert sorted(store.unreadable()) == ["active", "owed"]
            assert recounted(store, HOUR).unreadable == ["s0"]
        store.remove(store.unreadable())
        found = recounted(store, HOUR, repair=True)
        assert (found.unreadable, total(found.counted).sessions) == (["s0"], 2)
        assert store.unreadable() == []
        assert recounted(store, HOUR).unreadable == []
        assert [store.get(session_id) for session_id in ("s0", "owed", "active")] == [None] * 3
        assert (store.active(), len(store.ended(9)), dict(store.counts())) == ([], 5, {})
        assert sum(each.tally.sessions for each in store.tallies(HOUR, HOUR + 2)) == 5

    def test_what_was_forgotten_in_order(self, store: Verifiable) -> None:
        """Of an hour of which something was forgotten nothing can be said, nor of those before it."""
        for number in range(8):
            run(store, f"s{number}", ended_ns=START + number // 2 * HOUR_NS + number % 2 * SECOND)
        assert not any(recounted(store, HOUR + hours).is_partial for hours in range(4))
        store.purge(START + HOUR_NS + SECOND)
        run(store, "late", ended_ns=START + SECOND)
        assert [recounted(store, HOUR + hours).is_partial for hours in range(4)] == [True, True, False, False]
        third = recounted(store, HOUR + 2)
        assert third.kept == third.counted
        assert recounted_day(store, DAY).kept == recounted_day(store, DAY).counted

    def test_something_has_happened(self, store: Verifiable) -> None:
        """What was counted before another session ended is not written."""
        fill(store)
        found = recounted(store, HOUR)
        run(store, "another", ended_ns=START + SECOND)
        assert not store.replace_hour(HOUR, found)
        assert total(recounted(store, HOUR).kept).sessions == 4

    def test_while_sessions_end(self, spoilt: Spoilt) -> None:
        """However often it is repaired meanwhile, each session is in the sums once."""
        store, stop = spoilt.store, threading.Event()

        def end() -> None:
            for number in range(150):
                run(store, f"s{number}", ended_ns=START + number * SECOND, owner="process")
                store.exported([f"s{number}"])
            stop.set()

        thread = threading.Thread(target=end)
        thread.start()
        while not stop.is_set():
            found = store.recount_hour(HOUR)
            if found is not None:
                store.replace_hour(HOUR, found)
            recounted_day(store, DAY, repair=True)
        thread.join()
        settled = recounted(store, HOUR)
        assert settled.kept == settled.counted
        assert total(recounted_day(store, DAY).kept).sessions == 150


class TestUnreadable:
    """One record that cannot be read is an error for who asks for it, and nobody has to do without the others."""

    def test_asked_for(self, spoilt: Spoilt) -> None:
        """It is no session that is not there."""
        fill(spoilt.store)
        spoilt.break_record("s0")
        with pytest.raises(StoreError, match=r"the record of .* cannot be read"):
            spoilt.store.get("s0")

    def test_exported(self, spoilt: Spoilt, caplog: pytest.LogCaptureFixture) -> None:
        """It stays owed, which the log says once, and the others are not; it is named and can be removed."""
        store = spoilt.store
        names = [f"s{number}" for number in range(5)]
        for name in names:
            run(store, name, owner="process")
        spoilt.break_record("s1")
        spoilt.confuse_record("s2")
        for _ in range(2):
            store.exported(names)
        assert sum(each.tally.sessions for each in store.tallies(*ALWAYS)) == 3
        assert sorted(store.unreadable()) == ["s1", "s2"]
        [said] = caplog.messages
        assert said.startswith(f"The record of session 's1' in the {store.name} store cannot be read.")
        assert "`otel-sessions verify` names every such session" in said
        store.beat("process", 1)
        store.retire("process")
        assert dict(store.owners()) == {"process": 1}
        store.remove(store.unreadable())
        store.retire("process")
        assert not store.owners()

    def test_taken_over(self, spoilt: Spoilt) -> None:
        """Whoever takes over owes it, and gets the others."""
        store = spoilt.store
        for name in ("a", "bad", "b"):
            assert store.create(Beginning(name, "job", "scoped", START, owner="dead")) is None
        run(store, "ended", owner="dead")
        run(store, "bad end", owner="dead")
        for name in ("bad", "bad end"):
            spoilt.break_record(name)
        store.beat("dead", 1)
        assert sorted(record.id for record in store.take_over("dead", 1, "heir")) == ["a", "b", "ended"]
        for name in ("a", "b"):
            store.close(name, status="abandoned", reason="crashed", ended_ns=START + SECOND, owner="heir")
        store.exported(["a", "b", "ended"])
        assert list(store.owners()) == ["heir"]
        store.retire("heir")
        assert list(store.owners()) == ["heir"]

    def test_history(self, spoilt: Spoilt) -> None:
        """What has ended is found without it, whether it is owed or not, and so is whose it was."""
        store = spoilt.store
        fill(store)
        run(store, "confused", owner="process", user="v" * 32)
        spoilt.confuse_record("confused")
        for name in ("owed", "s0", "s5"):
            spoilt.break_record(name)
        for found in (store.history(Wanted(), 9), store.ended(9), store.history(Wanted(attributes={}), 9)):
            assert sorted({record.id for record in found} - {"confused"}) == ["s1", "s2", "s3", "s4"]
        # What has been exported is in the sums.
        assert sum(each.tally.sessions for each in store.tallies(*ALWAYS)) == 6
        assert sum(each.tally.sessions for each in store.daily_tallies(*ALWAYS)) == 6
        assert store.users(*ALWAYS, 9, {}) == ([("u" * 32, 3)], 1)

    def test_many_by_attribute(self, spoilt: Spoilt) -> None:
        """Nor is an answer cut short by a page of nothing else."""
        store = spoilt.store
        for number in range(5):
            run(store, f"s{number}", ended_ns=START + number * SECOND, attributes={"a": "b"})
        for number in range(1, 5):
            spoilt.break_record(f"s{number}")
        assert [record.id for record in store.history(Wanted(attributes={"a": "b"}), 1)] == ["s0"]

    def test_active(self, spoilt: Spoilt) -> None:
        """What is active is found without it, what is due ends, and what happens is counted."""
        store = spoilt.store
        for name in ("a", "bad", "b"):
            assert store.create(Beginning(name, "chat", "durable", START, idle_timeout_ns=SECOND)) is None
        spoilt.break_record("bad")
        assert {record.id for record in store.active()} == {"a", "b"}
        assert store.merge({name: used(requests=2) for name in ("a", "bad", "b")}) <= {"bad"}
        assert [record.totals.requests for record in store.active()] == [2, 2]
        assert {record.id for record in store.due(START + 2 * SECOND)} == {"a", "b"}
        assert store.counts() == {("chat", None): 3}
