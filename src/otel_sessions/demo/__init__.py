"""The demo: four real programs run, and what they send over OTLP is decoded and shown.

Run it with `python -m otel_sessions.demo`.
"""

from ._run import main

__all__ = ["main"]
