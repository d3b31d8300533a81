"""An application that does what it is told, line by line, and says after each how it finds itself."""

from __future__ import annotations

import sys
import threading

import otel_sessions as sessions

opened: list[sessions.Session] = []
alerted = threading.Event()


@sessions.on("alert")
def hear(alert: sessions.HealthAlert) -> None:
    """Note that errors have been noticed."""
    if alert.type == "SessionErrorRateHigh" and not alert.resolved:
        alerted.set()


def do(command: str, count: int) -> None:
    """Start, end or fail so many sessions; or wait until errors are noticed."""
    for _ in range(count):
        if command == "start":
            opened.append(sessions.start("chat"))
        elif command == "end":
            opened.pop().end()
        elif command == "fail":
            sessions.start("chat").end("error")
    if command == "wait":
        alerted.wait(30)
        assert "SessionErrorRateHigh" in {alert.type for alert in sessions.alerts()}


for line in sys.stdin:
    name, number = line.split()
    do(name, int(number))
    sys.stdout.write(f"{sessions.health().verdict}\n")
    sys.stdout.flush()
