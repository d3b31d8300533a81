"""Plain values: they merge as they promise, and survive being written as JSON."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_sessions._models import MAX_EVENTS, Reservation
from otel_sessions._operations import MAX_OPERATIONS
from otel_sessions._uses import MAX_USES, Use
from otel_sessions.typing import Beginning, Event, SessionRecord, Totals

SECOND = 1_000_000_000

quick = settings(max_examples=40, deadline=None)

texts = st.text(max_size=8)
names = st.sampled_from(["input", "output", "cache_read"])
# Quarters, because the sums of those are exact in whatever order.
amounts = st.integers(0, 1000).map(lambda number: number / 4)
numbers = st.integers(-(2**63), 2**63 - 1)
values = st.one_of(
    texts,
    st.booleans(),
    numbers,
    st.floats(allow_nan=False),
    st.lists(texts, max_size=3).map(tuple),
    st.lists(st.booleans(), max_size=3).map(tuple),
    st.lists(numbers, max_size=3).map(tuple),
    st.lists(st.floats(allow_nan=False), max_size=3).map(tuple),
)
attribute_maps = st.dictionaries(st.text(min_size=1, max_size=4), values, max_size=3)
events = st.builds(Event, st.sampled_from(["a", "b"]), st.integers(0, 2**62), attribute_maps)
uses = st.builds(Use, st.integers(0, 2**62), names, amounts, st.none() | st.sampled_from(["inference", "export"]))


@st.composite
def deltas(draw: st.DrawFn) -> Totals:
    """What may have happened in a session."""
    totals = Totals(draw(st.integers(0, 2**62)))
    counts = ("requests", "events", "errors", "turns", "turn_ns", "active_ns", "dropped_events", "dropped_uses")
    for name in counts:
        setattr(totals, name, draw(st.integers(0, 5)))
    for name in ("tokens", "usage", "operations", "operation_counts", "cost"):
        setattr(totals, name, draw(st.none() | st.dictionaries(names, amounts, max_size=2)))
    totals.user = draw(st.none() | st.sampled_from(["u", "v"]))
    totals.platform = draw(st.none() | st.sampled_from(["web", "mobile"]))
    totals.error = draw(st.none() | st.tuples(st.sampled_from(["KeyError", "OSError"]), st.none() | texts))
    for role, time_ns in draw(st.lists(st.tuples(st.sampled_from(["user", "tool"]), st.integers(1, 9)), max_size=3)):
        totals.add_message(role, time_ns)
    totals.attributes = draw(st.none() | attribute_maps)
    for use in sorted(draw(st.lists(uses, max_size=3)), key=Use.line):
        totals.add_use(use)
    for event in sorted(draw(st.lists(events, max_size=3)), key=lambda event: event.time_ns):
        totals.append(event)
    return totals


def merged(*shares: Totals) -> Totals:
    """All shares, added up one after the other."""
    whole = Totals()
    for share in shares:
        whole.merge(share)
    return whole


def countable(totals: Totals) -> dict[str, Any]:
    """What merges commutatively: sums, maxima, minima, and events and uses as sets."""
    found = totals.to_dict()
    for name in ("user", "platform", "error", "attributes"):
        found.pop(name, None)
    found["recent"] = sorted(repr(event) for event in totals.recent or ())
    return {name: value for name, value in found.items() if value}


class TestTotals:
    @quick
    @given(st.lists(deltas(), min_size=2, max_size=4))
    def test_any_order(self, shares: list[Totals]) -> None:
        """Sums, maxima, minima, events and uses are the same in whatever order the shares arrive."""
        expected = countable(merged(*shares))
        for order in itertools.permutations(shares):
            assert expected == countable(merged(*order))

    @quick
    @given(deltas(), deltas(), deltas())
    def test_any_grouping(self, one: Totals, two: Totals, three: Totals) -> None:
        """It does not matter whether shares are added up before they are added."""
        later = two.copy()
        later.merge(three)
        assert countable(merged(one, two, three)) == countable(merged(one, later))

    @quick
    @given(st.permutations([1, 2, 3]))
    def test_latest_stays(self, order: list[int]) -> None:
        """Of values that replace each other those of the share with the latest activity stay."""
        shares = []
        for at_ns in order:
            share = Totals(at_ns)
            share.user, share.platform, share.error = f"user {at_ns}", f"platform {at_ns}", (f"Error{at_ns}", None)
            share.attributes = {"always": at_ns, f"only {at_ns}": at_ns}
            shares.append(share)
        whole = merged(*shares)
        assert ("user 3", "platform 3", ("Error3", None)) == (whole.user, whole.platform, whole.error)
        assert {"always": 3, "only 1": 1, "only 2": 2, "only 3": 3} == whole.attributes

    def test_error_replaces_as_one(self) -> None:
        """An error without a message does not leave an earlier error's message standing, not even through JSON."""
        first, second = Totals(1), Totals(2)
        first.error, second.error = ("OSError", "disk full"), ("KeyError", "")
        assert ("KeyError", "") == merged(first, Totals.from_dict(json.loads(json.dumps(second.to_dict())))).error

    @quick
    @given(deltas(), deltas())
    def test_delta_unchanged(self, whole: Totals, share: Totals) -> None:
        """Merging changes neither the share nor, later, the share through the sum."""
        before = share.to_dict()
        before = json.loads(json.dumps(before))
        whole.merge(share)
        whole.add_to("tokens", "input", 1)
        whole.append(Event("late", 1, {}))
        whole.add_use(Use(1, "tokens", 1, None))
        assert before == json.loads(json.dumps(share.to_dict()))

    @quick
    @given(deltas())
    def test_copy(self, totals: Totals) -> None:
        """A copy is equal, and independent."""
        copied = totals.copy()
        assert totals == copied
        copied.requests += 1
        copied.add_to("cost", "EUR", 1)
        assert totals != copied

    @pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
    def test_operations_of_two_processes(self, names: tuple[str, str]) -> None:
        """The operations of two processes are at most as many by name as those of one, and no use of them is lost."""
        shares = [Totals(1), Totals(2)]
        for share, name in zip(shares, names, strict=True):
            share.add_operation(None)
            for number in range(MAX_OPERATIONS + 20):
                share.add_operation(f"{name}{number}")
                share.add_usage("tokens", 2, f"{name}{number}")
        whole = merged(*shares)
        counts, amounts = whole.operation_counts or {}, whole.operations or {}
        assert {f"{names[0]}{number}" for number in range(MAX_OPERATIONS)} | {"", "_OTHER"} == counts.keys()
        assert {f"{name}|tokens" for name in counts if name} == amounts.keys()
        assert (2, 140, 280) == (counts[""], counts["_OTHER"], amounts["_OTHER|tokens"])

    def test_empty(self) -> None:
        """Nothing plus nothing is nothing, and says so."""
        assert ({}, "Totals()") == (merged(Totals(), Totals()).to_dict(), repr(Totals()))

    def test_not_totals(self) -> None:
        """Totals are equal to totals only."""
        assert Totals() != {}


class TestEvents:
    def test_oldest_gives_way(self) -> None:
        """Only the newest events are kept, and the rest is counted."""
        totals = Totals()
        for at in range(MAX_EVENTS + 3):
            totals.append(Event("step", at, {}))
        assert totals.recent is not None
        assert (list(range(3, MAX_EVENTS + 3)), 3) == (
            [event.time_ns for event in totals.recent],
            totals.dropped_events,
        )

    @quick
    @given(st.lists(st.integers(0, 90), min_size=1, max_size=6), st.randoms(use_true_random=False))
    def test_newest_of_all(self, sizes: list[int], random: Any) -> None:
        """However they arrive, the newest events of all shares stay, in their order, and none goes uncounted."""
        times = iter(range(sum(sizes)))
        shares = []
        for size in sizes:
            share = Totals()
            for _ in range(size):
                share.append(Event("step", next(times), {}))
            shares.append(share)
        random.shuffle(shares)
        whole = merged(*shares)
        newest = list(range(max(0, sum(sizes) - MAX_EVENTS), sum(sizes)))
        assert newest == [event.time_ns for event in whole.recent or ()]
        assert sum(sizes) - len(newest) == whole.dropped_events


def use(at_ns: int) -> Use:
    return Use(at_ns, "tokens", 1, "inference")


class TestUses:
    @quick
    @given(uses | st.sampled_from([-1, -0.5, 1e300, 1e-9, 2**53 - 1]).map(lambda amount: Use(0, "t", amount, None)))
    def test_as_text(self, one: Use) -> None:
        """A use comes back from its text as it was, its amount with the same type."""
        found = Use.read(one.line())
        assert (one, type(one.amount)) == (found, type(found.amount))

    def test_oldest_gives_way(self) -> None:
        """Only the last uses are kept, and the rest is counted."""
        totals = Totals()
        for at in range(MAX_USES + 3):
            totals.add_use(use(at))
        assert ([use(at).line() for at in range(3, MAX_USES + 3)], 3) == (totals.uses, totals.dropped_uses)

    @quick
    @given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.randoms(use_true_random=False))
    def test_newest_of_all(self, sizes: list[int], random: Any) -> None:
        """However they arrive, the last uses of all shares stay, in their order, and none goes uncounted."""
        times = iter(range(sum(sizes)))
        shares = []
        for size in sizes:
            share = Totals()
            for _ in range(size):
                share.add_use(use(next(times)))
            shares.append(share)
        random.shuffle(shares)
        whole = merged(*shares)
        newest = list(range(max(0, sum(sizes) - MAX_USES), sum(sizes)))
        assert newest == [Use.read(line).time_ns for line in whole.uses or ()]
        assert sum(sizes) - len(newest) == whole.dropped_uses


class TestConversation:
    def test_spans_all_messages(self) -> None:
        """The first and the last message are those of all shares, also if a clock was set back between two of them."""
        one, two = Totals(), Totals()
        one.add_message("user", 7)
        one.add_message("assistant", 5)
        two.add_message("user", 6)
        assert [(5, 7)] * 2 == [(t.first_message_ns, t.last_message_ns) for t in (one, merged(two, one))]

    def test_sums_alone(self) -> None:
        """Sums can be added without what comes with them: times, events, uses, and what replaces each other."""
        share = Totals(SECOND)
        share.add_message("user", 5)
        share.append(Event("step", 1, {}))
        share.add_use(use(1))
        share.events, share.user = 1, "u"
        whole = Totals()
        whole.add_sums(share)
        assert {"events": 1, "messages": {"user": 1}} == whole.to_dict()


reservations = st.builds(
    Reservation,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
    st.sampled_from(["", "a=1", "a=1,b=2"]),
    st.integers(0, 2),
    st.none() | attribute_maps.filter(bool),
)
beginnings = st.builds(
    Beginning,
    id=texts,
    type=texts,
    topology=st.sampled_from(["scoped", "durable"]),
    started_ns=st.integers(0, 2**62),
    key=st.none() | texts,
    user=st.none() | texts,
    tier=st.none() | texts,
    platform=st.none() | texts,
    parent_id=st.none() | texts,
    previous_id=st.none() | texts,
    attributes=st.none() | attribute_maps.filter(bool),
    idle_timeout_ns=st.none() | st.integers(1, 2**62),
    max_duration_ns=st.none() | st.integers(1, 2**62),
    reservation=st.none() | reservations,
)
records = st.builds(
    SessionRecord,
    beginnings,
    deltas(),
    st.sampled_from(["active", "success", "error", "cancelled", "expired", "abandoned"]),
    st.none() | st.sampled_from(["completed", "exception", "idle_timeout"]),
    st.none() | st.integers(0, 2**62),
)


def types(value: object) -> object:
    """The types of values, at every depth: 1, 1.0 and True are equal, and not the same to a backend."""
    if isinstance(value, dict):
        return {key: types(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(types(inner) for inner in value)
    return type(value)


class TestSessionRecord:
    @quick
    @given(records)
    def test_json(self, record: SessionRecord) -> None:
        """Every record comes back from JSON as it was, its attributes with the same types."""
        found = SessionRecord.from_dict(json.loads(json.dumps(record.to_dict())))
        assert record == found
        assert types(dict(record.attributes)) == types(dict(found.attributes))
        assert [types(dict(event.attributes)) for event in record.totals.recent or ()] == [
            types(dict(event.attributes)) for event in found.totals.recent or ()
        ]

    def test_of_a_later_version(self) -> None:
        """What only a later version knows of a session is left out, wherever it stands."""
        began = Beginning("s", "chat", "durable", 1, reservation=Reservation(1, 2, 1, "", 2))
        told = SessionRecord(began, Totals(1)).to_dict()
        told["reservation"]["later"] = told["totals"]["later"] = told["later"] = {"a": 1}
        assert SessionRecord(began, Totals(1)) == SessionRecord.from_dict(json.loads(json.dumps(told)))

    def test_ids_are_hexadecimal(self) -> None:
        """The reserved identity is written as W3C trace context writes it: JSON's numbers are too small for it."""
        reservation = Reservation(1, 2**64 - 1, 3, "a=1", 2, {"sampler": "own"}, 255)
        assert {
            "trace_id": "0" * 31 + "1",
            "span_id": "f" * 16,
            "trace_flags": 3,
            "trace_state": "a=1",
            "decision": 2,
            "attributes": {"sampler": "own"},
            "parent_span_id": "00000000000000ff",
        } == reservation.to_dict()

    def test_current_values(self) -> None:
        """A record answers with what became known since the start, else with what was known then."""
        began = Beginning(
            "s", "chat", "durable", 0, user="u", tier="pro", platform="web", attributes={"a": "start", "b": "start"}
        )
        later = Totals(SECOND)
        later.user, later.platform, later.attributes = "v", "mobile", {"b": "later"}
        at_start, now = SessionRecord(began, Totals()), SessionRecord(began, later)
        assert ("u", "web", {"a": "start", "b": "start"}) == (at_start.user, at_start.platform, at_start.attributes)
        assert ("v", "mobile", {"a": "start", "b": "later"}) == (now.user, now.platform, now.attributes)
        assert ("s", "chat", "pro") == (now.id, now.type, now.tier)

    def test_duration(self) -> None:
        """The duration is known once the session has ended."""
        began = Beginning("s", "chat", "durable", SECOND)
        active = SessionRecord(began, Totals())
        ended = SessionRecord(began, Totals(), "success", "completed", 3 * SECOND + SECOND // 2)
        assert [(True, None), (False, 2.5)] == [(r.is_active, r.duration_seconds) for r in (active, ended)]
