"""The course of the demo: run the programs, wait for what they send, show it, check it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from ..testing import OTLPReceiver
from ._checks import Check, arrived, checks
from ._document import received
from ._harvest import Harvest
from ._page import Page
from ._program import Program, ProgramError
from ._report import show_checks, show_metrics, show_sessions, show_timeline
from ._scenarios import SCENARIOS, Scenario
from ._visitor import Visitor

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_COMMAND: Final = "python -m otel_sessions.demo"
_TIMEOUT: Final = 30.0
_LONGER_THAN_IDLE: Final = 4.0
_AUTOMATIC: Final = {
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "otlp",
}


def main(scenarios: Sequence[Scenario] = SCENARIOS, *, timeout: float = _TIMEOUT, as_json: bool = False) -> int:
    """Run `scenarios` and show what they send.

    It goes to the endpoint in `OTEL_EXPORTER_OTLP_ENDPOINT` if there is one, else to a receiver in this process.

    Args:
        scenarios: what to run; what cannot run for want of a package is named and left out.
        timeout: seconds that each step may take.
        as_json: write one JSON object when all is over, and nothing else.

    Returns:
        The exit code: 0 if everything arrived as it should, 1 if not.
    """
    page = Page(None if as_json else sys.stdout)
    page.line("otel-sessions: sessions as OpenTelemetry spans, events and metrics", style="bold")
    ready = [scenario for scenario in scenarios if not scenario.missing()]
    demo = _Demo(page, ready, timeout)
    left_out = {scenario.name: _pip(missing) for scenario in scenarios if (missing := scenario.missing())}
    for name, command in left_out.items():
        page.paragraph(f"{name} is left out. To see it: {command}", indent=2, hang=2)
    endpoint = os.environ.get(_ENDPOINT)
    code = demo.send_to(endpoint) if endpoint else demo.receive()
    if as_json:
        print(json.dumps({**demo.document, "left_out": left_out, "sent_to": endpoint}))
    return code


def _pip(packages: Sequence[str]) -> str:
    return f"pip install {' '.join(f'{package!r}' if '[' in package else package for package in packages)}"


class _Demo:
    """One run."""

    def __init__(self, page: Page, scenarios: Sequence[Scenario], timeout: float) -> None:
        self._page = page
        self._scenarios = scenarios
        self._timeout = timeout
        self._began = time.monotonic()
        self._failures: list[ProgramError] = []
        self._received: dict[str, Any] = {}

    @property
    def document(self) -> dict[str, Any]:
        """What came of it, as JSON-compatible values; of what somebody else has received nothing is known."""
        seconds = round(time.monotonic() - self._began, 3)
        return {"seconds": seconds, "failures": [str(failure) for failure in self._failures], **self._received}

    def receive(self) -> int:
        """Decode in this process what the programs send."""
        with OTLPReceiver() as receiver:
            self._say(f"listening for OTLP on {receiver.endpoint}")
            with ExitStack() as running:
                self._run_all(running, {**receiver.environment, "NO_PROXY": "127.0.0.1"})
                self._wait(receiver)
            harvest = Harvest(receiver.spans, receiver.logs, receiver.points)
            refused = receiver.refused
        found = checks(harvest, self._scenarios)
        found += [Check(False, f"the receiver could not decode: {reason}") for reason in refused]
        self._received = received(harvest, found)
        self._show(harvest, found)
        return 0 if all(check.holds for check in found) and not self._failures else 1

    def send_to(self, endpoint: str) -> int:
        """Send to somebody else's endpoint: then that is where to look."""
        self._say(f"sending OTLP over HTTP to {endpoint}")
        exporting = {name: value for name, value in os.environ.items() if name.startswith("OTEL_EXPORTER_OTLP_")}
        with ExitStack() as running:
            self._run_all(running, {**exporting, **_AUTOMATIC})
            # Nobody here can see the sessions of the web applications expire.
            time.sleep(_LONGER_THAN_IDLE if any(scenario.visits for scenario in self._scenarios) else 0)
        services = ", ".join(scenario.service for scenario in self._scenarios)
        self._page.paragraph(f"Sent. Look there for the services {services}, and for spans named 'session ...'.")
        self._show_failures()
        return 1 if self._failures else 0

    def _run_all(self, running: ExitStack, exporting: Mapping[str, str]) -> None:
        directory = running.enter_context(TemporaryDirectory(prefix="otel-sessions-demo-"))
        programs = [(one, running.enter_context(_program(one, exporting, directory))) for one in self._scenarios]
        for scenario, program in programs:
            self._say(f"{scenario.name:<8} {scenario.about}")
            try:
                self._run(scenario, program)
            except ProgramError as failure:
                self._failures.append(failure)

    def _run(self, scenario: Scenario, program: Program) -> None:
        if not scenario.visits:
            program.finish(self._timeout)
            return
        address = program.address(self._timeout)
        for paths in scenario.visits:
            visitor = Visitor()
            try:
                for path in paths:
                    visitor.get(address + path)
            except OSError as error:
                raise program.error(f"did not answer: {error}") from error

    def _wait(self, receiver: OTLPReceiver) -> None:
        self._say("waiting until the visitors' sessions have been idle for too long")
        if self._failures:
            return
        try:
            receiver.wait_for(
                lambda: arrived(Harvest(receiver.spans, receiver.logs, receiver.points), self._scenarios),
                self._timeout,
            )
        except TimeoutError:
            # What is missing, the checks say.
            return

    def _show(self, harvest: Harvest, found: list[Check]) -> None:
        show_sessions(self._page, harvest)
        session = harvest.most_eventful()
        if session is not None:
            show_timeline(self._page, harvest, session)
        show_metrics(self._page, harvest)
        show_checks(self._page, found)
        self._show_failures()
        self._page.line()
        self._page.line("The same to a backend:")
        self._page.line(f"  {_ENDPOINT}=http://localhost:4318 {_COMMAND}")

    def _show_failures(self) -> None:
        for failure in self._failures:
            self._page.heading("A program failed:")
            for line in str(failure).splitlines():
                self._page.line(f"  {line}")

    def _say(self, text: str) -> None:
        self._page.line(text, mark=f"  {time.monotonic() - self._began:4.1f} s  ", mark_style="dim")


def _program(scenario: Scenario, exporting: Mapping[str, str], directory: str) -> Program:
    """The program of a scenario; of the surroundings' `OTEL_*` variables it sees none."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    # opentelemetry-instrument looks for the command it starts on the path alone.
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)])
    environment = {**inherited, "PATH": path, **scenario.variables(), **exporting}
    return Program(scenario.resolved_command(), environment, directory=directory)
