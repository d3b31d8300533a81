"""The sole emitter: nothing else in this package touches a tracer, a logger or a meter."""

from ._emitter import BRIDGED_KEY, Telemetry
from ._instruments import Reader
from ._spans import LiveSpan

__all__ = ["BRIDGED_KEY", "LiveSpan", "Reader", "Telemetry"]
