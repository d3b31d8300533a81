"""`python -m otel_sessions.demo`."""

import os
import signal
import sys
from types import FrameType

from . import main


def _terminated(number: int, _frame: FrameType | None) -> None:
    """Leave through the `finally` blocks, which stop the programs."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    try:
        sys.exit(main())
    except BrokenPipeError:
        # Whoever reads has seen enough; what is still buffered goes nowhere, quietly.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
