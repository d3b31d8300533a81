"""All of it at work: the demo's traffic, collectors, Prometheus of two generations, and a past.

Two programs make traffic: one as it should be but for what its users do, and one with slow answers, idle users and a
failing store. Each has a collector of its own. The first one's backends are a third collector. Of the second one's, one
is away, so that its queue fills, and one refuses for good. A collector without memory refuses what it is sent. All but
the backend are scraped.

A third Prometheus has thresholds that a healthy machine is beyond, and shares of long times begin at.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

from monitoring import foreign
from monitoring.promql import SERIES

from ..redis_server import free_port
from . import otlp
from .binaries import need
from .collector import Collector
from .prometheus_server import PrometheusServer

_TRAFFIC: Final = (sys.executable, "-m", "otel_sessions.demo", "traffic")
_USERS_FAULTS: Final = (
    *("errors", "refusals", "quotas", "leases", "suspicious"),
    *("access", "crashes", "crowd", "drops", "logs"),
)

# What rules remember of the days before.
_REMEMBERED: Final = (
    "app_session:starts:increase1h",
    "app_session:starts:increase5m",
    "app_session:duration_seconds:p50_1h",
    "app_session:turn_duration_seconds:p95_5m",
)
_DAY: Final = 86_400

T = TypeVar("T")

# A small queue, and a second backend that answers everything with 404.
_TROUBLE: Final = """
{{exporters: {{
   otlp_http/backend: {{sending_queue: {{queue_size: 100, batch: {{min_size: 50, max_size: 50}}}}}},
   otlp_http/mistaken: {{endpoint: {backend}/not-here}}}},
 service: {{pipelines: {{
   traces/out: {{exporters: [otlp_http/backend, otlp_http/mistaken]}},
   logs/out: {{exporters: [otlp_http/backend, otlp_http/mistaken]}}}}}}}}
"""

# Workers are killed all the time, and leave hundreds of series each. On a machine that is slow for a while they would
# be more and more, and scrapes slower and slower.
_SHORT_LIVED: Final = {"METRIC_EXPIRATION": "30s"}

# What a collector needs for itself is more.
_NO_MEMORY: Final = {"MEMORY_LIMIT_MIB": "2", "MEMORY_SPIKE_MIB": "1"}

# Those of the machine, and of what takes more minutes than a test has.
SENSITIVE: Final = {
    "cpu_ratio": 0,
    "memory_ratio": 0,
    "process_memory_ratio": 0,
    "storage_ratio": 0,
    "engagement_ratio": 1.1,
    "lease_ratio": 0,
    "store_failure_ratio": 0,
    "store_pending": 0,
}


def left(find: Callable[[], T], *, seconds: float = 30) -> T:
    """What is found to be missing, after some scrapes and evaluations if need be."""
    deadline = time.monotonic() + seconds
    while (found := find()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


class Pipeline:
    """From the applications to Prometheus.

    `servers` are two Prometheus, the newer one first; `sensitive` is a third, with other thresholds.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logs = directory / "logs"
        self.logs.mkdir(parents=True)
        self.backend = Collector("local", directory=directory / "backend")
        self.collector = Collector(
            *("backends", "host"),
            directory=directory / "collector",
            TEMPO_ENDPOINT=f"127.0.0.1:{self.backend.ports['OTLP_GRPC_ENDPOINT']}",
            LOKI_ENDPOINT=self.backend.endpoint,
            LOG_FILES=f"{self.logs}/*.log*",
            **_SHORT_LIVED,
        )
        away = f"http://127.0.0.1:{free_port()}"
        self.troubled = Collector(
            directory=directory / "troubled",
            extra=_TROUBLE.format(backend=self.backend.endpoint),
            OTLP_BACKEND=away,
            **_SHORT_LIVED,
        )
        self.overloaded = Collector(directory=directory / "overloaded", OTLP_BACKEND=away, **_NO_MEMORY)
        self.servers = [self._server(program) for program in ("PROMETHEUS3", "PROMETHEUS")]
        self.sensitive = self._server("PROMETHEUS3", **SENSITIVE)

    @property
    def newest(self) -> PrometheusServer:
        """The Prometheus of the newer generation."""
        return self.servers[0]

    def run(self, held: ExitStack) -> None:
        """Start everything, wait until every series has arrived, and give Prometheus a past."""
        for collector in (self.backend, self.collector, self.troubled, self.overloaded):
            held.enter_context(collector)
        self._traffic(held, "shop", self.collector, "--speed=10", *_faults(*_USERS_FAULTS))
        self._traffic(held, "troubled", self.troubled, "--speed=10", *_faults("slow", "idle", "store"))
        for server in (*self.servers, self.sensitive):
            held.enter_context(server)
        # Again and again, so that what counts the refusals is seen to grow.
        assert left(lambda: self._not_refused() | self.missing(SERIES | foreign.SERIES), seconds=150) == set()
        # Rules that are made of other rules, and what is counted in a window, take a few scrapes more.
        assert left(lambda: self.missing(_REMEMBERED), seconds=30) == set()
        for server in self.servers:
            self._remember(server)

    def missing(self, names: Iterable[str]) -> set[str]:
        """Which of these series not every Prometheus has."""
        held = set.intersection(*(server.names() for server in self.servers))
        return set(names) - held

    def _not_refused(self) -> set[str]:
        """Send the one without memory something of each kind; which of it it took."""
        requests = (otlp.traces([otlp.session_span()]), otlp.logs("a line"), otlp.gauge("a.gauge", 1))
        return {type(each).__name__ for each in requests if otlp.send(self.overloaded.endpoint, each) != 503}

    def _server(self, program: str, **thresholds: float) -> PrometheusServer:
        collectors = (self.collector, self.troubled, self.overloaded)
        return PrometheusServer(
            self.directory / (program.lower() + "-sensitive" * bool(thresholds)),
            {
                "app-sessions": [f"127.0.0.1:{each.ports['PROMETHEUS_ENDPOINT']}" for each in collectors],
                "otel-collector": [f"127.0.0.1:{each.ports['TELEMETRY']}" for each in collectors],
            },
            program=program,
            thresholds=thresholds,
            scrape_interval="4s",
            scrape_timeout="4s",
            evaluation_interval="4s",
        )

    def _traffic(self, held: ExitStack, service: str, collector: Collector, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        environment |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRIC_EXPORT_INTERVAL": "2000",
            "OTEL_SERVICE_NAME": service,
            "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=demo,service.version=1.0",
            "NO_PROXY": "127.0.0.1",
        }
        with (self.directory / f"{service}.txt").open("wb") as said:
            process = subprocess.Popen(
                [*_TRAFFIC, f"--log-file={self.logs / service}.log", *arguments],
                env=environment,
                stdout=said,
                stderr=said,
            )
        held.callback(process.wait, 30)
        held.callback(process.terminate)

    def _remember(self, server: PrometheusServer) -> None:
        """Give it blocks of the days before, as if it had run then."""
        now = time.time()
        history = [
            *(line for name in _REMEMBERED for line in _days_before(server.query(name), now)),
            *_minutes_before(server.query("app_session:log_size_bytes:sum"), now, value=200_000),
            *_filling(server.query("app_session:filesystem_free_bytes:min"), now),
            *_minutes_before(server.query("app_session_up"), now, minutes=7 * 60),
            *_minutes_before(server.query("target_info"), now, service_version="an earlier one"),
        ]
        server.stop()
        exposition = self.directory / f"{server.directory.name}.txt"
        exposition.write_text("".join(history) + "# EOF\n")
        subprocess.run(
            [need("PROMTOOL3"), "tsdb", "create-blocks-from", "openmetrics", str(exposition), str(server.data)],
            check=True,
            capture_output=True,
        )
        server.start()


def _faults(*names: str) -> list[str]:
    return [f"--fault={name}" for name in names]


def _days_before(series: Iterable[dict[str, Any]], now: float) -> Iterator[str]:
    """A week ago, and the last day but for its last hour: much more of every other series, little of the rest.

    So that there is a drop and a spike, and something that is slower, or more, than it was.
    """
    for number, each in enumerate(series):
        was = float(each["value"][1]) * (100 if number % 2 else 0.1) or 1
        for day, until_minute in ((7, 30), (1, 23 * 60)):
            for minute in range(-120, until_minute):
                yield _sample(each["metric"], was, now - day * _DAY + minute * 60)


def _minutes_before(
    series: Iterable[dict[str, Any]], now: float, *, minutes: int = 15, value: float = 1, **labels: str
) -> Iterator[str]:
    """From then on, until there was anything: other values, or other labels."""
    for each in series:
        for second in range(-60 * minutes, -180, 15):
            yield _sample(each["metric"] | labels, value, now + second)


def _filling(series: Iterable[dict[str, Any]], now: float) -> Iterator[str]:
    """Eight hours in which storage has been used up as fast as lets what is free last for six."""
    for each in series:
        free = float(each["value"][1])
        for second in range(-8 * 3600, -180, 60):
            yield _sample(each["metric"], free * (1 - second / (6 * 3600)), now + second)


def _sample(metric: dict[str, str], value: float, moment: float) -> str:
    labels = ",".join(f'{name}="{text}"' for name, text in metric.items() if name != "__name__")
    return f"{metric['__name__']}{{{labels}}} {value} {moment:.3f}\n"
