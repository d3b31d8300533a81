"""`Watch`: what goes on now."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_sessions
from otel_sessions import InvalidValueError, StoreError, session
from otel_sessions.limits import Quota, Tier
from otel_sessions.reports import Rates, Watch
from otel_sessions.testing import RecordedSessions, record_sessions

from .. import redis_server
from ..contract import STORES
from ..redis_server import until

PRO = Tier("pro", Quota("tokens", 100, per="day"), Quota("storage", None), Quota("api_calls", 100, per="hour"))
START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
"""When the clock of the tests starts."""


@pytest.fixture(name="recorded", params=STORES)
def _recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedSessions]:
    """A process with a store of each kind."""
    store = STORES[request.param](tmp_path)
    with record_sessions(store=store, tiers=[PRO], pseudonym_key="k" * 32, detect_user=False) as recorded:
        yield recorded


def audit(recorded: RecordedSessions, *, fails: bool = False) -> None:
    """A session that ends."""
    with contextlib.suppress(ValueError), session("audit"):
        recorded.advance(1)
        if fails:
            raise ValueError("no")


class TestActive:
    def test_nothing(self, recorded: RecordedSessions) -> None:
        """Of an empty store everything is nothing."""
        seen = Watch().look()
        assert (seen.active, seen.by_type, seen.oldest, seen.latest, seen.quotas, seen.findings) == (0, {}, *[()] * 4)
        assert (seen.lately.ended, seen.lately.error_rate, seen.watched.ended, seen.rates) == (0, None, 0, None)

    def test_who_is_named(self, recorded: RecordedSessions) -> None:
        """The oldest ones, and of the others the latest, which come first."""
        for number in range(5):
            otel_sessions.start("web" if number else "chat", id=f"s{number}")
            recorded.advance(1)
        seen = Watch(most=2).look()
        assert (seen.active, list(seen.by_type.items())) == (5, [("web", 4), ("chat", 1)])
        assert [record.id for record in seen.oldest] == ["s0", "s1"]
        assert [record.id for record in seen.latest] == ["s4", "s3"]
        seen = Watch(most=4).look()
        assert ([record.id for record in seen.latest], len(seen.oldest)) == (["s4"], 4)


class TestEnds:
    def test_lately_and_while_watching(self, recorded: RecordedSessions) -> None:
        """By full hours what ended lately, and exactly what ended since the first look."""
        audit(recorded)
        recorded.advance(2 * 3600)
        audit(recorded, fails=True)
        watch = Watch()
        began = START + dt.timedelta(seconds=7202)
        assert watch.look().lately == (START + dt.timedelta(hours=1), 1, 1, 0)
        for fails in (True, False, False):
            audit(recorded, fails=fails)
        seen = watch.look()
        assert (seen.lately.ended, seen.lately.error_rate) == (4, 0.5)
        assert seen.watched == (began, 3, 1, 0)
        recorded.advance(2 * 3600)
        seen = watch.look()
        assert (seen.lately.ended, seen.watched.ended) == (0, 3)

    def test_crashes(self, tmp_path: Path) -> None:
        """Those whose process crashed are counted apart."""
        with record_sessions() as recorded:
            watch = Watch()
            watch.look()
            otel_sessions.start("web", id="w").end("abandoned")
            recorded.advance(1)
            assert watch.look().watched[1:] == (1, 0, 1)

    def test_clock_set_back(self) -> None:
        """A clock that is set back makes no count negative."""
        with record_sessions() as recorded:
            recorded.clock.advance(3 * 3600)
            watch = Watch()
            audit(recorded)
            watch.look()
            recorded.clock.jump(-2 * 3600)
            seen = watch.look()
            assert (seen.watched.ended, seen.rates) == (0, None)


class TestRates:
    def test_over_the_last_minute(self, recorded: RecordedSessions) -> None:
        """Per minute, in sessions that are active and in those that have ended meanwhile."""
        watch = Watch()
        assert watch.look().rates is None
        for _ in range(3):
            with otel_sessions.start("chat", id="c") as chat, chat.turn():
                recorded.advance(10)
        chat.error("Oops")
        otel_sessions.end("c")
        recorded.advance(0)
        assert watch.look().rates == Rates(requests=0, errors=2, turns=6)
        recorded.advance(61)
        assert watch.look().rates == Rates(0, 0, 0)


class TestLimits:
    def test_near_their_end(self, recorded: RecordedSessions) -> None:
        """The quotas that somebody has used, the most used first; what has no limit is none of them."""
        for user, tokens in (("ada", 80), ("bob", 100)):
            with otel_sessions.start("chat", user=user, tier="pro") as chat:
                chat.use("api_calls", 10)
                chat.use("tokens", tokens)
                chat.use("storage", 5)
        first, second = Watch().look().quotas
        assert first[:10] == ("tokens", "pro", "day", "user", 100, 1.0, 0, 1, 0, 1)
        assert (second.name, second.highest, second.is_near, first.is_near) == ("api_calls", 0.1, False, True)


class TestFindings:
    def test_latest_first(self, recorded: RecordedSessions) -> None:
        """Suspicious activity in the sessions that are active, as much of it as is wanted."""
        web = otel_sessions.start("web", id="w", user="ada")
        for number, kind in enumerate(("device_change", "burst", "impossible_travel")):
            web.suspicious(kind, score=number / 2)
            web.progress("on")
            recorded.advance(1)
        found = Watch(most=2).look().findings
        assert [(each.kind, each.score, each.severity) for each in found] == [
            ("impossible_travel", 1.0, "error"),
            ("burst", 0.5, "warn"),
        ]
        assert found[0][:4] == (START + dt.timedelta(seconds=2), "w", "web", web.user)


class TestForm:
    def test_as_json(self, recorded: RecordedSessions) -> None:
        """It can be written as JSON."""
        with otel_sessions.start("web", id="w", tier="pro") as web:
            web.use("tokens", 1)
            web.suspicious("burst")
        watch = Watch()
        watch.look()
        recorded.advance(1)
        found = json.loads(json.dumps(watch.look().to_dict()))
        assert ([each["id"] for each in found["oldest"]], found["findings"][0]["kind"]) == (["w"], "burst")

    @pytest.mark.parametrize("most", [0, 1.5, "x"])
    def test_bad_arguments(self, most: Any) -> None:
        """How many are named is a whole number."""
        with pytest.raises(InvalidValueError):
            Watch(most=most)

    def test_a_store_that_cannot_be_asked(self) -> None:
        """It is said, and when it can be asked again the watch goes on where it was."""
        server = redis_server.RedisServer()
        try:
            with record_sessions(store=redis_server.store(server, timeout=1)) as recorded:
                watch = Watch()
                began = watch.look().watched.since
                server.pause()
                with pytest.raises(StoreError, match=r"the redis store cannot be asked \(active\)"):
                    watch.look()
                server.resume()
                recorded.clock.advance(1)
                until(lambda: _seen(watch) == began)
        finally:
            server.stop()


def _seen(watch: Watch) -> dt.datetime | None:
    """Since when it has watched; None if the store could not be asked."""
    try:
        return watch.look().watched.since
    except StoreError:
        return None
