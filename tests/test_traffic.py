"""The traffic of the demo makes every metric, and nothing is left running."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from otel_sessions import _semconv as sc
from otel_sessions.demo import run as run_demo
from otel_sessions.demo._harvest import Harvest
from otel_sessions.demo.traffic._faults import FAULTS
from otel_sessions.demo.traffic._options import pace_of
from otel_sessions.demo.traffic._pace import Pace
from otel_sessions.demo.traffic._people import People, tiers
from otel_sessions.demo.traffic._shop import missing
from otel_sessions.testing import OTLPReceiver

from .traffic import COMMAND, environment, names, run, types


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
            (("--port", "65536"), "65536 is not between 0 and 65535"),
            (("--port", "00000065536"), "00000065536 is not between 0 and 65535"),
            (("--store", "/tmp/a.db"), "--store: "),
            (("--fault", "fire"), "invalid choice: 'fire'"),
            (("--fault", "logs"), "the fault 'logs' needs --log-file"),
        ],
    )
    def test_what_cannot_be_is_said(
        self, arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A wrong option ends it with 2, and says what is wrong."""
        with pytest.raises(SystemExit) as left:
            run_demo(["traffic", *arguments])
        assert left.value.code == 2
        assert complaint in capsys.readouterr().err

    def test_a_store_that_cannot_be_obstructed_is_said(self) -> None:
        """The fault `store` needs a store that others can keep from answering."""
        done = subprocess.run(
            [*COMMAND, "--fault", "store", "--store", "memory://"],
            env=environment(),
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert "needs SQLite or Redis, not memory" in done.stderr

    @pytest.mark.parametrize("verb", ["traffic", "alerts"])
    def test_a_port_that_another_has_is_said(self, verb: str) -> None:
        """With the port, and without a traceback."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            done = subprocess.run(
                [*COMMAND[:3], verb, "--port", str(number)],
                env=environment(),
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )
        assert done.returncode == 1
        assert done.stderr.startswith(f"cannot listen at 127.0.0.1:{number}: ")

    def test_real_sessions_are_left_alone(self, tmp_path: Path) -> None:
        """What it invents goes into no store that the surroundings name, unless it is told to."""
        real, other = tmp_path / "real.db", tmp_path / "other.db"
        for arguments in ([], ["--store", f"sqlite:///{other}"]):
            subprocess.run(
                [*COMMAND, "--seconds", "1", *arguments],
                env=environment(OTEL_SESSIONS_STORE=f"sqlite:///{real}", OTEL_SDK_DISABLED="true"),
                check=True,
                capture_output=True,
                timeout=60,
            )
        assert (real.exists(), other.exists()) == (False, True)

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
