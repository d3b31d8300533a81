"""The pytest plugin: it is found by itself where `otel-sessions` is installed, and loads nothing until it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import OTLPReceiver, RecordedSessions


@pytest.fixture(name="recorded_sessions")
def _recorded_sessions() -> Iterator[RecordedSessions]:
    """Every session, span, event and metric of the test, and a clock to advance."""
    from .testing import record_sessions  # noqa: PLC0415 - the SDK loads on use

    with record_sessions() as recorded:
        yield recorded


@pytest.fixture(name="otlp_receiver")
def _otlp_receiver() -> Iterator[OTLPReceiver]:
    """A receiver on a free loopback port that decodes what an application sends."""
    from .testing import OTLPReceiver  # noqa: PLC0415 - the SDK loads on use

    with OTLPReceiver() as receiver:
        yield receiver
