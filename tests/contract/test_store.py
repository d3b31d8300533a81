"""One contract for all stores: `otel_sessions.typing.Store`."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from otel_sessions._models import MAX_EVENTS, Reservation
from otel_sessions._uses import MAX_USES, Use
from otel_sessions.typing import Beginning, Event, SessionRecord, Store, Totals, UserStore

from . import STORES

SECOND = 1_000_000_000
START = 1_767_225_600 * SECOND

WHOLE = Beginning(
    id="s1",
    type="chat",
    topology="durable",
    started_ns=START,
    key="id:grüße {1}\n'\"",
    user="0f" * 16,
    tier="pro",
    platform="web",
    parent_id="p1",
    previous_id="s0",
    attributes={"text": "ä\0", "whole": 2**62, "part": 0.1, "flag": True, "many": ("a", "b"), "none": ()},
    idle_timeout_ns=1800 * SECOND,
    max_duration_ns=86_400 * SECOND,
    reservation=Reservation(2**128 - 1, 2**64 - 1, 3, "vendor=value,other=1", 2, {"rule": ("a", "b")}, 2**63 + 1),
)


@pytest.fixture(name="make_store", params=STORES)
def _make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Makes new, empty stores of one kind; they are shut down after the test."""
    made: list[Store] = []
    numbers = itertools.count()

    def make() -> Store:
        directory = tmp_path / str(next(numbers))
        directory.mkdir()
        made.append(STORES[request.param](directory))
        return made[-1]

    yield make
    for store in made:
        store.shutdown()


@pytest.fixture(name="store")
def _store(make_store: Callable[[], Store]) -> Store:
    return make_store()


def beginning(session_id: str, **fields: Any) -> Beginning:
    """A durable session of the type `chat` that began at `START`."""
    return Beginning(**{"id": session_id, "type": "chat", "topology": "durable", "started_ns": START, **fields})


def delta(at_ns: int = START, **fields: Any) -> Totals:
    """What happened in a session, last at `at_ns`."""
    totals = Totals(at_ns)
    for name, value in fields.items():
        setattr(totals, name, value)
    return totals


def close(store: Store, session_id: str, **fields: Any) -> SessionRecord | None:
    """End a session successfully, a second after `START`."""
    return store.close(session_id, **{"status": "success", "reason": "completed", "ended_ns": START + SECOND, **fields})


def ids(records: Any) -> list[str]:
    return [record.id for record in records]


class TestStore:
    def test_protocol(self, store: Store) -> None:
        """It fulfils the protocol and says what it is."""
        assert isinstance(store, Store)
        assert isinstance(store, UserStore)
        assert [str, bool] == [type(store.name), type(store.shared)]

    def test_secret(self, store: Store) -> None:
        """The secret is 32 bytes and stays the same."""
        assert 32 == len(store.secret())
        assert store.secret() == store.secret()

    def test_secrets_differ(self, make_store: Callable[[], Store]) -> None:
        """Two stores do not share a secret."""
        assert make_store().secret() != make_store().secret()

    def test_empty(self, store: Store) -> None:
        """An empty store knows nothing, and says so without failing."""
        assert store.create(beginning("other")) is None
        assert close(store, "other") is not None
        assert [None, None, None] == [store.find("id:a"), store.get("a"), store.previous("id:a")]
        assert ({"a"}, None, [], {}, [], ["other"]) == (
            store.merge({"a": delta()}),
            close(store, "a"),
            list(store.due(START)),
            dict(store.counts()),
            store.active(),
            ids(store.ended(10)),
        )

    def test_new(self, store: Store) -> None:
        """A new store has no sessions, neither active nor ended."""
        assert ([], []) == (store.active(), store.ended(10))


class TestCreate:
    def test_kept_whole(self, store: Store) -> None:
        """Every field of a beginning is there again, whichever way the session is looked up, until it ends."""
        expected = SessionRecord(WHOLE, Totals(START))
        assert store.create(WHOLE) is None
        assert WHOLE.key is not None
        assert [expected, expected, [expected], [expected]] == [
            store.get("s1"),
            store.find(WHOLE.key),
            store.active(),
            list(store.due(START + 1801 * SECOND)),
        ]
        ended = SessionRecord(WHOLE, Totals(START), "expired", "idle_timeout", START + 5)
        assert ended == close(store, "s1", status="expired", reason="idle_timeout", ended_ns=START + 5)
        assert ended == store.get("s1")

    def test_key_taken(self, store: Store) -> None:
        """Of two sessions under one key the first is kept; the second learns of it and leaves no trace."""
        first = beginning("a", key="k")
        assert store.create(first) is None
        assert SessionRecord(first, Totals(START)) == store.create(beginning("b", key="k", started_ns=START + 1))
        assert store.get("b") is None
        assert ["a"] == ids(store.active())

    def test_same_id_and_key(self, store: Store) -> None:
        """Also when both chose the same id: what happened in the first is not lost."""
        first = beginning("a", key="k")
        store.create(first)
        store.merge({"a": delta(requests=1)})
        assert SessionRecord(first, delta(requests=1)) == store.create(beginning("a", key="k", started_ns=START + 1))
        assert SessionRecord(first, delta(requests=1)) == store.get("a")

    def test_id_taken(self, store: Store) -> None:
        """An id is used once: a second session under it is not kept, whatever its key, and learns of the first."""
        first = beginning("a", key="k")
        store.create(first)
        assert SessionRecord(first, Totals(START)) == store.create(beginning("a", key="l"))
        assert store.find("l") is None
        ended = close(store, "a")
        for key in ("k", "l", None):
            assert ended == store.create(beginning("a", key=key))
        assert [] == store.active()

    def test_key_free_again(self, store: Store) -> None:
        """When a session has ended its key is free, and the next one's predecessor is known."""
        store.create(beginning("a", key="k"))
        close(store, "a")
        assert store.find("k") is None
        assert "a" == store.previous("k")
        assert store.create(beginning("b", key="k")) is None
        found = store.find("k")
        assert found is not None
        assert "b" == found.id
        close(store, "b")
        assert "b" == store.previous("k")

    def test_no_key(self, store: Store) -> None:
        """Sessions without a key do not stand in each other's way."""
        assert [None, None] == [store.create(beginning("a")), store.create(beginning("b"))]
        assert {"a", "b"} == set(ids(store.active()))


class TestMerge:
    def test_adds(self, store: Store) -> None:
        """Deltas of several sessions are added, each to its own; those that are not active are named."""
        store.create(beginning("a"))
        store.create(beginning("b"))
        store.create(beginning("ended"))
        close(store, "ended")
        first = {"a": delta(START + 1, requests=1, tokens={"input": 5}), "ended": delta(requests=1)}
        second = {"a": delta(START + 2, requests=2, tokens={"input": 1, "output": 2}), "b": delta(START + 3)}
        assert {"ended"} == store.merge(first)
        assert set() == store.merge(second)
        found = [store.get(name) for name in ("a", "b", "ended")]
        assert [
            delta(START + 2, requests=3, tokens={"input": 6, "output": 2}),
            delta(START + 3),
            Totals(START),
        ] == [record.totals for record in found if record is not None]

    def test_earlier_activity(self, store: Store) -> None:
        """A delta from before the last activity, or without any, does not take that activity back."""
        store.create(beginning("a", idle_timeout_ns=10 * SECOND))
        store.merge({"a": delta(0, requests=1)})
        assert SessionRecord(beginning("a", idle_timeout_ns=10 * SECOND), delta(START, requests=1)) == store.get("a")
        store.merge({"a": delta(START + 5, requests=1)})
        store.merge({"a": delta(START + 1, requests=1)})
        assert SessionRecord(beginning("a", idle_timeout_ns=10 * SECOND), delta(START + 5, requests=3)) == store.get(
            "a"
        )

    def test_events_bounded(self, store: Store) -> None:
        """The events of a session are bounded; those beyond are counted as dropped."""
        store.create(beginning("a"))
        for number in range(3):
            batch = delta(START + number)
            for at in range(50):
                batch.append(Event("step", START + number * 50 + at, {"at": at}))
            store.merge({"a": batch})
        found = store.get("a")
        assert found is not None
        assert found.totals.recent is not None
        assert [START + at for at in range(150 - MAX_EVENTS, 150)] == [event.time_ns for event in found.totals.recent]
        assert 150 - MAX_EVENTS == found.totals.dropped_events

    def test_uses_bounded(self, store: Store) -> None:
        """The last single uses of a session are kept, while it is active and when it has ended; the rest is counted."""
        store.create(beginning("a"))
        for number in range(3):
            batch = delta(START + number)
            for at in range(20):
                batch.add_use(Use(START + number * 20 + at, "tokens", 0.5, None if at else "inference"))
            store.merge({"a": batch})
        kept = [Use(START + at, "tokens", 0.5, None if at % 20 else "inference") for at in range(60 - MAX_USES, 60)]
        for found in (store.get("a"), close(store, "a"), store.get("a"), *store.ended(1)):
            assert found is not None
            assert kept == [Use.read(line) for line in found.totals.uses or ()]
            assert 60 - MAX_USES == found.totals.dropped_uses

    def test_records_are_snapshots(self, store: Store) -> None:
        """What was read does not change with the session, nor the session with it."""
        store.create(beginning("a"))
        store.merge({"a": delta(requests=1)})
        before = store.get("a")
        store.merge({"a": delta(requests=1)})
        assert before is not None
        assert 1 == before.totals.requests
        before.totals.requests = 100
        after = store.get("a")
        assert after is not None
        assert 2 == after.totals.requests


class TestClose:
    def test_final_record(self, store: Store) -> None:
        """The last delta is in the final record, which is what is remembered."""
        store.create(beginning("a", key="k"))
        store.merge({"a": delta(START + 1, requests=1)})
        record = close(store, "a", status="error", reason="exception", delta=delta(START + 2, requests=1, errors=1))
        assert (
            SessionRecord(
                beginning("a", key="k"),
                delta(START + 2, requests=2, errors=1),
                "error",
                "exception",
                START + SECOND,
            )
            == record
            == store.get("a")
        )
        assert [] == store.active()

    def test_once(self, store: Store) -> None:
        """A session ends once; later attempts change nothing."""
        store.create(beginning("a"))
        first = close(store, "a")
        assert close(store, "a", status="error", reason="exception", delta=delta(requests=9)) is None
        assert first == store.get("a")

    def test_idle_since(self, store: Store) -> None:
        """With `idle_since_ns` only a session without later activity ends; one that had some keeps its delta out."""
        store.create(beginning("a"))
        store.merge({"a": delta(START + 10)})
        assert close(store, "a", idle_since_ns=START + 9, delta=delta(requests=1)) is None
        assert SessionRecord(beginning("a"), delta(START + 10)) == store.get("a")
        assert close(store, "a", idle_since_ns=START + 10) is not None


class TestDue:
    @pytest.mark.parametrize(
        ("fields", "deadline"),
        [
            ({"idle_timeout_ns": 10 * SECOND}, 10 * SECOND),
            ({"max_duration_ns": 10 * SECOND}, 10 * SECOND),
            ({"idle_timeout_ns": 10 * SECOND, "max_duration_ns": 20 * SECOND}, 10 * SECOND),
            ({"idle_timeout_ns": 20 * SECOND, "max_duration_ns": 10 * SECOND}, 10 * SECOND),
            ({"idle_timeout_ns": SECOND // 10}, SECOND // 10),
        ],
    )
    def test_deadline(self, store: Store, fields: dict[str, Any], deadline: int) -> None:
        """A session is due when its idle timeout or its maximum duration passes: never early, at most a second late."""
        store.create(beginning("a", **fields))
        assert [] == list(store.due(START + deadline - 1))
        assert ["a"] == ids(store.due(START + deadline + SECOND))

    def test_never(self, store: Store) -> None:
        """Without timeouts a session is never due."""
        store.create(beginning("a"))
        assert [] == list(store.due(START + 10**9 * SECOND))

    def test_activity_postpones(self, store: Store) -> None:
        """Activity moves the idle deadline, not that of the maximum duration."""
        store.create(beginning("idle", idle_timeout_ns=10 * SECOND))
        store.create(beginning("old", max_duration_ns=10 * SECOND))
        store.merge({"idle": delta(START + 9 * SECOND), "old": delta(START + 9 * SECOND)})
        assert ["old"] == ids(store.due(START + 11 * SECOND))
        assert [] == [name for name in ids(store.due(START + 19 * SECOND - 1)) if name == "idle"]
        assert "idle" in ids(store.due(START + 20 * SECOND))

    def test_again(self, store: Store) -> None:
        """What nobody closed is due again a little later; what was closed is not."""
        for name in "ab":
            store.create(beginning(name, idle_timeout_ns=SECOND))
        assert {"a", "b"} == set(ids(store.due(START + 2 * SECOND)))
        close(store, "a")
        assert ["b"] == ids(store.due(START + 4 * SECOND))

    def test_closing_on_the_way(self, store: Store) -> None:
        """Sessions may be closed while the result is gone through."""
        names = {f"s{number}" for number in range(50)}
        for number, name in enumerate(sorted(names)):
            store.create(beginning(name, idle_timeout_ns=(1 + number % 7) * SECOND))
        closed = {record.id for record in store.due(START + 10 * SECOND) if close(store, record.id) is not None}
        assert names == closed
        assert {} == dict(store.counts())

    def test_clock_set_back(self, store: Store) -> None:
        """When the wall clock has been set back, sessions from before and after are due by the new time."""
        store.create(beginning("before", idle_timeout_ns=10 * SECOND))
        assert [] == list(store.due(START + 5 * SECOND))
        early = START - 3600 * SECOND
        assert [] == list(store.due(early))
        store.create(beginning("after", idle_timeout_ns=10 * SECOND, started_ns=early))
        assert ["after"] == ids(store.due(early + 11 * SECOND))
        close(store, "after")
        assert [] == list(store.due(START + 9 * SECOND))
        assert ["before"] == ids(store.due(START + 11 * SECOND))

    def test_clock_set_back_between_looks(self, store: Store) -> None:
        """Also when a session starts before the first look at the new time."""
        assert [] == list(store.due(START))
        early = START - 3600 * SECOND
        store.create(beginning("after", idle_timeout_ns=10 * SECOND, started_ns=early))
        assert ["after"] == ids(store.due(early + 11 * SECOND))

    def test_clock_set_forward(self, store: Store) -> None:
        """After a long pause everything that has expired is due at once."""
        for number in range(20):
            store.create(beginning(f"s{number}", idle_timeout_ns=(number + 1) * SECOND))
        list(store.due(START))
        assert {f"s{number}" for number in range(20)} == set(ids(store.due(START + 10**7 * SECOND)))


class TestLists:
    def test_counts(self, store: Store) -> None:
        """Active sessions are counted by type and tier, scoped ones too."""
        store.create(beginning("a", tier="pro"))
        store.create(beginning("b", tier="pro", topology="scoped"))
        store.create(beginning("c", type="web"))
        store.create(beginning("d", type="web"))
        close(store, "d")
        assert {("chat", "pro"): 2, ("web", None): 1} == dict(store.counts())

    def test_oldest_first(self, store: Store) -> None:
        """Active sessions are listed in the order of their starts."""
        for name, offset in (("late", 2), ("early", 0), ("middle", 1)):
            store.create(beginning(name, started_ns=START + offset))
        assert ["early", "middle", "late"] == ids(store.active())

    def test_of_user(self, store: Store) -> None:
        """The list can be that of one user, who may have become known on the way, or changed."""
        store.create(beginning("from the start", user="u"))
        store.create(beginning("later"))
        store.create(beginning("another", user="u"))
        store.create(beginning("nobody"))
        store.merge({"later": delta(START + 1, user="u"), "another": delta(START + 1, user="v")})
        assert {"from the start", "later"} == set(ids(store.active(user="u")))
        assert ["another"] == ids(store.active(user="v"))
        assert [] == store.active(user="w")

    def test_most_of_a_user(self, store: UserStore) -> None:
        """The user counts who has most of them open, whoever that is; who has none, and sessions of nobody, do not."""
        store.create(beginning("nobody"))
        found = [store.most_of_a_user({})]
        for number, user in enumerate("uvvvu"):
            store.create(beginning(f"s{number}", user=user))
            found.append(store.most_of_a_user({}))
        for number in range(5):
            close(store, f"s{number}")
            found.append(store.most_of_a_user({}))
        assert [0, 1, 1, 2, 3, 3, 3, 2, 1, 1, 0] == found

    def test_most_of_a_user_who_changes(self, store: UserStore) -> None:
        """A session counts for the user it has, not for those it had, and as soon as it has one."""
        for name in ("a", "b", "c"):
            store.create(beginning(name, user="u" if name == "a" else None))
        found = [store.most_of_a_user({})]
        for name, user, at in (("b", "v", 5), ("c", "v", 5), ("a", "v", 5), ("a", "w", 4), ("a", "w", 6)):
            store.merge({name: delta(START + at, user=user)})
            found.append(store.most_of_a_user({}))
        close(store, "b", delta=delta(START + 8, user="w"))
        found.append(store.most_of_a_user({}))
        assert [1, 1, 2, 3, 3, 2, 1] == found

    def test_most_of_a_user_besides(self, store: UserStore) -> None:
        """What the store does not know is added up with what it knows of the same user."""
        for name in ("a", "b", "c"):
            store.create(beginning(name, user="u" if name == "a" else "v"))
        besides: list[dict[str, int]] = [{}, {"u": 1}, {"u": 2}, {"u": 2, "v": 2}, {"w": 1}, {"w": 9}]
        assert [2, 2, 3, 4, 2, 9] == [store.most_of_a_user(each) for each in besides]

    def test_most_of_any_user(self, store: UserStore) -> None:
        """Users are told apart, whatever their names are made of."""
        names = ["", "u", "u ", "1:u", "ü", "u\0", "\udc80", "0"]
        for number, name in enumerate(names):
            store.create(beginning(f"s{number}", user=name))
        assert 1 == store.most_of_a_user({})
        for number, name in enumerate(names):
            store.create(beginning(f"t{number}", user=name))
            assert 2 == store.most_of_a_user({})


class TestEnded:
    def test_latest_first(self, store: Store) -> None:
        """Ended sessions are listed from the latest end on, in whatever order they were told; active ones are not."""
        for name, offset in (("early", 0), ("late", 2 * SECOND), ("middle", SECOND), ("active", 0)):
            store.create(beginning(name, user="u"))
            if name != "active":
                close(store, name, ended_ns=START + offset)
        assert ["late", "middle", "early"] == ids(store.ended(10))

    def test_limited(self, store: Store) -> None:
        """At most so many are listed: those that ended last."""
        for number in range(5):
            store.create(beginning(f"s{number}"))
            close(store, f"s{number}", ended_ns=START + number * SECOND)
        assert [["s4"], ["s4", "s3", "s2"], 5] == [ids(store.ended(1)), ids(store.ended(3)), len(store.ended(6))]

    def test_many(self, store: Store) -> None:
        """More of them than are read at once are all listed, each once."""
        names = [f"s{number}" for number in range(1_100)]
        for number, name in enumerate(names):
            store.create(beginning(name))
            close(store, name, ended_ns=START + number * SECOND)
        assert list(reversed(names)) == ids(store.ended(10_000))
        assert list(reversed(names))[:700] == ids(store.ended(700))

    def test_whole(self, store: Store) -> None:
        """What is listed is the final record: what was merged last is in it, and who the user was in the end."""
        store.create(beginning("a", user="u"))
        final = close(store, "a", delta=delta(START + 1, requests=1, user="v"))
        assert [final] == store.ended(1)
        assert final is not None
        assert "v" == final.user


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(number)` returned in each of `count` threads that began at the same moment."""
    barrier = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(number: int) -> None:
        barrier.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class TestConcurrency:
    def test_one_creates(self, store: Store) -> None:
        """Of many threads that create under one key one succeeds, and the others get its record."""
        results = together(32, lambda number: store.create(beginning(f"s{number}", key="k")))
        winner = results.index(None)
        others = [record.id for record in results if record is not None]
        assert [f"s{winner}"] * 31 == others
        assert [f"s{winner}"] == ids(store.active())

    def test_users_are_counted(self, store: UserStore) -> None:
        """Sessions of one user that come, go over to another user and end in many threads are all counted."""

        def work(number: int) -> int:
            store.create(beginning(f"s{number}", user="u"))
            if number % 2:
                store.merge({f"s{number}": delta(START + 1, user="v")})
            if number % 4 < 2:
                close(store, f"s{number}")
            return store.most_of_a_user({})

        assert set(together(32, work)) <= set(range(33))
        assert 8 == store.most_of_a_user({})
        for number in range(32):
            close(store, f"s{number}")
        assert 0 == store.most_of_a_user({})

    def test_one_closes(self, store: Store) -> None:
        """Of many threads that close a session one gets the record."""
        store.create(beginning("a"))
        results = together(32, lambda number: close(store, "a", ended_ns=START + number))
        assert [store.get("a")] == [record for record in results if record is not None]

    def test_nothing_lost(self, store: Store) -> None:
        """Every merge that was accepted is in the final record, though the session ends in the middle of them."""
        store.create(beginning("a"))
        final: list[SessionRecord | None] = []

        def work(number: int) -> int:
            if number == 0:
                while True:
                    found = store.get("a")
                    if found is not None and found.totals.requests >= 300:
                        final.append(close(store, "a"))
                        return 0
            return sum(not store.merge({"a": delta(requests=1)}) for _ in range(200))

        accepted = sum(together(8, work))
        assert final[0] is not None
        assert accepted == final[0].totals.requests


class StoreMachine(RuleBasedStateMachine):
    """A store beside a model of it: dictionaries, lists, and a fold over all deltas."""

    make_store: ClassVar[Callable[[], UserStore]]

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.active: dict[str, tuple[Beginning, Totals]] = {}
        self.ended: dict[str, SessionRecord] = {}
        self.last_by_key: dict[str, str] = {}
        self.returned_ns: dict[str, int] = {}

    @initialize()
    def begin(self) -> None:
        self.store = type(self).make_store()

    def record(self, session_id: str) -> SessionRecord:
        began, totals = self.active[session_id]
        return SessionRecord(began, totals)

    def holder(self, key: str | None) -> SessionRecord | None:
        return next((self.record(name) for name, (began, _) in self.active.items() if key and began.key == key), None)

    def deadline(self, session_id: str) -> int | None:
        began, totals = self.active[session_id]
        found = []
        if began.idle_timeout_ns is not None:
            found.append(totals.last_activity_ns + began.idle_timeout_ns)
        if began.max_duration_ns is not None:
            found.append(began.started_ns + began.max_duration_ns)
        return min(found, default=None)

    def any_id(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(["unknown", *self.active, *self.ended]))

    def any_delta(self, data: st.DataObject) -> Totals:
        return delta(
            self.now - data.draw(st.sampled_from([0, SECOND, 5 * SECOND])),
            requests=data.draw(st.integers(0, 3)),
            user=data.draw(st.sampled_from([None, "u", "v"])),
            tokens=data.draw(st.sampled_from([None, {"input": 2}, {"output": 0.5}])),
            uses=data.draw(st.sampled_from([None, [Use(self.now, "tokens", 2, "inference").line()]])),
        )

    @rule(
        key=st.sampled_from([None, "k", "l", "m"]),
        session_type=st.sampled_from(["chat", "web"]),
        tier=st.sampled_from([None, "pro"]),
        user=st.sampled_from([None, "u"]),
        idle=st.sampled_from([None, SECOND // 2, 10 * SECOND]),
        longest=st.sampled_from([None, 3 * SECOND, 20 * SECOND]),
    )
    def create(
        self, key: str | None, session_type: str, tier: str | None, user: str | None, idle: int, longest: int
    ) -> None:
        new = beginning(
            f"s{len(self.active) + len(self.ended)}",
            type=session_type,
            started_ns=self.now,
            key=key,
            tier=tier,
            user=user,
            idle_timeout_ns=idle,
            max_duration_ns=longest,
        )
        assert self.holder(key) == self.store.create(new)
        if self.holder(key) is None:
            self.active[new.id] = new, Totals(self.now)

    @rule(data=st.data(), size=st.integers(1, 3))
    def merge(self, data: st.DataObject, size: int) -> None:
        batch = {self.any_id(data): self.any_delta(data) for _ in range(size)}
        for session_id, one in batch.items():
            if session_id in self.active:
                self.active[session_id][1].merge(one)
        assert batch.keys() - self.active.keys() == self.store.merge(batch)

    @rule(data=st.data(), guard=st.sampled_from([None, 0, SECOND]), with_delta=st.booleans())
    def close(self, data: st.DataObject, guard: int | None, *, with_delta: bool) -> None:
        session_id = self.any_id(data)
        last = self.any_delta(data) if with_delta else None
        idle_since = None if guard is None else self.now - guard
        expected = None
        if session_id in self.active:
            began, totals = self.active[session_id]
            if idle_since is None or totals.last_activity_ns <= idle_since:
                if last is not None:
                    totals.merge(last)
                expected = SessionRecord(began, totals, "error", "exception", self.now)
                self.forget(expected)
        found = self.store.close(
            session_id, status="error", reason="exception", ended_ns=self.now, delta=last, idle_since_ns=idle_since
        )
        assert expected == found

    def forget(self, record: SessionRecord) -> None:
        del self.active[record.id]
        self.ended[record.id] = record
        if record.beginning.key is not None:
            self.last_by_key[record.beginning.key] = record.id

    @rule(seconds=st.sampled_from([0.2, 1, 4, 11, 5000]))
    def advance(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    @rule(closing=st.booleans())
    def due(self, *, closing: bool) -> None:
        deadlines = {name: deadline for name in self.active if (deadline := self.deadline(name)) is not None}
        expired = {name for name, deadline in deadlines.items() if deadline <= self.now}
        overdue = {
            name
            for name in expired
            if max(deadlines[name], self.returned_ns.get(name, 0) + SECOND) + SECOND <= self.now
        }
        found = list(self.store.due(self.now))
        assert len(found) == len(set(ids(found)))
        assert overdue <= set(ids(found)) <= expired
        for record in found:
            assert self.record(record.id) == record
            self.returned_ns[record.id] = self.now
            if closing:
                closed = self.store.close(record.id, status="expired", reason="idle_timeout", ended_ns=self.now)
                assert closed is not None
                self.forget(closed)

    @precondition(lambda self: self.active or self.ended)
    @rule(data=st.data())
    def get(self, data: st.DataObject) -> None:
        session_id = self.any_id(data)
        expected = self.record(session_id) if session_id in self.active else self.ended.get(session_id)
        assert expected == self.store.get(session_id)

    @rule(key=st.sampled_from(["k", "l", "m"]))
    def find(self, key: str) -> None:
        assert self.holder(key) == self.store.find(key)
        assert self.last_by_key.get(key) == self.store.previous(key)

    @invariant()
    def same_sessions(self) -> None:
        records = [self.record(name) for name in self.active]
        assert Counter((r.type, r.tier) for r in records) == Counter(self.store.counts())
        listed = self.store.active()
        assert [r.beginning.started_ns for r in listed] == sorted(r.beginning.started_ns for r in records)
        assert {r.id: r for r in records} == {r.id: r for r in listed}
        assert {r.id for r in records if r.user == "u"} == set(ids(self.store.active(user="u")))
        users = Counter(r.user for r in records if r.user is not None)
        assert max(users.values(), default=0) == self.store.most_of_a_user({})
        assert self.ended == {r.id: r for r in self.store.ended(1_000)}


class TestModel:
    def test_like_the_model(self, make_store: Callable[[], Store]) -> None:
        """Whatever is done to it, in whatever order, it answers as the model does."""
        machine = type("Machine", (StoreMachine,), {"make_store": staticmethod(make_store)})
        steps = settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        )
        run_state_machine_as_test(machine, settings=steps)
