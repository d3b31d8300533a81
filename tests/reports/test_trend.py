"""`trend`: how many sessions began and ended when; `distribution`: how they spread."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import ConfigurationError, InvalidValueError, session
from otel_sessions.reports import DurationBand, Trend, distribution, trend
from otel_sessions.testing import RecordedSessions, record_sessions

from ..contract import STORES
from ..failing_store import FailingStore

START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
"""When the clock of the tests starts: a Thursday."""
LAST_HOUR = dt.datetime(9999, 12, 31, 23, 30, tzinfo=dt.timezone.utc)
"""After it there is none that Python knows."""
HOUR = 3_600
DAY = 24 * HOUR


@pytest.fixture(name="recorded", params=STORES)
def _recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedSessions]:
    """A process with a store of each kind."""
    options: dict[str, Any] = {"idle_timeout": 1e7, "max_duration": 1e8}
    with record_sessions(store=STORES[request.param](tmp_path), detect_user=False, **options) as recorded:
        yield recorded


def run(recorded: RecordedSessions, seconds: float, status: str = "success") -> None:
    """A durable session that lasts so long."""
    started = otel_sessions.start("chat")
    recorded.advance(seconds)
    started.end(status)  # type: ignore[arg-type]  # one of them


def counts(found: Trend) -> list[tuple[int, int]]:
    return [(point.started, point.ended) for point in found.points]


class TestTrend:
    def test_nothing(self, recorded: RecordedSessions) -> None:
        """An empty store has points without anything in them."""
        found = trend(days=1)
        assert (found.step, len(found.points), set(counts(found))) == ("hour", 25, {(0, 0)})
        assert counts(trend(days=None)) == [(0, 0)]

    def test_by_hours(self, recorded: RecordedSessions) -> None:
        """Where they began and where they ended, the active ones too."""
        run(recorded, 1.5 * HOUR)
        run(recorded, HOUR, "error")
        otel_sessions.start("chat")
        found = trend(since=START)
        assert (found.step, found.since, found.until) == ("hour", START, START + dt.timedelta(hours=2.5))
        assert counts(found) == [(1, 0), (1, 1), (1, 1)]
        assert [dict(point.by_status) for point in found.points] == [{}, {"success": 1}, {"error": 1}]

    def test_a_time_to_come(self, recorded: RecordedSessions) -> None:
        """It has no points, however far it reaches."""
        run(recorded, 1.5 * HOUR)
        for until in (START + dt.timedelta(hours=9), LAST_HOUR):
            found = trend(since=START, until=until)
            assert (counts(found), found.until) == ([(1, 0), (0, 1)], START + dt.timedelta(hours=1.5))

    def test_by_days(self, recorded: RecordedSessions) -> None:
        """One that ended on another day began on its own."""
        recorded.advance(10 * HOUR)
        run(recorded, 2 * DAY)
        for _ in range(3):
            run(recorded, DAY)
        run(recorded, 60)
        found = trend(since=START)
        assert (found.step, found.points[1].time) == ("day", START + dt.timedelta(days=1))
        assert counts(found) == [(1, 0), (0, 0), (1, 1), (1, 1), (1, 1), (1, 2)]

    def test_by_weeks(self, recorded: RecordedSessions) -> None:
        """Weeks begin on Mondays."""
        run(recorded, DAY)
        recorded.advance(7 * DAY)
        found = trend(since=START, step="week")
        assert found.points[0].time == START - dt.timedelta(days=3)
        assert counts(found) == [(1, 1), (0, 0)]
        assert trend(days=400).step == "week"

    def test_what_ended_later_has_begun(self, recorded: RecordedSessions) -> None:
        """A session that was active at the end of the period counts as started in it, and not as ended."""
        run(recorded, 5 * HOUR)
        found = trend(since=START, until=START + dt.timedelta(hours=2))
        assert counts(found) == [(1, 0), (0, 0)]

    def test_all_that_is_remembered(self, recorded: RecordedSessions) -> None:
        """It begins where the first did."""
        recorded.advance(3 * DAY)
        otel_sessions.start("chat")
        recorded.advance(2 * HOUR)
        run(recorded, HOUR)
        found = trend(days=None, step="hour")
        assert (found.since, counts(found)) == (
            START + dt.timedelta(days=3),
            [(1, 0), (0, 0), (1, 0), (0, 1)],
        )

    def test_a_step_of_ones_own(self, recorded: RecordedSessions) -> None:
        """The sums are the same, however they are divided."""
        for _ in range(9):
            run(recorded, 7 * HOUR)
        for step, points in (("hour", 64), ("day", 3), ("week", 1)):
            found = trend(since=START, step=step)  # type: ignore[arg-type]  # one of them
            assert len(found.points) == points
            assert [sum(column) for column in zip(*counts(found), strict=True)] == [9, 9]

    def test_as_json(self, recorded: RecordedSessions) -> None:
        """It can be written as JSON."""
        run(recorded, 1)
        found = json.loads(json.dumps(trend(since=START).to_dict()))
        assert found["points"] == [
            {"time": "2026-01-01T00:00:00+00:00", "started": 1, "ended": 1, "by_status": {"success": 1}}
        ]

    @pytest.mark.parametrize("options", [{"step": "minute"}, {"step": "hour", "days": 500}, {"days": 0}])
    def test_bad_arguments(self, options: dict[str, Any]) -> None:
        """They are refused at the door."""
        with record_sessions(), pytest.raises(InvalidValueError):
            trend(**options)

    def test_switched_off(self) -> None:
        """There is nothing then."""
        with record_sessions(enabled=False):
            assert set(counts(trend())) == {(0, 0)}
            assert distribution().durations == ()

    def test_a_store_without_a_history(self) -> None:
        """It is said, and not taken for nothing."""
        with record_sessions(store=FailingStore()):
            for report in (trend, distribution):
                with pytest.raises(ConfigurationError):
                    report()


class TestDistribution:
    def test_nothing(self, recorded: RecordedSessions) -> None:
        """No session has no duration."""
        found = distribution()
        assert (found.durations, found.longest) == ((), ())
        assert {sum(hours) for hours in found.by_hour_of_week.values()} == {0}

    def test_durations(self, recorded: RecordedSessions) -> None:
        """Bands without a gap, each 1.41 times as wide as the one before."""
        for seconds in (1, 1, 4):
            run(recorded, seconds)
        bands = distribution().durations
        assert (bands[0].sessions, bands[-1].sessions, sum(band.sessions for band in bands)) == (2, 1, 3)
        assert bands[0].over < 1 <= bands[0].up_to
        assert bands[-1].over < 4 <= bands[-1].up_to
        assert [band.up_to for band in bands[:-1]] == [band.over for band in bands[1:]]
        assert {round(band.up_to / band.over, 2) for band in bands} == {1.41}

    def test_no_time_at_all(self, recorded: RecordedSessions) -> None:
        """What took no time is in a band of its own."""
        run(recorded, 0)
        assert distribution().durations == (DurationBand(0.0, 1e-9, 1),)

    def test_hours_of_the_week(self, recorded: RecordedSessions) -> None:
        """When they began, UTC."""
        recorded.advance(9 * HOUR)
        run(recorded, 7 * HOUR)
        assert distribution().by_hour_of_week["Thursday"] == tuple(int(hour == 9) for hour in range(24))

    def test_longest(self, recorded: RecordedSessions) -> None:
        """One of each type, the longest first."""
        for seconds, status in ((5, "success"), (9, "error"), (7, "success")):
            run(recorded, seconds, status)
        with session("audit"):
            recorded.advance(8)
        assert [(one.type, one.duration) for one in distribution().longest] == [("chat", 9.0), ("audit", 8.0)]

    def test_as_json(self, recorded: RecordedSessions) -> None:
        """It can be written as JSON."""
        run(recorded, 5)
        found = json.loads(json.dumps(distribution().to_dict()))
        assert (found["durations"][0]["sessions"], found["longest"][0]["duration"]) == (1, 5.0)
        assert found["by_hour_of_week"]["Thursday"][0] == 1
