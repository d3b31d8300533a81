"""The benchmarks measure what they say, and their short run can be relied on."""

from __future__ import annotations

import asyncio

import pytest
from benchmarks import decorators, peers, web
from benchmarks.goals import DECORATED, REQUESTS, Line
from benchmarks.harness import Case, Measured, awaits, calls, measure
from benchmarks.report import PeerRow, Row, page
from benchmarks.scale import SIZES, Scale
from benchmarks.scale import run as run_scale
from benchmarks.scenario import ScenarioError, run

LINE = Line("a call", "decorators:all_signals", "decorated", "by hand", goal=1.2)

MANY = Scale("memory", 1_000_000, 480, 1, 2, 3, 4, 0.1, 12.3, 1.5)


def measured(*ratios: float) -> Measured:
    """Rounds in which the base takes 1, 2, 3, ... µs, and the case so many times that."""
    bases = [1_000.0 * number for number in range(1, len(ratios) + 1)]
    return Measured({"by hand": bases, "decorated": [base * r for base, r in zip(bases, ratios, strict=True)]})


def takes(name: str, nanoseconds: int) -> Case:
    """A case that says it has taken so many nanoseconds for each call."""
    return Case(name, lambda number: number * nanoseconds)


class TestMeasured:
    def test_ratio_is_taken_within_a_round(self) -> None:
        """A round in which everything is slow does not change a ratio."""
        times = Measured({"by hand": [1_000.0, 9_000.0, 1_000.0], "decorated": [1_500.0, 13_500.0, 1_500.0]})
        assert (1.5, 1_500.0, 500.0) == (
            times.ratio("decorated", "by hand"),
            times.nanoseconds("decorated"),
            times.added_nanoseconds("decorated", "by hand"),
        )

    def test_quartiles(self) -> None:
        """Half of the rounds lie between the quartiles of the ratios."""
        assert (1.1, 1.3) == pytest.approx(
            measured(1.0, 1.1, 1.2, 1.3, 1.4).quartiles("decorated", "by hand"), abs=0.06
        )


class TestMeasure:
    def test_every_case_in_every_round(self) -> None:
        """Each case has one time for each round, and the time is that of one call."""
        times = measure([takes("a", 100_000), takes("b", 200_000)], rounds=7)
        assert {"a": 7, "b": 7} == {name: len(rounds) for name, rounds in times.times.items()}
        assert 2.0 == pytest.approx(times.ratio("b", "a"), rel=0.01)

    def test_more_work_takes_longer(self) -> None:
        """What does ten times as much is seen to take longer, called or awaited."""
        loop = asyncio.new_event_loop()

        def little() -> int:
            return sum(range(100))

        async def more() -> int:
            return sum(sum(range(100)) for _ in range(10))

        times = measure([calls("little", little), awaits("more", more, loop)], rounds=5, block_ns=200_000)
        loop.close()
        assert times.ratio("more", "little") > 2

    def test_calls_it_as_often_as_it_says(self) -> None:
        """A loop of n calls the function n times."""
        called: list[None] = []
        calls("count", lambda: called.append(None)).loop(5)
        assert 5 == len(called)


class TestScenario:
    def test_runs_in_processes_of_its_own(self) -> None:
        """A scenario's times come back, of all its cases."""
        times = run("decorators:switched_off", rounds=4)
        assert {"by hand": 4, "decorated": 4} == {name: len(rounds) for name, rounds in times.times.items()}
        assert times.ratio("decorated", "by hand") < 10

    def test_failure_says_why(self) -> None:
        """A scenario that does not run is an error that tells its reason."""
        with pytest.raises(ScenarioError, match=r"decorators:nothing failed.*KeyError"):
            run("decorators:nothing", rounds=1)


class TestScale:
    @pytest.mark.parametrize("store", ["memory", "sqlite"])
    def test_runs_in_a_process_of_its_own(self, store: str) -> None:
        """A store is measured with so many sessions, from their start to their expiry."""
        found = run_scale(store, 500)
        assert (store, 500) == (found.store, found.sessions)
        assert min(found.start, found.merge, found.end, found.expire) > 0
        assert store in SIZES


class TestGoals:
    @pytest.mark.parametrize(
        "line", [line for table in (DECORATED, REQUESTS) for line in table.lines], ids=lambda line: line.what
    )
    def test_every_line_has_its_scenario(self, line: Line) -> None:
        """What a table compares can be measured."""
        module, _, name = line.scenario.partition(":")
        assert name in {"decorators": decorators, "web": web}[module].SCENARIOS

    def test_every_peer_has_its_scenario(self) -> None:
        """Each peer can be measured, and none is measured that cannot be installed."""
        assert set(peers.SCENARIOS) == {peer.scenario for peer in peers.PEERS}

    def test_short_run_looks_at_both_kinds(self) -> None:
        """The short run looks at decorated calls and at requests."""
        assert {"decorators", "web"} == {
            line.scenario.partition(":")[0] for table in (DECORATED, REQUESTS) for line in table.lines if line.quick
        }


class TestRow:
    def test_figures(self) -> None:
        """Times are microseconds, and the goal is judged by the median."""
        row = Row.of(LINE, measured(1.1, 1.1, 1.1))
        assert [2.0, 2.2, 1.1, 0.2] == pytest.approx([row.base, row.case, row.ratio, row.added])
        assert "1.20, met" == row.verdict

    def test_missed(self) -> None:
        """A ratio above the goal misses it, without alarm."""
        row = Row.of(LINE, measured(1.3, 1.3, 1.3))
        assert ("1.20, missed", False) == (row.verdict, row.is_alarming)

    @pytest.mark.parametrize(
        ("ratios", "alarming"),
        [((1.9, 1.9, 1.9, 1.9), True), ((1.2, 1.2, 2.5, 2.5), False), ((1.7, 1.7, 1.7, 1.7), False)],
        ids=["half as slow again", "some rounds", "not quite"],
    )
    def test_alarm(self, ratios: tuple[float, ...], alarming: bool) -> None:
        """What is half as slow again as it should be, in most rounds, fails the short run; a few slow rounds do not."""
        assert alarming == Row.of(LINE, measured(*ratios)).is_alarming

    def test_alarm_is_relative_to_what_was_reached(self) -> None:
        """Where the goal is missed for a known reason, the alarm starts from there."""
        assert pytest.approx(3.0) == LINE._replace(reached=2.0).alarm


class TestPage:
    def test_page(self) -> None:
        """The page shows goals, ratios and added time, the machine, the peers, and why one is left out."""
        table = DECORATED._replace(lines=[LINE])
        peer_times = Measured({"by hand": [20e3, 20e3], "peer": [80e3, 80e3], "session": [40e3, 40e3]})
        rows = [Row.of(LINE, measured(1.5, 1.5, 1.5))]
        text = page([(table, rows)], [PeerRow.of("Peer `@x`", peer_times)], ["Other: no such version"], [MANY], 15)
        assert "| memory | 1,000,000 | 480 | 1.0 | 2.0 | 3.0 | 4.0 | 1.5 ms | 0.1 ms | +12 ms |" in text
        assert "| a call | 2.0 | 3.0 | 1.50 (1.50 to 1.50) | 1.0 | 1.20, missed |" in text
        assert "| Peer `@x` | 80.0 | 4.00 | 40.0 | 0.50 |" in text
        assert "Other: no such version" in text
        assert "CPython" in text or "PyPy" in text
        assert "opentelemetry-sdk 1." in text
