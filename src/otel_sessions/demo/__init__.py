"""The demo: four real programs run, and what they send over OTLP is decoded and shown.

Run it with `python -m otel_sessions.demo`. With `traffic` an application runs until it is stopped, for dashboards and
alerts to have something to show; with `alerts` a webhook prints the alerts that it is told of.
"""

from ._run import main
from ._verbs import run

__all__ = ["main", "run"]
