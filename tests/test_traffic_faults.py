"""Every fault of the traffic shows where it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from otel_sessions import _semconv as sc
from otel_sessions.demo.traffic._faults import FAULTS

from .traffic import Running, run

TOGETHER = (
    ("--speed", "15", *(f"--fault={name}" for name in ("errors", "refusals", "quotas", "leases", "suspicious"))),
    ("--speed", "20", *(f"--fault={name}" for name in ("access", "crashes", "crowd", "idle", "drops", "logs"))),
    ("--speed", "5", "--fault=slow"),
    ("--speed", "5", "--fault=store"),
)
"""Which faults one process makes: those that do not hide each other. Three hundredths of a processor for each speed."""


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


class TestFaults:
    @pytest.mark.parametrize("fault", sorted(FAULTS))
    def test_each_fault_shows(self, fault: str, faulty: dict[str, Running]) -> None:
        """What goes wrong is seen where its alert looks for it."""
        running = faulty[fault]
        running.receiver.wait_for(lambda: SIGNALS[fault](running), 80)
        assert running.process.poll() is None
