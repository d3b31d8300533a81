"""One contract for all stores that can be told to forget: `otel_sessions.typing.RetentionStore`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import pytest

from otel_sessions.typing import (
    Beginning,
    HistoryStore,
    RetentionStore,
    SessionRecord,
    SharedStore,
    Totals,
    UserStore,
    Wanted,
)

from . import SHARED_KINDS, STORES
from .test_history import ALWAYS, HOUR, START, ids, run, total

SECOND: Final = 1_000_000_000
HOUR_NS: Final = 3_600 * SECOND
DAY_NS: Final = 24 * HOUR_NS


class Remembering(HistoryStore, RetentionStore, UserStore, Protocol):
    """What the stores of this package are."""


@pytest.fixture(name="store", params=STORES)
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remembering]:
    store = STORES[request.param](tmp_path)
    assert isinstance(store, HistoryStore)
    assert isinstance(store, RetentionStore)
    yield store
    store.shutdown()


class TestPurge:
    def test_nothing(self, store: Remembering) -> None:
        """Of an empty store nothing is forgotten, nor of what is active."""
        assert store.create(Beginning("a", "chat", "durable", START)) is None
        assert (store.purgeable(2**63 - 1), store.purge(2**63 - 1)) == (0, 0)
        assert store.get("a") is not None

    def test_it_is_known_before(self, store: Remembering) -> None:
        """As many are forgotten as were counted, to the nanosecond; nothing is by counting."""
        for number in range(4):
            run(store, f"s{number}", ended_ns=START + number, key=f"k{number}", user="u")
        assert [store.purgeable(START + number) for number in range(6)] == [0, 1, 2, 3, 4, 4]
        assert len(store.history(Wanted(), 9)) == 4
        assert store.purge(START + 3) == 3
        assert ids(store.history(Wanted(), 9)) == ids(store.history(Wanted(user="u"), 9)) == ["s3"]
        assert [store.get("s0"), store.previous("k0"), store.previous("k3")] == [None, None, "s3"]
        assert store.purgeable(START + 3) == 0

    def test_many(self, store: Remembering) -> None:
        """However many they are."""
        for number in range(501):
            run(store, str(number), ended_ns=START + number % 3)
        assert (store.purgeable(START + 2), store.purge(START + 2), store.purgeable(START + 9)) == (334, 334, 167)

    @pytest.mark.parametrize("store", SHARED_KINDS, indirect=True)
    def test_owed(self, store: Remembering) -> None:
        """What is owed is neither forgotten nor counted; of what is exported later, parts are counted."""
        assert isinstance(store, SharedStore)
        run(store, "a", owner="p")
        part = SessionRecord(Beginning("b", "chat", "durable", START).as_part(1), Totals(START), ended_ns=START)
        store.owe(part, "p")
        assert (store.purgeable(2**62), store.purge(2**62)) == (0, 0)
        store.exported(["a", part.id])
        assert (store.purgeable(2**62), store.purge(2**62)) == (2, 2)

    def test_sums(self, store: Remembering) -> None:
        """The sums go by full hours, and so does whose sessions they were."""
        for number in range(3):
            run(store, f"s{number}", user="1" * 32, ended_ns=START + number * DAY_NS + SECOND)
        assert store.purge(START + DAY_NS + HOUR_NS - 1) == 2
        assert sorted(each.hour for each in store.tallies(*ALWAYS)) == [HOUR + 24, HOUR + 48]
        assert total(store).sessions == 2
        assert store.users(HOUR, HOUR + 24, 1, {}) == ([], 0)
        assert store.users(*ALWAYS, 1, {}) == ([("1" * 32, 2)], 1)

    @pytest.mark.parametrize(("hours", "left"), [((1, 2, 14), 1), ((1, 2), 0), ((11, 12, 13), 2), ((13, 30), 2)])
    def test_in_the_middle_of_a_day(self, store: Remembering, hours: Sequence[int], left: int) -> None:
        """The sums of a day are those of its hours that are left; of a day without any there are none."""
        for number, hour in enumerate(hours):
            delta = Totals(START)
            delta.usage, delta.tokens = {"longest": 0.5}, {"input": 2}
            ended_ns = START + hour * HOUR_NS + SECOND
            run(store, f"s{number}", ended_ns=ended_ns, started_ns=ended_ns - (20 - number) * SECOND, delta=delta)
        for _ in range(2):
            store.purge(START + 12 * HOUR_NS)
            # Both ways of adding up say the same.
            assert total(store).sessions == left
        run(store, "late", ended_ns=START + 12 * HOUR_NS)
        assert total(store).sessions == left + 1

    def test_single_uses(self, store: Remembering) -> None:
        """The single uses of a session go with it, also where they are kept apart."""
        delta = Totals(START)
        delta.uses = ["use"]
        run(store, "a", delta=delta)
        assert store.purge(2**62) == 1
        run(store, "a")
        [again] = store.history(Wanted(), 1)
        assert again.totals.uses is None
