"""One contract for the stores that several processes see: `otel_sessions.typing.SharedStore`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from otel_sessions._uses import Use
from otel_sessions.typing import Event, RetentionStore, SessionRecord, SharedStore, Totals, UserStore

from . import SHARED
from .test_store import SECOND, START, WHOLE, beginning, delta, ids, together

Join = Callable[[], SharedStore]
"""What another process does that uses the same store."""

PROCESSES = 8


@pytest.fixture(name="make_shared", params=SHARED)
def _make_shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Join]]:
    """Makes new, empty places for records, each of which any number of stores may join."""
    made: list[SharedStore] = []
    numbers = itertools.count()

    def make() -> Join:
        directory = tmp_path / str(next(numbers))
        directory.mkdir()
        new = SHARED[request.param](directory)

        def join() -> SharedStore:
            made.append(new())
            return made[-1]

        return join

    yield make
    for store in made:
        store.shutdown()


@pytest.fixture(name="join")
def _join(make_shared: Callable[[], Join]) -> Join:
    return make_shared()


def scoped(session_id: str, owner: str, **fields: Any) -> Any:
    """A session that lives in the process `owner`."""
    return beginning(session_id, **{"topology": "scoped", "owner": owner, **fields})


def close(store: SharedStore, session_id: str, owner: str | None = None, **fields: Any) -> SessionRecord | None:
    """End a session successfully, a second after `START`; `owner` owes its export."""
    return store.close(
        session_id,
        **{"status": "success", "reason": "completed", "ended_ns": START + SECOND, "owner": owner, **fields},
    )


class TestSeveralProcesses:
    def test_protocol(self, join: Join) -> None:
        """It fulfils the protocol and says that it is shared."""
        store = join()
        assert isinstance(store, SharedStore)
        assert store.shared

    def test_same_records(self, join: Join) -> None:
        """What one process has written every other reads, whole, and can go on with."""
        here, there, elsewhere = join(), join(), join()
        assert here.create(WHOLE) is None
        assert WHOLE.key is not None
        assert SessionRecord(WHOLE, Totals(START)) == there.find(WHOLE.key) == there.create(WHOLE._replace(id="x"))
        assert set() == there.merge({"s1": delta(START + 1, requests=1)})
        ended = close(elsewhere, "s1", delta=delta(START + 2, requests=1))
        assert ended is not None
        assert delta(START + 2, requests=2) == ended.totals
        assert [ended, ended] == [here.get("s1"), there.get("s1")]
        assert ("s1", {"s1"}, {}) == (here.previous(WHOLE.key), there.merge({"s1": delta()}), dict(there.counts()))

    def test_survives(self, join: Join) -> None:
        """Records, heartbeats and the secret outlive every process."""
        first = join()
        first.create(WHOLE)
        first.beat("p", START)
        secret = first.secret()
        first.shutdown()
        second = join()
        assert (SessionRecord(WHOLE, Totals(START)), {"p": START}, secret) == (
            second.get("s1"),
            dict(second.owners()),
            second.secret(),
        )

    def test_one_secret(self, join: Join) -> None:
        """Processes that start at once agree on the secret."""
        stores = [join() for _ in range(PROCESSES)]
        assert 1 == len(set(together(PROCESSES, lambda number: stores[number].secret())))

    @pytest.mark.parametrize("text", ["", "é\U0001f600", "\0", "a\0b", "'\"`{}[]*?\\:%\r\n", "\ud800", "x" * 5000])
    def test_any_text(self, join: Join, text: str) -> None:
        """Ids, keys, users, types, tiers and owners may be any text."""
        here, there = join(), join()
        new = scoped(text, text, key=text, user=text, type=text, tier=text, attributes={text: text})
        assert here.create(new) is None
        expected = SessionRecord(new, Totals(START))
        assert [expected] * 3 == [there.get(text), there.find(text), there.create(new)]
        assert ([expected], {(text, text): 1}) == (there.active(user=text), dict(there.counts()))
        here.beat(text, START)
        assert {text: START} == dict(there.owners())
        assert [expected] == there.take_over(text, START, "heir")
        assert set() == there.merge({text: delta(user=text)})
        assert close(there, text, owner=text) is not None
        there.exported([text])
        assert text == here.previous(text)

    def test_any_number(self, join: Join) -> None:
        """Integers stay exact, beyond 64 bits too, and floats; neither becomes the other."""
        here, there = join(), join()
        here.create(beginning("a", attributes={"whole": 1, "part": 1.0, "flag": True}))
        largest = delta(usage={"whole": 2**63 - 1, "part": 0.1, "one": 1.0}, requests=2**62)
        for _ in range(2):
            here.merge({"a": largest.copy()})
        found = there.get("a")
        assert found is not None
        assert {"whole": 2**64 - 2, "part": 0.2, "one": 2.0} == found.totals.usage
        assert 2**63 == found.totals.requests
        assert [int, float, bool] == [type(value) for value in found.attributes.values()]
        assert [int, float, float] == [type(value) for value in (found.totals.usage or {}).values()]

    def test_all_totals(self, join: Join) -> None:
        """Every field of the totals comes back as it went in."""
        whole = delta(START + 5, requests=1, events=2, errors=3, turns=4, turn_ns=5, active_ns=6, dropped_events=7)
        for sums in ("messages", "tokens", "usage", "operations", "operation_counts", "cost"):
            setattr(whole, sums, {"a": 1, "b": 0.5})
        whole.user, whole.platform, whole.error = "u", "web", ("ValueError", None)
        whole.first_message_ns, whole.last_message_ns, whole.dropped_uses = START + 3, START + 4, 8
        whole.add_use(Use(START + 2, "tokens", 0.5, None))
        whole.attributes = {"many": ("a", "b"), "none": ()}
        whole.append(Event("step", START + 1, {"number": 1, "parts": (1.5, 2.0)}))
        here, there = join(), join()
        here.create(beginning("a"))
        here.merge({"a": whole.copy()})
        assert SessionRecord(beginning("a"), whole) == there.get("a")
        assert SessionRecord(beginning("a"), whole, "success", "completed", START + SECOND) == close(there, "a")


class TestOwners:
    def test_heartbeats(self, join: Join) -> None:
        """The last heartbeat of each owner is kept as it was told, even if its clock went back, until it retires."""
        here, there = join(), join()
        assert {} == dict(here.owners())
        here.beat("p", START + 1)
        there.beat("q", START + 5)
        here.beat("p", START)
        assert {"p": START, "q": START + 5} == dict(there.owners())
        there.retire("p")
        there.retire("unknown")
        assert {"q": START + 5} == dict(here.owners())

    def test_take_over(self, join: Join) -> None:
        """What a dead process owed is handed on: the sessions that live in it, and the ends it did not export."""
        here, there = join(), join()
        here.beat("dead", START)
        here.beat("other", START)
        for name, owner in (("lives", "dead"), ("ended", "dead"), ("done", "dead"), ("not its", "other")):
            here.create(scoped(name, owner))
        here.create(beginning("durable"))
        here.merge({"lives": delta(START + 1, requests=3)})
        ended = close(here, "ended", owner="dead", delta=delta(START + 1, requests=1))
        close(here, "done", owner="dead")
        close(here, "durable", owner="dead")
        here.exported(["done", "unknown", "durable"])
        taken = there.take_over("dead", START, "heir")
        assert {"lives": SessionRecord(scoped("lives", "dead"), delta(START + 1, requests=3)), "ended": ended} == {
            record.id: record for record in taken
        }
        assert {"heir": START, "other": START} == dict(here.owners())

    def test_ends_of_durable(self, join: Join) -> None:
        """Whoever closed a durable session owes its export, not the process that started it."""
        here, there = join(), join()
        here.beat("starter", START)
        there.beat("closer", START)
        here.create(beginning("a", owner="starter"))
        ended = close(there, "a", owner="closer")
        assert [] == here.take_over("starter", START, "heir")
        assert [ended] == here.take_over("closer", START, "heir")

    def test_nobody_owes(self, join: Join) -> None:
        """Without `owner` the close of a session leaves nobody owing anything, also of one that lived in a process."""
        store = join()
        store.beat("p", START)
        store.create(scoped("a", "p"))
        close(store, "a")
        assert [] == store.take_over("p", START, "heir")

    def test_closed_by_another(self, join: Join) -> None:
        """Who ends the session of another process owes the export from then on."""
        store = join()
        store.beat("p", START)
        store.beat("reaper", START)
        store.create(scoped("a", "p"))
        ended = close(store, "a", owner="reaper", status="abandoned", reason="crashed")
        assert [] == store.take_over("p", START, "heir")
        assert [ended] == store.take_over("reaper", START, "heir")

    @pytest.mark.parametrize("beat_ns", [START - 1, START + 1, 0])
    def test_lives_after_all(self, join: Join, beat_ns: int) -> None:
        """Nothing is taken from a process whose heartbeat is another than the one it was thought dead by."""
        store = join()
        store.beat("p", START)
        store.create(scoped("a", "p"))
        assert [] == store.take_over("p", beat_ns, "heir")
        assert {"p": START} == dict(store.owners())
        assert ["a"] == ids(store.take_over("p", START, "heir"))

    def test_unknown(self, join: Join) -> None:
        """Nothing is taken from a process that nobody knows."""
        store = join()
        store.create(scoped("a", "q"))
        assert [] == store.take_over("p", START, "heir")
        assert [] == store.take_over("p", 0, "heir")

    def test_who_owes_is_missed(self, join: Join) -> None:
        """Who comes to owe something without a heartbeat has one from then on: else nobody would take it over."""
        store = join()
        store.create(beginning("durable", owner="starter"))
        store.create(scoped("lives", "p", started_ns=START + 1))
        close(store, "durable", owner="q", ended_ns=START + 2)
        assert {"p": START + 1, "q": START + 2} == dict(store.owners())
        assert ["lives"] == ids(store.take_over("p", START + 1, "heir"))
        assert {"heir": START + 1, "q": START + 2} == dict(store.owners())

    def test_heartbeat_stays(self, join: Join) -> None:
        """A heartbeat that was shown is not replaced by what a process comes to owe."""
        store = join()
        store.beat("p", START - 1)
        store.create(scoped("a", "p"))
        close(store, "a", owner="p")
        store.beat("dead", START)
        store.create(scoped("b", "dead"))
        store.take_over("dead", START, "p")
        assert {"p": START - 1} == dict(store.owners())

    def test_retires_without_debts(self, join: Join) -> None:
        """Who owes something is not forgotten, be it a session that lives in it or an end to be exported."""
        store = join()
        store.create(scoped("a", "p"))
        store.retire("p")
        close(store, "a", owner="p")
        store.retire("p")
        assert {"p": START} == dict(store.owners())
        store.exported(["a"])
        store.retire("p")
        assert {} == dict(store.owners())

    def test_heir_dies_too(self, join: Join) -> None:
        """What was taken over is owed like one's own: when the heir dies, the next one gets it."""
        store = join()
        store.beat("p", START)
        store.create(scoped("lives", "p"))
        store.create(scoped("ended", "p"))
        close(store, "ended", owner="p")
        store.take_over("p", START, "q")
        store.beat("q", START + 1)
        assert {"lives", "ended"} == set(ids(store.take_over("q", START + 1, "r")))

    def test_one_takes_over(self, join: Join) -> None:
        """Of processes that take over at once one gets everything, and the others nothing."""
        stores = [join() for _ in range(PROCESSES)]
        for round_number in range(5):
            stores[0].beat("dead", START + round_number)
            names = {f"{round_number}.{number}" for number in range(10)}
            for name in names:
                stores[0].create(scoped(name, "dead"))

            def take(number: int, beat_ns: int = START + round_number) -> list[str]:
                return ids(stores[number].take_over("dead", beat_ns, f"heir {number}"))

            taken = together(PROCESSES, take)
            assert [names] == [set(found) for found in taken if found]

    def test_one_closes(self, join: Join) -> None:
        """Of processes that end the same sessions at once one gets each record, and owes it."""
        stores = [join() for _ in range(PROCESSES)]
        names = [f"s{number}" for number in range(20)]
        for name in names:
            stores[0].create(scoped(name, "starter"))

        def work(number: int) -> list[str]:
            return [name for name in names if close(stores[number], name, owner=f"p{number}") is not None]

        won = together(PROCESSES, work)
        assert sorted(names) == sorted(itertools.chain.from_iterable(won))
        for number, names_won in enumerate(won):
            stores[0].beat(f"p{number}", START)
            assert set(names_won) == set(ids(stores[0].take_over(f"p{number}", START, "heir")))

    def test_one_creates(self, join: Join) -> None:
        """Of processes that create under one key at once one succeeds, and the others get its record."""
        stores = [join() for _ in range(PROCESSES)]
        results = together(PROCESSES, lambda number: stores[number].create(beginning(f"s{number}", key="k")))
        winner = results.index(None)
        assert [f"s{winner}"] * (PROCESSES - 1) == [record.id for record in results if record is not None]

    def test_nothing_lost(self, join: Join) -> None:
        """What processes merge at once is all there."""
        stores = [join() for _ in range(PROCESSES)]
        stores[0].create(beginning("a"))
        together(PROCESSES, lambda number: [stores[number].merge({"a": delta(requests=1)}) for _ in range(20)])
        found = stores[0].get("a")
        assert found is not None
        assert 20 * PROCESSES == found.totals.requests

    def test_users_are_counted(self, join: Join) -> None:
        """The sessions that processes start and end at once are counted by user, for whoever asks."""
        stores = [join() for _ in range(PROCESSES)]

        def work(number: int) -> None:
            for name in ("a", "b"):
                stores[number].create(scoped(f"{name}{number}", f"p{number}", user="u"))
            close(stores[number], f"a{number}")

        together(PROCESSES, work)
        for store in stores:
            assert isinstance(store, UserStore)
            assert PROCESSES == store.most_of_a_user({})
        stores[0].beat("p1", START)
        (left,) = stores[0].take_over("p1", START, "p0")
        close(stores[0], left.id)
        assert isinstance(stores[1], UserStore)
        assert PROCESSES - 1 == stores[1].most_of_a_user({})


class TestEnded:
    def test_owed_or_not(self, join: Join) -> None:
        """Whether the export of an end is owed, was done, or is not to be done: the session has ended for everybody."""
        here, there = join(), join()
        for number, owner in enumerate((None, "p", "q")):
            here.create(scoped(f"s{number}", "p"))
            close(here, f"s{number}", owner=owner, ended_ns=START + number * SECOND)
        here.create(scoped("active", "p"))
        assert ["s2", "s1", "s0"] == ids(there.ended(10))
        here.exported(["s1"])
        assert [["s2", "s1", "s0"], ["s2", "s1"], ["s2"]] == [ids(there.ended(limit)) for limit in (10, 2, 1)]

    def test_no_parts(self, join: Join) -> None:
        """A part of a session that goes on is none, owed or not, and takes no place of one."""
        store = join()
        for number in range(3):
            part = SessionRecord(beginning("a").as_part(number + 1), Totals(START), ended_ns=START + number * SECOND)
            store.owe(part, "p")
            if number:
                store.exported([part.id])
        store.create(beginning("b"))
        close(store, "b", ended_ns=START)
        assert ["b"] == ids(store.ended(1))

    def test_forgotten(self, join: Join) -> None:
        """What is forgotten is not listed any more."""
        store = join()
        store.create(beginning("a"))
        close(store, "a")
        store.purge(START + 2 * SECOND)
        assert [] == store.ended(10)


class TestOwe:
    """Records that are over when they are stored: parts of sessions that go on."""

    OVER = SessionRecord(beginning("a", key="k").as_part(1), Totals(START + 1), ended_ns=START + SECOND)

    def test_owed(self, join: Join) -> None:
        """It is owed like an end, whole, until it has been exported."""
        here, there = join(), join()
        totals = delta(START + 5, requests=1, events=1, usage={"x": 0.5})
        totals.append(Event("step", START + 1, {"number": 1}))
        over = self.OVER._replace(totals=totals)
        assert here.owe(over, "p")
        assert over == there.get(over.id)
        assert {"p": START + SECOND} == dict(there.owners())
        there.retire("p")
        assert [over] == there.take_over("p", START + SECOND, "q")
        there.exported([over.id])
        there.retire("q")
        assert {} == dict(here.owners())
        assert over == here.get(over.id)

    def test_is_no_session(self, join: Join) -> None:
        """Nobody counts it, finds it, or is told that it is due; it takes nothing from its session."""
        store = join()
        whole = beginning("a", key="k", user="u", idle_timeout_ns=SECOND, max_span_ns=SECOND)
        store.create(whole)
        over = SessionRecord(whole.as_part(1), Totals(START), ended_ns=START + SECOND)
        assert store.owe(over, "p")
        assert {("chat", None): 1} == dict(store.counts())
        assert [SessionRecord(whole, Totals(START))] == store.active() == store.active(user="u")
        assert ["a"] == [record.id for record in store.due(START + 10 * SECOND)]
        assert store.previous("k") is None
        assert close(store, over.id) is None
        assert {over.id} == store.merge({over.id: delta(requests=1)})
        assert over == store.create(whole._replace(id=over.id, key=None))

    def test_one_owes(self, join: Join) -> None:
        """Of processes that would owe it at once one does; asked again, that one is told so, until it is exported."""
        stores = [join() for _ in range(PROCESSES)]
        granted = together(PROCESSES, lambda number: stores[number].owe(self.OVER, f"p{number}"))
        assert [True] == [one for one in granted if one]
        winner = granted.index(True)
        assert granted == [store.owe(self.OVER, f"p{number}") for number, store in enumerate(stores)]
        stores[0].exported([self.OVER.id])
        assert not stores[winner].owe(self.OVER, f"p{winner}")

    def test_id_taken(self, join: Join) -> None:
        """A session that has its id stays as it is."""
        store = join()
        store.create(scoped(self.OVER.id, "p"))
        assert not store.owe(self.OVER, "p")
        ended = close(store, self.OVER.id)
        assert not store.owe(self.OVER, "p")
        assert ended == store.get(self.OVER.id)

    def test_purged(self, join: Join) -> None:
        """Once it is exported it is forgotten like an end."""
        store = join()
        store.owe(self.OVER, "p")
        assert 0 == store.purge(START + 2 * SECOND)
        store.exported([self.OVER.id])
        assert 1 == store.purge(START + 2 * SECOND)
        assert store.get(self.OVER.id) is None


class TestPurge:
    def test_forgotten(self, join: Join) -> None:
        """What ended before that time is forgotten: its id can be used, its key has no predecessor."""
        here, there = join(), join()
        for name in ("old", "new", "active"):
            here.create(beginning(name, key=name))
        close(here, "old", ended_ns=START)
        close(here, "new", ended_ns=START + 1)
        assert 1 == there.purge(START + 1)
        assert [None, None] == [here.get("old"), here.previous("old")]
        assert ["new", "new"] == [
            record.id if record else None for record in (here.get("new"), there.create(beginning("new")))
        ]
        assert "new" == here.previous("new")
        assert ["active"] == ids(here.active())
        assert here.create(beginning("old", key="old")) is None

    def test_owed(self, join: Join) -> None:
        """What is owed is not forgotten, however old, until it has been exported."""
        store = join()
        store.create(beginning("a"))
        store.create(scoped("b", "p"))
        for name in "ab":
            close(store, name, owner="p", ended_ns=START)
        assert 0 == store.purge(START + 10**9 * SECOND)
        store.exported(["a"])
        assert 1 == store.purge(START + 10**9 * SECOND)
        store.beat("p", START)
        assert ["b"] == ids(store.take_over("p", START, "q"))
        assert 0 == store.purge(START + 10**9 * SECOND)
        store.exported(["b"])
        assert 1 == store.purge(START + 10**9 * SECOND)

    def test_active_untouched(self, join: Join) -> None:
        """Active sessions are not forgotten, nor made exported by a word about them."""
        store = join()
        store.beat("p", START)
        store.create(scoped("a", "p"))
        store.exported(["a"])
        assert 0 == store.purge(2**63 - 1)
        assert ["a"] == ids(store.take_over("p", START, "q"))

    def test_many(self, join: Join) -> None:
        """However many they are, all are counted and gone."""
        store = join()
        for number in range(1001):
            store.create(beginning(str(number)))
            close(store, str(number))
        assert 1001 == store.purge(START + 2 * SECOND)
        assert 0 == store.purge(START + 2 * SECOND)
        assert {} == dict(store.counts())


class SharedMachine(RuleBasedStateMachine):
    """Two processes of a shared store beside a model: who owes what, who lives, what is remembered."""

    make: ClassVar[Callable[[], Join]]

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.number = 0
        self.active: dict[str, str | None] = {}
        """The owner of each active session, by id."""
        self.ended: dict[str, tuple[int, str | None]] = {}
        """When each remembered session ended, and who owes its export."""
        self.beats: dict[str, int] = {}

    @initialize()
    def begin(self) -> None:
        join = type(self).make()
        self.stores = [join(), join()]

    names = st.sampled_from(["p", "q", "r"])
    sides = st.sampled_from([0, 1])

    def any_id(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(["unknown", *self.active, *self.ended]))

    @rule(side=sides, owner=names, durable=st.booleans())
    def create(self, side: int, owner: str, *, durable: bool) -> None:
        self.number += 1
        name = f"s{self.number}"
        new = beginning(name, owner=owner) if durable else scoped(name, owner)
        assert self.stores[side].create(new) is None
        self.active[name] = None if durable else owner
        if not durable:
            self.beats.setdefault(owner, START)

    @rule(side=sides, owner=names, data=st.data())
    def owe(self, side: int, owner: str, data: st.DataObject) -> None:
        self.number += 1
        name = data.draw(st.sampled_from([f"s{self.number}", *self.active, *self.ended]))
        over = SessionRecord(beginning(name, part=1), Totals(START), ended_ns=self.now)
        is_new = name not in self.active and name not in self.ended
        is_its_own = name in self.ended and self.ended[name][1] == owner
        assert (is_new or is_its_own) == self.stores[side].owe(over, owner)
        if is_new:
            self.ended[name] = self.now, owner
            self.beats.setdefault(owner, self.now)

    @rule(side=sides, data=st.data(), owner=st.none() | names)
    def close(self, side: int, data: st.DataObject, owner: str | None) -> None:
        name = self.any_id(data)
        closed = close(self.stores[side], name, owner=owner, ended_ns=self.now)
        assert (name in self.active) == (closed is not None)
        if closed is not None:
            del self.active[name]
            self.ended[name] = self.now, owner
            if owner is not None:
                self.beats.setdefault(owner, self.now)

    @rule(side=sides, data=st.data(), size=st.integers(0, 3))
    def exported(self, side: int, data: st.DataObject, size: int) -> None:
        chosen = [self.any_id(data) for _ in range(size)]
        self.stores[side].exported(chosen)
        for name in chosen:
            if name in self.ended:
                self.ended[name] = self.ended[name][0], None

    @rule(side=sides, owner=names, back=st.booleans())
    def beat(self, side: int, owner: str, *, back: bool) -> None:
        self.beats[owner] = self.now - back * SECOND
        self.stores[side].beat(owner, self.beats[owner])

    @rule(side=sides, owner=names)
    def retire(self, side: int, owner: str) -> None:
        self.stores[side].retire(owner)
        if owner not in self.active.values() and owner not in {debtor for _, debtor in self.ended.values()}:
            self.beats.pop(owner, None)

    @rule(side=sides, dead=names, heir=names, late=st.booleans())
    def take_over(self, side: int, dead: str, heir: str, *, late: bool) -> None:
        beat_ns = self.beats.get(dead, self.now) - late
        expected: set[str] = set()
        if self.beats.get(dead) == beat_ns:
            del self.beats[dead]
            for name in [name for name, owner in self.active.items() if owner == dead]:
                expected.add(name)
                self.active[name] = heir
            for name, (ended_ns, owner) in self.ended.items():
                if owner == dead:
                    expected.add(name)
                    self.ended[name] = ended_ns, heir
            if expected:
                self.beats.setdefault(heir, beat_ns)
        taken = ids(self.stores[side].take_over(dead, beat_ns, heir))
        assert sorted(expected) == sorted(taken)

    @rule(side=sides, age=st.sampled_from([0, 1, 5]))
    def purge(self, side: int, age: int) -> None:
        before_ns = self.now - age * SECOND
        old = {name for name, (ended_ns, owner) in self.ended.items() if ended_ns < before_ns and owner is None}
        store = self.stores[side]
        assert isinstance(store, RetentionStore)
        assert len(old) == store.purgeable(before_ns) == store.purge(before_ns)
        for name in old:
            del self.ended[name]
            assert self.stores[side].get(name) is None

    @rule(seconds=st.sampled_from([1, 4]))
    def advance(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @invariant()
    def same(self) -> None:
        for store in self.stores:
            assert self.beats == dict(store.owners())
            assert sorted(self.active) == sorted(ids(store.active()))
            assert self.active.keys() | self.ended.keys() == {
                name for name in (*self.active, *self.ended, "unknown") if store.get(name) is not None
            }


class TestModel:
    def test_like_the_model(self, make_shared: Callable[[], Join]) -> None:
        """Whatever two processes do to it, in whatever order, it answers as the model does."""
        machine = type("Machine", (SharedMachine,), {"make": staticmethod(make_shared)})
        steps = settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        )
        run_state_machine_as_test(machine, settings=steps)
