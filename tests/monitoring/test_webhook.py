"""The demo's webhook: what a real Alertmanager tells it is printed, and what nobody should send is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
import yaml

from ..redis_server import free_port
from ..redis_server import until as becomes
from .alerting import is_ready, quicker_alertmanager
from .binaries import need

COMMAND = (sys.executable, "-m", "otel_sessions.demo", "alerts")


class Webhook:
    """One that runs. `said` is what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, output: Path) -> None:
        self.process = process
        self.port = port
        self._output = output

    @property
    def said(self) -> str:
        return self._output.read_text()

    def post(self, body: bytes, **headers: str) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/default", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            return refusal.code


@pytest.fixture(name="webhook")
def _webhook(tmp_path: Path) -> Iterator[Webhook]:
    port, output = free_port(), tmp_path / "said.txt"
    with output.open("wb") as said:
        process = _run(said, f"--port={port}")
    try:
        webhook = Webhook(process, port, output)
        becomes(lambda: "waiting for alerts" in webhook.said)
        yield webhook
    finally:
        process.kill()
        process.wait()


def _run(said: IO[bytes], *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}  # a console that cannot show everything
    return subprocess.Popen([*COMMAND, *arguments], stdout=said, stderr=said, env=environment)


def alert(**annotations: str) -> bytes:
    """What Alertmanager sends of one alert, as far as it is read."""
    told = {
        "labels": {"alertname": "SessionErrorRateHigh", "severity": "error", "component": "sessions"},
        "annotations": annotations,
        "status": "firing",
        "startsAt": "2026-01-31T12:00:00.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
    }
    return json.dumps({"alerts": [told]}).encode()


@pytest.mark.parametrize("program", ["ALERTMANAGER", "ALERTMANAGER3"])
def test_an_alert_is_printed(webhook: Webhook, program: str, tmp_path: Path) -> None:
    """Time, type, severity, component, value, threshold and what to do, and where to look; for each generation."""
    configuration = tmp_path / "alertmanager.yaml"
    configuration.write_text(yaml.safe_dump(quicker_alertmanager(f"http://127.0.0.1:{webhook.port}"), sort_keys=False))
    address = f"127.0.0.1:{free_port()}"
    command = [
        need(program),
        f"--config.file={configuration}",
        f"--storage.path={tmp_path / 'data'}",
        "--cluster.listen-address=",
        f"--web.listen-address={address}",
    ]
    with (tmp_path / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    try:
        becomes(lambda: is_ready(address))
        amtool = need(program.replace("ALERTMANAGER", "AMTOOL"))
        labels = ["alertname=SessionErrorRateHigh", "severity=error", "component=sessions", "job=shop/web"]
        told = {
            "summary": "Many sessions end in an error.",
            "description": "The share of shop/web.",
            "current_value": "33.33%",
            "threshold": "10%",
            "recommended_action": "See which errors they are.",
            "dashboard_url": "http://localhost:3000/d/app-session-operations",
        }
        annotations = [f"--annotation={name}={text}" for name, text in told.items()]
        subprocess.run(
            [amtool, f"--alertmanager.url=http://{address}", "alert", "add", *labels, *annotations], check=True
        )
        becomes(lambda: told["dashboard_url"] in webhook.said)
    finally:
        process.terminate()
        process.wait(20)

    first, *rest = webhook.said.splitlines()[1:7]
    assert first.endswith(" firing error sessions SessionErrorRateHigh")
    assert rest == [
        "    Many sessions end in an error. The share of shop/web.",
        "    now 33.33%, threshold: 10%",
        "    See which errors they are.",
        "    http://localhost:3000/d/app-session-operations",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("over.\n2026-01-31T12:00:00 resolved\r", r"over.\n2026-01-31T12:00:00 resolved\r"),
        ("half a character: \ud83d", r"half a character: \ud83d"),
        ("turned \u202e round", r"turned \u202e round"),
        ("größer", r"gr\xf6\xdfer"),
    ],
)
def test_what_is_said_is_shown_and_not_obeyed(webhook: Webhook, text: str, shown: str) -> None:
    """What is no printable character, or none of this console, is escaped; the alert is taken, and makes four lines."""
    assert webhook.post(alert(summary=text, recommended_action=text)) == 200
    assert webhook.said.splitlines()[1:] == [
        "2026-01-31T12:00:00 firing error sessions SessionErrorRateHigh",
        f"    {shown} ",
        "    now -, threshold: -",
        f"    {shown}",
        "",
    ]


@pytest.mark.parametrize("length", ["many", "-1", "9" * 5000, "16777217", "0" * 5000])
def test_a_length_that_is_none_is_refused(webhook: Webhook, length: str) -> None:
    """It answers 400 to a Content-Length that is no number, or too large a one, however long it is."""
    assert webhook.post(b"x", **{"Content-Length": length}) == 400
    assert webhook.said.count("\n") == 1


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"", b"no JSON", b"[]", b'{"alerts": 1}', b'{"alerts": [{"labels": {}}]}', b"\xff"]
)
def test_what_is_no_alert_is_refused(webhook: Webhook, body: bytes) -> None:
    """It answers 400, prints nothing, and goes on."""
    assert webhook.post(body) == 400
    assert webhook.said.count("\n") == 1
    assert webhook.process.poll() is None


def test_it_ends_when_it_is_told_to(webhook: Webhook) -> None:
    """SIGTERM ends it at once, with 0."""
    webhook.process.terminate()
    assert webhook.process.wait(10) == 0


def test_a_port_that_is_taken_is_said(webhook: Webhook, tmp_path: Path) -> None:
    """The address and the reason, and 1."""
    with (tmp_path / "second.txt").open("wb") as said:
        second = _run(said, f"--port={webhook.port}")
    assert second.wait(20) == 1
    assert f"cannot listen at 127.0.0.1:{webhook.port}: " in (tmp_path / "second.txt").read_text()
