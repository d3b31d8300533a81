"""A webhook for Alertmanager that prints what it is told: to see alerts arrive where nobody is to be woken."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, Final

from ._port import port

# Alertmanager sends a group in one request, and cuts it at `max_alerts`, which is without limit by default.
_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_DIGITS: Final = len(str(_MOST_BYTES))


def main(arguments: Sequence[str], *, program: str) -> int:
    """Print alerts until this process is told to end; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Take what Alertmanager sends to a webhook, at any path, and print it.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; default: %(default)s, this machine alone")
    parser.add_argument(
        "--port", type=port, default=9099, help="default: %(default)s, as in prometheus/alertmanager.yaml"
    )
    told = parser.parse_args(arguments)
    try:
        server = ThreadingHTTPServer((told.host, told.port), _Webhook)
    except OSError as failure:
        print(f"cannot listen at {told.host}:{told.port}: {failure}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _terminated)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the console cannot show is no reason not to answer: Alertmanager would come again for ever.
        sys.stdout.reconfigure(errors="backslashreplace")
    with server:
        print(f"waiting for alerts at http://{told.host}:{server.server_port}/", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def _terminated(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


class _Webhook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > _MOST_DIGITS or int(length) > _MOST_BYTES:
            said = repr(length[:_MOST_DIGITS]) + "..." * (len(length) > _MOST_DIGITS)
            self.send_error(HTTPStatus.BAD_REQUEST, f"Content-Length is {said}, not a number up to {_MOST_BYTES}")
            return
        body = self.rfile.read(int(length))
        try:
            lines = [_visible(line) for alert in json.loads(body)["alerts"] for line in _lines(alert)]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as failure:
            self.send_error(HTTPStatus.BAD_REQUEST, "not what Alertmanager sends to a webhook", repr(failure))
            return
        print(*lines, sep="\n", end="\n\n", flush=True)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """Whether it listens."""
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing of requests: the alerts are what is read."""


def _visible(line: str) -> str:
    """The line with an escape for what would move the cursor, colour the terminal, or pass for a line of its own."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in line)


def _lines(alert: Mapping[str, Any]) -> Iterator[str]:
    """The time, the type, the severity, the component, the value, the threshold and what to do; and where to look."""
    labels, told = alert["labels"], alert["annotations"]
    when = alert["endsAt"] if alert["status"] == "resolved" else alert["startsAt"]
    known = [str(labels.get(name, "-")) for name in ("severity", "component", "alertname")]
    yield " ".join([when[:19], alert["status"], *known])
    yield f"    {told.get('summary', '')} {told.get('description', '')}"
    yield f"    now {told.get('current_value', '-')}, threshold: {told.get('threshold', '-')}"
    yield f"    {told.get('recommended_action', '')}"
    for name in ("dashboard_url", "runbook_url"):
        if name in told:
            yield f"    {told[name]}"
