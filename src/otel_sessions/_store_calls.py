"""Calls of the store: timed, counted, and kept from harming the application."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from . import _semconv as sc
from ._guard import guarded, log
from .exceptions import StoreError
from .security.redaction import redact

if TYPE_CHECKING:
    from ._telemetry import Telemetry
    from .typing import Store

T = TypeVar("T")
F = TypeVar("F")


class Failed(enum.Enum):
    """What a call to the store returns that failed, where None would mean something else."""

    FAILED = enum.auto()


class StoreCalls:
    """How the store of that name is called."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.made = 0
        self.failed = 0
        """How many of them."""

    def bind(self, telemetry: Telemetry) -> None:
        """Say where metrics go."""
        self._telemetry = telemetry

    def call(self, operation: str, function: Callable[..., T], *args: object, failed: F) -> T | F:
        """Call the store: timed; a failure is swallowed, and the result then is `failed`.

        A store that is out of reach is no fault of this library, and drops nothing yet.
        """
        with guarded(f"{operation} in the {self._name} store"):
            try:
                return self._timed(operation, function, *args)
            except StoreError as error:
                self._warn(operation, error)
        return failed

    def ask(self, operation: str, function: Callable[..., T], *args: object) -> T:
        """Call the store for somebody who has to know it if that fails.

        Raises:
            StoreError: it does.
        """
        try:
            return self._timed(operation, function, *args)
        except StoreError as error:
            raise StoreError(redact(f"the {self._name} store cannot be asked ({operation}): {error}")) from error

    def _timed(self, operation: str, function: Callable[..., T], *args: object) -> T:
        began = time.perf_counter()
        attributes = {sc.STORE_OPERATION: operation, sc.STORE: self._name, sc.ERROR_TYPE: sc.OTHER}
        try:
            result = function(*args)
            del attributes[sc.ERROR_TYPE]
            return result
        finally:
            self.made += 1
            self.failed += sc.ERROR_TYPE in attributes
            self._telemetry.metrics.store_operation_duration.record(time.perf_counter() - began, attributes)

    def _warn(self, operation: str, error: StoreError) -> None:
        # One subject for all that fails meanwhile: one cause makes every operation fail.
        log.warn(
            f"{self._name} store",
            "otel-sessions could not %s in the %s store: %s. Sessions go on with what this process knows of them, and "
            "what it counts is merged later.",
            operation,
            self._name,
            redact(str(error)),
        )


def lacking(store: Store, protocol: type) -> str:
    """The verbs of a protocol that a store does not have."""
    return ", ".join(sorted(verb for verb in vars(protocol) if verb[0] != "_" and not hasattr(store, verb)))
