"""One contract for all stores that can be asked about what has ended: `otel_sessions.typing.HistoryStore`."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_sessions._tally import HOUR_NS, Kind, Tally, hour_of
from otel_sessions.typing import (
    Beginning,
    HistoryStore,
    Place,
    RetentionStore,
    SessionRecord,
    SharedStore,
    Totals,
    Wanted,
)

from . import SHARED_KINDS, STORES

SECOND: Final = 1_000_000_000
START: Final = 1_767_225_600 * SECOND
"""2026-01-01, a full hour and a full day."""
HOUR: Final = hour_of(START)
DAY: Final = HOUR // 24
ALWAYS: Final = (0, 2**31)

NO_USER = "0" * 32


@pytest.fixture(name="make_store", params=STORES)
def _make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], HistoryStore]]:
    """Makes new, empty stores of one kind; they are shut down after the test."""
    made: list[HistoryStore] = []
    numbers = itertools.count()

    def make() -> HistoryStore:
        directory = tmp_path / str(next(numbers))
        directory.mkdir()
        store = STORES[request.param](directory)
        assert isinstance(store, HistoryStore)
        made.append(store)
        return store

    yield make
    for store in made:
        store.shutdown()


@pytest.fixture(name="store")
def _store(make_store: Callable[[], HistoryStore]) -> HistoryStore:
    return make_store()


def run(store: HistoryStore, session_id: str, *, ended_ns: int = START + SECOND, **fields: Any) -> SessionRecord:
    """A session that has ended, a second after it began and successfully if nothing else is said."""
    status, reason = fields.pop("status", "success"), fields.pop("reason", "completed")
    delta, owner = fields.pop("delta", None), fields.pop("owner", None)
    began = Beginning(
        **{"id": session_id, "type": "chat", "topology": "durable", "started_ns": ended_ns - SECOND, **fields}
    )
    assert store.create(began) is None
    owed = {} if owner is None else {"owner": owner}
    record = store.close(session_id, status=status, reason=reason, ended_ns=ended_ns, delta=delta, **owed)
    assert record is not None
    return record


def ids(records: list[SessionRecord]) -> list[str]:
    return [record.id for record in records]


def total(store: HistoryStore) -> Tally:
    """All there is by hours, which is all there is by days."""
    hourly = Tally.total(each.tally for each in store.tallies(*ALWAYS))
    assert Tally.total(each.tally for each in store.daily_tallies(*ALWAYS)) == hourly
    return hourly


class TestHistory:
    def test_nothing(self, store: HistoryStore) -> None:
        """An empty store has no history, and says so without failing; what is active is no part of it."""
        assert store.create(Beginning("a", "chat", "durable", START)) is None
        assert store.history(Wanted(), 10) == []

    def test_the_latest_end_comes_first(self, store: HistoryStore) -> None:
        """Whatever the order in which they began and were closed; of the same moment the greatest id."""
        for session_id, seconds in (("a", 3), ("c", 5), ("b", 5), ("d", 1)):
            run(store, session_id, ended_ns=START + seconds * SECOND)
        assert ids(store.history(Wanted(), 10)) == ["c", "b", "a", "d"]

    def test_pages(self, store: HistoryStore) -> None:
        """A page begins behind the place of the last one, and all of them are all there is, each once."""
        for number in range(25):
            run(store, f"s{number:02}", ended_ns=START + number // 3 * SECOND)
        found: list[SessionRecord] = []
        before = None
        while page := store.history(Wanted(), 7, before):
            found += page
            before = Place.of(page[-1])
        assert ids(found) == ids(store.history(Wanted(), 100))
        assert len(set(ids(found))) == len(found) == 25

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            (Wanted(type="chat"), ["c", "b", "a"]),
            (Wanted(type="cha"), []),
            (Wanted(tier="pro"), ["d", "b"]),
            (Wanted(tier="r_"), []),
            (Wanted(type="chat", tier="pro"), ["b"]),
            (Wanted(user="1" * 32), ["d", "c"]),
            (Wanted(status="error"), ["c"]),
            (Wanted(reason="exception"), ["c"]),
            (Wanted(attributes={"shop": 'ä,"1"'}), ["b"]),
            (Wanted(attributes={"shop": 'ä,"1"', "n": 2}), []),
            (Wanted(attributes={"n": 1}), ["d"]),
            (Wanted(since_ns=START + 3 * SECOND), ["d", "c"]),
            (Wanted(until_ns=START + 3 * SECOND), ["b", "a"]),
            (Wanted(since_ns=START + 4 * SECOND, until_ns=START), []),
            (Wanted(since_ns=-(2**70), until_ns=2**70), ["d", "c", "b", "a"]),
            (Wanted(type="chat", user="1" * 32, status="error", since_ns=START), ["c"]),
        ],
    )
    def test_what_is_wanted(self, store: HistoryStore, wanted: Wanted, expected: list[str]) -> None:
        """Each condition alone and several together; of a user it is the last that counts."""
        delta = Totals(START)
        delta.user, delta.attributes = "1" * 32, {"late": True}
        run(store, "a", ended_ns=START + SECOND)
        run(store, "b", ended_ns=START + 2 * SECOND, tier="pro", attributes={"shop": 'ä,"1"'})
        run(store, "c", ended_ns=START + 3 * SECOND, user="2" * 32, delta=delta, status="error", reason="exception")
        run(store, "d", ended_ns=START + 4 * SECOND, type="import", tier="pro", user="1" * 32, attributes={"n": 1})
        assert ids(store.history(wanted, 10)) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1, ["number"]),
            (1.0, ["number"]),
            (True, ["truth"]),
            ("1", ["text"]),
            ("true", []),
            ((True, False), ["truths"]),
            ((1, 0), ["numbers"]),
            ((1.0, 0.0), ["numbers"]),
            ((1,), []),
        ],
    )
    def test_attributes_have_types(self, store: HistoryStore, value: Any, expected: list[str]) -> None:
        """True is not the number 1, alone or in a list, nor is a text; a whole number may be written as a float."""
        values: dict[str, Any] = {
            "number": 1, "truth": True, "text": "1", "truths": (True, False), "numbers": (1, 0), "other": "x",
        }  # fmt: skip
        for name, held in values.items():
            run(store, name, attributes={"held": held})
        assert ids(store.history(Wanted(attributes={"held": value}), 10)) == expected

    def test_records_are_whole(self, store: HistoryStore) -> None:
        """What is found is what `get` returns."""
        delta = Totals(START)
        delta.tokens, delta.turns = {"input": 5.0}, 2
        run(store, "a", delta=delta, user="1" * 32, tier="pro")
        assert store.history(Wanted(), 1) == [store.get("a")]

    @pytest.mark.parametrize("make_store", SHARED_KINDS, indirect=True)
    def test_what_is_owed_is_ended(self, store: HistoryStore) -> None:
        """Sessions whose export is owed are part of it, and are so once, before and after; parts are none."""
        assert isinstance(store, SharedStore)
        run(store, "a", ended_ns=START + SECOND)
        run(store, "b", ended_ns=START + 3 * SECOND, owner="p")
        run(store, "c", ended_ns=START + 2 * SECOND, owner="p")
        whole = SessionRecord(Beginning("d", "chat", "durable", START), Totals(START), "success", "completed", START)
        assert cast("SharedStore", store).owe(whole._replace(beginning=whole.beginning.as_part(1)), "p")
        assert ids(store.history(Wanted(), 10)) == ["b", "c", "a"]
        assert ids(store.history(Wanted(), 1, Place(START + 3 * SECOND, "b"))) == ["c"]
        assert total(store).sessions == 3
        for exported in (["b"], ["b", "c", "d#part=1"], ["b", "c"]):
            store.exported(exported)
            assert ids(store.history(Wanted(), 10)) == ["b", "c", "a"]
            assert total(store).sessions == 3

    @pytest.mark.parametrize("make_store", SHARED_KINDS, indirect=True)
    def test_what_was_stored_only_when_it_was_over(self, store: HistoryStore) -> None:
        """It is as any other: found by its user, counted, and once in the sums when its export is owed no longer."""
        assert isinstance(store, SharedStore)
        began = Beginning("a", "chat", "durable", START, key="k", user="u" * 32)
        over = SessionRecord(began, Totals(START + 1), "error", "exception", START + SECOND)
        for _ in range(2):
            assert store.owe(over, "p")
        for _ in range(2):
            [found] = store.history(Wanted(user="u" * 32, status="error"), 9)
            assert (found.id, found.end_reason, found.totals) == ("a", "exception", over.totals)
            assert total(store).sessions == 1
            assert store.users(*ALWAYS, 9, {}) == ([("u" * 32, 1)], 1)
            store.exported(["a"])
        assert not store.owe(over, "p"), "it is known, and nobody owes it"
        assert (store.find("k"), store.active()) == (None, [])

    @pytest.mark.parametrize("make_store", SHARED_KINDS, indirect=True)
    def test_many_parts(self, store: HistoryStore) -> None:
        """However many parts ended since, they hide no session: it comes before those that ended earlier."""
        assert isinstance(store, SharedStore)
        for name, seconds, owner in (("early", 1, "p"), ("late", 2, None)):
            run(store, name, ended_ns=START + seconds * SECOND, owner=owner)
        parts = []
        for number in range(450):
            whole = Beginning(f"long{number}", "chat", "durable", START)
            ended = SessionRecord(whole.as_part(1), Totals(START), "success", "completed", START + 60 * SECOND + number)
            assert store.owe(ended, "p")
            parts.append(ended.id)
        store.exported(parts)
        found = [ids(cast("HistoryStore", store).history(Wanted(), limit)) for limit in (1, 2)]
        assert found == [["late"], ["late", "early"]]

    @pytest.mark.parametrize("make_store", SHARED_KINDS, indirect=True)
    def test_what_another_has_taken_over(self, store: HistoryStore) -> None:
        """Whoever owes it, it has ended."""
        assert isinstance(store, SharedStore)
        assert store.create(Beginning("a", "chat", "scoped", START, owner="p")) is None
        run(store, "b", owner="p")
        [beat_ns] = store.owners().values()
        assert ids(store.take_over("p", beat_ns, "q")) == ["a", "b"]
        assert (ids(store.history(Wanted(), 9)), total(store).sessions) == (["b"], 1)
        store.exported(["b"])
        assert (ids(store.history(Wanted(), 9)), total(store).sessions) == (["b"], 1)


class TestTallies:
    def test_nothing(self, store: HistoryStore) -> None:
        """Nothing adds up to nothing."""
        assert (store.tallies(*ALWAYS), store.daily_tallies(*ALWAYS)) == ([], [])
        assert store.users(*ALWAYS, 5, {}) == ([], 0)

    def test_by_hour_and_kind(self, store: HistoryStore) -> None:
        """What ended in which hour, kept apart by type, tier, status and reason."""
        run(store, "a", ended_ns=START + SECOND)
        run(store, "b", ended_ns=START + HOUR_NS - 1)
        run(store, "c", ended_ns=START + HOUR_NS, tier="pro")
        run(store, "d", ended_ns=START + 2 * HOUR_NS, status="error", reason="exception")
        found = {(each.hour - HOUR, each.kind): each.tally.sessions for each in store.tallies(HOUR, HOUR + 2)}
        assert found == {
            (0, Kind("chat", None, "success", "completed")): 2,
            (1, Kind("chat", "pro", "success", "completed")): 1,
        }

    def test_by_day_and_kind(self, store: HistoryStore) -> None:
        """What ended on which day, kept apart in the same way."""
        run(store, "a", ended_ns=START + SECOND)
        run(store, "b", ended_ns=START + 24 * HOUR_NS - 1)
        run(store, "c", ended_ns=START + 24 * HOUR_NS, tier="pro")
        run(store, "d", ended_ns=START + 48 * HOUR_NS)
        found = {(each.day - DAY, each.kind): each.tally.sessions for each in store.daily_tallies(DAY, DAY + 2)}
        assert found == {
            (0, Kind("chat", None, "success", "completed")): 2,
            (1, Kind("chat", "pro", "success", "completed")): 1,
        }

    @pytest.mark.parametrize("days", [-400, -20, 20, 400])
    def test_clocks_apart(self, store: HistoryStore, days: int) -> None:
        """What ends on a machine whose clock is wrong by days is counted when it says, and hides nothing else."""
        run(store, "before")
        run(store, "apart", ended_ns=START + days * 24 * HOUR_NS)
        assert total(store).sessions == 2
        run(store, "after")
        assert {each.hour - HOUR: each.tally.sessions for each in store.tallies(*ALWAYS)} == {0: 2, days * 24: 1}
        assert total(store).sessions == 3

    def test_sums(self, store: HistoryStore) -> None:
        """Everything that sessions count is added up, in whole numbers without loss."""
        expected = Tally()
        for number in range(3):
            delta = Totals(START)
            delta.requests, delta.errors, delta.turns, delta.turn_ns = 2, number, 1, 2**53 + 1
            delta.tokens, delta.cost, delta.messages = {"input": 10, "output": 5}, {"USD": 0.25}, {"user": 1}
            delta.usage = {"tokens": 15, "cost": 0.25}
            expected.add(Tally.of(run(store, f"s{number}", delta=delta, ended_ns=START + (number + 1) * SECOND)))
        assert total(store) == expected
        assert expected.turn_ns == 3 * (2**53 + 1)

    @pytest.mark.parametrize("amounts", [[0.5, 2, 3], [2, 0.5, 3], [2**62, 2**62, 2**63], [1, 1e300]])
    def test_amounts_of_any_kind(self, store: HistoryStore, amounts: list[float]) -> None:
        """Fractions, whole numbers, and more than 64 bits add up under one name, and so does what is beside them."""
        for number, amount in enumerate(amounts):
            delta = Totals(START)
            delta.usage = {"gpu_seconds": amount}
            run(store, f"s{number}", user="1" * 32, delta=delta, owner="p" if store.shared else None)
        if store.shared:
            cast("SharedStore", store).exported([f"s{number}" for number in range(len(amounts))])
        found = total(store)
        assert (found.sessions, store.users(*ALWAYS, 1, {}).total) == (len(amounts), 1)
        assert found.usage is not None
        assert found.usage["gpu_seconds"] == pytest.approx(sum(amounts))

    @pytest.mark.parametrize("make_store", SHARED_KINDS, indirect=True)
    def test_exported_twice(self, store: HistoryStore) -> None:
        """A session that is named twice, at once or one after the other, counts once."""
        assert isinstance(store, SharedStore)
        run(store, "a", owner="p")
        for _ in range(2):
            store.exported(["a", "a"])
        assert total(cast("HistoryStore", store)).sessions == 1

    def test_users(self, store: HistoryStore) -> None:
        """Who had most sessions, in these hours; and how many users there were, each once."""
        for number, (user, hour) in enumerate([("1", 0), ("1", 1), ("2", 0), ("3", 0), ("3", 0), ("3", 3), (None, 0)]):
            name = None if user is None else user * 32
            run(store, f"s{number}", user=name, ended_ns=START + hour * HOUR_NS + SECOND)
        assert store.users(HOUR, HOUR + 2, 2, {}) == ([("1" * 32, 2), ("3" * 32, 2)], 3)
        assert store.users(*ALWAYS, 9, {}) == ([("3" * 32, 3), ("1" * 32, 2), ("2" * 32, 1)], 3)
        assert store.users(HOUR + 1, HOUR + 2, 9, {}) == ([("1" * 32, 1)], 1)
        assert store.users(HOUR + 2, HOUR + 3, 9, {}) == ([], 0)

    def test_users_and_others(self, store: HistoryStore) -> None:
        """Sessions that the store does not count are counted in: of those whom it knows, and of others."""
        for number, user in enumerate("11122334"):
            run(store, f"s{number}", user=user * 32)
        besides = {"4" * 32: 3, "5" * 32: 2, "3" * 32: 1}
        assert store.users(*ALWAYS, 3, besides) == ([("4" * 32, 4), ("1" * 32, 3), ("3" * 32, 3)], 5)
        assert store.users(HOUR + 1, HOUR + 2, 1, besides) == ([("4" * 32, 3)], 3)

    def test_very_many_users(self, store: HistoryStore) -> None:
        """However many there are, and in however many hours."""
        for number in range(1_200):
            run(store, f"s{number}", user=f"{number % 400:032}", ended_ns=START + number % 100 * HOUR_NS)
        besides = {f"{number:032}": 1 for number in range(390, 5_400)}
        assert store.users(HOUR, HOUR + 100, 2, besides) == ([(f"{390:032}", 4), (f"{391:032}", 4)], 5_400)

    @pytest.mark.parametrize("make_store", SHARED_KINDS, indirect=True)
    def test_users_of_what_is_owed(self, store: HistoryStore) -> None:
        """They are counted in as well, and bring somebody among those who have most."""
        assert isinstance(store, SharedStore)
        for number, (user, owner) in enumerate(
            [("1", None), ("1", None), ("2", None), ("2", "p"), ("2", "p"), ("3", "p")]
        ):
            run(store, f"s{number}", user=user * 32, owner=owner)
        run(store, "later", user="4" * 32, owner="p", ended_ns=START + HOUR_NS)
        assert store.users(HOUR, HOUR + 1, 1, {}) == ([("2" * 32, 3)], 3)
        store.exported(["s3", "s4", "s5", "later"])
        assert cast("HistoryStore", store).users(HOUR, HOUR + 1, 1, {}) == ([("2" * 32, 3)], 3)

    @pytest.mark.parametrize("make_store", SHARED_KINDS, indirect=True)
    def test_what_is_owed_in_these_hours(self, store: HistoryStore) -> None:
        """Of what is owed that is counted which ended in the hours that are asked for."""
        assert isinstance(store, SharedStore)
        for hour in range(3):
            run(store, f"s{hour}", ended_ns=START + (hour + 23) * HOUR_NS, owner="p")
        assert [each.hour for each in store.tallies(HOUR + 24, HOUR + 25)] == [HOUR + 24]
        assert [each.day for each in store.daily_tallies(DAY, DAY + 1)] == [DAY]
        assert sum(each.tally.sessions for each in store.daily_tallies(DAY + 1, DAY + 2)) == 2
        assert ids(store.history(Wanted(until_ns=START + 24 * HOUR_NS), 9)) == ["s0"]

    @pytest.mark.parametrize("make_store", SHARED_KINDS, indirect=True)
    def test_many_that_are_owed(self, store: HistoryStore) -> None:
        """However many are owed: they are found page by page with the others, and those of a user are."""
        assert isinstance(store, SharedStore)
        for number in range(1_100):
            delta = Totals(START)
            delta.user = f"{number % 2}" * 32
            owner = "p" if number % 3 else None
            run(store, f"s{number:04}", ended_ns=START + number * SECOND, delta=delta, owner=owner)
        expected = [f"s{number:04}" for number in range(1_099, -1, -1)]
        assert ids(store.history(Wanted(), 2_000)) == ids(store.ended(2_000)) == expected
        assert ids(store.history(Wanted(user="1" * 32), 2_000)) == expected[::2]
        assert ids(store.history(Wanted(), 7, Place(START + 500 * SECOND, "s0500"))) == expected[600:607]
        assert store.users(HOUR, HOUR + 1, 1, {}).total == 2

    def test_those_of_a_user(self, store: HistoryStore) -> None:
        """They are found page by page, whatever they and the user are called, and of a moment in order; no others."""
        users = ("", ":", "1:a", "a", "ab", "\0", "\ud800", "ä")
        places: dict[str, list[Place]] = {user: [] for user in users}
        for number in range(1_000):
            user, ended_ns = users[number % 8 if number < 100 else 3], START + number // 50
            record = run(store, f"{users[number % 7]}{number}", ended_ns=ended_ns, user=user)
            places[user].append(Place.of(record))
        for user, expected in places.items():
            expected.sort(reverse=True)
            found: list[SessionRecord] = []
            while page := store.history(Wanted(user=user), 300, Place.of(found[-1]) if found else None):
                found += page
            assert list(map(Place.of, found)) == expected
            between = Wanted(user=user, since_ns=START + 1, until_ns=START + 2)
            assert list(map(Place.of, store.history(between, 99))) == [
                place for place in expected if place.ended_ns == START + 1
            ]
        assert store.history(Wanted(user="aa"), 9) == []

    def test_those_of_a_user_that_are_owed(self, store: HistoryStore) -> None:
        """They are among them before they are exported, and after; parts are not."""
        if not isinstance(store, SharedStore):
            return
        for number in range(4):
            delta = Totals(START)
            delta.user = "1" * 32
            run(store, f"s{number}", ended_ns=START + number, delta=delta, owner="p", user="2" * 32)
        part = Beginning("s4", "chat", "durable", START, user="1" * 32).as_part(1)
        assert store.owe(SessionRecord(part, Totals(START), "success", "completed", START), "p")
        for exported in ([], ["s1", "s2", part.id], ["s0", "s1", "s2", "s3"]):
            store.exported(exported)
            found = [store.history(Wanted(user=user * 32), 9) for user in "12"]
            assert list(map(ids, found)) == [["s3", "s2", "s1", "s0"], []]

    def test_purged_hours_are_forgotten(self, store: HistoryStore) -> None:
        """What is forgotten is no part of the sums any more, but for the hour in which the limit lies."""
        assert isinstance(store, RetentionStore)
        for number in range(3):
            run(store, f"s{number}", user="1" * 32, ended_ns=START + number * 24 * HOUR_NS + SECOND)
        assert store.purge(START + 24 * HOUR_NS) == 1
        assert total(store).sessions == 2
        assert store.users(*ALWAYS, 1, {}) == ([("1" * 32, 2)], 1)


SESSIONS: Final[st.SearchStrategy[list[dict[str, Any]]]] = st.lists(
    st.builds(
        dict,
        type=st.sampled_from(["chat", "import"]),
        tier=st.sampled_from([None, "pro"]),
        user=st.sampled_from([None, "1" * 32, "2" * 32]),
        status=st.sampled_from(["success", "error", "expired"]),
        reason=st.sampled_from(["completed", "exception", "idle_timeout"]),
        attributes=st.sampled_from([None, {"a": "x"}, {"a": "y", "b": 1}]),
        ended_ns=st.integers(0, 5).map(lambda hours: START + hours * HOUR_NS // 2),
    ),
    max_size=12,
)
WANTED = st.builds(
    Wanted,
    type=st.sampled_from([None, "chat"]),
    tier=st.sampled_from([None, "pro"]),
    user=st.sampled_from([None, "1" * 32]),
    status=st.sampled_from([None, "error"]),
    reason=st.sampled_from([None, "completed"]),
    attributes=st.sampled_from([None, {"a": "x"}, {"b": 1}]),
    since_ns=st.sampled_from([None, START + HOUR_NS]),
    until_ns=st.sampled_from([None, START + HOUR_NS, START + 2 * HOUR_NS]),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sessions=SESSIONS, wanted=WANTED, limit=st.integers(1, 5))
def test_it_is_as_gone_through_by_hand(
    make_store: Callable[[], HistoryStore], sessions: list[dict[str, Any]], wanted: Wanted, limit: int
) -> None:
    """What a store finds, page by page, and adds up, is what one finds who looks at each record."""
    store = make_store()
    records = [run(store, f"s{number}", **fields) for number, fields in enumerate(sessions)]
    expected = ids(sorted(filter(wanted.fits, records), key=Place.of, reverse=True))
    assert ids(store.history(wanted, limit)) == expected[:limit]
    if expected[limit:]:
        assert ids(store.history(wanted, 100, Place.of(store.history(wanted, limit)[-1]))) == expected[limit:]
    assert total(store) == Tally.total(map(Tally.of, records))
    counted = Counter(record.user for record in records if record.user)
    found = store.users(*ALWAYS, 9, {})
    assert (dict(found.most_frequent), found.total) == (counted, len(counted))
