"""The traffic of the demo as a real process, and what a receiver gets of it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from otel_sessions import _semconv as sc
from otel_sessions.demo._harvest import Harvest, Series
from otel_sessions.testing import OTLPReceiver

COMMAND = [sys.executable, "-m", "otel_sessions.demo", "traffic"]


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


def names(running: Running) -> set[str]:
    return {point.name for point in running.receiver.points}


def types(running: Running, metric: sc.Metric) -> set[str]:
    return {str(point.attributes[sc.TYPE]) for point in running.receiver.points if point.name == metric.name}
