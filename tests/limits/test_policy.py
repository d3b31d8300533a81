"""What limits may be: everything else is refused when they are made."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
from typing import Any

import pytest

from otel_sessions import InvalidValueError
from otel_sessions.limits import Concurrency, Quota, Rate
from otel_sessions.limits.policy import READY_WINDOWS

SECOND = 1_000_000
DAY = 86_400 * SECOND


class Few(enum.IntEnum):
    THREE = 3


def moment(text: str) -> int:
    """A time in microseconds since the epoch."""
    return int(dt.datetime.fromisoformat(f"{text}+00:00").timestamp() * SECOND)


class TestQuota:
    @pytest.mark.parametrize(("per", "scope"), [("total", "session"), ("day", "user"), ("24 hours", "user")])
    def test_scope(self, per: str, scope: str) -> None:
        """In total it is the session's, in a window the user's, unless it is said."""
        assert scope == Quota("tokens", 1, per=per).scope
        assert "tenant" == Quota("tokens", 1, per=per, scope="tenant").scope

    @pytest.mark.parametrize(
        ("per", "now", "start", "end"),
        [
            ("minute", "2026-03-01T10:20:59.999999", "2026-03-01T10:20:00", "2026-03-01T10:21:00"),
            ("hour", "2026-03-01T10:20:30", "2026-03-01T10:00:00", "2026-03-01T11:00:00"),
            ("day", "2026-03-01T00:00:00", "2026-03-01T00:00:00", "2026-03-02T00:00:00"),
            ("month", "2026-02-28T23:59:59.999999", "2026-02-01T00:00:00", "2026-03-01T00:00:00"),
            ("month", "2028-02-29T12:00:00", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
            ("month", "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ],
    )
    def test_calendar(self, per: str, now: str, start: str, end: str) -> None:
        """A period of the calendar is the one in UTC that the time falls into."""
        bucket = Quota("tokens", 1, per=per).bucket("x", moment(now))
        assert ("fixed", moment(start)) == (bucket.strategy, bucket.start_us)
        assert moment(end) - moment(start) == bucket.length_us

    @pytest.mark.parametrize(
        ("per", "seconds"), [("1 second", 1), ("90 minutes", 5_400), ("24 hours", 86_400), ("2 weeks", 1_209_600)]
    )
    def test_rolling(self, per: str, seconds: int) -> None:
        """A number of units is a window that moves, in 128 steps."""
        bucket = Quota("tokens", 1, per=per).bucket("x", moment("2026-03-01T10:20:59"))
        assert ("moving", seconds * SECOND, None) == (bucket.strategy, bucket.length_us, bucket.start_us)
        assert seconds * SECOND // 128 == bucket.step_us

    def test_total(self) -> None:
        """In total there is no end; it is kept for a year after its last use."""
        bucket = Quota("storage", 10, scope="user").bucket("x", 0)
        assert (None, None, 366 * DAY) == (bucket.length_us, bucket.start_us, bucket.keep_us)

    def test_unlimited(self) -> None:
        """Without a limit it is counted, and no metric says how much of it is used."""
        bucket = Quota("tokens", None, per="day").bucket("x", 0, "group")
        assert (None, None) == (bucket.capacity, bucket.group)
        assert "group" == Quota("tokens", 0, per="day").bucket("x", 0, "group").group

    @pytest.mark.parametrize("limit", [-1, math.nan, math.inf, True, "10", 2**53, [1]])
    def test_wrong_limit(self, limit: Any) -> None:
        """A limit is a finite number that is not negative."""
        with pytest.raises(InvalidValueError, match="the limit of 'tokens'"):
            Quota("tokens", limit)

    @pytest.mark.parametrize(("given", "limit"), [(decimal.Decimal("1.50"), 1.5), (Few.THREE, 3), (7, 7), (None, None)])
    def test_plain_number(self, given: Any, limit: float | None) -> None:
        """A decimal, as money is kept, and a member of an enumeration become the plain number that stores can count."""
        quota = Quota("cost", given)
        assert (limit, type(limit)) == (quota.limit, type(quota.limit))

    @pytest.mark.parametrize(
        "per", ["", "fortnight", "0 hours", "1.5 hours", "hours", "-1 hours", "Day", "99999 weeks", None, 3600, ["day"]]
    )
    def test_wrong_window(self, per: Any) -> None:
        """A window that is none is refused; the message says which there are."""
        with pytest.raises(InvalidValueError, match="'total', 'minute', 'hour', 'day', 'month'"):
            Quota("tokens", 1, per=per)

    @pytest.mark.parametrize(
        "fields", [{"scope": "team"}, {"scope": 1}, {"shadow": "yes"}, {"name": "to kens"}, {"name": ""}]
    )
    def test_wrong(self, fields: dict[str, Any]) -> None:
        """So are a scope, a name and a switch that are none."""
        with pytest.raises(InvalidValueError):
            Quota(**{"name": "tokens", "limit": 1, "per": "day", **fields})


class TestRate:
    def test_windows(self) -> None:
        """A text holds any number of limits, as the library `limits` reads them."""
        rate = Rate("upload", "60/minute; 1000 per 2 hours")
        assert ((60, 60), (1000, 7200)) == rate.windows
        small, large = rate.buckets("x")
        assert (60, 60 * SECOND, 0) == (small.capacity, small.length_us, small.step_us)
        assert (1000, 7200 * SECOND, 7200 * SECOND // 128) == (large.capacity, large.length_us, large.step_us)
        assert small.name != large.name

    def test_shadow(self) -> None:
        """Where nothing is refused, times are kept in steps whatever the limit: there may be any number of them."""
        (bucket,) = Rate("upload", "60/hour", shadow=True).buckets("x")
        assert (60, 3600 * SECOND // 128, False) == (bucket.capacity, bucket.step_us, bucket.enforced)

    @pytest.mark.parametrize(
        ("strategy", "kept"),
        [("moving-window", "moving"), ("fixed-window", "fixed"), ("sliding-window-counter", "sliding")],
    )
    def test_strategy(self, strategy: Any, kept: str) -> None:
        """Each strategy counts in buckets of its own."""
        (bucket,) = Rate("upload", "1000/minute", strategy=strategy).buckets("x")
        assert kept == bucket.strategy
        assert f"rate|{kept}|60|x" == bucket.name

    def test_ready(self) -> None:
        """What is known of the ready tiers' rates is what the library reads in them."""
        from limits import parse_many

        for text, windows in READY_WINDOWS.items():
            assert windows == tuple((item.amount, item.get_expiry()) for item in parse_many(text))

    @pytest.mark.parametrize(
        "limit",
        [
            "",
            "x",
            "60",
            "60/fortnight",
            "-1/minute",
            "1.5/minute",
            "60/minute;;",
            "5/minute; 9/minute",
            60,
            None,
            f"{2**53}/minute",
            "1 per 99999999999 days",
        ],
    )
    def test_wrong_limit(self, limit: Any) -> None:
        """A text that is no rate is refused; the message shows it and how it is written."""
        with pytest.raises(InvalidValueError, match="cannot be the rate of 'upload'") as raised:
            Rate("upload", limit)
        assert repr(limit) in str(raised.value)

    @pytest.mark.parametrize("strategy", ["leaky-bucket", "moving", None, ["moving-window"]])
    def test_wrong_strategy(self, strategy: Any) -> None:
        """So is a strategy that is none."""
        with pytest.raises(InvalidValueError, match="moving-window, fixed-window, sliding-window-counter"):
            Rate("upload", "1/minute", strategy=strategy)


class TestConcurrency:
    @pytest.mark.parametrize("limit", [-1, 1.5, "3", True, None])
    def test_wrong_limit(self, limit: Any) -> None:
        """There is a whole number of slots."""
        with pytest.raises(InvalidValueError, match="'file'"):
            Concurrency("file", limit)

    def test_plain_number(self) -> None:
        """A member of an enumeration becomes the plain number that stores can count."""
        assert int is type(Concurrency("file", Few.THREE).limit)

    @pytest.mark.parametrize("ttl", [0, -1, math.inf, "30"])
    def test_wrong_ttl(self, ttl: Any) -> None:
        """They are held for a positive time."""
        with pytest.raises(InvalidValueError, match="ttl"):
            Concurrency("file", 3, ttl=ttl)

    def test_bucket(self) -> None:
        """Its slots come back after the time to live."""
        bucket = Concurrency("file", 3, ttl=2.5, shadow=True).bucket("x")
        assert (3, "slots", 2_500_000, False) == (
            bucket.capacity, bucket.strategy, bucket.length_us, bucket.enforced,
        )  # fmt: skip
