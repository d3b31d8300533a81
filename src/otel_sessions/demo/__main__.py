"""`python -m otel_sessions.demo`, and `python -m otel_sessions.demo traffic`."""

import os
import sys

from . import run

if __name__ == "__main__":
    try:
        sys.exit(run(sys.argv[1:]))
    except BrokenPipeError:
        # Whoever reads has seen enough; what is still buffered goes nowhere, quietly.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
