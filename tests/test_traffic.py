"""The traffic of the demo makes every metric, every fault shows where it should, and nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from otel_sessions import _semconv as sc
from otel_sessions.demo._harvest import Harvest, Series
from otel_sessions.demo.traffic._faults import FAULTS
from otel_sessions.demo.traffic._options import pace_of
from otel_sessions.demo.traffic._pace import Pace
from otel_sessions.demo.traffic._people import People, tiers
from otel_sessions.demo.traffic._shop import missing
from otel_sessions.testing import OTLPReceiver

COMMAND = [sys.executable, "-m", "otel_sessions.demo", "traffic"]
TOGETHER = (
    ("--speed", "15", *(f"--fault={name}" for name in ("errors", "refusals", "quotas", "leases", "suspicious"))),
    ("--speed", "20", *(f"--fault={name}" for name in ("access", "crashes", "crowd", "idle", "drops", "logs"))),
    ("--speed", "5", "--fault=slow"),
    ("--speed", "5", "--fault=store"),
)
"""Which faults one process makes: those that do not hide each other. Three hundredths of a processor for each speed."""


def environment(receiver: OTLPReceiver | None = None, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    exporting = {} if receiver is None else {**receiver.environment, "NO_PROXY": "127.0.0.1"}
    return {**kept, **exporting, "OTEL_METRIC_EXPORT_INTERVAL": "500", "OTEL_SERVICE_NAME": "shop", **variables}


class Running(NamedTuple):
    """Traffic that is under way."""

    process: subprocess.Popen[str]
    receiver: OTLPReceiver
    log: Path

    @property
    def harvest(self) -> Harvest:
        return Harvest([], [], self.receiver.points)

    def series(self, metric: sc.Metric) -> list[Series]:
        return self.harvest.series(metric)

    def total(self, metric: sc.Metric, *labels: str) -> float:
        """The sum of the series that have all of these labels; of a histogram how many it counted."""
        return sum(
            each.value if metric.kind != "histogram" else each.count
            for each in self.series(metric)
            if set(labels) <= set(each.labels)
        )

    def mean(self, metric: sc.Metric, *labels: str) -> float | None:
        """The mean of a histogram's series that have all of these labels; None if there is nothing in them."""
        found = [each for each in self.series(metric) if set(labels) <= set(each.labels)]
        count = sum(each.count for each in found)
        return sum(each.value for each in found) / count if count else None


def run(held: ExitStack, log: Path, *arguments: str) -> Running:
    receiver = held.enter_context(OTLPReceiver())
    process = subprocess.Popen(
        [*COMMAND, "--log-file", str(log), *arguments],
        env=environment(receiver),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    held.callback(process.wait, 30)
    held.callback(process.terminate)
    return Running(process, receiver, log)


@pytest.fixture(name="faulty", scope="module")
def _faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """For each fault, the traffic that has it; all of it runs at the same time."""
    with ExitStack() as held:
        found: dict[str, Running] = {}
        for number, arguments in enumerate(TOGETHER):
            running = run(held, tmp_path_factory.mktemp("log") / f"{number}.log", *arguments)
            found |= {word.removeprefix("--fault="): running for word in arguments if word.startswith("--fault=")}
        yield found


def errors(running: Running) -> bool:
    ended = sum(running.total(sc.DURATION, kind) for kind in ("chat", "import"))
    return ended >= 20 and running.total(sc.DURATION, "error") / ended > 0.1


def refusals(running: Running) -> bool:
    return running.total(sc.LIMIT_DECISIONS, "rate", "rejected") > 0.05 * running.total(sc.LIMIT_DECISIONS) > 0


def quotas(running: Running) -> bool:
    near = ("warning", "critical", "exhausted")
    high = sum(running.total(sc.QUOTA_ACTORS, "tokens", band) for band in near)
    return high > 0 and bool(running.series(sc.QUOTA_TIME_TO_EXHAUSTION))


def leases(running: Running) -> bool:
    held, most = (running.total(metric, "export", "pro") for metric in (sc.LEASE_ACTIVE, sc.LEASE_LIMIT))
    return held >= 0.9 * most > 0


def idle(running: Running) -> bool:
    engaged = running.mean(sc.ENGAGEMENT_RATIO, "chat")
    return engaged is not None and engaged < 0.3


SIGNALS: dict[str, Callable[[Running], bool]] = {
    "errors": errors,
    "slow": lambda running: (running.mean(sc.TURN_DURATION) or 0) > 2,
    "refusals": refusals,
    "quotas": quotas,
    "leases": leases,
    "suspicious": lambda running: running.total(sc.FINDINGS) >= 5,
    "access": lambda running: running.total(sc.ACCESS_FAILURES) >= 20,
    "crashes": lambda running: running.total(sc.DURATION, "crashed") > 0,
    "crowd": lambda running: running.total(sc.ACTIVE) > 100,
    "idle": idle,
    "store": lambda running: any(len(each.labels) == 3 for each in running.series(sc.STORE_OPERATION_DURATION)),
    "drops": lambda running: running.total(sc.DROPPED, sc.Drop.SESSION_ENDED) > 0,
    "logs": lambda running: running.log.exists() and running.log.stat().st_size > 1 << 18,
}


class TestTraffic:
    def test_it_makes_every_metric(self, tmp_path: Path) -> None:
        """All metrics of the catalogue arrive, and no others of ours; some need a fault, and the others none."""
        wanted = {metric.name for metric in sc.METRICS}
        by_fault = {metric.name: fault for fault in FAULTS.values() for metric in fault.makes}
        faults = [f"--fault={fault.name}" for fault in set(by_fault.values())]
        with ExitStack() as held:
            usual = run(held, tmp_path / "usual.log", "--speed", "20")
            extreme = run(held, tmp_path / "extreme.log", "--speed", "15", *faults)
            usual.receiver.wait_for(lambda: wanted - by_fault.keys() <= names(usual), 60)
            extreme.receiver.wait_for(lambda: by_fault.keys() <= names(extreme), 60)
            assert wanted >= {name for name in names(usual) | names(extreme) if name.startswith("app_session.")}

    @pytest.mark.parametrize("fault", sorted(FAULTS))
    def test_each_fault_shows(self, fault: str, faulty: dict[str, Running]) -> None:
        """What goes wrong is seen where its alert looks for it."""
        running = faulty[fault]
        running.receiver.wait_for(lambda: SIGNALS[fault](running), 80)
        assert running.process.poll() is None

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_stops_when_it_is_told(self, number: signal.Signals, tmp_path: Path) -> None:
        """It ends with 0, and all has been exported: a span for each session that ended, and zero of what is open."""
        with ExitStack() as held:
            running = run(held, tmp_path / "log", "--speed", "10")
            running.receiver.wait_for(lambda: {"chat", "import", "web"} <= types(running, sc.STARTS), 60)
            running.process.send_signal(number)
            assert running.process.wait(30) == 0
            assert len(Harvest(running.receiver.spans, [], []).sessions) == running.total(sc.DURATION) > 0
            assert {0} == {each.value for metric in (sc.ACTIVE, sc.LEASE_ACTIVE) for each in running.series(metric)}

    def test_it_stops_after_a_time(self, otlp_receiver: OTLPReceiver) -> None:
        """`--seconds` ends it, whatever it is doing."""
        done = subprocess.run(
            [*COMMAND, "--speed", "10", "--seconds", "2"],
            env=environment(otlp_receiver),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (0, "") == (done.returncode, done.stderr)
        assert "traffic at speed 10, seed 0, to http://127.0.0.1" in done.stdout
        assert "its web application: http://127.0.0.1:" in done.stdout

    @pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux says who is whose child")
    def test_its_worker_does_not_outlive_it(self, tmp_path: Path) -> None:
        """When it is killed with SIGKILL, its worker ends too."""
        with ExitStack() as held:
            running = run(held, tmp_path / "log", "--speed", "10")
            running.receiver.wait_for(lambda: types(running, sc.STARTS) & {"import", "report"}, 60)
            pid = running.process.pid
            [worker] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            running.process.kill()
            running.receiver.wait_for(lambda: has_ended(worker), 30)


def names(running: Running) -> set[str]:
    return {point.name for point in running.receiver.points}


def types(running: Running, metric: sc.Metric) -> set[str]:
    return {str(point.attributes[sc.TYPE]) for point in running.receiver.points if point.name == metric.name}


def has_ended(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class TestOptions:
    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (("--speed", "0"), "0 is not between 0.1 and 60"),
            (("--speed", "fast"), "invalid"),
            (("--seconds", "-1"), "-1 is not a number of seconds"),
            (("--fault", "fire"), "invalid choice: 'fire'"),
            (("--fault", "logs"), "the fault 'logs' needs --log-file"),
        ],
    )
    def test_what_cannot_be_is_said(self, arguments: tuple[str, ...], complaint: str) -> None:
        """A wrong option ends it with 2, and says what is wrong."""
        done = subprocess.run([*COMMAND, *arguments], env=environment(), check=False, capture_output=True, text=True)
        assert done.returncode == 2
        assert complaint in done.stderr

    def test_a_store_that_cannot_be_obstructed_is_said(self) -> None:
        """The fault `store` needs a store that others can keep from answering."""
        done = subprocess.run(
            [*COMMAND, "--fault", "store"],
            env=environment(OTEL_SESSIONS_STORE="memory://"),
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert "needs SQLite or Redis, not OTEL_SESSIONS_STORE=memory://" in done.stderr

    def test_an_unknown_verb_is_said(self) -> None:
        """The demo names the verbs that it has."""
        done = subprocess.run([*COMMAND[:3], "trafic"], check=False, capture_output=True, text=True)
        assert done.returncode == 2
        assert "the demo has no verb 'trafic'" in done.stderr

    def test_another_process_goes_at_the_same_pace(self) -> None:
        """What is handed to the worker makes the same pace there."""
        pace = Pace(speed=2.5, seed=7, faults=frozenset({"errors", "leases"}))
        assert pace == pace_of(pace.arguments())


class TestPace:
    def test_chance_is_repeatable(self) -> None:
        """The same seed gives each actor the same chances; another seed, or another actor, others."""
        first, again = (Pace(seed=1).chances("visitor", 3) for _ in range(2))
        assert [first.random() for _ in range(5)] == [again.random() for _ in range(5)]
        assert Pace(seed=1).chances("visitor", 3).random() != Pace(seed=2).chances("visitor", 3).random()
        assert Pace(seed=1).chances("visitor", 3).random() != Pace(seed=1).chances("visitor", 4).random()

    @pytest.mark.parametrize("speed", [0.1, 1.0, 60.0])
    def test_there_are_limits_at_every_speed(self, speed: float) -> None:
        """The four tiers can be made, with windows as long as the speed says."""
        made = tiers(Pace(speed=speed))
        assert [tier.name for tier in made] == ["free", "basic", "pro", "enterprise"]
        assert made[0].quotas["tokens"][0].per == f"{round(3_600 / speed)} seconds"

    def test_nobody_does_everything(self) -> None:
        """A user who has four things going on begins nothing more, until one of them has ended."""
        people, chances = People(), Pace().chances()
        begun = Counter(people.come(chances) for _ in range(100))
        assert max(begun.values()) <= 4

    def test_a_missing_package_is_named(self) -> None:
        """What the web application lacks is named as it is installed."""
        assert missing({"absent": "otel-sessions[absent]", "json": "json"}) == ["otel-sessions[absent]"]
