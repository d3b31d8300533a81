"""Applications that have themselves instrumented, in whatever process they are, before they are imported."""

from importlib import import_module
from types import ModuleType

from opentelemetry.instrumentation.auto_instrumentation import initialize

initialize()


def __getattr__(name: str) -> ModuleType:
    """The module of an application."""
    return import_module(name)
