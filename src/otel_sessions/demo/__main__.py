"""`python -m otel_sessions.demo`, and `python -m otel_sessions.demo traffic`."""

import os
import signal
import sys
from types import FrameType

from . import main
from .traffic import main as traffic
from .traffic import worker


def _terminated(number: int, _frame: FrameType | None) -> None:
    """Leave through the `finally` blocks, which stop the programs."""
    sys.exit(128 + number)


def _run() -> int:
    """What the first argument says; without one, the demo itself."""
    if len(sys.argv) == 1:
        signal.signal(signal.SIGTERM, _terminated)
        return main()
    verb, *arguments = sys.argv[1:]
    if verb == "traffic":
        return traffic(arguments)
    if verb == "worker":
        return worker(arguments)
    print(
        f"python -m otel_sessions.demo has no verb {verb!r}: use none, or traffic (see traffic --help)", file=sys.stderr
    )
    return 2


if __name__ == "__main__":
    try:
        sys.exit(_run())
    except BrokenPipeError:
        # Whoever reads has seen enough; what is still buffered goes nowhere, quietly.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
