"""From when to when is asked."""

from __future__ import annotations

import datetime as dt

import pytest

from otel_sessions import InvalidValueError
from otel_sessions.reports._period import period


def test_to_the_microsecond() -> None:
    """A time is as exact as Python has it, however late: a float of so many microseconds would not be."""
    since, until = (dt.datetime(year, 1, 1, microsecond=1, tzinfo=dt.timezone.utc) for year in (2026, 9001))
    asked = period(2**62, None, since, until)
    assert (asked.since_ns % 1_000_000, asked.until_ns % 1_000_000) == (1_000, 1_000)


def test_what_no_clock_says() -> None:
    """A time that is none in UTC is refused with its value."""
    first = dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=5)))
    with pytest.raises(InvalidValueError, match=r"until=datetime\.datetime\(1, 1, 1, .*: no clock says that"):
        period(0, None, None, first)
