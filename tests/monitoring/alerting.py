"""Prometheus and Alertmanager as they are configured here, only quicker; with something to scrape, and to be told."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import yaml
from monitoring.outputs import ROOT

from ..redis_server import free_port
from .binaries import need

QUICKER: Final = 60
"""Minutes take seconds."""

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_IN_EXPRESSION: Final = re.compile(r"(?<=\[)\d+[smhd](?=\])|(?<=offset )\d+[smhd]")


def quicker(duration: str) -> str:
    """A duration of the configuration, as short as it is here."""
    return f"{int(duration[:-1]) * _SECONDS[duration[-1]] * 1000 // QUICKER}ms"


def quicker_rules(groups: dict[str, Any]) -> dict[str, Any]:
    """Rules of which all windows, offsets and waiting times are shortened, and nothing else."""
    rules = [rule for group in groups["groups"] for rule in group["rules"]]
    for rule in rules:
        rule["expr"] = _IN_EXPRESSION.sub(lambda found: quicker(found[0]), rule["expr"])
        if "for" in rule:
            rule["for"] = quicker(rule["for"])
    return groups


def quicker_alertmanager(webhooks: str) -> dict[str, Any]:
    """The configuration of Alertmanager with shorter waiting times, and webhooks at this address."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "prometheus/alertmanager.yaml").read_text(encoding="utf-8"))
    for route in (loaded["route"], *loaded["route"]["routes"]):
        route.update({key: _whole(route[key]) for key in route if key.endswith(("_wait", "_interval"))})
    for receiver in loaded["receivers"]:
        for webhook in receiver["webhook_configs"]:
            webhook["url"] = f"{webhooks}/{receiver['name']}"
    return loaded


class Scraped:
    """An application's series, as a collector would show them."""

    def __init__(self) -> None:
        self.series: dict[str, Callable[[], float]] = {}

    def text(self) -> str:
        return "".join(f"{name} {value()}\n" for name, value in list(self.series.items()))


class Told:
    """What a webhook was sent."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, dict[str, Any]]] = []

    def firing(self, alert: str) -> list[tuple[str, dict[str, Any]]]:
        return [(path, each) for path, each in list(self.alerts) if each["labels"]["alertname"] == alert]


@contextmanager
def served(get: Callable[[], str], post: Callable[[str, dict[str, Any]], None]) -> Iterator[int]:
    """An HTTP server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(get().encode())

        def do_POST(self) -> None:
            post(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def until(condition: Callable[[], object], what: str, *, seconds: float = 60) -> None:
    """Wait for something; fail, and say for what, if it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it takes too long: {what}"
        time.sleep(0.1)


class Alerting:
    """Prometheus and Alertmanager, running."""

    def __init__(self, directory: Path, scraped_port: int, own_port: int, told_port: int) -> None:
        self._directory = directory
        self._ports = {"app-sessions": scraped_port, "otel-collector": own_port, "prometheus": free_port()}
        self._told_port = told_port
        self._alertmanager_port = free_port()

    @contextmanager
    def running(self) -> Iterator[Alerting]:
        self._write()
        alertmanager = f"127.0.0.1:{self._alertmanager_port}"
        prometheus = f"127.0.0.1:{self._ports['prometheus']}"
        # One after the other: an alert that is sent before Alertmanager is ready comes a minute later.
        with (
            self._program(
                "ALERTMANAGER3",
                alertmanager,
                f"--config.file={self._directory / 'alertmanager.yaml'}",
                f"--storage.path={self._directory / 'alertmanager'}",
                "--cluster.listen-address=",
            ),
            self._program(
                "PROMETHEUS3",
                prometheus,
                f"--config.file={self._directory / 'prometheus.yaml'}",
                f"--storage.tsdb.path={self._directory / 'prometheus'}",
                "--rules.alert.resend-delay=1s",
                "--query.lookback-delta=5s",
            ),
        ):
            yield self

    def alerts(self) -> list[dict[str, Any]]:
        """What Alertmanager knows of, inhibited or not."""
        found: list[dict[str, Any]] = _get(f"http://127.0.0.1:{self._alertmanager_port}/api/v2/alerts")
        return found

    def inhibited(self, alert: str, **labels: str) -> list[dict[str, Any]]:
        """Those that it keeps quiet because of others."""
        return [
            each
            for each in self.alerts()
            if each["labels"].items() >= {"alertname": alert, **labels}.items() and each["status"]["inhibitedBy"]
        ]

    def query(self, expr: str) -> list[Any]:
        """What Prometheus answers."""
        url = f"http://127.0.0.1:{self._ports['prometheus']}/api/v1/query?query={urllib.parse.quote(expr)}"
        found: list[Any] = _get(url)["data"]["result"]
        return found

    @contextmanager
    def _program(self, variable: str, address: str, *arguments: str) -> Iterator[None]:
        log = (self._directory / f"{variable}.log").open("wb")
        command = [need(variable), *arguments, f"--web.listen-address={address}", "--log.level=warn"]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._directory)
        try:
            until(lambda: process.poll() is not None or is_ready(address), f"{variable} to be ready")
            assert process.poll() is None, Path(log.name).read_text(encoding="utf-8")
            yield
        finally:
            process.terminate()
            process.wait(20)
            log.close()

    def _write(self) -> None:
        (self._directory / "rules").mkdir()
        for file in sorted((ROOT / "prometheus/rules").glob("*.yaml")):
            self._dump(f"rules/{file.name}", quicker_rules(yaml.safe_load(file.read_text(encoding="utf-8"))))
        prometheus = yaml.safe_load((ROOT / "prometheus/prometheus.yaml").read_text(encoding="utf-8"))
        prometheus["global"] = dict.fromkeys(prometheus["global"], "500ms")
        for job in prometheus["scrape_configs"]:
            job["static_configs"] = [{"targets": [f"127.0.0.1:{self._ports[job['job_name']]}"]}]
        prometheus["alerting"]["alertmanagers"] = [
            {"static_configs": [{"targets": [f"127.0.0.1:{self._alertmanager_port}"]}]}
        ]
        self._dump("prometheus.yaml", prometheus)
        self._dump("alertmanager.yaml", quicker_alertmanager(f"http://127.0.0.1:{self._told_port}"))

    def _dump(self, name: str, content: Any) -> None:
        (self._directory / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _whole(duration: str) -> str:
    """A waiting time of Alertmanager, which does not take all of them as zero."""
    return "1s" if duration == "0s" else quicker(duration)


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def is_ready(address: str) -> bool:
    """Whether Prometheus or Alertmanager answers there."""
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
