"""What is particular to the counts of limits in Redis: what is kept there, for how long, and what is left of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

import otel_sessions
from otel_sessions import ConcurrencyExceededError
from otel_sessions.limits import Concurrency, Quota, Rate, Tier
from otel_sessions.stores.redis import RedisStore
from otel_sessions.testing import record_sessions
from otel_sessions.typing import Bucket, Charge

from . import redis_server
from .redis_server import RedisServer

SECOND = 1_000_000
DAY = 86_400 * SECOND
NOW = 1_767_225_600 * SECOND + DAY // 2
YEAR_MS = 366 * 86_400_000
HOUR_MS = 3_600_000

TRIAL = Tier("trial", Quota("tokens", 100, per="day"), Rate("upload", "3/minute"), Concurrency("file", 1))


@pytest.fixture(name="prefix")
def _prefix() -> str:
    return secrets.token_hex(4)


@pytest.fixture(name="store")
def _store(prefix: str) -> Iterator[RedisStore]:
    store = redis_server.store(prefix=prefix)
    yield store
    store.shutdown()


def kept(prefix: str, kind: bytes) -> dict[bytes, int]:
    """The keys of a deployment that hold values of a kind, and in how many milliseconds each is gone."""
    with redis_server.shared().client() as client:
        keys: list[Any] = client.keys(f"{{{prefix}}}:[bg]:*")
        return {key: client.pttl(key) for key in keys if client.type(key) == kind}


def use(store: RedisStore, bucket: Bucket, at: int = NOW) -> None:
    assert store.limits.admit([Charge(bucket)], at).admitted


class TestKept:
    @pytest.mark.parametrize(
        ("bucket", "milliseconds"),
        [
            (Quota("tokens", 9, per="day").bucket("x", NOW, "group"), 43_200_000 + HOUR_MS),
            (Quota("tokens", 9, per="24 hours").bucket("x", NOW, "group"), 86_400_000 * 129 // 128),
            (Quota("tokens", 9).bucket("x", NOW, "group"), YEAR_MS),
            (Rate("upload", "9/minute").buckets("x")[0], 60_000),
            (Concurrency("file", 9, ttl=5).bucket("x"), 5_000),
        ],
        ids=["period", "rolling", "total", "rate", "slots"],
    )
    def test_as_long_as_it_counts(self, store: RedisStore, prefix: str, bucket: Bucket, milliseconds: int) -> None:
        """A count is kept until nothing of it counts any more, one that never begins anew for a year, and one of the
        calendar an hour longer."""
        use(store, bucket)
        (left,) = kept(prefix, b"string").values()
        assert milliseconds - 5_000 < left <= milliseconds

    def test_period(self, store: RedisStore, prefix: str) -> None:
        """What is known of all actors goes with the period, and the hour after it."""
        for number in range(3):
            use(store, Quota("tokens", 9, per="day").bucket(f"user {number}", NOW, "group"))
        lives = kept(prefix, b"zset").values()
        assert 2 == len(lives)
        assert all(0 < left <= 43_200_000 + HOUR_MS for left in lives)

    def test_no_more_than_there_are(self, store: RedisStore, prefix: str) -> None:
        """However many come and go, no more is known than there are, though nobody asks how they stand."""
        for number in range(100):
            use(
                store,
                Quota("tokens", 9, per="10 seconds").bucket(f"user {number}", NOW, "group"),
                NOW + number * SECOND,
            )
        with redis_server.shared().client() as client:
            assert all(client.zcard(key) < 15 for key in kept(prefix, b"zset"))


class TestRestarted:
    def test_empty(self, prefix: str) -> None:
        """A server that comes back empty counts anew; slots that are held are taken again by those who hold them."""
        server = RedisServer()
        try:
            url = f"{server.url}?prefix={prefix}&timeout=5"
            with record_sessions(store=url, tiers=[TRIAL], pseudonym_key="k" * 16) as recorded:
                session = otel_sessions.start("web", user="u1", tier="trial")
                session.use("tokens", 90)
                with session.lease("file") as lease:
                    server.kill()
                    server.start()

                    def is_renewed() -> bool:
                        recorded.advance(10)
                        with server.client() as client:
                            return bool(client.keys("*:b:lease*"))

                    redis_server.until(is_renewed)
                    assert lease.is_held
                    other = otel_sessions.start("web", user="u1", tier="trial")
                    with pytest.raises(ConcurrencyExceededError):
                        other.lease("file").acquire()
                    assert 0 == other.quota("tokens").used
        finally:
            server.stop()
