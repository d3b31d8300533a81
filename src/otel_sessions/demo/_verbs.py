"""What the demo can be told to do."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from ._alerts import main as alerts
from ._run import main
from .traffic import main as traffic
from .traffic import worker

_USAGE = """usage: {program} [--json | traffic | alerts]

Without a verb: four programs run, and what they send over OTLP is decoded, shown and checked. With --json all of it is
written as one JSON object, when it is over.
traffic: an application with users, conversations and jobs runs until it is stopped; see traffic --help.
alerts: a webhook for Alertmanager prints what it is told until it is stopped; see alerts --help."""


def run(arguments: Sequence[str], *, program: str = "python -m otel_sessions.demo") -> int:
    """Do what the first argument says; without one, show what four programs send.

    Args:
        arguments: what stands behind the command.
        program: the command, as it was called.

    Returns:
        The exit code.
    """
    if not arguments or list(arguments) == ["--json"]:
        signal.signal(signal.SIGTERM, _terminated)
        return main(as_json=bool(arguments))
    verb, *options = arguments
    usage = _USAGE.format(program=program)
    if verb == "traffic":
        return traffic(options, program=f"{program} traffic")
    if verb == "alerts":
        return alerts(options, program=f"{program} alerts")
    if verb == "worker":
        return worker(options)
    if verb in {"-h", "--help"}:
        print(usage)
        return 0
    print(f"the demo has no verb {verb!r}\n{usage}", file=sys.stderr)
    return 2


def _terminated(number: int, _frame: FrameType | None) -> None:
    """Leave through the `finally` blocks, which stop the programs."""
    sys.exit(128 + number)
