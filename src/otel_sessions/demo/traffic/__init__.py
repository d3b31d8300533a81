"""Traffic: an application with users, conversations, jobs and limits that goes on until it is stopped.

Run it with `python -m otel_sessions.demo traffic`.
"""

from ._command import main
from ._faults import FAULTS
from ._worker import main as worker

__all__ = ["FAULTS", "main", "worker"]
