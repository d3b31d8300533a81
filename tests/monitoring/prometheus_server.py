"""A real Prometheus with `prometheus/prometheus.yaml`, on a free port, with other targets and quicker."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import yaml

from ..redis_server import free_port, until
from .binaries import ROOT, need

CONFIGURATION: Final = ROOT / "prometheus" / "prometheus.yaml"

_FEATURES: Final = "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion"


class PrometheusServer:
    """One server.

    Args:
        directory: where it keeps its data; made if it is not there.
        targets: what takes the place of the targets in the file, by job; jobs without one are left out.
        alertmanager: the address of one, without which alerts go nowhere.
        program: the variable that names the program.
        rules: the files of rules that are loaded, by name; all of the configuration's if not said. A path that is
            absolute is another one.
        thresholds: what takes the place of thresholds, by name, as a deployment would change them.
        settings: of the `global` section.
    """

    def __init__(
        self,
        directory: Path,
        targets: Mapping[str, Sequence[str]],
        *,
        alertmanager: str | None = None,
        program: str = "PROMETHEUS3",
        rules: Sequence[str] = (),
        thresholds: Mapping[str, float] | None = None,
        **settings: str,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._rules = rules
        self._thresholds = thresholds or {}
        self.port = free_port()
        self.program = need(program)
        (directory / "prometheus.yaml").write_text(yaml.safe_dump(self._configuration(targets, alertmanager, settings)))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Where its blocks are."""
        return self.directory / "data"

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with (self.directory / "prometheus.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.program,
                    f"--config.file={self.directory / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={self.data}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--rules.alert.resend-delay=1s",
                    _FEATURES,
                ],
                stdout=log,
                stderr=log,
            )
        until(self._settled)
        assert self.process.poll() is None, f"Prometheus did not start:\n{self.log[-4000:]}"

    @property
    def log(self) -> str:
        """What it has written to its console."""
        return (self.directory / "prometheus.log").read_text(errors="replace")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query: of each series its labels, as `metric`, and its value.

        Raises:
            AssertionError: Prometheus refuses it.
        """
        result: dict[str, Any] = self._ask("query", query=expression)
        return (
            list(result["result"]) if result["resultType"] == "vector" else [{"metric": {}, "value": result["result"]}]
        )

    def query_range(self, expression: str, *, seconds: float, step: float) -> list[dict[str, Any]]:
        """The result of a query over the last so many seconds: of each series its labels, and its `values`.

        Raises:
            AssertionError: Prometheus refuses it.
        """
        now = time.time()
        asked = {"query": expression, "start": str(now - seconds), "end": str(now), "step": str(step)}
        return list(self._ask("query_range", **asked)["result"])

    def names(self) -> set[str]:
        """The names of all series it holds."""
        return set(self._ask("label/__name__/values"))

    def rules(self) -> Iterator[dict[str, Any]]:
        """All rules, with their health and their alerts."""
        for group in self._ask("rules")["groups"]:
            yield from group["rules"]

    def exemplars(self, selector: str) -> list[dict[str, Any]]:
        """The exemplars of the last hour, of each series that has some."""
        return list(
            self._ask("query_exemplars", query=selector, start=str(time.time() - 3600), end=str(time.time() + 60))
        )

    def stop(self) -> None:
        """SIGTERM, as a service manager would."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)
        self.process = None

    def __enter__(self) -> PrometheusServer:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.stop()

    def _configuration(
        self, targets: Mapping[str, Sequence[str]], alertmanager: str | None, settings: Mapping[str, str]
    ) -> dict[str, Any]:
        loaded: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text())
        loaded["global"] |= settings
        loaded["rule_files"] = [self._rule_file(path) for path in self._rules or loaded["rule_files"]]
        loaded["alerting"] = {
            "alertmanagers": [{"static_configs": [{"targets": [alertmanager] if alertmanager else []}]}]
        }
        own = {"prometheus": [f"127.0.0.1:{self.port}"], **targets}
        loaded["scrape_configs"] = [
            {**job, "static_configs": [{"targets": list(own[job["job_name"]])}]}
            for job in loaded["scrape_configs"]
            if job["job_name"] in own
        ]
        return loaded

    def _rule_file(self, path: str) -> str:
        file = CONFIGURATION.parent / path
        if file.name != "thresholds.yaml" or not self._thresholds:
            return str(file)
        loaded: dict[str, Any] = yaml.safe_load(file.read_text())
        left = dict(self._thresholds)
        for rule in loaded["groups"][0]["rules"]:
            rule["expr"] = str(left.pop(rule["labels"]["name"], rule["expr"]))
        assert not left, f"there are no such thresholds: {left}"
        changed = self.directory / file.name
        changed.write_text(yaml.safe_dump(loaded))
        return str(changed)

    def _settled(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            return True
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _ask(self, path: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refusal:
            raise AssertionError(f"{path} {parameters}: {refusal.read().decode()}") from refusal
