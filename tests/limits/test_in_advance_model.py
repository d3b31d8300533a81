"""Limits taken in advance, whatever happens in whatever order: never more than there is, and nothing is lost."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from otel_sessions import StoreError
from otel_sessions._limiting.in_advance import InAdvance
from otel_sessions.limits import Quota
from otel_sessions.stores import MemoryStore
from otel_sessions.typing import Admission, Bucket, Charge, Level, LimitStore, Standing

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
START: Final = 1_767_225_600 * SECOND
MOST: Final = 40
LATEST: Final = SECOND
"""How long a question is on its way at most."""
MARGIN: Final = 12 * SECOND
"""For how long before the end of a window nothing may be given back any more."""

FULL: Final = Bucket("full", 0, "fixed", MINUTE)
PER_MINUTE: Final = Quota("tokens", MOST, per="minute", ahead=6)
KINDS: Final[dict[str, Bucket]] = {
    "total": Quota("tokens", MOST, ahead=6).bucket("tokens", START),
    "calendar": PER_MINUTE.bucket("tokens", START),
    "fixed": Bucket("tokens", MOST, "fixed", MINUTE, ahead=6),
    "sliding": Bucket("tokens", MOST, "sliding", 60 * MINUTE, ahead=6),
    "moving": Bucket("tokens", MOST, "moving", 60 * MINUTE, step_us=MINUTE // 2, ahead=6),
}
"""Windows that move do so for longer than a test goes on: they are as exact as their steps only."""


class Line:
    """The way from one process to a store: it takes time, in which others do something, and may break."""

    def __init__(self, inner: LimitStore, model: _Model) -> None:
        self._inner = inner
        self._model = model
        self.late_us = 0
        self.before: list[Callable[[], object]] = []
        self.after: list[Callable[[], object]] = []
        self.breaks = False

    def admit(self, charges: Sequence[Charge], now_us: int | None = None) -> Admission:
        late, breaks, self.breaks = self.late_us, self.breaks, False
        self._happen(self.before)
        assert now_us is not None
        # The store's own clock, which goes on meanwhile.
        self._model.now += late
        admission = self._inner.admit(charges, self._model.now)
        self._happen(self.after)
        if breaks:
            raise StoreError("no answer")
        return admission

    def levels(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Level]:
        self._happen(self.before)
        assert now_us is not None
        return self._inner.levels(buckets, self._model.now)

    def renew(self, slots: Sequence[Charge], now_us: int | None = None) -> Sequence[bool]:
        return self._inner.renew(slots, now_us)

    def standings(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Sequence[Standing]:
        return self._inner.standings(buckets, now_us)

    def _happen(self, what: list[Callable[[], object]]) -> None:
        if what:
            what.pop()()


class Ask(NamedTuple):
    """What somebody asks for, and what happens meanwhile."""

    process: int
    amount: int
    capacity: int
    refused: bool
    """Whether something else is asked for that is refused."""
    before: tuple[Ask, ...] = ()
    after: tuple[Ask, ...] = ()
    waits_us: int = 0
    """How much later that is."""
    late_us: int = 0
    breaks: bool = False
    tidies: bool = False
    """Whether instead of that it gives back what is over."""


def asks(depth: int) -> st.SearchStrategy[Ask]:
    """Any of them, with others meanwhile, to that depth."""
    nested: st.SearchStrategy[tuple[Ask, ...]] = st.just(())
    if depth:
        nested = st.one_of(nested, nested, st.lists(asks(depth - 1), min_size=1, max_size=2).map(tuple))
    return st.builds(
        Ask,
        st.integers(0, 2),
        st.sampled_from([1, 1, 1, 2, 5, 9]),
        st.sampled_from([MOST, MOST, MOST, MOST - 15]),
        st.sampled_from([False, False, False, True]),
        nested,
        nested,
        st.sampled_from([0, 0, 1, LATEST // 4]),
        st.sampled_from([0, 0, 1, LATEST // 4, LATEST]),
        st.sampled_from([False] * 7 + [True]),
        st.sampled_from([False, False, False, True]),
    )


class _Model(RuleBasedStateMachine):
    kind: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.now = START + 30 * SECOND
        self.store: LimitStore = MemoryStore().limits
        self.lines = [Line(self.store, self) for _ in range(3)]
        self.processes = [InAdvance(line) for line in self.lines]
        self.used: Counter[int] = Counter()
        """What was handed out, by when its window began."""
        self.is_lost = False
        """Whether a process has died, or an answer."""
        self.has_faults = False

    def bucket(self, capacity: int = MOST) -> Bucket:
        start = PER_MINUTE.bucket("", self.now).start_us if self.kind == "calendar" else None
        return KINDS[self.kind]._replace(capacity=capacity, start_us=start)

    @initialize(faults=st.booleans())
    def begin(self, *, faults: bool) -> None:
        self.has_faults = faults

    @rule(ask=asks(2))
    def ask(self, ask: Ask) -> None:
        self._ask(ask)
        for line in self.lines:
            line.before, line.after, line.late_us, line.breaks = [], [], 0, False

    def _ask(self, ask: Ask) -> None:
        line, limits = self.lines[ask.process], self.processes[ask.process]
        self.now += ask.waits_us
        line.late_us, line.breaks = ask.late_us, ask.breaks and self.has_faults
        line.before = [lambda other=each: self._ask(other) for each in ask.before]  # type: ignore[misc]
        line.after = [lambda other=each: self._ask(other) for each in ask.after]  # type: ignore[misc]
        try:
            if ask.tidies:
                limits.tidy(self.now)
            else:
                self._use(limits, ask)
        except StoreError:
            self.is_lost = True

    def _use(self, limits: InAdvance, ask: Ask) -> None:
        bucket, now = self.bucket(ask.capacity), self.now
        charges = [Charge(bucket, ask.amount), Charge(FULL)][: 1 + ask.refused]
        admission = limits.admit(charges, now)
        assert not (admission.admitted and ask.refused)
        if not admission.admitted:
            return
        level = admission.levels[0]
        assert level.fits
        began = 0 if level.resets_us is None or self.kind == "moving" else level.resets_us - (bucket.length_us or 0)
        assert (bucket.start_us or 0) <= began
        assert began == 0 or now < level.resets_us  # type: ignore[operator]
        self.used[began] += ask.amount
        assert self.used[began] <= MOST
        if not ask.before and not ask.after:
            assert self.used[began] <= ask.capacity
            assert ask.amount <= level.used <= ask.capacity

    @rule(seconds=st.sampled_from([0.001, 1, 5, 20, 59.999, 60]))
    def wait(self, seconds: float) -> None:
        later = self.now + int(seconds * SECOND)
        if self.kind not in {"moving", "sliding"} or later < START + 50 * MINUTE:
            self.now = later

    @rule(process=st.integers(0, 2))
    def tidy(self, process: int) -> None:
        if self.processes[process].is_due(self.now):
            self.processes[process].tidy(self.now)
        assert not self.processes[process].is_due(self.now)

    @precondition(lambda self: self.has_faults)
    @rule(process=st.integers(0, 2))
    def die(self, process: int) -> None:
        self.is_lost |= bool(self.processes[process]._supplies)
        self.processes[process].after_fork()

    @rule()
    def look(self) -> None:
        (level,) = self.store.levels([self.bucket()], self.now)
        for limits in self.processes:
            (here,) = limits.levels([self.bucket()], self.now)
            assert 0 <= here.used <= level.used

    @rule()
    def give_back(self) -> None:
        for limits in self.processes:
            limits.give_back(self.now)
            assert not limits.is_due(self.now)
        (level,) = self.store.levels([self.bucket()], self.now)
        length = self.bucket().length_us
        began = 0 if self.kind in {"total", "moving"} else (level.resets_us or 0) - (length or 0)
        assert self.used[began] <= level.used
        if not self.is_lost and (not began or self.now < began + (length or 0) - MARGIN):
            assert self.used[began] == level.used

    def teardown(self) -> None:
        self.give_back()


@pytest.mark.parametrize("kind", KINDS)
def test_model(kind: str) -> None:
    """What is used in a window is no more than there is; with what was given back it is what was taken."""
    run_state_machine_as_test(
        type("Machine", (_Model,), {"kind": kind}),
        settings=settings(
            max_examples=40,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


@pytest.mark.parametrize("seed", range(3))
def test_threads(seed: int) -> None:
    """So it is when threads use, tidy up and change limits at once."""
    store = MemoryStore().limits
    processes = [InAdvance(store), InAdvance(store)]
    bucket = KINDS["total"]._replace(capacity=3_000)
    used: list[float] = []

    def work(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        for _ in range(150):
            limits = processes[chance.randrange(2)]
            one = bucket._replace(capacity=chance.choice([3_000, 3_000, 3_000, 2_900]))
            amount = chance.randint(1, 9)
            more = [Charge(FULL)] if chance.random() < 0.2 else []
            if limits.admit([Charge(one, amount), *more], START).admitted:
                used.append(amount)
            if chance.random() < 0.05:
                limits.give_back(START)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for limits in processes:
        limits.give_back(START)
    (level,) = store.levels([bucket], START)
    assert sum(used) == level.used <= 3_000
    assert sum(used) > 2_800
